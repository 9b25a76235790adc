"""Pages by which stewards share budgets out and decide together: caps, proposals, and the log of every request."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

import pytest
from api_town import ME, Browser, Town
from test_steward_pages import hidden, text

from dpstats.ledger.chain import Kind
from dpstats.ledger.records import Which
from dpstats.workspace.stewards import NewPolicy


@pytest.fixture
def steward(town: Town) -> Iterator[Browser]:
    """A browser of a steward of everything."""
    with town.browser(town.token("steward")) as browser:
        yield browser


def caps(town: Town) -> dict[str, float]:
    found = town.workspace.capping.all(ME, "town")["items"]
    return {f"{cap['scope']}:{cap['name']}": cap["rho"] for cap in found}


def test_a_cap_is_set_changed_and_ended_only_when_it_is_confirmed(town: Town, steward: Browser) -> None:
    assert "Nobody is capped" in text(steward.get("/budgets/town/caps"))
    for amount, told, after in (
        ("0.2", "All tokens of the role job together may charge rho 0.2 to town in all", {"role:job": 0.2}),
        ("0.3", "Its cap now is rho 0.2; 0 is charged", {"role:job": 0.3}),
        ("", "may charge up to what is left of the budget of town, like everybody", {}),
    ):
        before = caps(town)
        asked = steward.post(
            "/budgets/town/caps", data=steward.fields(of="role:job", amount=amount, reason='for "jobs" & more')
        )
        assert told in text(asked)
        assert caps(town) == before
        done = steward.post("/budgets/town/caps", data=hidden(asked), follow_redirects=True)
        assert (done.status_code, caps(town)) == (200, after)
    assert 'for "jobs" & more' in text(done)


@pytest.mark.parametrize(
    ("of", "amount", "reason", "told"),
    [
        ("role:nobody", "1", "why", "No such role"),
        ("town", "1", "why", "Choose a role or a purpose"),
        ("role:job", "much", "why", "Write a number"),
        ("role:job", "NaN", "why", "Must be from 0"),
        ("role:job", "", "why", "no cap"),
        ("role:job", "1", " ", "Say why"),
    ],
)
def test_a_cap_that_cannot_be_keeps_what_was_typed(
    town: Town, steward: Browser, of: str, amount: str, reason: str, told: str
) -> None:
    sent = steward.fields(of=of, amount=amount, reason=reason, confirmed="yes")
    answer = steward.post("/budgets/town/caps", data=sent)
    assert answer.status_code in (409, 422)
    assert told.lower() in text(answer).lower()
    assert f'value="{amount}"' in answer.text
    assert caps(town) == {}


def test_a_form_without_its_proof_changes_no_cap(town: Town, steward: Browser) -> None:
    sent = {"of": "role:job", "amount": "1", "reason": "why", "confirmed": "yes"}
    assert steward.post("/budgets/town/caps", data=sent).status_code == 403
    assert caps(town) == {}


def test_what_one_steward_proposes_another_confirms_or_declines_on_the_page(town: Town, steward: Browser) -> None:
    town.workspace.stewards.set_policy(ME, NewPolicy(grants_above=Decimal("0.1")))
    before = town.budget()["epsilon"]
    for epsilon in ("2", "1"):
        sent = steward.fields(epsilon=epsilon, reason="the spring", confirmed="yes")
        page = text(steward.post("/budgets/town/grant", data=sent, follow_redirects=True))
        assert f"Raise the budget of town by epsilon {epsilon}, for good" in page
    first, second = (item["proposal_id"] for item in town.workspace.stewards.all(ME))
    assert "2 proposals wait for a second steward" in text(steward.get("/waiting"))
    own = steward.get("/proposals")
    assert f"/proposals/{first}/confirm" not in own.text
    assert steward.post(f"/proposals/{first}/confirm", data=steward.fields()).status_code == 409
    with town.browser(town.token("steward", "town")) as other:
        assert f"/proposals/{first}/confirm" in other.get("/proposals").text
        asked = other.get(f"/proposals/{first}/confirm")
        assert "There is no way back" in text(asked)
        assert town.budget()["epsilon"] == before
        done = other.post(f"/proposals/{first}/confirm", data=hidden(asked), follow_redirects=True)
        entry = town.workspace.budgets.latest(ME, "town", Which(kind=Kind.GRANT))["entries"][0]
        first_name, second_name = entry["actor"], entry["confirmed_by"]
        assert "Done, in your name and that of steward" in text(done)
        both = f"{first_name} and {second_name}"
        assert both in text(other.get("/budgets/town"))
        assert both in text(other.get("/ledger/town"))
        assert f"{both} raised the budget by epsilon 2" in text(other.get(f"/ledger/town/{entry['seq']}"))
        asked = other.get(f"/proposals/{second}/decline")
        done = other.post(f"/proposals/{second}/decline", data=hidden(asked), follow_redirects=True)
        assert "Declined: raise the budget of town by epsilon 1" in text(done)
    assert town.budget()["epsilon"] == before + 2
    with town.browser(town.token("steward", "harbour")) as stranger:
        assert first not in stranger.get("/proposals").text
        assert stranger.get(f"/proposals/{first}/confirm").status_code == 404


def test_an_approval_that_takes_two_leads_to_its_proposal(town: Town, steward: Browser) -> None:
    town.workspace.stewards.set_policy(ME, NewPolicy(approvals_above=Decimal("0.001")))
    asked = steward.get("/waiting/draft/approve")
    done = steward.post("/waiting/draft/approve", data=hidden(asked) | {"days": ""}, follow_redirects=True)
    assert "draft is not approved yet" in text(done)
    assert "Approve draft, each new answer at epsilon" in text(done)
    assert not town.workspace.review.one(ME, "draft")["approved"]


def test_every_request_is_in_the_log_newest_first_with_its_outcome(town: Town, steward: Browser) -> None:
    town.run()
    town.run("no_such_query")
    town.workspace.store.asked.flush()
    page = text(steward.get("/log?who=analyst"))
    assert re.search(r"not-found 404.*spend_by_band POST /v1/queries/\u200b?\{query\}", page.replace("\u200b", ""))
    only = text(steward.get("/log?query=spend_by_band"))
    assert "no_such_query" not in only
    assert "Nobody asked that" in text(steward.get("/log?who=nobody"))
    assert "/log" in steward.get("/asked/town").text
    with town.browser(town.token("steward", "town")) as other:
        assert "spend_by_band" in text(other.get("/log"))
        assert 'href="/log"' not in other.get("/asked/town").text


@pytest.mark.parametrize("query", ["", "?theme=dark", "?size=narrow", "?theme=dark&size=narrow"])
def test_the_burn_down_is_drawn_by_vega_for_each_ground_and_width(town: Town, steward: Browser, query: str) -> None:
    town.run()
    drawn = steward.get(f"/budgets/town/burn-down.svg{query}")
    assert (drawn.status_code, drawn.headers["Content-Type"]) == (200, "image/svg+xml")
    width = "350" if "narrow" in query else "720"
    assert f'width="{width}"' in drawn.text
    assert "95 % left" in drawn.text
    assert steward.get("/budgets/town").text.count("burn-down.svg") == 4


def test_a_chart_that_is_not_drawn_is_not_there(steward: Browser) -> None:
    assert steward.get("/budgets/town/burn-down.png").content.startswith(b"\x89PNG")
    for path in ("burn-down.pdf", "burn-down.svg?theme=blue", "burn-down.svg?size=huge"):
        assert steward.get(f"/budgets/town/{path}").status_code == 404
