"""Requests are kept step by step, chained, without the person's id once they are answered, and purged in time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dpstats.errors import Conflict, LedgerBroken, NotFound
from dpstats.rights.consent_schema import ConsentDatabase
from dpstats.rights.request_log import KEPT_FOR, Asked, RequestLog
from dpstats.rights.requests import (
    Confirmed,
    Denial,
    Denied,
    Extended,
    Fulfilled,
    Kind,
    Level,
    Revoked,
    Started,
    State,
    Verified,
)

AT = datetime(2026, 12, 18, 20, tzinfo=UTC)
PERSON = "canary-4b1d7e"
SURE = Verified(Level.REASONABLY_HIGH, "signed declaration")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[ConsentDatabase]:
    opened = ConsentDatabase(tmp_path / "consent.db")
    yield opened
    opened.close()


@pytest.fixture
def log(database: ConsentDatabase) -> RequestLog:
    return RequestLog(database)


def asked(kind: Kind = Kind.DELETE) -> Asked:
    return Asked(kind, "shop", "shop", "f" * 64)


def opened(log: RequestLog, kind: Kind = Kind.DELETE) -> str:
    return log.open(asked(kind), PERSON, actor="stu", now=AT).request_id


def fulfilled(log: RequestLog, at: datetime = AT) -> str:
    request = opened(log)
    for step in (SURE, Started(), Fulfilled({"rows_after": {"visits": 0}})):
        log.step(request, step, actor="stu", now=at)
    return request


def bytes_kept(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())


def test_a_request_is_what_its_steps_say(log: RequestLog) -> None:
    request = opened(log)
    log.step(request, SURE, actor="stu", now=AT)
    log.step(request, Extended("many files"), actor="ann", now=AT)
    kept = log.get(request)
    assert (kept.standing.state, kept.standing.level, kept.person) == (State.VERIFIED, Level.REASONABLY_HIGH, PERSON)
    assert kept.standing.deadlines.respond_due == kept.standing.deadlines.latest
    assert [(step["step"], step["actor"]) for step in log.history(request)] == [
        ("received", "stu"), ("verified", "stu"), ("extended", "ann"),
    ]  # fmt: skip


def test_what_was_noted_of_each_step_is_told_until_the_request_goes(log: RequestLog) -> None:
    by_agent = Asked(Kind.DELETE, "shop", "shop", "f" * 64, agent="Agent Co", permission="letter 7")
    request = log.open(by_agent, PERSON, actor="stu", now=AT).request_id
    for step in (Confirmed(), SURE, Extended("many files"), Denied(Denial.NOT_COVERED, "not covered")):
        log.step(request, step, actor="stu", now=AT)
    assert [step["said"] for step in log.history(request)] == [
        "by an agent: Agent Co; permission: letter 7",
        "",
        f"reasonably_high: {SURE.method}",
        "many files",
        "not covered",
    ]
    begun = log.open(asked(), PERSON, actor="stu", now=AT).request_id
    for other in (SURE, Started({"bills": "1798.105(d)(8)"}), Fulfilled({"rows_after": {"visits": 0}})):
        log.step(begun, other, actor="stu", now=AT)
    assert [step["said"] for step in log.history(begun)][2:] == ["all but bills (1798.105(d)(8))", ""]


def test_a_step_out_of_order_is_not_kept(log: RequestLog) -> None:
    request = opened(log)
    with pytest.raises(Conflict):
        log.step(request, Started(), actor="stu", now=AT)
    assert len(log.history(request)) == 1


@pytest.mark.parametrize("ending", [Fulfilled({}), Denied(Denial.OTHER, "no")])
def test_the_persons_id_goes_when_the_request_is_closed(log: RequestLog, tmp_path: Path, ending: Denied) -> None:
    request = opened(log, Kind.OPT_OUT)
    if isinstance(ending, Fulfilled):
        log.step(request, Started(), actor="stu", now=AT)
    assert PERSON.encode() in bytes_kept(tmp_path)
    log.step(request, ending, actor="stu", now=AT)
    assert log.get(request).person is None
    assert PERSON.encode() not in bytes_kept(tmp_path)


def test_what_carrying_it_out_showed_is_kept(log: RequestLog) -> None:
    assert log.get(fulfilled(log)).evidence == {"rows_after": {"visits": 0}}


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE rights_steps SET content = replace(content, 'stu', 'eve') WHERE seq = 2",
        "DELETE FROM rights_steps WHERE seq = 2",
        "UPDATE rights_steps SET content_hash = 'sha256:0' WHERE seq = 1",
        "UPDATE rights_steps SET seq = -seq",
    ],
)
def test_a_changed_removed_or_moved_step_is_noticed(log: RequestLog, tmp_path: Path, harm: str) -> None:
    fulfilled(log)
    assert log.verify() == 4
    with sqlite3.connect(tmp_path / "consent.db") as other:
        other.execute(harm)
    with pytest.raises(LedgerBroken):
        log.verify()


def test_a_closed_request_goes_after_24_months_and_the_chain_of_the_others_holds(log: RequestLog) -> None:
    old, still_open = fulfilled(log), opened(log)
    assert log.purge(AT + KEPT_FOR) == 0
    assert log.purge(AT + KEPT_FOR + timedelta(days=1)) == 1
    with pytest.raises(NotFound):
        log.get(old)
    assert [kept.request_id for kept in log.all()] == [still_open]
    assert log.verify() == 5
    fulfilled(log, AT + KEPT_FOR)
    assert log.verify() == 9


def test_who_could_not_be_verified_uses_up_nobodys_requests_to_know(log: RequestLog) -> None:
    for _ in range(3):
        tried = log.open(asked(Kind.KNOW), PERSON, actor="stu", now=AT)
        assert tried.standing.state is State.RECEIVED
        for step in (Verified(Level.NONE, "no fact matched"), Started(), Fulfilled({"disclosed": "policy_only"})):
            log.step(tried.request_id, step, actor="stu", now=AT)


def test_a_third_request_to_know_within_12_months_is_denied_unless_it_is_waived(log: RequestLog) -> None:
    def ask(now: datetime = AT, kind: Kind = Kind.KNOW, unit: str = "f" * 64, *, waived: bool = False) -> State:
        one = Asked(kind, "shop", "shop", unit, waived=waived)
        return log.open(one, PERSON, actor="stu", now=now).standing.state

    assert [ask(), ask()] == [State.RECEIVED, State.RECEIVED]
    assert ask() is State.DENIED
    assert log.all()[-1].standing.denial is Denial.TOO_MANY_REQUESTS
    assert log.all()[-1].person is None
    assert ask(waived=True) is State.RECEIVED
    assert ask(unit="e" * 64) is ask(kind=Kind.DELETE) is State.RECEIVED
    assert ask(AT + timedelta(days=366)) is State.RECEIVED


def test_what_was_denied_or_taken_back_is_not_counted(log: RequestLog) -> None:
    for step in (Denied(Denial.NO_MATCH, "We hold nothing."), Revoked()):
        for _ in range(2):
            log.step(opened(log, Kind.KNOW), step, actor="stu", now=AT)
    assert log.open(asked(Kind.KNOW), PERSON, actor="stu", now=AT).standing.state is State.RECEIVED


def test_a_request_that_expired_keeps_no_id_and_one_that_is_executed_does(log: RequestLog, tmp_path: Path) -> None:
    old, begun = opened(log), opened(log)
    for step in (SURE, Started()):
        log.step(begun, step, actor="stu", now=AT)
    assert log.let_go(AT + timedelta(days=90)) == 0
    assert log.let_go(AT + timedelta(days=91)) == 1
    assert (log.get(old).person, log.get(begun).person) == (None, PERSON)
    log.step(begun, Fulfilled({}), actor="stu", now=AT + timedelta(days=91))
    assert PERSON.encode() not in bytes_kept(tmp_path)


def test_a_request_that_expired_is_purged_24_months_after(log: RequestLog) -> None:
    opened(log)
    assert log.purge(AT + timedelta(days=90) + KEPT_FOR) == 0
    assert log.purge(AT + timedelta(days=91) + KEPT_FOR) == 1
    assert log.verify() == 1


def test_what_must_be_kept_of_a_closed_request_is_there(log: RequestLog) -> None:
    """11 CCR 7101(b): date, nature and manner of the request; date and nature of the answer; why it was denied."""
    request = opened(log)
    log.step(request, Denied(Denial.NO_MATCH, "We hold nothing."), actor="stu", now=AT)
    for one in (log.get(request), log.get(fulfilled(log))):
        standing = one.standing
        assert all((standing.received_at, one.asked.kind, one.asked.channel, standing.responded_at, standing.state))
        assert (standing.denial is None) == (standing.state is State.FULFILLED)
