"""Small pieces of HTML for notebooks: escaped text, tables, and intervals drawn as inline SVG. No script, no colour of
its own: the notebook's text colour does for light and dark.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, EDGE = 120, 16, 6
"""Of one drawn interval, in pixels; nothing is drawn on the edges but what an interval's own end needs."""


@dataclass(frozen=True)
class Cell:
    """A cell of a table: text, and markup after it that is safe already. `number`: it stands right."""

    text: str
    markup: str = ""
    number: bool = False


def table(title: str, head: Sequence[Cell], rows: Iterable[Sequence[Cell]]) -> str:
    """A table with a caption; the first row names its columns."""
    body = "".join(_row("td", row) for row in rows)
    caption = f'<caption style="text-align:left">{html.escape(title)}</caption>'
    return f"<table>{caption}<thead>{_row('th', head)}</thead><tbody>{body}</tbody></table>"


def paragraph(lines: Iterable[str]) -> str:
    """Lines of text, one below another."""
    return f"<p>{'<br>'.join(map(html.escape, lines))}</p>"


def _row(tag: str, cells: Sequence[Cell]) -> str:
    return f"<tr>{''.join(_cell(tag, cell) for cell in cells)}</tr>"


def _cell(tag: str, cell: Cell) -> str:
    style = "text-align:right;white-space:nowrap" if cell.number else "text-align:left"
    return f'<{tag} style="{style}">{html.escape(cell.text)}{cell.markup}</{tag}>'


@dataclass(frozen=True)
class Scale:
    """From values to pixels: what the intervals of one column have in common. Zero is always on it."""

    low: float
    high: float

    @classmethod
    def over(cls, ends: Iterable[float]) -> Scale:
        """The scale that holds these values and zero."""
        every = [0.0, *ends]
        return cls(min(every), max(every))

    def at(self, value: float) -> float:
        """Where a value is, in pixels from the left."""
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.0
        return round(EDGE + share * (WIDTH - 2 * EDGE), 1)


def error_bar(scale: Scale, value: float, low: float, high: float) -> str:
    """A dot with its interval, above a line at zero."""
    zero, left, dot, right = (scale.at(where) for where in (0.0, low, value, high))
    middle = HEIGHT / 2
    lines = (
        f'<path d="M{zero} 0V{HEIGHT}" opacity=".25"/>'
        f'<path d="M{left} {middle}H{right}M{left} {middle - 3}v6M{right} {middle - 3}v6"/>'
    )
    return (
        f'<svg width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true" '
        'style="vertical-align:middle;margin-left:.6em" fill="none" stroke="currentColor">'
        f'{lines}<circle cx="{dot}" cy="{middle}" r="2.5" fill="currentColor" stroke="none"/></svg>'
    )


def share_bar(share: float) -> str:
    """How much of a whole is used, 0 to 1."""
    used = round(max(0.0, min(1.0, share)) * WIDTH, 1)
    return (
        f'<svg width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true" '
        'style="vertical-align:middle;margin-left:.6em" fill="currentColor">'
        f'<rect y="4" width="{WIDTH}" height="8" opacity=".2"/><rect y="4" width="{used}" height="8"/></svg>'
    )
