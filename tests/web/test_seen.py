"""What is seen: pictures of every page, wide and narrow, light and dark, looked at pixel by pixel."""

from __future__ import annotations

import io
import math

import pytest
from api_town import ME
from PIL import Image
from playwright.sync_api import Browser, Page
from visits import LOOKS, Served, sign_in, visiting

from dpstats.release import Ask

GROUNDS = {"light": (255, 255, 255), "dark": (18, 21, 24)}
ACCENTS = {"light": (11, 92, 138), "dark": (111, 183, 230)}
PUBLIC = ("/", "/privacy", "/transparency", "/opt-out", "/nothing-here")
ANALYST = ("/queries", "/queries/spend_by_band", "/releases", "{answer}", "/compare?left={release}&a=0&b=1")
STEWARD = (
    *("/waiting", "/waiting/spend_by_band", "/budgets/town", "/budgets/town/grant", "/budgets/town/freeze"),
    *("/budgets/town/caps", "/asked", "/log", "/ledger", "/ledger/town/1", "/tokens", "/tokens/new", "/rights"),
    *("/rights/new", "/consent", "/proposals"),
)
CUT = """() => [...document.querySelectorAll(".scroll")]
  .filter((table) => table.checkVisibility() && table.scrollWidth > table.clientWidth + 1)
  .map((table) => table.getAttribute("aria-label"))"""
OFF_LINE = """() => {
  const tops = (row) => [...row.cells].filter((cell) => cell.checkVisibility() && cell.innerText.trim()).map((cell) => {
    const walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT, (text) => text.data.trim() ? 1 : 2);
    const text = walker.nextNode(), range = document.createRange();
    range.selectNodeContents(text);
    return [getComputedStyle(text.parentElement).fontSize, range.getClientRects()[0].top, text.data];
  }).filter(([size]) => size === "16px");
  return [...document.querySelectorAll("tbody tr")].map(tops)
    .filter((found) => found.some(([, top]) => Math.abs(top - found[0][1]) > 1));
}"""
"""Rows of tables of which a cell's first line stands higher or lower than the others'."""


def seen(page: Page) -> Image.Image:
    """What is in the window."""
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def like(picture: Image.Image, colour: tuple[int, int, int], within: int = 24) -> float:
    """The share of a picture's pixels that have nearly this colour."""
    counted = picture.getcolors(maxcolors=picture.width * picture.height) or []
    alike = sum(count for count, pixel in counted if math.dist(pixel, colour) <= within)  # type: ignore[arg-type]
    return alike / (picture.width * picture.height)


def look_at(page: Page) -> None:
    """In both themes the ground is the theme's, and something stands on it that can be told from it."""
    for theme, colour in GROUNDS.items():
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        ground = like(seen(page), colour)
        assert 0.6 < ground < 0.998, f"{page.url} in the {theme}: {ground:.1%} is ground"


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize(("role", "pages"), [("", PUBLIC), ("analyst", ANALYST), ("steward", STEWARD)])
def test_every_page_can_be_seen_whole(
    chromium: Browser, served: Served, role: str, pages: tuple[str, ...], width: int
) -> None:
    workspace = served[1]
    release = workspace.releases.make(Ask(ME, "spend_by_band", {}))[0]["release_id"]
    with visiting(chromium, served, width=width) as visit:
        if role:
            sign_in(visit.page, workspace.tokens.create(ME, f"seen-by-{role}-at-{width}", role))
        for path in pages:
            visit.page.goto(path.format(answer=f"/releases/{release}", release=release))
            look_at(visit.page)
            if path != "{answer}" or width > 390:  # three measures, each with its interval, go on beyond a phone's edge
                assert visit.page.evaluate(CUT) == [], path
            assert visit.page.evaluate(OFF_LINE) == [], path


@pytest.mark.parametrize(("width", "theme"), LOOKS)
def test_a_chart_is_drawn_in_the_colours_of_its_page(
    chromium: Browser, served: Served, analyst: str, width: int, theme: str
) -> None:
    release = served[1].releases.make(Ask(ME, "spend_by_band", {}))[0]["release_id"]
    with visiting(chromium, served, width=width, theme=theme) as visit:
        sign_in(visit.page, analyst)
        visit.page.goto(f"/releases/{release}")
        chart = visit.page.locator("figure img")
        chart.scroll_into_view_if_needed()
        picture = Image.open(io.BytesIO(chart.screenshot())).convert("RGB")
        assert like(picture, GROUNDS[theme]) > 0.8
        assert like(picture, ACCENTS[theme]) > 0.0005


def test_long_names_break_and_widen_no_page(chromium: Browser, served: Served) -> None:
    with visiting(chromium, served, width=390) as visit:
        sign_in(visit.page, served[1].tokens.create(ME, "seen-with-long-names", "steward"))
        long = "a_name_as_long_as_a_name_may_be_" * 2
        named = """(text) => document.querySelectorAll("main h1, main button, main .button, main a, main li, main p")
          .forEach((node) => node.childElementCount || (node.textContent = text))"""
        for path in ("/budgets/town/freeze", "/budgets/town", "/waiting/spend_by_band", "/releases", "/tokens"):
            visit.page.goto(path)
            visit.page.evaluate(named, long)
            assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


def test_the_head_of_a_number_is_folded_where_its_measure_has_a_long_name(
    chromium: Browser, served: Served, analyst: str
) -> None:
    release = served[1].releases.make(Ask(ME, "spend_by_band", {}))[0]["release_id"]
    with visiting(chromium, served, width=390) as visit:
        sign_in(visit.page, analyst)
        visit.page.goto(f"/releases/{release}")
        head = visit.page.locator("thead th.number").first
        head.evaluate("(node) => node.textContent = 'Households that bought anything at all in the whole year'")
        box = head.bounding_box()
        assert box is not None
        assert box["width"] < 200
