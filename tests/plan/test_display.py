"""Numbers for people: many at once are shown as one by one, and very many in little time."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpstats.plan.display import KNOWN_MAX, StepDisplay, display
from dpstats.plan.estimating import Estimate

GRIDS = [Fraction(1), Fraction(1, 10), Fraction(1, 10_000), Fraction(100), Fraction(1, 10**9)]


def one_by_one(grid: Fraction, width: int, least: int | None, value: int) -> str:
    number, low, high = (float(steps * grid) for steps in (value, value - width, value + width))
    return display(Estimate(number, low, high), least=-math.inf if least is None else float(least * grid))


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(GRIDS),
    st.integers(1, 10**9),
    st.sampled_from([None, 0]),
    st.integers(-(10**10), 10**10),
)
def test_a_number_on_a_grid_is_shown_as_any_number_is(
    grid: Fraction, width: int, least: int | None, value: int
) -> None:
    shown = StepDisplay(grid, width, least).text(value)
    alone = one_by_one(grid, width, least, value)
    if shown != alone:  # only where a double is a step of the display off, or a tie
        assert _numbers(shown) == pytest.approx(_numbers(alone), abs=float(_unit(width * grid)))
        assert shown.split()[0] == alone.split()[0]


def _unit(width: Fraction) -> float:
    return 10.0 ** math.floor(math.log10(float(width)))


def _numbers(text: str) -> list[float]:
    words = text.replace("(", " ").replace(")", " ").replace(",", "").split()
    return [float(word) for word in words if word.lstrip("-").replace(".", "", 1).isdigit()]


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("value", [-(2**63), -1, 0, 1, 2**63 - 1])
def test_the_ends_of_64_bits_are_shown(grid: Fraction, value: int) -> None:
    for width in (0, 1, 2**50, 2**62):
        assert StepDisplay(grid, width, None).text(value)


def test_what_is_remembered_is_bounded() -> None:
    shown = StepDisplay(Fraction(1), 10, None)
    for value in range(0, 3 * KNOWN_MAX * 10, 7):
        shown.text(value)
    assert len(shown._known) == KNOWN_MAX
    assert shown.text(10**9) == "about 1,000,000,000 (999,999,990 to 1,000,000,010)"


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (-31, "too noisy to tell: between 0 and 30"),
        (-28, "too noisy to tell: between 0 and 30"),
        (-17, "too noisy to tell: between 0 and 20"),
        (40, "about 40 (10 to 70)"),
    ],
)
def test_a_number_whose_interval_is_below_what_is_possible_does_not_sound_certain(value: int, says: str) -> None:
    assert StepDisplay(Fraction(1), 28, 0).text(value) == says
    assert one_by_one(Fraction(1), 28, 0, value) == says
