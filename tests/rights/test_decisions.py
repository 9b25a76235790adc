"""What a person's decisions come to: the same under any order and repetition, and refusals come first."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpstats.rights.decisions import (
    ALL_SALE_SHARE,
    KNOWN_MINOR,
    LIMIT_SPI,
    Decision,
    Event,
    Standing,
    Use,
    is_limited,
    is_minor,
    standing,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
ADS, OFFERS = Use("shop", "ads", sold=True), Use("shop", "offers", sold=False)
TODAY = date(2026, 1, 2)
YES, NO, NOTHING = Standing(said_yes=True), Standing(said_no=True), Standing()


def at(hour: int, decision: str, purpose: str = "ads", *, confirms: str = "", dataset: str = "shop") -> Event:
    moment = START + timedelta(hours=hour)
    return Event(dataset, purpose, Decision(decision), moment, f"{decision} {purpose} {hour}", confirms)


def confirm(hour: int, opt_in: Event) -> Event:
    return at(hour, "confirm", opt_in.purpose, confirms=opt_in.event, dataset=opt_in.dataset)


def minor(hour: int, turns_16_in_days: int) -> Event:
    day = START.date() + timedelta(days=turns_16_in_days)
    mark = at(hour, "opt_out", KNOWN_MINOR)
    return replace(mark, event=f"{mark.event} {day}", until=day)


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    opt_ins = [at(hour, "opt_in", purpose) for hour in range(4) for purpose in ("ads", "offers", LIMIT_SPI)]
    said = [at(h, d, p) for h in range(4) for d in ("opt_out", "withdraw") for p in ("ads", "offers", ALL_SALE_SHARE)]
    said += [minor(h, day) for h in range(3) for day in (1, 2, 3)]
    said += [at(h, d, KNOWN_MINOR) for h in range(4) for d in ("opt_out", "withdraw")] + [at(1, "opt_out", LIMIT_SPI)]
    confirms = [confirm(hour, opt_in) for opt_in in opt_ins for hour in range(4)]
    return draw(st.lists(st.sampled_from([*opt_ins, *said, *confirms]), max_size=8))


@given(histories(), st.randoms(use_true_random=False), st.data())
def test_order_and_repetition_mean_nothing(events: list[Event], random_, data: st.DataObject) -> None:
    again = events + (data.draw(st.lists(st.sampled_from(events), max_size=5)) if events else [])
    random_.shuffle(again)
    for use in (ADS, OFFERS):
        assert standing(again, use) == standing(events, use)
    assert (is_limited(again, "shop"), is_minor(again, TODAY)) == (
        is_limited(events, "shop"),
        is_minor(events, TODAY),
    )


@given(histories(), st.sampled_from(["ads", ALL_SALE_SHARE]))
def test_a_refusal_now_ends_whatever_was_said_before(events: list[Event], purpose: str) -> None:
    assert standing([*events, at(9, "opt_out", purpose)], ADS) == NO


@given(histories())
def test_nobody_is_in_and_out_at_once_and_nobody_is_in_unasked(events: list[Event]) -> None:
    for use in (ADS, OFFERS):
        found = standing(events, use)
        assert not (found.said_yes and found.said_no)
        if found.said_yes:
            assert any(e.decision is Decision.OPT_IN and e.purpose == use.purpose for e in events)


OPT_IN = at(5, "opt_in")


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], NOTHING),
        ([OPT_IN], YES),
        ([at(1, "opt_out")], NO),
        ([at(1, "opt_out"), OPT_IN], NO),  # one step is not enough after a refusal
        ([at(1, "opt_out"), OPT_IN, confirm(6, OPT_IN)], YES),
        ([at(1, "opt_out"), OPT_IN, confirm(4, OPT_IN)], NO),  # confirmed before it was said
        ([at(1, "opt_out"), OPT_IN, at(6, "confirm", confirms="another")], NO),
        ([at(6, "opt_out"), OPT_IN, confirm(7, OPT_IN)], NO),  # a confirmation does not make the opt-in later
        ([at(5, "opt_out"), OPT_IN, confirm(6, OPT_IN)], NO),  # at one moment, the refusal wins
        ([at(1, "withdraw"), OPT_IN], NO),
        ([at(6, "withdraw"), OPT_IN], NO),
        ([at(1, "opt_out", ALL_SALE_SHARE)], NO),
        ([at(1, "opt_out", ALL_SALE_SHARE), OPT_IN, confirm(5, OPT_IN)], YES),
        ([at(9, "opt_out", ALL_SALE_SHARE), OPT_IN, confirm(6, OPT_IN)], NO),  # the signal came again
        ([at(1, "opt_out", "offers")], NOTHING),
        ([at(5, "opt_in", dataset="elsewhere")], NOTHING),  # an opt-in is for what it names
        ([at(5, "opt_out", dataset="elsewhere")], NO),  # a refusal is for the same people everywhere
    ],
)
def test_refusals_come_first_and_an_opt_in_after_one_takes_two_steps(events: list[Event], expected: Standing) -> None:
    assert standing(events, ADS) == expected


def test_a_refusal_of_sale_does_not_reach_what_is_no_sale() -> None:
    assert standing([at(1, "opt_out", ALL_SALE_SHARE), at(0, "opt_in", "offers")], OFFERS) == YES


def test_a_limit_ends_by_the_persons_own_opt_in_in_two_steps() -> None:
    limit, ended = at(1, "opt_out", LIMIT_SPI), at(2, "opt_in", LIMIT_SPI)
    assert is_limited([limit, at(2, "opt_in"), confirm(3, at(2, "opt_in"))], "shop"), "an opt-in to something else"
    assert is_limited([limit, ended], "shop"), "one step is not enough"
    assert not is_limited([limit, ended, confirm(3, ended)], "shop")
    assert is_limited([limit, ended, confirm(3, ended)], "elsewhere"), "an opt-in is for what it names"
    assert is_limited([limit, ended, confirm(3, ended), at(4, "opt_out", LIMIT_SPI)], "shop"), "it was said again"
    assert not is_limited([at(1, "opt_out", ALL_SALE_SHARE)], "shop")


def test_a_minor_s_mark_may_end() -> None:
    assert is_minor([at(1, "opt_out", KNOWN_MINOR)], TODAY)
    assert is_minor([at(1, "opt_out", KNOWN_MINOR), at(0, "withdraw", KNOWN_MINOR)], TODAY)
    assert not is_minor([at(1, "opt_out", KNOWN_MINOR), at(2, "withdraw", KNOWN_MINOR)], TODAY)
    assert not is_minor([at(1, "withdraw", KNOWN_MINOR)], TODAY)


def test_a_known_minor_is_one_until_the_day_of_turning_16() -> None:
    mark = minor(1, 3)
    turns = START.date() + timedelta(days=3)
    assert is_minor([mark], turns - timedelta(days=1))
    assert not is_minor([mark], turns)
    assert not is_minor([mark, at(2, "withdraw", KNOWN_MINOR)], TODAY)


def test_the_day_told_last_counts_and_holds_for_marks_that_came_before_it() -> None:
    undated = at(0, "opt_out", KNOWN_MINOR)
    late = START.date() + timedelta(days=9)
    assert not is_minor([undated, minor(1, 3)], late)
    assert not is_minor([minor(1, 30), minor(2, 3)], late)
    assert is_minor([minor(1, 3), minor(2, 30)], late)
    assert is_minor([minor(1, 3), at(2, "opt_out", KNOWN_MINOR)], late)
    assert not is_minor([minor(1, 3), at(2, "opt_out", KNOWN_MINOR), at(3, "withdraw", KNOWN_MINOR)], late)
