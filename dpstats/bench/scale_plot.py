"""The curves of `dpstats bench scale`, drawn: time against size, both by powers of ten, a panel for each axis."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dpstats.bench.scale import AXES, Point
from dpstats.web.charts import as_png, as_svg

CURVES = ("plain", "from the rows", "at rest", "release")
COLOURS = ("#8a8f98", "#2f6fb0", "#3a8f5c", "#c2571a")
WIDTH, HEIGHT = 320, 220


def draw(points: Sequence[Point], path: Path) -> None:
    """Writes the plot: a PNG where the file is named so, else an SVG."""
    chart = spec(points)
    path.write_bytes(as_png(chart) if path.suffix.lower() == ".png" else as_svg(chart))


def spec(points: Sequence[Point]) -> dict[str, Any]:
    """The plot as Vega-Lite: of each axis that has points a panel, two side by side."""
    import altair

    alt: Any = altair  # its classes are made from a schema, partly without types
    panels = [_panel(alt, axis, here) for axis in AXES if (here := [p for p in points if p.axis == axis])]
    made: dict[str, Any] = (
        alt.concat(*panels, columns=2).configure_view(stroke=None).configure(background="white", font="sans-serif")
    ).to_dict()
    return made


def _panel(alt: Any, axis: str, points: Sequence[Point]) -> Any:
    data = [
        {"size": point.size, "seconds": seconds, "curve": curve}
        for point in points
        for curve, seconds in zip(CURVES, (point.plain_s, point.engine_s, point.kept_s, point.release_s), strict=True)
        if axis != "ledger" or curve in {"plain", "release"}  # a charge has one time
    ]
    title = "entries of the ledger" if axis == "ledger" else axis
    return (
        alt.Chart(alt.Data(values=data))
        .mark_line(point=True)
        .encode(
            x=alt.X("size:Q", title=title, scale=alt.Scale(type="log"), axis=alt.Axis(format="~s", tickCount=6)),
            y=alt.Y("seconds:Q", title="seconds", scale=alt.Scale(type="log"), axis=alt.Axis(format="~g", tickCount=6)),
            color=alt.Color("curve:N", title=None, scale=alt.Scale(domain=list(CURVES), range=list(COLOURS))),
        )
        .properties(width=WIDTH, height=HEIGHT)
    )
