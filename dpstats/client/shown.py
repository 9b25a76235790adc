"""A release as people see it: each number with its interval, rounded to what the noise lets it tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dpstats.client.page import Cell, Scale, error_bar, paragraph, table

if TYPE_CHECKING:
    from dpstats.client.release import Release

ROWS_SHOWN = 20
INVENTED = "SANDBOX: these numbers are of invented data and mean nothing"


def as_text(release: Release) -> str:
    """A small table, for a terminal."""
    cells = [_head(release), *_rows(release)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(cells[0]))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join([_title(release), "", *lines, "", *_notes(release)])


def as_html(release: Release) -> str:
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
    return table(_title(release), head, rows) + paragraph(_notes(release))


def _drawn(release: Release, measure: str) -> list[str]:
    """A measure's intervals as pictures, row by row; none where a number or an end is missing."""
    cells = [row[measure] for row in release.rows[:ROWS_SHOWN]]
    numbers = [(cell.get("value"), cell.get("low"), cell.get("high")) for cell in cells]
    scale = Scale.over(end for ends in numbers if None not in ends for end in ends)
    return ["" if None in ends else error_bar(scale, *ends) for ends in numbers]


def _title(release: Release) -> str:
    parameters = ", ".join(f"{name}={value}" for name, value in release.parameters.items())
    made = "an earlier answer, free" if release.replayed else "a new answer"
    return f"{release.query}({parameters}), {release.created_at:%Y-%m-%d}, {made}"


def _head(release: Release) -> list[str]:
    units = ((name, measure.get("unit")) for name, measure in release.measures.items())
    return [key["name"] for key in release.keys] + [f"{name} ({unit})" if unit else name for name, unit in units]


def _rows(release: Release) -> list[list[str]]:
    return [
        [str(row[key["name"]]) for key in release.keys] + [_cell(row[name]) for name in release.measures]
        for row in release.rows[:ROWS_SHOWN]
    ]


def _cell(cell: Mapping[str, Any]) -> str:
    return str(cell.get("display", f"{cell['value']} ({cell['low']} to {cell['high']})"))


def _notes(release: Release) -> list[str]:
    hidden = len(release.rows) - ROWS_SHOWN
    more = [f"and {hidden} more rows: to_pandas() has them all"] if hidden > 0 else []
    spent = release.budget["epsilon_spent"]
    price = f"cost epsilon {release.cost['epsilon']:g}; epsilon {spent:g} of {release.budget['epsilon']:g} was spent"
    return [*([INVENTED] if release.sandbox else []), *more, price]
