"""From noisy vectors to the rows and measures of a release: post-processing only, so it costs nothing.

Values are left as the noise made them; only `display`, a sentence for people, is rounded to what the interval can
tell and kept inside what is possible.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

from dpstats.plan.arithmetic import Drawn, Estimate, Estimator, FindQuantile, Quantile, Spread, half_width_of
from dpstats.plan.denominators import reference
from dpstats.plan.plan import Draw, KeyValue, Noisy, Output, Plan
from dpstats.plan.quantiles import QuantileReader
from dpstats.privacy.accuracy import ALPHA, Term, half_width_steps

LOG10_2 = math.log10(2)
DIGITS_MAX = 15
"""Beyond so many digits either way a number is shown as it is."""


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
    elif isinstance(output.expression, Quantile):
        body = _quantile_measure(plan.draws[output.expression.index], output.expression)
    else:
        body = {
            "mechanism": "derived",
            "scale": None,
            "half_width_95": half_width_of(output.expression, terms_of(plan)),
        }
        found = reference(output.expression, plan.draws, terms_of(plan))
        if found is not None:
            body |= {"half_width_95_at": dict(found.half_widths), "denominator": found.of}
    if output.unit:
        body["unit"] = output.unit
    return body | {"bounding": output.bounding, "type": "integer" if is_integer(plan, output) else "number"}


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
    terms = terms_of(plan)
    estimators = [Estimator(output.expression, terms) for output in plan.outputs]
    readers = {draw.index: QuantileReader(draw) for draw in plan.draws if draw.quantiles is not None}
    names = [key.name for key in plan.keys]
    answer: list[dict[str, Any]] = []
    for place, group in enumerate(noisy.groups):
        row: dict[str, Any] = dict(zip(names, (json_value(value) for value in group), strict=True))
        drawn = _Drawn(plan, noisy, place, readers)
        for output, estimator in zip(plan.outputs, estimators, strict=True):
            row[output.name] = _cell(plan, output, estimator, drawn)
        answer.append(row)
    return answer


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

    def steps(self, index: int) -> int:
        """The whole number of a draw that has one."""
        return self._entries[index][0]

    def quantile(self, quantile: Quantile, alpha: float) -> Estimate:
        """A quantile, and the interval that holds it with probability 1 - alpha."""
        return self._readers[quantile.index].find(self._entries[quantile.index], quantile.share, alpha)


def _cell(plan: Plan, output: Output, estimator: Estimator, drawn: _Drawn) -> dict[str, Any]:
    if isinstance(output.expression, Drawn):
        draw = plan.draws[output.expression.index]
        width = half_width_steps(draw.mechanism)
        value = drawn.steps(draw.index)
        cell = {"value": value, "low": value - width, "high": value + width}
        body: dict[str, Any] = {name: _in_units(number, draw) for name, number in cell.items()}
        least = 0.0 if draw.kind in {"count", "units", "distinct"} else -math.inf
        return body | {"display": display(Estimate(body["value"], body["low"], body["high"]), least=least)}
    if isinstance(output.expression, Quantile):
        return _quantile(plan.draws[output.expression.index], output.expression, drawn)
    return _derived(output, estimator, drawn.numbers, drawn.quantile)


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
    low, high = _rounded(found.low, width, math.floor), _rounded(found.high, width, math.ceil)
    return f"about {_rounded(found.value, width)} ({low} to {high})"


def _derived(
    output: Output, estimator: Estimator, draws: Mapping[int, float], quantile: FindQuantile
) -> dict[str, Any]:
    """A cell that is computed from draws, or one that says nothing.

    Nothing here may raise: a draw that was paid for and lost would be drawn again, and whether it was lost would tell
    something of it for free.
    """
    least = 0.0 if isinstance(output.expression, Spread) else -math.inf
    try:
        made = estimator.estimate(draws, quantile)
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


def display(estimate: Estimate, *, least: float = -math.inf) -> str:
    """A number as a person should read it: rounded to the scale of its interval, kept at or above `least`.

    When the interval swallows the value (it reaches from zero or below to twice the value or beyond), the number says
    nothing about its size, and the text says so.
    """
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return "too noisy to tell"
    width = estimate.high / 2 - estimate.low / 2
    low = _rounded(max(least, estimate.low), width, math.floor)
    high = _rounded(max(least, estimate.high), width, math.ceil)
    if estimate.low <= 0 <= estimate.high:
        return f"too noisy to tell: between {low} and {high}"
    return f"about {_rounded(max(least, estimate.value), width)} ({low} to {high})"


def _rounded(value: float, width: float, to_whole: Callable[[float], float] = round) -> str:
    """`value` with no digit finer than a tenth of the interval's half-width; an interval's ends are rounded outward."""
    digits = 0 if width <= 0 else -math.floor(math.log10(width) - LOG10_2)
    # Rounded first to a finer digit, so that a representation error is not taken for a step further out.
    steps = round(value * 10.0**digits, 6) if abs(digits) < DIGITS_MAX else value
    number = to_whole(steps) / 10.0**digits if abs(digits) < DIGITS_MAX else value
    return f"{number:,.{max(0, digits)}f}" if number else "0"
