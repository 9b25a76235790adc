"""A release as people see it: each number with its interval, rounded to what the noise lets it tell."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dpstats.client.release import Release

ROWS_SHOWN = 20


def as_text(release: Release) -> str:
    """A small table, for a terminal."""
    cells = [_head(release), *_rows(release)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(cells[0]))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join([_title(release), "", *lines, "", *_notes(release)])


def as_html(release: Release) -> str:
    """The same table, for a notebook."""
    keys = len(release.keys)
    head = _html_row("th", _head(release), keys)
    body = "".join(_html_row("td", row, keys) for row in _rows(release))
    notes = "<br>".join(html.escape(text) for text in _notes(release))
    title = html.escape(_title(release))
    table = f"<table><caption>{title}</caption><thead>{head}</thead><tbody>{body}</tbody></table>"
    return f"{table}<p>{notes}</p>"


def _html_row(tag: str, texts: Iterable[str], keys: int) -> str:
    """Keys stand left, numbers right."""
    sides = ("left" if place < keys else "right" for place, _ in enumerate(texts))
    cells = (
        f'<{tag} style="text-align:{side}">{html.escape(text)}</{tag}>'
        for text, side in zip(texts, sides, strict=False)
    )
    return f"<tr>{''.join(cells)}</tr>"


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
    return [*more, price]
