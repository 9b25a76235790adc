"""The public pages: whole without scripts, from nowhere else, shut in by their headers."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from api_town import BANDS, MARKER, Town

from dpstats.api.problems import KINDS
from dpstats.web.assets import KEPT, address_of

PAGES = ["/", "/privacy", "/transparency", "/opt-out", *(f"/problems/{slug}" for slug in KINDS)]


class Reader(HTMLParser):
    """What a page is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.scripts += tag == "script" and dict(attrs)["src"] == address_of("live.js")
        self.links += [str(value) for name, value in attrs if name in ("href", "src", "action")]
        if tag not in ("meta", "link", "line", "circle", "br", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    return reader


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_whole_without_scripts_and_takes_nothing_from_elsewhere(quiet_town: Town, path: str) -> None:
    answer = quiet_town.ask("GET", path)
    page = read(answer.text)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert len(answer.content) < 60_000
    assert page.scripts == page.tags.count("script")
    assert not {"iframe", "object", "embed", "style"} & set(page.tags)
    assert not {name for name in page.attributes if name.startswith("on") or name == "style"}
    assert all(link.startswith("/") and not link.startswith("//") for link in page.links if link != "#main")
    assert page.tags.count("h1") == page.tags.count("main") == 1
    for link in set(page.links) - {"/sign-in", "#main"}:
        assert quiet_town.ask("GET", link).status_code == 200


def test_the_landing_page_shows_nothing_that_needs_a_token(quiet_town: Town) -> None:
    text = quiet_town.ask("GET", "/").text
    for secret in ("town", "harbour", "spend_by_band", MARKER, *BANDS):
        assert secret not in text


def test_the_landing_page_leads_to_the_description(quiet_town: Town) -> None:
    assert "/openapi.json" in read(quiet_town.ask("GET", "/").text).links


def test_the_style_sheet_knows_the_dark_and_takes_nothing_from_elsewhere(quiet_town: Town) -> None:
    answer = quiet_town.ask("GET", address_of("style.css"))
    assert answer.headers["Content-Type"] == "text/css; charset=utf-8"
    assert "prefers-color-scheme: dark" in answer.text
    assert "url(" not in answer.text
    assert "@import" not in answer.text


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_text_stands_out_from_its_ground_in_light_and_dark(quiet_town: Town) -> None:
    """WCAG 2.1, 1.4.3: contrast of at least 4.5."""
    style = quiet_town.ask("GET", address_of("style.css")).text
    themes = [dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block)) for block in re.findall(r":root \{([^}]*)\}", style)]
    assert len(themes) == 2
    for theme in themes:
        for text in ("ink", "soft", "accent"):
            for ground in ("ground", "shade"):
                high, low = sorted((luminance(theme[text]), luminance(theme[ground])), reverse=True)
                assert (high + 0.05) / (low + 0.05) >= 4.5, (text, ground)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        address_of("style.css"),
        "/nope",
        "/openapi.json",
        "/health/live",
        "/v1/datasets",
        "/v1/nope",
        "/problems/frozen",
    ],
)
@pytest.mark.parametrize("role", [None, "analyst"])
def test_every_answer_has_the_security_headers(quiet_town: Town, path: str, role: str | None) -> None:
    headers = quiet_town.ask("GET", path, role=role).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy["style-src"] == "'self'"
    assert policy.get("script-src", "'self'") == "'self'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == (KEPT if path.startswith("/static/") else "no-store")
    assert re.fullmatch("req_[0-9a-f]{16}", headers["Dpstats-Request"])


def test_no_other_site_is_let_in(quiet_town: Town) -> None:
    answer = quiet_town.ask(
        "OPTIONS", "/v1/datasets", headers={"Origin": "https://elsewhere", "Access-Control-Request-Method": "GET"}
    )
    assert answer.status_code == 401
    assert not [name for name in answer.headers if name.startswith("access-control")]
