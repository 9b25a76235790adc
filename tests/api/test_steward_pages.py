"""The steward's pages: what they tell, what they say before an act, and that only a confirmed act is done."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape

import httpx
import pytest
from api_town import ME, Browser, Town


@pytest.fixture
def steward(town: Town) -> Iterator[Browser]:
    with town.browser(town.token("steward")) as browser:
        yield browser


def text(answer: httpx.Response) -> str:
    """What a page says, without its tags."""
    whole = answer.text.partition("<main")[2].replace("<wbr>", "")
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", whole)))


def hidden(answer: httpx.Response) -> dict[str, str]:
    """The hidden fields of a page's form."""
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', answer.text.partition("<main")[2])
    return {name: unescape(value) for name, value in found}


def standing(steward: Browser) -> list[str]:
    """What waits and what is left, as the pages say it; but how long ago something was submitted changes by itself."""
    pages = [steward.get("/waiting").text, steward.get("/budgets/town").text]
    return [re.sub(r"just now|a minute ago|\d+ minutes ago", "a while ago", page) for page in pages]


ACTS = [
    ("/budgets/town/freeze", "Freeze town: nobody can ask it anything"),
    ("/budgets/town/thaw", "Thaw town: its approved queries can be asked again"),
    ("/waiting/draft/approve", "Approve draft: it can be asked"),
    ("/waiting/costly/revoke", "Revoke costly: it answers nothing"),
]


@pytest.mark.parametrize(("path", "button"), ACTS)
def test_an_act_names_its_effect_and_is_not_done_by_looking_at_it(steward: Browser, path: str, button: str) -> None:
    before = standing(steward)
    page = steward.get(path)
    assert f">{button}</button>" in page.text
    assert standing(steward) == before


@pytest.mark.parametrize(("path", "button"), ACTS)
def test_an_act_without_the_forms_proof_is_refused(steward: Browser, path: str, button: str) -> None:
    assert steward.post(path, data={"proof": "0" * 64}).status_code == 403


@pytest.mark.parametrize("role", ["analyst", "job", "collector"])
@pytest.mark.parametrize("path", ["/budgets", "/budgets/town", "/waiting/draft", "/ledger/town", "/asked", "/tokens"])
def test_to_whoever_is_no_steward_a_page_is_as_missing_as_one_that_is_not_there(
    quiet_town: Town, role: str, path: str
) -> None:
    with quiet_town.browser(quiet_town.token(role)) as browser:
        here, missing = browser.get(path), browser.get("/nothing-of-that-name")
        assert (here.status_code, text(here)) == (404, text(missing))
        assert "/budgets" not in here.text


def test_freezing_and_thawing(town: Town, steward: Browser) -> None:
    for act, frozen, told in (("freeze", True, "town is frozen"), ("thaw", False, "town is open")):
        answer = steward.post(f"/budgets/town/{act}", data=steward.fields(), follow_redirects=True)
        assert told in text(answer)
        assert town.workspace.datasets.one(ME, "town")["frozen"] is frozen
    assert "Thawed by steward" in text(steward.get("/budgets/town"))


def test_a_grant_is_made_only_when_it_is_confirmed(town: Town, steward: Browser) -> None:
    before = town.budget()["epsilon"]
    sent = steward.fields(epsilon="1.5", reason='for "spring" & summer')
    asked = steward.post("/budgets/town/grant", data=sent)
    assert "from epsilon 6 to 7.5" in text(asked)
    assert "There is no way back" in text(asked)
    assert town.budget()["epsilon"] == before
    done = steward.post("/budgets/town/grant", data=hidden(asked), follow_redirects=True)
    assert 'for "spring" & summer' in text(done)
    assert town.budget()["epsilon"] == 7.5


@pytest.mark.parametrize(
    ("epsilon", "reason", "told"),
    [
        ("much", "why", "Write a number"),
        ("-1", "why", "Must be more than 0"),
        ("NaN", "why", "Must be more than 0"),
        ("999", "why", "at most 1000"),
        ("1", " ", "Say why"),
        ("1", "two\nlines", "Say why"),
    ],
)
def test_a_grant_that_cannot_be_keeps_what_was_typed(
    town: Town, steward: Browser, epsilon: str, reason: str, told: str
) -> None:
    before = town.budget()
    answer = steward.post("/budgets/town/grant", data=steward.fields(epsilon=epsilon, reason=reason, confirmed="yes"))
    assert answer.status_code == 422
    assert told in text(answer)
    assert f'value="{epsilon}"' in answer.text
    assert town.budget() == before


def test_a_query_is_approved_in_the_version_that_was_reviewed(town: Town, steward: Browser) -> None:
    review = text(steward.get("/waiting/draft"))
    for told in (
        "It was never approved",
        "of the budget for life",
        "give or take",
        "A year of it",
        "unit: one household",
    ):
        assert told in review
    asked = steward.get("/waiting/draft/approve")
    done = steward.post("/waiting/draft/approve", data=hidden(asked) | {"days": "90"}, follow_redirects=True)
    assert "draft is approved for 90 days" in text(done)
    found = town.workspace.review.one(ME, "draft")
    assert found["approved"]
    assert found["approvals"][-1]["expires_at"] is not None
    assert found["approvals"][-1]["approved_by"] == "steward"


@pytest.mark.parametrize("version", ["", "sha256:" + "0" * 64])
def test_another_version_than_the_one_that_stands_is_not_approved(town: Town, steward: Browser, version: str) -> None:
    answer = steward.post("/waiting/draft/approve", data=steward.fields(version=version, days=""))
    assert answer.status_code == 409
    assert not town.workspace.review.one(ME, "draft")["approved"]


def test_a_revoked_query_is_told_as_ended_and_answers_nothing(town: Town, steward: Browser) -> None:
    done = steward.post("/waiting/costly/revoke", data=steward.fields(), follow_redirects=True)
    assert "costly is revoked" in text(done)
    assert "Ended by a steward" in text(done)
    assert town.run("costly").status_code == 409


def test_a_changed_query_is_shown_against_the_approved_one(town: Town, steward: Browser) -> None:
    file = town.files / "costly.yaml"
    changed = town.workspace.home / "costly.yaml"
    changed.write_text(file.read_text().replace("rho: 0.5", "rho: 0.25"))
    town.workspace.review.submit(ME, changed)
    review = steward.get("/waiting/costly")
    assert "<del>- cost: {rho: 0.5}\n</del>" in review.text
    assert "<ins>+ cost: {rho: 0.25}\n</ins>" in review.text
    assert "cost.rho" in text(review)


def test_the_ledger_is_paged_and_every_entry_has_a_page(town: Town, steward: Browser) -> None:
    for _ in range(3):
        town.run(json={"reuse": "never"})
    town.workspace.budgets.grant(ME, "town", epsilon=3, reason="more")  # type: ignore[arg-type]
    newest = steward.get("/ledger/town")
    assert "has 5 entries" in text(newest)
    older = text(steward.get("/ledger/town?before=3"))
    assert "spend_by_band" in older
    entry = text(steward.get("/ledger/town/5"))
    assert "raised the budget by epsilon 3" in entry
    assert "more" in entry
    for missing in ("0", "6", "-1"):
        assert steward.get(f"/ledger/town/{missing}").status_code == 404


def test_the_ledger_is_verified_from_its_page(town: Town, steward: Browser) -> None:
    town.run()
    answer = text(steward.post("/ledger/town/verification", data=steward.fields()))
    assert "Yes. 2 entries were walked just now" in answer


def test_who_asked_what_is_told_by_name_and_question(town: Town, steward: Browser) -> None:
    town.run(role="analyst")
    town.run("by_shop", role="job")
    assert "spend_by_band analyst since 1 January 2017" in text(steward.get("/asked/town"))
    assert "spend_by_band analyst" not in text(steward.get("/asked/town?who=job"))
    assert "Nobody asked that" in text(steward.get("/asked/town?who=job&query=spend_by_band"))


def test_a_token_is_shown_once_and_opens_what_was_chosen(town: Town, steward: Browser) -> None:
    form = steward.fields(name="new one", role="analyst", days="30", cap="0.1") | {"sees:town": "yes"}
    answer = steward.post("/tokens/new", data=form)
    secret = re.search(r"dps_[\w-]{43}", answer.text)
    assert secret is not None
    assert answer.headers["Cache-Control"] == "no-store"
    assert town.ask("GET", "/v1/datasets", token=secret[0]).json()["items"][0]["dataset"] == "town"
    listed = steward.get("/tokens")
    assert "new one" in listed.text
    assert secret[0] not in listed.text
    again = steward.post("/tokens/new", data=form)
    assert again.status_code == 422
    assert "is live" in text(again)


def test_a_steward_of_some_datasets_is_told_that_not_every_token_is_counted(town: Town, steward: Browser) -> None:
    assert "this service" in text(steward.get("/tokens")).partition("Of each")[0]
    with town.browser(town.token("steward", "town")) as limited:
        assert "what yours does, or a part of it" in text(limited.get("/tokens"))


def test_a_token_form_that_cannot_be_keeps_what_was_typed(steward: Browser) -> None:
    answer = steward.post("/tokens/new", data=steward.fields(name="kept", role="king", days="1", cap="x"))
    assert answer.status_code == 422
    assert 'value="kept"' in answer.text
    for told in ("choose what it may do", "Choose how long it lives", "Write a number"):
        assert told in text(answer)


def test_a_token_is_revoked_and_its_sign_ins_end(town: Town, steward: Browser) -> None:
    with town.browser(town.token("job")) as other:
        assert other.get("/welcome").status_code == 200
        token = next(item for item in town.workspace.tokens.all(ME) if item["name"] == "job")
        path = f"/tokens/{token['token_id']}/revoke"
        assert ">Revoke job: it opens nothing any more</button>" in steward.get(path).text
        assert "job is revoked" in text(steward.post(path, data=steward.fields(), follow_redirects=True))
        assert other.get("/welcome").status_code == 401
    assert steward.get(path).status_code == 404


def test_a_steward_of_one_dataset_decides_on_its_tokens_alone(town: Town) -> None:
    town.token("analyst")
    town.token("job", "town")
    with town.browser(town.token("steward", "town")) as browser:
        listed = text(browser.get("/tokens"))
        assert "job-town" in listed
        assert " analyst " not in listed.partition("Live tokens")[2].replace("job-town job", "")
        everything = browser.fields(name="more", role="steward", days="")
        assert browser.post("/tokens/new", data=everything).status_code == 403
        assert browser.post("/tokens/new", data=everything | {"sees:harbour": "yes"}).status_code == 404
        foreign = next(item for item in town.workspace.tokens.all(ME) if item["name"] == "analyst")
        assert browser.post(f"/tokens/{foreign['token_id']}/revoke", data=browser.fields()).status_code == 404


def test_a_budget_tells_what_is_left_and_how_sure_the_forecast_is(town: Town, steward: Browser) -> None:
    town.run()
    page = text(steward.get("/budgets/town"))
    assert re.search(r"95 % of the budget is left\. Too early for a forecast", page)
    assert "spend_by_band" in page
    assert "the approved queries" in page
    pure = text(steward.get("/budgets/harbour"))
    assert "100 % of the budget is left." in pure
    assert "Nothing was spent yet" in pure


def test_an_empty_workspace_teaches_the_next_step(town: Town) -> None:
    of_nothing = town.workspace.store.tokens.create("new", "steward", ("not_loaded_yet",), None, "tests")
    with town.browser(of_nothing) as browser:
        assert "dpstats dataset add" in text(browser.get("/budgets"))
        assert "dpstats query submit" in text(browser.get("/waiting"))
