"""The steward's pages of rights requests and consent: clocks, acts that say what they do, a way that is shown once."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from api_town import ME, Browser, Town
from test_steward_pages import text

from dpstats.rights.consent_schema import ConsentDatabase
from dpstats.rights.request_log import Asked, RequestLog
from dpstats.rights.requests import Kind
from dpstats.web.steward.rights_acts import TEXT_MAX
from dpstats.web.steward.rights_clocks import away, day_words
from dpstats.workspace.consent_told import magnitude


@pytest.fixture(scope="module")
def steward(quiet_town: Town) -> Iterator[Browser]:
    with quiet_town.browser(quiet_town.token("steward")) as browser:
        yield browser


def opened(town: Town, kind: str, unit: int = 1) -> str:
    return str(town.workspace.rights.open(ME, kind, "town", unit, waive=True)["id"])


def opened_days_ago(town: Town, kind: Kind, days: int) -> str:
    """A request that came `days` ago, as the log keeps it."""
    database = ConsentDatabase(town.workspace.home / "consent.db")
    asked = Asked(kind, "town", "town", "0" * 64)
    found = RequestLog(database).open(asked, "1", actor="tests", now=datetime.now(UTC) - timedelta(days=days))
    database.close()
    return found.request_id


def state(town: Town, request: str) -> str:
    return str(town.workspace.rights.one(ME, request)["state"])


def test_a_request_is_opened_and_its_dates_are_told(quiet_town: Town, steward: Browser) -> None:
    form = steward.fields(type="delete", dataset="town", unit="17", agent="", permission="")
    page = steward.post("/rights/new", data=form, follow_redirects=True)
    told = text(page)
    assert "Somebody asks to delete what is held about them" in told
    assert "To be confirmed by" in told
    assert ">17<" not in page.text


@pytest.mark.parametrize(
    ("wrong", "told"),
    [({"type": "anything"}, "Choose what is asked for"), ({"unit": " "}, "Must be an id"), ({"dataset": "none"}, "")],
)
def test_a_form_that_cannot_be_keeps_what_was_typed(steward: Browser, wrong: dict[str, str], told: str) -> None:
    form = steward.fields(type="know", dataset="town", unit="17", agent="kept here") | wrong
    page = steward.post("/rights/new", data=form)
    if "dataset" in wrong:
        assert page.status_code == 404
        return
    assert page.status_code == 422
    assert told in text(page)
    assert 'value="kept here"' in page.text


def test_what_is_due_first_stands_first_and_what_is_overdue_is_red(quiet_town: Town, steward: Browser) -> None:
    new, late, near = opened(quiet_town, "know"), *(opened_days_ago(quiet_town, Kind.DELETE, days) for days in (50, 8))
    page = steward.get("/rights")
    places = [page.text.index(f"/rights/{request}") for request in (late, near, new)]
    assert places == sorted(places)
    assert re.search(r'<b class="out">\d+ days? overdue</b>', page.text)
    due = steward.get("/rights?show=due").text
    assert late in due
    assert near in due
    assert new not in due
    assert late not in steward.get("/rights?kind=know").text
    assert "overdue" in text(steward.get(f"/rights/{late}"))


def test_the_list_is_of_the_datasets_that_the_steward_sees(quiet_town: Town) -> None:
    request = opened(quiet_town, "know")
    with quiet_town.browser(quiet_town.token("steward", "harbour")) as browser:
        assert request not in browser.get("/rights?show=all").text


def test_looking_at_what_an_act_does_does_nothing(quiet_town: Town, steward: Browser) -> None:
    request = opened(quiet_town, "delete")
    for act in ("confirm", "verify", "execute", "extend", "deny", "revoke"):
        assert steward.get(f"/rights/{request}/{act}").status_code == 200
    assert state(quiet_town, request) == "received"
    assert steward.get(f"/rights/{request}/anything").status_code == 404


def test_a_request_to_know_is_walked_to_its_package_which_is_fetched_once(quiet_town: Town, steward: Browser) -> None:
    request = opened(quiet_town, "know")
    early = steward.post(f"/rights/{request}/execute", data=steward.fields())
    assert early.status_code == 409
    assert "verify who asks first" in text(early)
    sent = steward.fields(level="reasonably_high", method="signed declaration")
    verified = steward.post(f"/rights/{request}/verify", data=sent, follow_redirects=True)
    assert "ready to be carried out" in text(verified)
    page = steward.post(f"/rights/{request}/execute", data=steward.fields())
    assert page.headers["Cache-Control"] == "no-store"
    secret = re.search(r'name="secret" value="([\w-]+)"', page.text)
    assert secret is not None
    assert secret[1] not in steward.get(f"/rights/{request}").text
    file = steward.post(f"/rights/{request}/package", data=steward.fields(secret=secret[1]))
    assert zipfile.ZipFile(io.BytesIO(file.content)).testzip() is None
    assert "attachment" in file.headers["Content-Disposition"]
    assert steward.post(f"/rights/{request}/package", data=steward.fields(secret=secret[1])).status_code == 404
    assert steward.get(f"/rights/{request}/deny").status_code == 409


def test_a_deletion_says_what_it_does_and_then_shows_its_evidence(town: Town) -> None:
    with town.browser(town.token("steward")) as steward:
        request = opened(town, "delete", 3)
        town.workspace.rights.verify(ME, request, "reasonable", "two facts matched")
        asked = text(steward.get(f"/rights/{request}/execute"))
        assert "There is no way back" in asked
        assert "stays charged" in asked
        done = text(steward.post(f"/rights/{request}/execute", data=steward.fields(), follow_redirects=True))
        assert "What to tell the person" in done
        assert "The evidence" in done
        assert state(town, request) == "fulfilled"


def test_a_correction_is_filled_in_refused_with_its_reason_and_carried_out(town: Town) -> None:
    with town.browser(town.token("steward")) as steward:
        request = opened(town, "correct", 4)
        town.workspace.rights.verify(ME, request, "reasonable", "two facts matched")
        where = f"/rights/{request}/execute"
        assert "In which rows" in text(steward.get(where))
        sent = {"table": "homes", "column": "band", "value": "low", "where": ""}
        for wrong, told in (
            ({"table": "shops"}, "tables that hold people"),
            ({"column": ""}, "Name the column"),
            ({"where": "low"}, "Write COLUMN=VALUE"),
            ({"column": "household"}, "no matter of a correction"),
        ):
            refused = steward.post(where, data=steward.fields(**sent | wrong))
            assert refused.status_code == 422
            assert told in text(refused)
            assert state(town, request) == "verified"
        done = text(steward.post(where, data=steward.fields(**sent), follow_redirects=True))
        assert "It is carried out." in done
        assert state(town, request) == "fulfilled"


@pytest.mark.parametrize(
    ("act", "sent", "told"),
    [
        ("verify", {"level": "sure", "method": "two facts"}, "Choose how sure"),
        ("verify", {"level": "reasonable", "method": ""}, "Say how it was found out"),
        ("extend", {"reason": "two\nlines"}, "Say why"),
        ("extend", {"reason": "x" * (TEXT_MAX + 1)}, "Say why"),
        ("deny", {"reason": "no such reason"}, "Choose why"),
        ("deny", {"reason": "other", "text": ""}, "Say why"),
    ],
)
def test_an_act_that_says_too_little_is_not_done(
    quiet_town: Town, steward: Browser, act: str, sent: dict[str, str], told: str
) -> None:
    request = opened(quiet_town, "delete")
    page = steward.post(f"/rights/{request}/{act}", data=steward.fields(**sent))
    assert page.status_code == 422
    assert told in text(page)
    assert state(quiet_town, request) == "received"


def test_a_denial_in_own_words_and_a_second_extension(quiet_town: Town, steward: Browser) -> None:
    request = opened(quiet_town, "delete")
    sent = steward.fields(reason="many files")
    assert "(extended)" in text(steward.post(f"/rights/{request}/extend", data=sent, follow_redirects=True))
    again = steward.post(f"/rights/{request}/extend", data=sent)
    assert again.status_code == 409
    assert "there is one extension" in text(again)
    denial = steward.fields(reason="other", text="kept for a contract")
    steward.post(f"/rights/{request}/deny", data=denial)
    assert state(quiet_town, request) == "denied"


def test_an_opt_out_asks_for_no_identity_and_cannot_be_denied_for_want_of_one(
    quiet_town: Town, steward: Browser
) -> None:
    request = opened(quiet_town, "opt_out")
    page = steward.get(f"/rights/{request}")
    assert f"/rights/{request}/verify" not in page.text
    assert "insufficient_verification" not in steward.get(f"/rights/{request}/deny").text
    done = text(steward.post(f"/rights/{request}/execute", data=steward.fields(), follow_redirects=True))
    assert "from the next consent epoch on" in done


def test_the_consent_page_tells_the_epochs_and_no_exact_number(town: Town) -> None:
    with town.browser(town.token("steward")) as steward:
        before = text(steward.get("/consent"))
        assert "no epoch was ever closed" in before
        assert "No dataset asks for consent" in before
        assert "The epoch is closed" in text(
            steward.post("/consent/close", data=steward.fields(), follow_redirects=True)
        )


def test_a_steward_of_some_datasets_closes_no_epoch_and_is_offered_none(town: Town) -> None:
    asking = "purposes: {measurement: {consent: notice}, offers: {consent: opt_in}}\ntables:\n"
    text_of_file = (town.files / "harbour.yaml").read_text(encoding="utf-8").replace("tables:\n", asking, 1)
    town.workspace.datasets.register(ME, text_of_file, "harbour.yaml")
    with town.browser(town.token("steward")) as whole:
        assert "/consent/close" in whole.get("/consent").text
        whole.post("/consent/close", data=whole.fields())
    before = town.workspace.epochs.last_closed()
    with town.browser(town.token("steward", "harbour")) as browser:
        assert "/consent/close" not in browser.get("/consent").text
        refused = browser.post("/consent/close", data=browser.fields())
        asked = browser.get("/consent/close")
    assert (refused.status_code, asked.status_code) == (403, 403)
    assert "town" not in text(refused)
    assert town.workspace.epochs.last_closed() == before is not None


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (0, "none"),
        (1, "fewer than 100"),
        (99, "fewer than 100"),
        (100, "fewer than 1,000"),
        (12_345, "fewer than 100,000"),
    ],
)
def test_of_what_waits_the_order_of_magnitude_is_told(count: int, told: str) -> None:
    assert magnitude(count) == told


def test_dates_are_told_as_days_of_the_calendar() -> None:
    today = date(2026, 12, 30)
    assert day_words("2026-12-31", today) == "31 December"
    assert day_words("2027-01-01", today) == "1 January 2027"
    assert [away(today + timedelta(days=days), today) for days in (-2, -1, 0, 1)] == [
        "2 days overdue",
        "1 day overdue",
        "today",
        "in 1 day",
    ]
