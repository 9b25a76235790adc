"""A steward's ways through the pages in a real browser: wide and narrow, light and dark, with and without scripts."""

from __future__ import annotations

import re

import pytest
from api_town import ME
from playwright.sync_api import Browser
from test_analyst_in_a_browser import LOOKS, Served, Visit, sign_in, visiting

from dpstats.release import Ask

QUERY = """
query: {name}
dataset: town
sql: SELECT COUNT(DISTINCT household) AS households FROM homes
cost: {{rho: {rho}}}
cadence: monthly
"""


@pytest.fixture(scope="module")
def steward(served: Served) -> str:
    """A steward's token; answers were charged, and a query that changed waits."""
    workspace = served[1]
    for query, times in (("spend_by_band", 3), ("by_shop", 2)):
        for _ in range(times):
            workspace.releases.make(Ask(ME, query, {}, fresh=True))
    file = workspace.home / "counted.yaml"
    for rho in (0.01, 0.02):
        file.write_text(QUERY.format(name="counted", rho=rho))
        workspace.review.submit(ME, file)
        if rho == 0.01:
            workspace.review.approve(ME, "counted")
    return workspace.tokens.create(ME, "mira", "steward", datasets=("town",))


def enter(visit: Visit, token: str) -> None:
    """Signs in. What the sign-in page itself says on the console, the tests of that page look at."""
    sign_in(visit.page, token)
    visit.said.clear()


@pytest.mark.parametrize(("width", "theme"), LOOKS)
def test_every_page_of_a_steward_is_in_order(
    chromium: Browser, served: Served, steward: str, width: int, theme: str
) -> None:
    with visiting(chromium, served, width=width, theme=theme) as visit:
        enter(visit, steward)
        titles = {
            "/waiting": "What is waiting for me?",
            "/waiting/counted": "counted",
            "/waiting/counted/approve": "Approve counted?",
            "/budgets": "What is left, and until when?",
            "/budgets/town/grant": "How much more may be learned of town?",
            "/budgets/town/freeze": "Freeze town?",
            "/asked": "Who asked what?",
            "/ledger": "Is every charge in its place?",
            "/ledger/town/1": "Entry 1 of town",
            "/tokens": "Who may come in?",
            "/tokens/new": "Who is to come in?",
        }
        for path, title in titles.items():
            visit.page.goto(path)
            assert visit.page.locator("h1").inner_text().replace("\n", " ") == title
            for fold in visit.page.locator("summary").all():
                fold.click()
            visit.look()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_steward_decides_freezes_thaws_and_verifies(
    chromium: Browser, served: Served, steward: str, scripts: bool
) -> None:
    workspace = served[1]
    with visiting(chromium, served, scripts=scripts) as visit:
        page = visit.page
        enter(visit, steward)
        page.get_by_role("link", name="Waiting").click()
        page.get_by_role("link", name="counted", exact=True).first.click()
        assert "asked monthly, brings 12 charges" in page.locator("main").inner_text()
        page.get_by_role("link", name="Approve counted").click()
        page.get_by_label("How long the approval holds").select_option(label="for a year")
        page.get_by_role("button", name="Approve counted: it can be asked").click()
        assert "counted is approved for a year" in page.get_by_role("status").inner_text()
        page.get_by_role("link", name="counted", exact=True).first.click()
        page.get_by_role("link", name="Revoke counted").click()
        page.get_by_role("button", name="Revoke counted: it answers nothing").click()
        assert not workspace.review.one(ME, "counted")["approved"]

        page.get_by_role("link", name="Budgets").click()
        page.get_by_role("link", name="Freeze town").click()
        page.get_by_role("button", name="Freeze town: nobody can ask it anything").click()
        assert workspace.datasets.one(ME, "town")["frozen"]
        page.get_by_role("link", name="Thaw town").click()
        page.get_by_role("button", name=re.compile("Thaw town")).click()
        assert not workspace.datasets.one(ME, "town")["frozen"]

        page.get_by_role("link", name="Ledger").click()
        page.get_by_role("button", name="Verify the whole ledger now").click()
        assert page.get_by_role("status").inner_text().startswith("Yes.")
        assert visit.said == []


def test_a_steward_makes_a_token_that_signs_in_and_ends_it(chromium: Browser, served: Served, steward: str) -> None:
    with visiting(chromium, served) as visit, visiting(chromium, served) as other:
        page = visit.page
        enter(visit, steward)
        page.goto("/tokens/new")
        page.get_by_label("Name").fill("newcomer")
        page.get_by_label("town").check()
        page.get_by_role("button", name="Make the token").click()
        visit.look()
        secret = page.locator("pre").inner_text().strip()
        sign_in(other.page, secret)
        assert other.page.locator("h1").inner_text() == "What can I ask?"
        page.get_by_role("link", name="I have kept it").click()
        page.get_by_role("link", name="Revoke newcomer").click()
        page.get_by_role("button", name=re.compile("Revoke newcomer")).click()
        assert "newcomer is revoked" in page.get_by_role("status").inner_text()
        other.page.reload()
        assert "ended" in other.page.locator("h1").inner_text()
