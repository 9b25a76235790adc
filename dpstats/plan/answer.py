"""From noisy vectors to the rows and measures of a release: post-processing only, so it costs nothing.

Values are left as the noise made them; only `display`, a sentence for people, is rounded to what the interval can
tell and kept inside what is possible.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

from dpstats.plan.arithmetic import Drawn, Quantile
from dpstats.plan.denominators import reference
from dpstats.plan.display import KNOWN_MAX, StepDisplay, display, rounded
from dpstats.plan.estimating import Estimate, Estimator, half_width_of
from dpstats.plan.least import least_of
from dpstats.plan.plan import Draw, Group, KeyValue, Noisy, Output, Plan
from dpstats.plan.quantiles import QuantileReader
from dpstats.plan.withheld import Cells, masked
from dpstats.privacy.accuracy import ALPHA, Term, half_width_steps

ROWS_A_TEXT = 1000
"""Rows that are written at once."""


def terms_of(plan: Plan) -> dict[int, Term]:
    """The noise of each draw that is one number a group, in its measure's units."""
    return {
        draw.index: Term(draw.mechanism.noise, draw.mechanism.scale, float(draw.grid), 1.0)
        for draw in plan.draws
        if draw.quantiles is None
    }


def is_integer(plan: Plan, output: Output) -> bool:
    """Whether a measure is a single draw, or a quantile, counted in whole numbers."""
    return isinstance(output.expression, Drawn | Quantile) and plan.draws[output.expression.index].grid == 1


def measures(plan: Plan) -> dict[str, dict[str, Any]]:
    """The `measures` object of a release and of a preview: mechanism, scale and 95 % half-width; reads no data."""
    return {output.name: _measure(plan, output) for output in plan.outputs}


def _measure(plan: Plan, output: Output) -> dict[str, Any]:
    body: dict[str, Any]
    if isinstance(output.expression, Drawn):
        draw = plan.draws[output.expression.index]
        body = {
            "mechanism": str(draw.mechanism.noise),
            "scale": draw.mechanism.scale * float(draw.grid),
            "half_width_95": _in_units(half_width_steps(draw.mechanism), draw),
        }
        if draw.least is not None:
            body["least"] = _in_units(draw.least, draw)
    elif isinstance(output.expression, Quantile):
        body = _quantile_measure(plan.draws[output.expression.index], output.expression)
    else:
        body = {
            "mechanism": "derived",
            "scale": None,
            "half_width_95": half_width_of(output.expression, terms_of(plan)),
        }
        least = least_of(output.expression, _least_by_draw(plan))
        if math.isfinite(least):
            body["least"] = least
        found = reference(output.expression, plan.draws, terms_of(plan), output.denominator)
        if found is not None:
            body |= {"half_width_95_at": dict(found.half_widths), "denominator": found.of}
    if output.unit:
        body["unit"] = output.unit
    return body | {"bounding": output.bounding, "type": "integer" if is_integer(plan, output) else "number"}


def _least_by_draw(plan: Plan) -> dict[int, float]:
    return {draw.index: float(draw.least * draw.grid) for draw in plan.draws if draw.least is not None}


def _quantile_measure(draw: Draw, quantile: Quantile) -> dict[str, Any]:
    """A quantile has no half-width before it is drawn; how far its rank may be off is `rank_error_95`, in rows."""
    selected = draw.quantiles is not None and draw.quantiles.share is not None
    return {
        "mechanism": str(draw.mechanism.noise) if selected else "derived",
        "scale": draw.mechanism.scale / quantile.share.denominator if selected else None,
        "half_width_95": None,
        "rank_error_95": _whole_rank_error(draw, quantile),
    }


@lru_cache(maxsize=256)
def _whole_rank_error(draw: Draw, quantile: Quantile) -> int:
    return math.ceil(QuantileReader(draw).rank_error(quantile.share))


def rows(plan: Plan, noisy: Noisy) -> list[dict[str, Any]]:
    """One object a group, sorted by key: the keys, then each measure's value, interval and display.

    Args:
      plan: what was asked.
      noisy: its groups and, for each draw, its whole numbers, group by group.
    """
    found: list[dict[str, Any]] = json.loads(f"[{','.join(row_texts(plan, noisy))}]")
    return found


def row_texts(plan: Plan, noisy: Noisy) -> Iterator[str]:
    """`rows` as JSON, a text for each `ROWS_A_TEXT` of them, with commas in between: a million are never held apart."""
    readers = {draw.index: QuantileReader(draw) for draw in plan.draws if draw.quantiles is not None}
    keys = [_KeyTexts(key.name, place) for place, key in enumerate(plan.keys)]
    cells = [masked(plan, output, noisy, _cells(plan, output, noisy, readers)) for output in plan.outputs]
    for start in range(0, len(noisy.groups), ROWS_A_TEXT):
        places = range(start, min(start + ROWS_A_TEXT, len(noisy.groups)))
        groups = noisy.groups[places.start : places.stop]
        columns = [*(key.texts(groups) for key in keys), *(cell.texts(places) for cell in cells)]
        yield ",".join([f"{{{','.join(row)}}}" for row in zip(*columns, strict=True)])


class _KeyTexts:
    """A key's part of rows, by its value."""

    def __init__(self, name: str, place: int) -> None:
        self._name, self._place, self._known = _json(name), place, dict[KeyValue, str]()

    def texts(self, groups: Sequence[Group]) -> list[str]:
        known, place = self._known, self._place
        return [known.get(group[place]) or self._written(group[place]) for group in groups]

    def _written(self, value: KeyValue) -> str:
        text = f"{self._name}:{_json(json_value(value))}"
        if len(self._known) < KNOWN_MAX:
            self._known[value] = text
        return text


def _cells(plan: Plan, output: Output, noisy: Noisy, readers: Mapping[int, QuantileReader]) -> Cells:
    if isinstance(output.expression, Drawn):
        return _DrawnCells(output.name, plan.draws[output.expression.index], noisy)
    return _DerivedCells(plan, output, noisy, readers)


class _DrawnCells:
    """A single draw: its intervals are all alike, and everything is computed in whole numbers."""

    def __init__(self, name: str, draw: Draw, noisy: Noisy) -> None:
        width = half_width_steps(draw.mechanism)
        self._name, self._width, self._steps = _json(name), width, noisy.vectors[draw.index]
        self._top, self._bottom = draw.grid.numerator, draw.grid.denominator
        self._display = StepDisplay(draw.grid, width, draw.least)
        self._known: dict[int, str] = {}

    def texts(self, places: range) -> list[str]:
        steps = self._steps[places.start : places.stop]
        return self._whole(steps) if self._top == self._bottom == 1 else self._numbers(steps)

    def _whole(self, steps: Sequence[int]) -> list[str]:
        known = self._known
        return [known.get(value) or self._whole_one(value) for value in steps]

    def _whole_one(self, value: int) -> str:
        ends = f'"low":{value - self._width},"high":{value + self._width}'
        text = f'{self._name}:{{"value":{value},{ends},"display":"{self._display.text(value)}"}}'
        if len(self._known) < KNOWN_MAX:
            self._known[value] = text
        return text

    def _numbers(self, steps: Sequence[int]) -> list[str]:
        """True division of whole numbers gives the nearest double, as `float` of the fraction does."""
        name, top, bottom, width, display = self._name, self._top, self._bottom, self._width, self._display.text
        return [
            f'{name}:{{"value":{value * top / bottom!r},"low":{(value - width) * top / bottom!r},'
            f'"high":{(value + width) * top / bottom!r},"display":"{display(value)}"}}'
            for value in steps
        ]


class _DerivedCells:
    """What is computed from several draws, or read off those of a quantile."""

    def __init__(self, plan: Plan, output: Output, noisy: Noisy, readers: Mapping[int, QuantileReader]) -> None:
        self._plan, self._output, self._noisy, self._readers = plan, output, noisy, readers
        self._name, self._estimator = _json(output.name), Estimator(output.expression, terms_of(plan))
        self._least = least_of(output.expression, _least_by_draw(plan))

    def texts(self, places: range) -> list[str]:
        return [self._text(place) for place in places]

    def _text(self, place: int) -> str:
        drawn, asked = _Drawn(self._plan, self._noisy, place, self._readers), self._output.expression
        if isinstance(asked, Quantile):
            body = _quantile(self._plan.draws[asked.index], asked, drawn)
        else:
            body = _derived(self._estimator, drawn, self._least)
        return f"{self._name}:{_json(body)}"


class _Drawn:
    """What was drawn for one group: `numbers` in their measures' units, and quantiles."""

    def __init__(self, plan: Plan, noisy: Noisy, place: int, readers: Mapping[int, QuantileReader]) -> None:
        self._readers = readers
        self._entries = {
            draw.index: noisy.vectors[draw.index][place * draw.entries : (place + 1) * draw.entries]
            for draw in plan.draws
        }
        self.numbers = {
            i: float(self._entries[i][0] * plan.draws[i].grid) for i in self._entries.keys() - readers.keys()
        }

    def quantile(self, quantile: Quantile, alpha: float) -> Estimate:
        """A quantile, and the interval that holds it with probability 1 - alpha."""
        return self._readers[quantile.index].find(self._entries[quantile.index], quantile.share, alpha)


def _quantile(draw: Draw, quantile: Quantile, drawn: _Drawn) -> dict[str, Any]:
    """A selected quantile's interval is its bounds; how sure it is is told in ranks, with the measure."""
    found = drawn.quantile(quantile, ALPHA)
    cell = {"value": found.value, "low": found.low, "high": found.high}
    body = {name: int(number) if number is not None and draw.grid == 1 else number for name, number in cell.items()}
    if draw.quantiles is not None and draw.quantiles.share is not None:
        off = _whole_rank_error(draw, quantile)
        return body | {
            "display": f"about {_plain(found.value)}, at most {off} rows farther off than the best candidate"
        }
    return body | {"display": _between(found)}


def _plain(number: float | None) -> str:
    return "nothing" if number is None else f"{number:,.6g}"


def _between(found: Estimate) -> str:
    """A place among values: that its interval holds zero says nothing about it."""
    if found.value is None or found.low is None or found.high is None:
        return "too noisy to tell"
    width = found.high / 2 - found.low / 2
    low, high = rounded(found.low, width, math.floor), rounded(found.high, width, math.ceil)
    return f"about {rounded(found.value, width)} ({low} to {high})"


def _derived(estimator: Estimator, drawn: _Drawn, least: float) -> dict[str, Any]:
    """A cell that is computed from draws, or one that says nothing.

    Nothing here may raise: a draw that was paid for and lost would be drawn again, and whether it was lost would tell
    something of it for free.
    """
    try:
        made = estimator.estimate(drawn.numbers, drawn.quantile)
        found = Estimate(_finite(made.value), _finite(made.low), _finite(made.high))
        shown = display(found, least=least)
    except (ArithmeticError, ValueError):
        found, shown = Estimate(None, None, None), display(Estimate(None, None, None))
    return {"value": found.value, "low": found.low, "high": found.high, "display": shown}


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None


def _in_units(steps: int, draw: Draw) -> int | float:
    return steps if draw.grid == 1 else float(steps * draw.grid)


def json_value(value: KeyValue) -> str | int | float | bool:
    """A key's value as JSON has it: dates and times in ISO form, decimals as numbers."""
    if isinstance(value, date | datetime):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal | Fraction) else value


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
