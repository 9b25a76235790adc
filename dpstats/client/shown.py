"""A release or a wide table as people see it: each number with its interval, rounded to what the noise lets it tell."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from dpstats.client.page import Cell, Scale, error_bar, paragraph, table

if TYPE_CHECKING:
    from dpstats.client.release import Release


class Shown(Protocol):
    """What has rows by key, and a cell with its interval for each measure."""

    @property
    def keys(self) -> tuple[Mapping[str, str], ...]:
        """Names and types of the keys."""

    @property
    def measures(self) -> Mapping[str, Mapping[str, Any]]:
        """What is known of each measure."""

    @property
    def rows(self) -> tuple[Mapping[str, Any], ...]:
        """The rows."""

    @property
    def sandbox(self) -> bool:
        """Whether the numbers are of invented data."""


ROWS_SHOWN = 20
WITHHELD = "withheld"
INVENTED = "SANDBOX: these numbers are of invented data and mean nothing"


def as_text(release: Shown, title: str, notes: list[str]) -> str:
    """A small table, for a terminal."""
    cells = [_head(release), *_rows(release)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(cells[0]))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join([title, "", *lines, "", *_all_notes(release, notes)])


def as_html(release: Shown, title: str, notes: list[str]) -> str:
    """The same table, for a notebook; beside each number its interval is drawn, on one scale a column."""
    keys = len(release.keys)
    head = [Cell(text, number=place >= keys) for place, text in enumerate(_head(release))]
    drawn = {name: _drawn(release, name) for name in release.measures}
    rows = (
        [
            Cell(text, drawn[measures[place - keys]][number] if place >= keys else "", number=place >= keys)
            for place, text in enumerate(texts)
        ]
        for measures in [list(release.measures)]
        for number, texts in enumerate(_rows(release))
    )
    return table(title, head, rows) + paragraph(_all_notes(release, notes))


def _drawn(release: Shown, measure: str) -> list[str]:
    """A measure's intervals as pictures, row by row; none where a number or an end is missing."""
    cells = [row[measure] for row in release.rows[:ROWS_SHOWN]]
    numbers = [(cell.get("value"), cell.get("low"), cell.get("high")) for cell in cells]
    scale = Scale.over(end for ends in numbers if None not in ends for end in ends)
    return ["" if None in ends else error_bar(scale, *ends) for ends in numbers]


def title(release: Release) -> str:
    """What was asked, and whether the answer is new."""
    parameters = ", ".join(f"{name}={value}" for name, value in release.parameters.items())
    made = "an earlier answer, free" if release.replayed else "a new answer"
    return f"{release.query}({parameters}), {release.created_at:%Y-%m-%d}, {made}"


def _head(release: Shown) -> list[str]:
    units = ((name, measure.get("unit")) for name, measure in release.measures.items())
    return [key["name"] for key in release.keys] + [f"{name} ({unit})" if unit else name for name, unit in units]


def _rows(release: Shown) -> list[list[str]]:
    return [
        [str(row[key["name"]]) for key in release.keys]
        + [_cell(row[name], measure) for name, measure in release.measures.items()]
        for row in release.rows[:ROWS_SHOWN]
    ]


def _cell(cell: Mapping[str, Any], measure: Mapping[str, Any]) -> str:
    if cell["value"] is None and measure.get("smallest_group"):  # of a wide table, whose cells say no more
        return WITHHELD if measure["scale"] is not None else f"{WITHHELD} or too noisy to tell"
    text = str(cell["display"]) if "display" in cell else _rounded(cell["value"], cell["low"], cell["high"])
    return text if cell.get("reliable", True) else f"{text} ?"


def _rounded(value: float | None, low: float | None, high: float | None) -> str:
    """A number and its interval to the scale of the interval, before the point too, as `display` of a release is."""
    if value is None or low is None or high is None:
        return "too noisy to tell"
    width = high / 2 - low / 2
    digits = -math.floor(math.log10(width) - math.log10(2)) if 0 < width < math.inf else 0
    places = max(-12, min(digits, 12))
    shown = (round(value, places), _outward(low, places, math.floor), _outward(high, places, math.ceil))
    middle, *ends = (f"{number or 0:,.{max(0, places)}f}" for number in shown)
    return f"{middle} ({' to '.join(ends)})"


def _outward(end: float, places: int, to_whole: Callable[[float], int]) -> float:
    """An end of an interval, rounded away from its middle; first to a finer digit, for doubles that are a hair off."""
    return to_whole(round(end * 10.0**places, 6)) / 10.0**places if math.isfinite(end) else end


def _all_notes(release: Shown, notes: list[str]) -> list[str]:
    hidden = len(release.rows) - ROWS_SHOWN
    more = [f"and {hidden} more rows: to_pandas() has them all"] if hidden > 0 else []
    return [*([INVENTED] if release.sandbox else []), *more, *notes]


def notes(release: Release) -> list[str]:
    """What is withheld, and what it cost."""
    spent = release.budget["epsilon_spent"]
    price = f"cost epsilon {release.cost['epsilon']:g}; epsilon {spent:g} of {release.budget['epsilon']:g} was spent"
    return [*_withheld(release), price]


def _withheld(release: Release) -> list[str]:
    """How many rows are withheld, and why."""
    floor = release.smallest_group
    if floor is None or not floor["withheld"]:
        return []
    return [f"withheld: {floor['withheld']} of {len(release.rows)} rows, whose noisy count is below {floor['floor']}"]
