"""Charts of a release: Vega-Lite by Altair, drawn on the server. A number never stands without its interval.

A dot is the answer, the line through it its 95 % interval; where the interval holds zero, both fade. Labels stand at
the marks, so colour carries nothing. Altair and vl-convert are loaded when the first chart is drawn.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Any

from dpstats.web.reading import Cell, Column, Release, column

DRAWN_MAX = 40
"""Rows that a chart has room for; a series over time may have ten times as many."""
WIDTHS = {"wide": 560, "narrow": 190}
"""Pixels between the labels and the edge: for a desktop, and for a phone."""
_ROW, _ROW_OF_TWO_LINES, _SERIES_HEIGHT = 26, 44, 260
_LABEL_LIMITS, _LETTER = {"wide": 260, "narrow": 140}, 7
"""Pixels that a label may take, and about what one letter of it does."""
_ORDERED = {"date", "timestamp"}


class Theme(StrEnum):
    """What a chart is read on."""

    LIGHT = "light"
    DARK = "dark"


COLOURS = {
    Theme.LIGHT: {"ink": "#1d2126", "soft": "#59616b", "line": "#d9dde2", "mark": "#0b5c8a", "ground": "#ffffff"},
    Theme.DARK: {"ink": "#e6e9ec", "soft": "#a3acb5", "line": "#333a41", "mark": "#6fb7e6", "ground": "#121518"},
}


def is_series(release: Release) -> bool:
    """Whether the rows are moments of time, to be drawn from left to right."""
    keys = release["keys"]
    return len(keys) == 1 and keys[0]["type"] in _ORDERED and len(release["rows"]) > 2


def drawn(release: Release, found: Column) -> tuple[Cell, ...]:
    """The numbers that a chart shows: those with an interval, as many as there is room for."""
    cells = [cell for cell in found.cells if cell.value is not None and cell.low is not None and cell.high is not None]
    return tuple(cells[: DRAWN_MAX * 10 if is_series(release) else DRAWN_MAX])


def spec(release: Release, found: Column, order: Sequence[str], theme: Theme, size: str = "wide") -> dict[str, Any]:
    """The chart of one measure, as Vega-Lite.

    Args:
      order: the labels from top to bottom. size: one of `WIDTHS`.
    """
    import altair

    alt: Any = altair  # its classes are made from a schema, partly without types
    colours, series = COLOURS[theme], is_series(release)
    data = alt.Data(values=[_datum(cell) for cell in drawn(release, found)])
    sure = alt.condition("datum.told", alt.value(1), alt.value(0.35))
    title = f"{found.words} ({found.unit})" if found.unit else found.words
    base = alt.Chart(data)
    lines = _lines(release, size)
    along = alt.X("label:T", title=None) if series else _rows_axis(alt, order, lines)
    span = {"x": alt.X("low:Q", title=title), "x2": "high:Q", "y": along}
    dot = {"x": alt.X("value:Q", title=title), "y": along}
    if series:
        span = {"y": alt.Y("low:Q", title=title), "y2": "high:Q", "x": along}
        dot = {"y": alt.Y("value:Q", title=title), "x": along}
    width = 2 if series else 4
    layers = [
        base.mark_rule(strokeWidth=width, color=colours["mark"], strokeCap="round", opacity=0.5).encode(
            **span, strokeOpacity=sure
        ),
        base.mark_circle(size=40 if series else 90, color=colours["mark"], opacity=1).encode(**dot, fillOpacity=sure),
    ]
    if not series:
        layers.append(
            base.mark_text(align="left", dx=8, fontSize=13, color=colours["soft"]).encode(
                x="high:Q", y=along, text="text:N"
            )
        )
    row = _ROW if lines == 1 else _ROW_OF_TWO_LINES
    height = _SERIES_HEIGHT if series else max(1, len(drawn(release, found))) * row
    chart = alt.layer(*layers).properties(
        width=WIDTHS[size] + (70 if series else 0), height=height, background=colours["ground"]
    )
    made: dict[str, Any] = _quiet(chart, colours, across=series, narrow=size == "narrow").to_dict()
    return made


def _lines(release: Release, size: str) -> int:
    """How many lines a label has: where there is little room, one for each of several keys."""
    return min(2, len(release["keys"])) if size == "narrow" and release["keys"] else 1


def _rows_axis(alt: Any, order: Sequence[str], lines: int) -> Any:
    axis = alt.Axis(labelExpr="split(datum.label, ' · ')", labelLineHeight=15) if lines > 1 else alt.Undefined
    return alt.Y("label:N", sort=list(order), title=None, axis=axis)


def frame(release: Release, found: Column, size: str) -> tuple[int, int]:
    """About how wide and high a chart will be, in pixels, so that a page keeps room for it. Nothing is drawn."""
    if is_series(release):
        return WIDTHS[size] + 130, _SERIES_HEIGHT + 40
    lines, cells = _lines(release, size), drawn(release, found)
    longest = max((len(part) for cell in cells for part in _parts(cell.label, lines)), default=0)
    labels = min(_LABEL_LIMITS[size], _LETTER * longest)
    row = _ROW if lines == 1 else _ROW_OF_TWO_LINES
    return WIDTHS[size] + labels + 20, max(1, len(cells)) * row + 50


def _parts(label: str, lines: int) -> list[str]:
    return label.split(" · ") if lines > 1 else [label]


def _datum(cell: Cell) -> dict[str, Any]:
    text = cell.about if cell.told else cell.unclear
    return {
        "label": cell.label,
        "value": cell.value,
        "low": cell.low,
        "high": cell.high,
        "told": cell.told,
        "text": text,
    }


def _quiet(chart: Any, colours: Mapping[str, str], *, across: bool, narrow: bool) -> Any:
    """Thin axes, no frame."""
    text = {"labelColor": colours["soft"], "titleColor": colours["soft"], "labelFontSize": 13, "titleFontSize": 13}
    lines = {"domain": False, "ticks": False, "gridColor": colours["line"], "titleFontWeight": "normal"}
    return (
        chart.configure_view(stroke=None)
        .configure_axis(**text, **lines, labelFont="sans-serif", titleFont="sans-serif")
        .configure_axisY(
            grid=across,
            labelLimit=_LABEL_LIMITS["narrow" if narrow else "wide"],
            labelPadding=10,
            labelColor=colours["ink"],
        )
        .configure_axisX(
            grid=not across, tickCount=3 if narrow else 5, titlePadding=10, labelFlush=False, labelPadding=8
        )
        .configure_text(font="sans-serif")
    )


def warm() -> None:
    """Starts the renderer of this process, on an invented chart."""
    made = {"value": 1, "low": 0, "high": 2, "display": "1"}
    measure = {"type": "integer", "unit": None, "scale": 1.0, "mechanism": "discrete_gaussian"}
    release: Release = {
        "keys": [{"name": "group", "type": "varchar"}],
        "rows": [{"group": "a", "n": made}],
        "measures": {"n": measure},
        "cost": {"rho": 0.1},
    }
    as_svg(spec(release, column(release, "n"), ["a"], Theme.LIGHT))


def as_svg(chart: Mapping[str, Any]) -> bytes:
    """Drawn as SVG."""
    return _drawn(json.dumps(chart, sort_keys=True), "svg")


def as_png(chart: Mapping[str, Any]) -> bytes:
    """Drawn as PNG, at twice the size so that it stays sharp."""
    return _drawn(json.dumps(chart, sort_keys=True), "png")


DRAWN_AS: Mapping[str, tuple[Callable[[Mapping[str, Any]], bytes], str]] = {
    "svg": (as_svg, "image/svg+xml"),
    "png": (as_png, "image/png"),
}
"""How a chart is drawn for each ending of its address, and the media type."""


@lru_cache(maxsize=64)
def _drawn(chart: str, form: str) -> bytes:
    import vl_convert

    if form == "png":
        return bytes(vl_convert.vegalite_to_png(chart, scale=2))
    svg: str = vl_convert.vegalite_to_svg(chart)
    return svg.encode()
