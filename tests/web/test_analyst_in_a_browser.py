"""An analyst's way from sign-in to download, in a real browser: wide and narrow, light and dark, with and without
scripts; nothing on the console, nothing that the Content-Security-Policy had to stop, nothing that axe finds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from api_town import ME
from playwright.sync_api import Browser, expect
from visits import LOOKS, Served, follow, sign_in, visiting

from dpstats.ledger.chain import Kind
from dpstats.ledger.records import Which

UPON_OTHERS = """() => {
  const texts = [...document.querySelectorAll("h1, h2, h3, p, li, label, th, td, dt, dd, button, summary")]
    .filter((node) => !node.querySelector("h1, h2, h3, p, li, label, th, td, dt, dd, button, summary"))
    .filter((node) => node.checkVisibility() && !node.closest(".unseen, .skip") && node.innerText.trim())
    .map((node) => [node, node.getBoundingClientRect()]);
  const upon = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1;
  return texts.flatMap(([one, a], at) => texts.slice(at + 1)
    .filter(([other, b]) => !one.contains(other) && upon(a, b)).map(([other]) => [one.innerText, other.innerText]));
}"""


@pytest.mark.parametrize(("width", "theme"), LOOKS)
def test_an_analyst_goes_from_sign_in_to_download(
    chromium: Browser, served: Served, analyst: str, width: int, theme: str
) -> None:
    with visiting(chromium, served, width=width, theme=theme) as visit:
        page = visit.page
        page.goto("/")
        visit.look()
        sign_in(page, analyst)
        expect(page.locator("h1")).to_have_text("What can I ask?")
        visit.look()
        page.get_by_role("searchbox").fill("band")
        follow(page.get_by_role("button", name="Search"))
        follow(page.get_by_role("link", name="Spend by band"))
        visit.look()
        follow(page.get_by_role("button", name="Ask"))
        assert re.search("(This answer is new|already released)", page.get_by_role("status").first.inner_text())
        follow(page.get_by_role("link", name="spend", exact=True))
        page.wait_for_load_state("networkidle", timeout=120_000)  # the first chart of a process takes a while
        visit.look()
        assert "95 % interval" in (page.locator("figure img").get_attribute("alt") or "")
        with page.expect_download() as download:
            page.get_by_role("link", name="CSV").click()
        assert Path(download.value.path()).read_text().startswith("band,households,households_low,")
        follow(page.get_by_role("button", name="Compare"))
        expect(page.locator("h1")).to_have_text("Is one truly above the other?")
        visit.look()
        follow(page.get_by_role("link", name="Learned"))
        visit.look()
        follow(page.get_by_role("button", name="Sign out"))
        expect(page.get_by_label("Token")).to_be_visible()
        visit.look()


def test_the_preview_follows_while_somebody_types(chromium: Browser, served: Served, analyst: str) -> None:
    with visiting(chromium, served) as visit:
        sign_in(visit.page, analyst)
        visit.page.goto("/queries/spend_by_band")
        expect(visit.page.get_by_role("button", name="Show what this costs")).to_be_hidden()
        for day, says in (("2017-03-02", "Enough for about"), ("2019-01-01", "cannot be asked as it is")):
            with visit.page.expect_response("**/expected?**"):
                visit.page.get_by_label("Since").fill(day)
            visit.page.get_by_text(says).wait_for()
        assert "Since: must be from 2017-01-01" in visit.page.locator("#expected").inner_text()
        assert visit.said == []


def test_what_was_wrong_is_no_longer_marked_when_something_else_is_typed(
    chromium: Browser, served: Served, analyst: str
) -> None:
    with visiting(chromium, served) as visit:
        sign_in(visit.page, analyst)
        visit.page.goto("/queries/spend_by_band?p.since=2017-05-05&p.until=2017-04-04")
        expect(visit.page.locator(".fault")).to_have_count(1)
        visit.page.get_by_label("Until").fill("2017-06-06")
        expect(visit.page.locator("[aria-invalid], .fault")).to_have_count(0)
        visit.page.get_by_text("Enough for about").wait_for()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_double_click_makes_one_charge(chromium: Browser, served: Served, analyst: str, scripts: bool) -> None:
    day = "2017-02-11" if scripts else "2017-02-12"
    before = served[1].budgets.latest(ME, "town", Which(kind=Kind.CHARGE), limit=1)["entries"]
    with visiting(chromium, served, scripts=scripts) as visit:
        sign_in(visit.page, analyst)
        visit.page.goto(f"/queries/spend_by_band?p.since={day}")
        visit.page.get_by_role("button", name="Ask", exact=True).dblclick()
        # The second submission cuts off the first one's navigation, which is no failure.
        expect(visit.page).to_have_url(re.compile(r"/releases/[^/]+$"))
        assert "spend by band" in visit.page.locator("h1").inner_text().lower()
    after = served[1].budgets.latest(ME, "town", Which(kind=Kind.CHARGE), limit=2)["entries"]
    assert after[1:] == before, "one entry more, and no other"


@pytest.mark.parametrize("width", [1280, 390])
def test_no_words_lie_upon_others_and_every_table_shows_its_first_number(
    chromium: Browser, served: Served, analyst: str, width: int
) -> None:
    with visiting(chromium, served, width=width) as visit:
        sign_in(visit.page, analyst)
        visit.page.goto("/queries/spend_by_band")
        follow(visit.page.get_by_role("button", name="Ask", exact=True))
        expect(visit.page).to_have_url(re.compile(r"/releases/[^/]+$"))
        answer = visit.page.url
        for address in (
            "/queries",
            "/queries/spend_by_band",
            "/releases",
            answer,
            f"/compare?left={answer.split('/')[-1]}",
        ):
            visit.page.goto(address)
            assert visit.page.evaluate(UPON_OTHERS) == []
        visit.page.goto(answer)
        box = visit.page.locator("tbody td.number").first.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= width
        assert visit.page.locator("tbody tr").first.get_by_text(" to ").filter(visible=True).count() >= 1


def test_pages_are_light(chromium: Browser, served: Served, analyst: str) -> None:
    with visiting(chromium, served) as visit:
        sign_in(visit.page, analyst)
        for path in ("/queries", "/queries/spend_by_band", "/releases"):
            visit.page.goto(path)
            assert visit.page.evaluate("performance.getEntriesByType('navigation')[0].decodedBodySize") < 60_000


def test_everything_but_the_preview_works_without_scripts(chromium: Browser, served: Served, analyst: str) -> None:
    with visiting(chromium, served, scripts=False) as visit:
        page = visit.page
        sign_in(page, analyst)
        page.goto("/queries/spend_by_band")
        page.get_by_label("Since").fill("2017-02-03")
        follow(page.get_by_role("button", name="Show what this costs"))
        assert page.get_by_label("Since").input_value() == "2017-02-03"
        follow(page.get_by_role("button", name="Ask", exact=True))
        expect(page.get_by_role("status").first).to_contain_text("This answer is new")
        page.reload()
        assert page.get_by_text("This answer is new").count() == 0


def test_a_form_that_fails_keeps_what_was_typed(chromium: Browser, served: Served, analyst: str) -> None:
    with visiting(chromium, served, scripts=False) as visit:
        sign_in(visit.page, analyst)
        visit.page.goto("/queries/spend_by_band?p.since=2017-05-05&p.until=2017-04-04")
        follow(visit.page.get_by_role("button", name="Ask", exact=True))
        expect(visit.page.locator(".fault").first).to_be_visible()
        assert visit.page.get_by_label("Since").input_value() == "2017-05-05"


def test_what_is_not_there_and_a_sign_in_that_ended_are_told_in_words(chromium: Browser, served: Served) -> None:
    token = served[1].tokens.create(ME, "brief", "analyst")
    with visiting(chromium, served, width=390) as visit:
        sign_in(visit.page, token)
        visit.page.goto("/queries/nothing")
        expect(visit.page.locator("h1")).to_have_text("Not found")
        visit.page.goto("/compare?left=nothing&a=b")
        told = visit.page.locator("main").inner_text()
        assert told.startswith("Invalid parameters\n\nA: must be a whole number.")
        assert "`" not in told, "that is for programs"
        visit.page.goto("/compare")
        assert visit.page.url.endswith("/releases")
        assert "Choose an answer" in visit.page.locator("main").inner_text()
        served[1].tokens.revoke(ME, "brief")
        visit.page.goto("/queries")
        expect(visit.page.locator("h1")).to_have_text("Your sign-in has ended")
        visit.said.clear()  # Chromium says of each status above 400 that there was one
        visit.look()


def test_a_frozen_dataset_is_told_where_it_hides_something(chromium: Browser, served: Served, analyst: str) -> None:
    served[1].budgets.freeze(ME, "town", frozen=True)
    try:
        with visiting(chromium, served, width=390) as visit:
            sign_in(visit.page, analyst)
            for path in ("/queries", "/releases", "/queries/spend_by_band"):
                visit.page.goto(path)
                told = visit.page.locator("main").inner_text()
                assert "is frozen" in told, path
                assert "Nothing was released yet" not in told
                assert "`" not in told, "a command is nothing for an analyst"
                visit.look()
            follow(visit.page.get_by_role("button", name="Ask", exact=True))
            expect(visit.page.get_by_role("alert")).to_have_text(re.compile(r"is frozen: a steward can thaw it\.$"))
    finally:
        served[1].budgets.freeze(ME, "town", frozen=False)
