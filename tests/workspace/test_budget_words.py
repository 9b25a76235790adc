"""Budgets in words."""

from __future__ import annotations

from datetime import date

import pytest

from dpstats.privacy.loss import Loss, Measure
from dpstats.workspace import budget_words as words
from dpstats.workspace.burndown import Outlook, Pace, Part
from dpstats.workspace.yearly import Year

TODAY = date(2026, 11, 25)
PACE = Pace(date(2026, 8, 28), 90, 14, 100, 0, 10.0, 0.0)


def outlook(ends_on: date | None, earliest: date | None, latest: date | None) -> Outlook:
    return Outlook(Part.AMOUNT, ends_on, earliest, latest)


@pytest.mark.parametrize(
    ("scope", "name", "told"),
    [
        ("dataset", None, "the dataset's budget for life: A steward can raise it."),
        ("token", None, "your token's cap: A steward can make a token with a higher one."),
        ("role", "analyst", "the cap of role analyst: A steward can raise it."),
        ("block", "2017-03", "the budget of block 2017-03: It never refills."),
        ("block", "static", "the budget of what has no time: It never refills."),
    ],
)
def test_what_does_not_cover_an_answer_is_named_and_nobody_is_sent_to_a_steward_for_what_never_refills(
    scope: str, name: str | None, told: str
) -> None:
    limit = {"scope": scope, "name": name}
    assert f"{words.not_covering(limit)}: {words.way_out(limit)}" == told


@pytest.mark.parametrize(
    ("times", "told"),
    [
        (0, "Not enough budget is left for a question like this."),
        (1, "Enough budget for one more question like this."),
        (37, "Enough budget for about 37 more questions like this."),
        (100, "Enough budget for about 100 more questions like this."),
        (1289, "Enough budget for about 1,200 more questions like this."),
    ],
)
def test_what_is_left_is_told_in_questions(times: int, told: str) -> None:
    assert words.questions_left(times) == told


@pytest.mark.parametrize(
    ("days", "told"),
    [
        (
            (date(2027, 3, 3), date(2027, 2, 20), date(2027, 3, 14)),
            "until 3 March 2027 (95 % sure: between 20 February 2027 and 14 March 2027).",
        ),
        (
            (date(2027, 3, 3), date(2027, 1, 20), date(2027, 8, 4)),
            "until about March 2027 (95 % sure: between January 2027 and August 2027).",
        ),
        (
            (date(2031, 3, 3), date(2029, 1, 20), date(2040, 8, 4)),
            "until about 2031 (95 % sure: between January 2029 and August 2040).",
        ),
        (
            (date(2027, 3, 3), date(2027, 1, 20), None),
            "until about March 2027 (95 % sure: not before January 2027; how long at most, too few charges tell).",
        ),
        ((None, date(2040, 1, 2), None), "for more than 20 years, and at least until January 2040."),
        ((None, None, None), "for more than 20 years."),
    ],
)
def test_a_day_is_told_as_exactly_as_its_interval_allows(days: tuple[date | None, ...], told: str) -> None:
    assert words.pace_says(PACE, outlook(*days), TODAY) == f"At this pace it lasts {told}"


def test_where_there_is_nothing_to_go_by_it_says_so() -> None:
    idle = Pace(date(2026, 8, 28), 90, 0, 0, 0, 0.0, 0.0)
    assert words.pace_says(None, None, TODAY).startswith("Too early for a forecast: it takes 7 days")
    assert words.pace_says(idle, outlook(None, None, None), TODAY).startswith("Nothing was charged in the last 90 days")
    assert words.pace_says(PACE, outlook(TODAY, TODAY, None), TODAY) == "At this pace it is used up today."
    assert "the 14 charges since 28 August 2026" in words.pace_assumes(PACE)


def test_a_forecast_from_cadences_says_what_it_counts() -> None:
    ends = outlook(date(2027, 3, 3), date(2027, 3, 3), date(2027, 3, 3))
    assert words.cadence_says(ends, 4, 3).endswith("use it up on 3 March 2027.")
    assert (
        words.cadence_says(outlook(None, None, None), 0, 0) == "No query is approved: nothing is planned to be spent."
    )
    assert words.cadence_assumes(4, 3).endswith("3 of the 4 name no cadence, which counts as once a year.")
    assert words.cadence_assumes(4, 4).endswith("none of them names a cadence, which counts as once a year.")


def test_a_year_is_told_with_its_share_of_the_budget() -> None:
    year = Year(12, Loss(Measure.ZCDP, 12))
    assert words.year_says(year, "monthly", 0.0981) == (
        "A year of it, asked monthly, brings 12 charges: 9.8 % of the whole budget."
    )
    assert "asked once, brings 1 charge" in words.year_says(Year(1, Loss(Measure.ZCDP, 1)), None, 0.1)


@pytest.mark.parametrize(
    ("share", "told"),
    [
        (0.0, "0 %"),
        (0.00001, "less than 0.01 %"),
        (0.00123, "0.12 %"),
        (0.0981, "9.8 %"),
        (0.434, "43 %"),
        (0.999, "more than 99 %"),
        (1.0, "100 %"),
        (3.25, "325 %"),
    ],
)
def test_a_share_is_told_to_two_digits(share: float, told: str) -> None:
    assert words.percent(share) == told
