"""A year of requests in numbers, against a list that was counted by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from dpstats.rights.requests import (
    Denial,
    Denied,
    Fulfilled,
    Kind,
    Level,
    Revoked,
    RightsRequest,
    Started,
    Step,
    Verified,
    after,
    received,
)
from dpstats.rights.totals import totals as rounded_totals
from dpstats.rights.yearly_totals import totals

AT = datetime(2026, 3, 2, 20, tzinfo=UTC)
SURE = Verified(Level.REASONABLY_HIGH, "signed declaration")
NO = Denied(Denial.NO_MATCH, "We hold nothing.")


def walked(kind: Kind, days: int, *steps: Step, at: datetime = AT) -> RightsRequest:
    request = received(kind, at)
    for step in steps:
        request = after(request, step, at + timedelta(days=days))
    return request


def test_they_are_those_of_the_list() -> None:
    done = (SURE, Started(), Fulfilled({}))
    there = [
        walked(Kind.DELETE, 3, *done),
        walked(Kind.DELETE, 10, *done),
        walked(Kind.DELETE, 32, NO),
        walked(Kind.DELETE, 1, Revoked()),
        walked(Kind.DELETE, 5, SURE),
        walked(Kind.OPT_OUT, 0, Started(), Fulfilled({})),
        walked(Kind.DELETE, 3, *done, at=AT - timedelta(days=365)),
        # The last evening of the year in Los Angeles is the next year's first morning in UTC.
        walked(Kind.KNOW, 2, NO, at=datetime(2027, 1, 1, 7, tzinfo=UTC)),
    ]
    found = totals(there, 2026)
    assert found["delete"] == {
        "received": 5,
        "complied": 2,
        "denied": 1,
        "denied_because": {"no_match": 1},
        "taken_back": 1,
        "open": 1,
        "median_days": 10,
        "mean_days": 15.0,
    }
    assert (found["opt_out"]["complied"], found["opt_out"]["mean_days"]) == (1, 0)
    assert (found["know"]["received"], found["know"]["denied"]) == (1, 1)
    assert (found["correct"]["received"], found["correct"]["median_days"]) == (0, None)


def test_who_was_told_of_the_notice_alone_was_denied() -> None:
    tried = Verified(Level.NONE, "no fact matched")
    there = [
        walked(Kind.KNOW, 4, tried, Started(), Fulfilled({})),
        walked(Kind.KNOW, 6, SURE, Started(), Fulfilled({})),
    ]
    found = totals(there, 2026)["know"]
    assert (found["complied"], found["denied"]) == (1, 1)
    assert found["denied_because"] == {"insufficient_verification": 1}
    assert found["median_days"] == 5
    (told,) = rounded_totals(there)
    assert (told.complied, told.denied) == (1, 1)
