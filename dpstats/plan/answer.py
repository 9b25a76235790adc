"""From noisy vectors to the rows and measures of a release: post-processing only, so it costs nothing.

Values are left as the noise made them; only `display`, a sentence for people, is rounded to what the interval can
tell and kept inside what is possible.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from dpstats.plan.arithmetic import Drawn, Estimate, Estimator, Spread, half_width_of
from dpstats.plan.denominators import reference
from dpstats.plan.plan import Draw, KeyValue, Noisy, Output, Plan
from dpstats.privacy.accuracy import Term, half_width_steps

LOG10_2 = math.log10(2)
DIGITS_MAX = 15
"""Beyond so many digits either way a number is shown as it is."""


def terms_of(plan: Plan) -> dict[int, Term]:
    """The noise of each draw in its measure's units."""
    return {draw.index: Term(draw.mechanism.noise, draw.mechanism.scale, float(draw.grid), 1.0) for draw in plan.draws}


def is_integer(plan: Plan, output: Output) -> bool:
    """Whether a measure is a single draw counted in whole numbers."""
    return isinstance(output.expression, Drawn) and plan.draws[output.expression.index].grid == 1


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


def rows(plan: Plan, noisy: Noisy) -> list[dict[str, Any]]:
    """One object a group, sorted by key: the keys, then each measure's value, interval and display.

    Args:
      plan: what was asked.
      noisy: its groups and, for each draw, one whole number a group.
    """
    terms = terms_of(plan)
    estimators = [Estimator(output.expression, terms) for output in plan.outputs]
    names = [key.name for key in plan.keys]
    answer: list[dict[str, Any]] = []
    for place, group in enumerate(noisy.groups):
        row: dict[str, Any] = dict(zip(names, (json_value(value) for value in group), strict=True))
        draws = {draw.index: float(noisy.vectors[draw.index][place] * draw.grid) for draw in plan.draws}
        for output, estimator in zip(plan.outputs, estimators, strict=True):
            row[output.name] = _cell(plan, output, estimator, draws, [vector[place] for vector in noisy.vectors])
        answer.append(row)
    return answer


def _cell(
    plan: Plan, output: Output, estimator: Estimator, draws: Mapping[int, float], steps: Sequence[int]
) -> dict[str, Any]:
    if isinstance(output.expression, Drawn):
        draw = plan.draws[output.expression.index]
        width = half_width_steps(draw.mechanism)
        value = steps[draw.index]
        cell = {"value": value, "low": value - width, "high": value + width}
        body: dict[str, Any] = {name: _in_units(number, draw) for name, number in cell.items()}
        least = 0.0 if draw.kind in {"count", "units", "distinct"} else -math.inf
        return body | {"display": display(Estimate(body["value"], body["low"], body["high"]), least=least)}
    return _derived(output, estimator, draws)


def _derived(output: Output, estimator: Estimator, draws: Mapping[int, float]) -> dict[str, Any]:
    """A cell that is computed from draws, or one that says nothing.

    Nothing here may raise: a draw that was paid for and lost would be drawn again, and whether it was lost would tell
    something of it for free.
    """
    least = 0.0 if isinstance(output.expression, Spread) else -math.inf
    try:
        made = estimator.estimate(draws)
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
