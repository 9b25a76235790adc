"""A steward's ways through the pages in a real browser: wide and narrow, light and dark, with and without scripts."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from api_town import ME
from playwright.sync_api import Browser, expect
from visits import LOOKS, Served, Visit, follow, sign_in, visiting

from dpstats.release import Ask
from dpstats.workspace.stewards import NewPolicy

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
            "/budgets/town/caps": "Who may charge how much of town?",
            "/proposals": "What waits for a second steward?",
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


@pytest.mark.parametrize(("width", "theme"), LOOKS)
def test_the_log_and_the_terms_are_in_order(chromium: Browser, served: Served, width: int, theme: str) -> None:
    workspace = served[1]
    whole = workspace.tokens.create(ME, f"whole-{width}-{theme}", "steward")
    with visiting(chromium, served, width=width, theme=theme) as visit:
        enter(visit, whole)
        visit.page.goto("/log")
        expect(visit.page.locator("h1")).to_have_text("Who asked what, and with what outcome?")
        visit.look()
        visit.page.goto("/terms")
        visit.look()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_steward_caps_a_role_and_another_steward_confirms_a_grant(
    chromium: Browser, served: Served, scripts: bool
) -> None:
    workspace = served[1]
    names = [f"{name}-{scripts}" for name in ("ada", "bob")]
    ada, bob = (workspace.tokens.create(ME, name, "steward", datasets=("town",)) for name in names)
    with visiting(chromium, served, scripts=scripts) as visit:
        page = visit.page
        enter(visit, ada)
        page.goto("/budgets/town/caps")
        page.get_by_label("Of whom").select_option(label="role job")
        page.get_by_label("In all, rho").fill("0.3")
        page.get_by_label("Why").fill("a third for jobs")
        follow(page.get_by_role("button", name="See what it does"))
        if scripts:  # axe is one
            visit.look()
        follow(page.get_by_role("button", name="Cap job at rho 0.3"))
        if scripts:
            visit.look()
        assert "role job" in page.locator("table").first.inner_text()
        workspace.stewards.set_policy(ME, NewPolicy(grants_above=Decimal(0)))
        proposed = workspace.budgets.grant(ME, "town", rho=None, epsilon=Decimal("0.1"), reason="a little more")
        page.goto("/proposals")
        if scripts:
            visit.look()
        follow(page.get_by_role("link", name=re.compile("^Confirm")))
        if scripts:
            visit.look()
        follow(page.get_by_role("button", name=re.compile("^Confirm")))
        assert "Done, in your name" in page.get_by_role("status").inner_text()
        found = {item["proposal_id"]: item["decided_by"] for item in workspace.stewards.all(ME)}
        assert found[proposed["proposal_id"]] == names[0]
        assert visit.said == []
    with visiting(chromium, served, scripts=scripts) as other:
        enter(other, bob)
        other.page.goto("/proposals")
        assert names[0] in other.page.locator("table").inner_text()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_steward_decides_freezes_thaws_and_verifies(
    chromium: Browser, served: Served, steward: str, scripts: bool
) -> None:
    workspace = served[1]
    with visiting(chromium, served, scripts=scripts) as visit:
        page = visit.page
        enter(visit, steward)
        follow(page.get_by_role("link", name="Waiting"))
        follow(page.get_by_role("link", name="counted", exact=True).first)
        assert "asked monthly, brings 12 charges" in page.locator("main").inner_text()
        follow(page.get_by_role("link", name="Approve counted"))
        page.get_by_label("How long the approval holds").select_option(label="for a year")
        follow(page.get_by_role("button", name="Approve counted: it can be asked"))
        assert "counted is approved for a year" in page.get_by_role("status").inner_text()
        follow(page.get_by_role("link", name="counted", exact=True).first)
        follow(page.get_by_role("link", name="Revoke counted"))
        follow(page.get_by_role("button", name="Revoke counted: it answers nothing"))
        assert not workspace.review.one(ME, "counted")["approved"]

        follow(page.get_by_role("link", name="Budgets"))
        follow(page.get_by_role("link", name="Freeze town"))
        follow(page.get_by_role("button", name="Freeze town: nobody can ask it anything"))
        assert workspace.datasets.one(ME, "town")["frozen"]
        follow(page.get_by_role("link", name="Thaw town"))
        follow(page.get_by_role("button", name=re.compile("Thaw town")))
        assert not workspace.datasets.one(ME, "town")["frozen"]

        follow(page.get_by_role("link", name="Ledger"))
        follow(page.get_by_role("button", name="Verify the whole ledger now"))
        assert page.get_by_role("status").inner_text().startswith("Yes.")
        assert visit.said == []


def test_a_steward_makes_a_token_that_signs_in_and_ends_it(chromium: Browser, served: Served, steward: str) -> None:
    with visiting(chromium, served) as visit, visiting(chromium, served) as other:
        page = visit.page
        enter(visit, steward)
        page.goto("/tokens/new")
        page.get_by_label("Name").fill("newcomer")
        page.get_by_label("town").check()
        follow(page.get_by_role("button", name="Make the token"))
        visit.look()
        secret = page.locator("pre").inner_text().strip()
        sign_in(other.page, secret)
        expect(other.page.locator("h1")).to_have_text("What can I ask?")
        follow(page.get_by_role("link", name="I have kept it"))
        follow(page.get_by_role("link", name="Revoke newcomer"))
        follow(page.get_by_role("button", name=re.compile("Revoke newcomer")))
        assert "newcomer is revoked" in page.get_by_role("status").inner_text()
        other.page.reload()
        assert "ended" in other.page.locator("h1").inner_text()
