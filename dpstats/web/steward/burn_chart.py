"""The burn-down as a chart: what was left each day, and how it may go on. Vega-Lite by Altair, a spending in.

The page keeps room for it and does not wait: it is an image of its own, which the browser fetches once the words are
there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

from dpstats.web.charts import COLOURS, Theme
from dpstats.workspace.budget_words import percent

SIZES = {"wide": (720, 280), "narrow": (350, 240)}
"""Width and height of the whole image, in pixels: for a desktop, and for a phone."""
_SHORT_DAYS, _LONG_DAYS = 75, 3 * 365
"""Up to so many days the axis of time names days; from so many on, years; else months."""
_MONTHS = "utcmonth(datum.value) == 0 ? utcFormat(datum.value, '%b %Y') : utcFormat(datum.value, '%b')"


@dataclass(frozen=True)
class Burn:
    """What is drawn. Shares are of everything granted by now; `earliest` and `latest`: the likely ends, if forecast."""

    days: tuple[tuple[date, float], ...]
    today: date
    share: float
    ends_on: date | None
    earliest: date | None
    latest: date | None
    last: date
    raised: tuple[tuple[date, float], ...]

    @classmethod
    def of(cls, spending: Mapping[str, Any]) -> Burn:
        """The drawing of a spending, as `Spending.of` gives it."""
        items = [(date.fromisoformat(item["day"]), item) for item in spending["burn_down"]]
        whole, today = items[-1][1]["granted"] or 1.0, date.fromisoformat(spending["today"])
        ahead = {name: _day(spending["forecast"]["from_spending"][name]) for name in ("ends_on", "earliest", "latest")}
        raised = [
            (day, item["remaining"] / whole)
            for (_, before), (day, item) in pairwise(items)
            if item["granted"] > before["granted"]
        ]
        share = items[-1][1]["remaining"] / whole
        days = [(day, item["remaining"] / whole) for day, item in items]
        last = _last(days[0][0], today, ahead)
        return cls((*days, (today, share)), today, share, **ahead, last=last, raised=tuple(raised))


def burn_spec(spending: Mapping[str, Any], theme: Theme, size: str) -> dict[str, Any]:
    """The burn-down as Vega-Lite.

    Args:
      spending: as `Spending.of` gives it. size: one of `SIZES`.
    """
    import altair

    alt: Any = altair  # its classes are made from a schema, partly without types
    burn, colours, narrow = Burn.of(spending), COLOURS[theme], size == "narrow"
    width, height = SIZES[size]
    layers = [*_ahead(alt, burn, colours), *_behind(alt, burn, colours), *_labels(alt, burn, colours, narrow=narrow)]
    chart = (
        alt.layer(*layers)
        .properties(
            width=width, height=height, background=colours["ground"], autosize={"type": "fit", "contains": "padding"}
        )
        .configure_view(stroke=None)
        .configure_axis(
            domain=False,
            labelColor=colours["soft"],
            labelFontSize=13,
            labelFont="sans-serif",
            gridColor=colours["line"],
        )
        .configure_axisX(grid=False, tickColor=colours["soft"], labelPadding=6, labelFlush=False)
        .configure_axisY(ticks=False, labelPadding=8)
        .configure_text(font="sans-serif", fontSize=13)
    )
    made: dict[str, Any] = chart.to_dict()
    return made


def _behind(alt: Any, burn: Burn, colours: Mapping[str, str]) -> Iterator[Any]:
    """What was left: level from one charge to the next."""
    chart = alt.Chart(_data(alt, [{"day": _text(day), "left": max(0.0, left)} for day, left in burn.days]))
    across = {"x": _time(alt, burn), "y": _shares(alt)}
    yield chart.mark_area(interpolate="step-after", color=colours["mark"], opacity=0.1).encode(**across)
    yield chart.mark_line(interpolate="step-after", color=colours["mark"], strokeWidth=2).encode(**across)


def _ahead(alt: Any, burn: Burn, colours: Mapping[str, str]) -> Iterator[Any]:
    """How it may go on: the shade between the fastest and the slowest likely course, and the likely one."""
    if burn.earliest is not None:
        wanted = {burn.today, burn.earliest, burn.latest or burn.last, burn.last}
        rows = [
            {"day": _text(day), "low": _course(burn, burn.earliest, day), "high": _course(burn, burn.latest, day)}
            for day in sorted(day for day in wanted if burn.today <= day <= burn.last)
        ]
        shade = alt.Chart(_data(alt, rows)).mark_area(color=colours["soft"], opacity=0.18)
        yield shade.encode(x=_time(alt, burn), y=_shares(alt, "low"), y2="high:Q")
    if burn.ends_on is not None:
        end = min(burn.ends_on, burn.last)
        rows = [{"day": _text(day), "left": _course(burn, burn.ends_on, day)} for day in (burn.today, end)]
        way = alt.Chart(_data(alt, rows))
        across = {"x": _time(alt, burn), "y": _shares(alt)}
        yield way.mark_line(color=colours["soft"], strokeWidth=1.5, strokeDash=[5, 4]).encode(**across)
        if burn.ends_on <= burn.last:
            ring = alt.Chart(_data(alt, rows[-1:])).mark_point(
                size=70, filled=True, fill=colours["ground"], stroke=colours["soft"], strokeWidth=2, opacity=1
            )
            yield ring.encode(**across)


def _labels(alt: Any, burn: Burn, colours: Mapping[str, str], *, narrow: bool) -> Iterator[Any]:
    """Today, what is left, and the days on which the budget was raised."""
    at = {"x": _time(alt, burn), "y": _shares(alt)}
    share = max(0.0, burn.share)
    now = alt.Chart(_data(alt, [{"day": _text(burn.today), "left": share, "floor": 0.0}]))
    yield now.mark_rule(color=colours["soft"], strokeDash=[1, 3]).encode(**at, y2="floor:Q")
    yield now.mark_circle(size=70, color=colours["mark"], opacity=1).encode(**at)
    roomy = (burn.last - burn.today) / max(timedelta(days=1), burn.last - burn.days[0][0]) > (0.35 if narrow else 0.2)
    side = {"align": "left", "dx": 8} if roomy else {"align": "right", "dx": -4}
    words = f"{percent(share)} left"
    above = -10 if share < 0.9 else 18
    yield now.mark_text(**side, dy=above, color=colours["ink"], fontSize=14, fontWeight="bold", text=words).encode(**at)
    floor = alt.Chart(_data(alt, [{"day": _text(burn.today), "left": 0.0}]))
    yield floor.mark_text(align="right", dx=-6, dy=-9, color=colours["soft"], text="today").encode(**at)
    if burn.raised:
        rows = [{"day": _text(day), "left": max(0.0, left)} for day, left in burn.raised]
        raised = alt.Chart(_data(alt, rows)).mark_text(align="left", dx=5, dy=-8, color=colours["soft"], text="raised")
        yield raised.encode(**at)


def _time(alt: Any, burn: Burn) -> Any:
    first = min(burn.days[0][0], burn.today - timedelta(days=7))
    span = (burn.last - first).days
    names = _MONTHS if span <= _LONG_DAYS else "utcFormat(datum.value, '%Y')"
    names = names if span > _SHORT_DAYS else "utcFormat(datum.value, '%-d %b')"
    ends = [_text(first), _text(burn.last)]
    return alt.X(
        "day:T", title=None, scale=alt.Scale(type="utc", domain=ends), axis=alt.Axis(labelExpr=names, tickCount=6)
    )


def _shares(alt: Any, name: str = "left") -> Any:
    axis = alt.Axis(values=[0, 0.5, 1], labelExpr="format(100 * datum.value, '.0f') + ' %'")
    return alt.Y(f"{name}:Q", title=None, scale=alt.Scale(domain=[0, 1], clamp=True), axis=axis)


def _data(alt: Any, rows: list[dict[str, Any]]) -> Any:
    return alt.Data(values=rows)


def _text(day: date) -> str:
    """Midnight in UTC, so that no time zone moves a day."""
    return f"{day.isoformat()}T00:00:00Z"


def _course(burn: Burn, end: date | None, day: date) -> float:
    """What is left on a day if it is used up on `end`, evenly from today on; one without an end stays level."""
    if end is None:
        return max(0.0, burn.share)
    gone = (day - burn.today).days / max(1, (end - burn.today).days)
    return max(0.0, burn.share * (1 - min(1.0, gone)))


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _last(first: date, today: date, ahead: Mapping[str, date | None]) -> date:
    """Up to the latest likely end, but never more than twice as far ahead as back."""
    furthest = today + max(timedelta(days=60), 2 * (today - first))
    ends = [day for day in (ahead["ends_on"], ahead["latest"]) if day is not None]
    wanted = max(ends) + timedelta(days=7) if ends else today + max(timedelta(days=14), (today - first) / 5)
    return min(wanted, furthest)
