"""Which step of a rights request may follow which, and by when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpstats.errors import Conflict
from dpstats.rights.requests import (
    CLOSED,
    UNVERIFIED_KINDS,
    Confirmed,
    Denial,
    Denied,
    Disclosure,
    Extended,
    Fulfilled,
    KeptEnded,
    KeptSeen,
    Kind,
    Level,
    Revoked,
    RightsRequest,
    SentInPart,
    Started,
    State,
    Step,
    Verified,
    after,
    alarms,
    outward,
    received,
)

AT = datetime(2026, 12, 18, 20, tzinfo=UTC)
SURE = Verified(Level.REASONABLY_HIGH, "signed declaration")


def walked(kind: Kind, *steps: Step, at: datetime = AT) -> RightsRequest:
    request = received(kind, AT)
    for step in steps:
        request = after(request, step, at)
    return request


@pytest.mark.parametrize("kind", [Kind.KNOW, Kind.DELETE, Kind.CORRECT])
def test_who_asks_is_verified_before_anything_is_done(kind: Kind) -> None:
    with pytest.raises(Conflict, match="verify who asks"):
        walked(kind, Confirmed(), Started())
    assert walked(kind, Confirmed(), SURE, Started(), Fulfilled({})).state is State.FULFILLED


def test_a_part_that_is_sent_answers_no_request_to_know() -> None:
    begun = walked(Kind.KNOW, Confirmed(), SURE, Started())
    part = after(begun, SentInPart({"not_read": ["visits"]}), AT)
    assert part == begun
    late = AT + timedelta(days=60)
    assert [alarm.is_overdue for alarm in alarms(part, late)] == [True]
    assert after(part, Fulfilled({}), AT).state is State.FULFILLED
    for kind, steps in ((Kind.KNOW, (SURE,)), (Kind.DELETE, (SURE, Started())), (Kind.OPT_OUT, (Started(),))):
        with pytest.raises(Conflict):
            walked(kind, *steps, SentInPart({}))


@pytest.mark.parametrize("kind", sorted(UNVERIFIED_KINDS))
def test_an_opt_out_asks_nobody_who_they_are(kind: Kind) -> None:
    assert walked(kind, Started(), Fulfilled({})).state is State.FULFILLED
    for step in (SURE, Confirmed(), Extended("busy"), Denied(Denial.INSUFFICIENT_VERIFICATION, "who are you?")):
        with pytest.raises(Conflict):
            walked(kind, step)


def test_a_verification_is_a_confirmation_too() -> None:
    assert walked(Kind.DELETE, SURE).confirmed_at == AT


def test_an_extension_comes_once_and_inside_the_first_45_days() -> None:
    inside, outside = AT + timedelta(days=45), AT + timedelta(days=46)
    extended = after(received(Kind.KNOW, AT), Extended("many files"), inside)
    assert extended.deadlines.respond_due == extended.deadlines.latest
    with pytest.raises(Conflict, match="one extension"):
        after(extended, Extended("more files"), inside)
    with pytest.raises(Conflict, match="before that"):
        after(received(Kind.KNOW, AT), Extended("many files"), outside)
    with pytest.raises(Conflict, match="why"):
        after(received(Kind.KNOW, AT), Extended("  "), inside)


def test_what_is_being_executed_cannot_be_denied() -> None:
    with pytest.raises(Conflict, match="half done"):
        walked(Kind.DELETE, SURE, Started(), Denied(Denial.OTHER, "no"))
    with pytest.raises(Conflict, match="half done"):
        walked(Kind.CORRECT, SURE, Started(), Denied(Denial.OTHER, "no"))
    with pytest.raises(Conflict, match="half done"):
        walked(Kind.DELETE, SURE, Started(), Denied(Denial.NO_MATCH, "no"))


def test_a_correction_that_was_begun_ends_where_nobody_is_there_any_more() -> None:
    assert walked(Kind.CORRECT, SURE, Started(), Denied(Denial.NO_MATCH, "deleted")).state is State.DENIED


def test_an_executor_may_start_again_after_a_crash() -> None:
    assert walked(Kind.DELETE, SURE, Started(), Started()).state is State.EXECUTING


def test_a_request_to_know_gives_less_where_less_is_known_of_who_asks() -> None:
    assert received(Kind.KNOW, AT).disclosure is Disclosure.POLICY_ONLY
    assert walked(Kind.KNOW, Verified(Level.REASONABLE, "e-mail")).disclosure is Disclosure.CATEGORIES
    assert walked(Kind.KNOW, SURE).disclosure is Disclosure.SPECIFIC_PIECES


def test_a_failed_verification_leaves_the_request_open() -> None:
    failed = walked(Kind.DELETE, Verified(Level.NONE, "nothing matched"))
    assert failed.state is State.CONFIRMED
    assert outward(failed, AT) == {"status": "in_progress", "reason": "need_user_verification"}


@pytest.mark.parametrize(
    ("kind", "code"), [(Kind.DELETE, "1798.105(d)(8)"), (Kind.KNOW, "1798.145(k)")], ids=["delete", "know"]
)
def test_what_is_refused_in_part_ends_fulfilled_in_part_with_each_reason(kind: Kind, code: str) -> None:
    ended = walked(kind, SURE, Started({"calls": code}), Fulfilled({}))
    assert ended.state is State.PARTIALLY_FULFILLED
    assert not ended.is_open
    assert outward(ended, AT) == {"status": "fulfilled", "processing_details": f"in part: all but calls ({code})"}
    for wrong in ("", "because", "1798.105(d)(8)" if kind is Kind.KNOW else "1798.145(k)"):
        with pytest.raises(Conflict, match="why: one of"):
            walked(kind, SURE, Started({"calls": wrong}))
    with pytest.raises(Conflict, match="has no exceptions"):
        walked(Kind.CORRECT, SURE, Started({"calls": code}))


def test_a_denial_tells_its_reason() -> None:
    denied = walked(Kind.DELETE, Denied(Denial.NO_MATCH, "We hold nothing under this id."))
    assert outward(denied, AT) == {"status": "denied", "reason": "no_match"}
    with pytest.raises(Conflict, match="tells the person why"):
        walked(Kind.DELETE, Denied(Denial.NO_MATCH, " "))


def test_clocks_ring_before_they_run_out() -> None:
    request = received(Kind.DELETE, AT)
    assert alarms(request, AT + timedelta(days=2)) == ()
    (confirm,) = alarms(request, AT + timedelta(days=12))
    assert (confirm.what, confirm.is_overdue) == ("confirm receipt", False)
    late = alarms(request, AT + timedelta(days=46))
    assert [(alarm.what, alarm.is_overdue) for alarm in late] == [("confirm receipt", True), ("answer", True)]
    assert alarms(walked(Kind.DELETE, Revoked()), AT + timedelta(days=46)) == ()


steps = st.sampled_from(
    [
        Confirmed(), SURE, Verified(Level.NONE, "no"), Started(), Fulfilled({}), Extended("files"),
        Denied(Denial.OTHER, "no"), Revoked(),
    ]
)  # fmt: skip


@given(st.sampled_from(list(Kind)), st.lists(st.tuples(steps, st.integers(0, 200)), max_size=12))
def test_no_walk_stays_open_past_its_latest_day_or_leaves_a_closed_state(
    kind: Kind, walk: list[tuple[Step, int]]
) -> None:
    request = received(kind, AT)
    latest = request.deadlines.latest
    for step, day in walk:
        try:
            following = after(request, step, AT + timedelta(days=day))
        except Conflict:
            continue
        assert request.state not in CLOSED
        assert following.deadlines.latest == latest
        assert following.deadlines.respond_due <= latest
        request = following
    assert request.stands_at(AT + timedelta(days=91)) in CLOSED


def test_what_is_being_carried_out_cannot_be_taken_back() -> None:
    with pytest.raises(Conflict, match="cannot be taken back now"):
        walked(Kind.OPT_OUT, Started(), Revoked())


@pytest.mark.parametrize("step", [KeptSeen(["people.age"]), KeptEnded(["people.age"], "paid")])
def test_what_is_kept_of_a_deletion_is_seen_and_ended_once_it_was_begun_and_changes_nothing_of_it(step: Step) -> None:
    in_part = Started({"people.age": "1798.105(d)(8)"})
    done = walked(Kind.DELETE, SURE, in_part, Fulfilled({}))
    assert after(done, step, AT) == done
    if isinstance(step, KeptSeen):
        assert walked(Kind.DELETE, SURE, in_part, step).state is State.EXECUTING
    else:  # whoever goes on with the deletion would keep it anew
        with pytest.raises(Conflict, match="to its end first"):
            walked(Kind.DELETE, SURE, in_part, step)
    for steps in ((), (SURE,), (SURE, Started(), Fulfilled({})), (Revoked(),)):
        with pytest.raises(Conflict, match="nothing is kept back of a request to delete"):
            walked(Kind.DELETE, *steps, step)
    with pytest.raises(Conflict, match="nothing is kept back of a request to know"):
        walked(Kind.KNOW, SURE, Started({"people.age": "1798.145(a)"}), Fulfilled({}), step)
