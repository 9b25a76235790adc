"""The calendar of time blocks: an off-by-one here would be free queries for ever."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpstats.privacy.blocks import Grain, Touched, every_block_up_to, touched_by

DAYS = st.dates(date(1, 1, 1), date(9998, 1, 1))
GRAINS = st.sampled_from(list(Grain))


@given(GRAINS, DAYS)
def test_blocks_are_disjoint_and_leave_nothing_between(grain: Grain, day: date) -> None:
    start, after = grain.start(day), grain.after(day)
    assert start <= day < after
    assert grain.start(start) == start == grain.start(after - timedelta(days=1))
    assert grain.start(after) == after
    assert grain.block_of(start) == grain.block_of(day) == grain.block_of(after - timedelta(days=1))
    assert grain.block_of(day) < grain.block_of(after)


@given(GRAINS, DAYS)
def test_a_name_gives_its_first_day_back(grain: Grain, day: date) -> None:
    assert grain.first_day(grain.block_of(day)) == grain.start(day)


@given(GRAINS, DAYS, st.integers(1, 800))
def test_a_span_touches_the_blocks_of_its_days_and_no_other(grain: Grain, since: date, days: int) -> None:
    found = touched_by(grain, since, since + timedelta(days=days), static=False)
    wanted = {grain.block_of(since + timedelta(days=n)) for n in range(days)}
    assert set(grain.names(str(found.first), str(found.last))) == wanted


@pytest.mark.parametrize(
    ("grain", "since", "until", "first", "last"),
    [
        ("month", "2017-03-01", "2017-04-01", "2017-03", "2017-03"),
        ("month", "2017-03-01", "2017-04-02", "2017-03", "2017-04"),
        ("month", "2017-02-28", "2017-03-01", "2017-02", "2017-02"),
        ("month", "2016-02-29", "2016-03-01", "2016-02", "2016-02"),
        ("month", "2016-12-31", "2017-01-02", "2016-12", "2017-01"),
        ("day", "2016-02-28", "2016-03-01", "2016-02-28", "2016-02-29"),
        ("week", "2017-01-01", "2017-01-02", "2016-W52", "2016-W52"),
        ("week", "2017-01-02", "2017-01-09", "2017-W01", "2017-W01"),
        ("week", "2020-12-31", "2021-01-04", "2020-W53", "2020-W53"),
        ("week", "2020-12-31", "2021-01-05", "2020-W53", "2021-W01"),
        ("quarter", "2017-03-31", "2017-04-01", "2017-Q1", "2017-Q1"),
        ("quarter", "2017-03-31", "2017-04-02", "2017-Q1", "2017-Q2"),
        ("year", "2016-12-31", "2017-01-01", "2016", "2016"),
        ("year", "0001-01-01", "9999-12-31", "0001", "9999"),
        ("day", "9999-12-30", "9999-12-31", "9999-12-30", "9999-12-30"),
    ],
)
def test_known_spans(grain: str, since: str, until: str, first: str, last: str) -> None:
    found = touched_by(Grain(grain), date.fromisoformat(since), date.fromisoformat(until), static=True)
    assert found == Touched(first, last, static=True)
    assert list(Grain(grain).names(first, last))[-1] == last


@pytest.mark.parametrize("until", ["2017-03-01", "2017-02-28"])
def test_a_span_that_does_not_end_after_it_starts_is_none(until: str) -> None:
    with pytest.raises(ValueError, match="is not before"):
        touched_by(Grain.MONTH, date(2017, 3, 1), date.fromisoformat(until), static=False)


@pytest.mark.parametrize(
    ("first", "last", "static"), [(None, None, False), ("2017", None, True), ("2018", "2017", True)]
)
def test_touching_nothing_or_backwards_is_refused(first: str | None, last: str | None, static: bool) -> None:
    with pytest.raises(ValueError, match="block"):
        Touched(first, last, static)


@pytest.mark.parametrize(
    ("grain", "name"), [("month", "2017-3"), ("month", "2017-13"), ("week", "2017-W53"), ("quarter", "2017-Q5")]
)
def test_what_is_no_name_of_a_block_has_no_first_day(grain: str, name: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Grain(grain).first_day(name)


def test_every_block_that_there_is_has_no_start() -> None:
    touched = every_block_up_to(Grain.MONTH, date(2026, 11, 25), static=True)
    assert touched.open_start
    assert touched.in_words() == "every block up to 2026-11 and static"
    assert touched_by(Grain.MONTH, date(2017, 3, 1), date(2017, 3, 2), static=False).in_words() == "2017-03"


@pytest.mark.parametrize("grain", list(Grain))
def test_so_many_blocks_before_is_as_many_blocks_after_from_there(grain: Grain) -> None:
    day, found = date(2017, 6, 15), [date(2017, 6, 15)]
    for blocks in range(50):
        found.append(grain.before(day, blocks))
        assert found[-1] == grain.start(found[-1])
        assert grain.before(day, blocks + 1) == grain.start(found[-1] - timedelta(days=1))
    names = list(grain.names(grain.block_of(found[-1]), grain.block_of(day)))
    assert len(names) == 50
    assert grain.before(date(1, 1, 9), 10_000) == date.min
