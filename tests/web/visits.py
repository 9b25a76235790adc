"""Visits to the pages in a real browser: what a visitor does, waits for, and looks at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from axe_core_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page

from dpstats.workspace import Workspace

Served = tuple[str, Workspace]
LONG_MS = 60_000
"""How long a page may take to come, on a machine that does other things as well."""
LOOKS = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


@dataclass
class Visit:
    """A page that is open, and everything that its console said."""

    page: Page
    said: list[str] = field(default_factory=list)

    def hear(self, message: ConsoleMessage) -> None:
        """Errors and warnings, those of the Content-Security-Policy among them."""
        if message.type in {"error", "warning"}:
            self.said.append(message.text)

    def look(self) -> None:
        """Nothing was complained of, axe finds nothing, and nothing is wider than the window."""
        # axe-core is put in by the debugger, which no policy of the page's own concerns.
        found: dict[str, Any] = Axe().run(self.page, options={"runOnly": {"type": "tag", "values": TAGS}})
        assert [(item["id"], [node["html"] for node in item["nodes"]]) for item in found["violations"]] == []
        assert self.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert self.page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
        assert self.said == []


@contextmanager
def visiting(
    browser: Browser, served: Served, *, width: int = 1280, theme: str = "light", scripts: bool = True
) -> Iterator[Visit]:
    context = browser.new_context(
        base_url=served[0],
        viewport={"width": width, "height": 900},
        color_scheme=theme,  # type: ignore[arg-type]
        java_script_enabled=scripts,
    )
    context.set_default_timeout(LONG_MS)
    visit = Visit(context.new_page())
    visit.page.on("console", visit.hear)
    visit.page.on("pageerror", lambda error: visit.said.append(str(error)))
    yield visit
    context.close()


def follow(link: Locator) -> None:
    """Clicks what leads to another page, and waits until that page is there: a click alone does not wait."""
    with link.page.expect_navigation():
        link.click()


def sign_in(page: Page, token: str) -> None:
    page.goto("/")
    page.get_by_label("Token").fill(token)
    follow(page.get_by_role("button", name="Sign in"))
