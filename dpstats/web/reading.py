"""A release as people read it: each number with how sure it is, and an order only where the noise lets one be told.

Pure, from a release's JSON: post-processing of what was released, so it costs nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dpstats.plan.display import is_impossible
from dpstats.privacy.comparison import Reading, probability_above, reading_of_interval
from dpstats.privacy.mechanism import Noise
from dpstats.web.words import in_words, listed

Release = Mapping[str, Any]

SURE, LIKELY, ALMOST = 0.95, 0.8, 0.99
"""Probabilities from which an order is very likely, likely, all but certain. Below `LIKELY` nothing is told."""
ORDERED_MAX = 200
"""Rows of which the order is looked at."""


_ENDS = re.compile(r"\((\S+) to (\S+)\)$|between (\S+) and (\S+)$")
"""The ends of an interval in a release's text."""


@dataclass(frozen=True)
class Cell:
    """One number: `value`, `low` and `high` as released; `told`: the interval leaves something to say.

    `withheld`: it is about fewer people than the release's smallest group; there is no number then. `least`: no true
    number is below it, so none is shown that is; the value stays as the noise made it.
    """

    row: int
    label: str
    value: float | None
    low: float | None
    high: float | None
    display: str
    told: bool
    withheld: bool = False
    least: float = -math.inf

    @property
    def unclear(self) -> str:
        """What stands where there is nothing to tell."""
        return self.display if self.withheld else "too noisy to tell"

    @property
    def impossible(self) -> bool:
        """Whether the interval lies below what is possible: then it tells nothing of the number."""
        return self.low is not None and self.high is not None and is_impossible(self.low, self.high, self.least)

    @property
    def half_width(self) -> float | None:
        """Half of the interval."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2

    @property
    def about(self) -> str:
        """The number to the scale of its interval: 171 ± 28 is `170`."""
        return "?" if self.value is None else rounded(max(self.least, self.value), self.half_width)

    @property
    def between(self) -> str:
        """The interval's ends as the release's own text tells them, rounded outward to its scale: `140 to 200`."""
        if self.withheld:
            return ""
        if self.impossible:  # in these words also of a release that was stored when its text told it otherwise
            width = self.half_width or 0.0
            ends = (rounded(self.least, width, math.floor), rounded(self.least + width, width, math.ceil))
            return " to ".join(ends)
        found = _ENDS.search(self.display)
        return f"{found[1] or found[3]} to {found[2] or found[4]}" if found else "anything"

    @property
    def give_or_take(self) -> str:
        """The half-width to its own scale: `28` is `30`."""
        return "?" if self.half_width is None else rounded(self.half_width, self.half_width, math.ceil)


@dataclass(frozen=True)
class Column:
    """A measure of a release, with its numbers in the order of the rows."""

    name: str
    measure: Mapping[str, Any]
    cells: tuple[Cell, ...]
    pure: bool

    @property
    def unit(self) -> str:
        """In what it is counted; empty if the name says so."""
        return str(self.measure.get("unit") or "")

    @property
    def words(self) -> str:
        """Its name in words."""
        return in_words(self.name)

    def amount(self, cell: Cell) -> str:
        """`about 1,240 households, give or take 60`; or that it is too noisy to tell."""
        thing = f" {self.unit}" if self.unit else f" {self.words}" if self.measure["type"] == "integer" else ""
        if not cell.told or cell.value is None:
            between = cell.between.replace(" to ", " and ")
            return cell.unclear if cell.value is None else f"{cell.unclear}: between {between}{thing}"
        if self.measure.get("rank_error_95") is not None and self.measure["scale"] is not None:
            return cell.display
        return f"about {cell.about}{thing}, give or take {cell.give_or_take}"

    def reading(self, cell: Cell, against: Cell) -> Reading | None:
        """The number and its noise, as it stands towards another; None if it cannot be compared."""
        if cell.value is None or against.value is None or cell.low is None or cell.high is None:
            return None
        scale = self.measure["scale"]
        if scale is not None:
            noise = Noise(self.measure["mechanism"])
            return Reading(cell.value, noise, scale) if noise in {Noise.GAUSSIAN, Noise.LAPLACE} else None
        facing = cell.value - cell.low if against.value < cell.value else cell.high - cell.value
        return reading_of_interval(cell.value, facing, pure=self.pure)


def column(release: Release, name: str) -> Column:
    """A measure's numbers, row by row."""
    keys = [key["name"] for key in release["keys"]]
    measure = release["measures"][name]
    cells = tuple(_cell(place, label_of(row, keys), row[name], measure) for place, row in enumerate(release["rows"]))
    return Column(name, release["measures"][name], cells, pure=release["cost"]["rho"] is None)


def label_of(row: Mapping[str, Any], keys: Sequence[str]) -> str:
    """A row's keys in words; `everyone` if it has none."""
    return " · ".join(_text(key, row[key]) for key in keys) or "everyone"


def _text(key: str, value: object) -> str:
    """A key's value; what says nothing by itself, with the key's name: `campaign id 18`, `member: yes`."""
    if isinstance(value, bool):
        return f"{in_words(key)}: {'yes' if value else 'no'}"
    return f"{in_words(key)} {value}" if isinstance(value, int) else str(value)


def _cell(place: int, label: str, cell: Mapping[str, Any], measure: Mapping[str, Any]) -> Cell:
    value, low, high = (None if cell[end] is None else float(cell[end]) for end in ("value", "low", "high"))
    of_ranks = measure.get("rank_error_95") is not None
    least = measure.get("least", -math.inf)  # a release of before it was said is shown as the noise made it
    if value is None or low is None or high is None:
        told = False
    else:
        told = of_ranks or not (low <= 0 <= high or is_impossible(low, high, least))
    return Cell(place, label, value, low, high, cell["display"], told, bool(cell.get("withheld")), least)


def rounded(value: float, half_width: float | None, to_whole: Any = round) -> str:
    """A number with no digit finer than a tenth of what it is given or taken: 171 ± 28 is `170`."""
    if not half_width or not math.isfinite(half_width):
        return f"{value:,.6g}"
    places = -math.floor(math.log10(half_width) - math.log10(2))
    steps = round(value * 10.0**places, 6)
    number = to_whole(steps) / 10.0**places
    return f"{number:,.{max(0, places)}f}" if number else "0"


# -- order ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """Whether the left one of two numbers is read as the higher one, and how probable it is that this is so."""

    left_higher: bool
    probability: float

    @property
    def words(self) -> str:
        """`very likely`, or that it cannot be told."""
        steps = ((ALMOST, "almost certainly"), (SURE, "very likely"), (LIKELY, "likely"))
        return next((text for least, text in steps if self.probability >= least), "can't tell")

    @property
    def percent(self) -> str:
        """`97 %`; never 100."""
        return "over 99 %" if self.probability >= 0.995 else f"{100 * self.probability:.0f} %"

    @property
    def told(self) -> bool:
        """Whether something may be said."""
        return self.probability >= LIKELY


def verdict(left: tuple[Column, Cell], right: tuple[Column, Cell]) -> Verdict | None:
    """Which of two numbers is the higher one; None if they are not to be compared."""
    (one, cell), (other, against) = left, right
    first, second = one.reading(cell, against), other.reading(against, cell)
    if first is None or second is None:
        return None
    above = probability_above(first, second)
    return Verdict(above >= 0.5, max(above, 1 - above))


def ties(found: Column, cell: Cell) -> list[Cell]:
    """The numbers that may as well be equal to this one, or in the other order."""
    others = (other for other in found.cells if other.row != cell.row)
    verdicts = ((other, verdict((found, cell), (found, other))) for other in others)
    return [other for other, said in verdicts if said is None or said.probability < SURE]


def summary(found: Column) -> list[str]:
    """What a chart shows, in sentences: the only number; or the highest and the lowest, as far as the noise tells."""
    return [*_told(found), *_withheld(found)]


def _withheld(found: Column) -> list[str]:
    many, of = sum(cell.withheld for cell in found.cells), len(found.cells)
    if not many:
        return []
    return [f"{many:,} of {of:,} groups {'is' if many == 1 else 'are'} withheld: fewer people than may be told about."]


def _told(found: Column) -> list[str]:
    cells = [cell for cell in found.cells if cell.value is not None]
    if not cells:
        if any(cell.withheld for cell in found.cells):
            return []
        return [f"There is nothing to tell of {found.words}: no group was found, or all are too noisy."]
    if len(cells) == 1:
        text = found.amount(cells[0])
        return [f"{text[:1].upper()}{text[1:]}."]
    told = [cell for cell in cells if cell.told]
    if not told:
        return [f"All {len(cells)} groups are too noisy to tell {found.words}."]
    lines = [_extreme(found, max(told, key=_value), "Highest")]
    if len(told) == len(cells):
        lines.append(_extreme(found, min(told, key=_value), "Lowest"))
    else:  # one of those that are lost in the noise may be lower than the lowest of the others
        many = len(cells) - len(told)
        lines.append(f"{many:,} of {len(cells):,} groups {'is' if many == 1 else 'are'} too noisy to tell.")
    return lines


def _value(cell: Cell) -> float:
    return cell.value or 0.0


def _extreme(found: Column, cell: Cell, word: str) -> str:
    tied = ties(found, cell) if len(found.cells) <= ORDERED_MAX else []
    text = f"{word}: {cell.label}, {found.amount(cell)}"
    if not tied:
        return f"{text}."
    names = [other.label for other in tied[:3]] + ([f"{len(tied) - 3:,} more"] if len(tied) > 3 else [])
    return f"{text}; a tie with {listed(names)}."
