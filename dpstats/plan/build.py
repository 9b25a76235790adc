"""From an understood query, its parameters and its key values to a priced `Plan`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

from dpstats.catalog.parameters import BoundParameters
from dpstats.catalog.query import KeysFrom, PrivateKeys
from dpstats.catalog.types import ColumnType, parse_value
from dpstats.errors import QueryRefused, Refusal
from dpstats.plan.analysis import GROUPS_MAX, Analysis, KeySpec, TruncatedSpan
from dpstats.plan.answer import terms_of
from dpstats.plan.arithmetic import Estimator
from dpstats.plan.plan import Draw, KeyColumn, Output, Plan, Threshold
from dpstats.plan.pricing import amounts
from dpstats.plan.sql import write
from dpstats.plan.typed import Kind
from dpstats.privacy.loss import Loss, Measure, no_loss
from dpstats.privacy.mechanism import Noise, Sensitivity, calibrate, price
from dpstats.privacy.threshold import delta_steps, threshold

KEY_TYPES = {
    Kind.INT: "bigint",
    Kind.TEXT: "varchar",
    Kind.BOOL: "boolean",
    Kind.DATE: "date",
    Kind.TIMESTAMP: "timestamp",
}
PublicValues = Callable[[str, str], Sequence[object]]
"""(table, column) of a public table -> its distinct values."""


def build(analysis: Analysis, parameters: BoundParameters, public_values: PublicValues) -> Plan:
    """The plan of a query for these parameters.

    Args:
      analysis: the query, understood.
      parameters: checked against the query's declarations.
      public_values: reads the distinct values of a public column; personal tables are never asked for.

    Raises:
      QueryRefused: a key has no values or one of the wrong type, there are too many groups, or the noise that the cost
        asks for is out of range.
    """
    keys = tuple(_key(analysis, key, parameters, public_values) for key in analysis.keys)
    sizes = [len(key.values) for key in keys]
    groups = _groups(analysis, [len(key.values) for key in keys if not key.private])
    max_groups = analysis.max_groups if analysis.deciding is not None else min(analysis.max_groups, groups)
    draws = _draws(analysis, max_groups)
    threshold = _threshold(analysis, draws, max_groups)
    loss = sum((price(draw.mechanism) for draw in draws), start=no_loss(analysis.dataset.measure))
    if threshold is not None:
        loss += Loss(loss.measure, 0, threshold.delta_steps)
    made = Plan(
        dataset=analysis.dataset.dataset,
        query=analysis.query.query,
        query_version=analysis.version,
        parameters=parameters.canonical,
        parameter_values={name: parameters.values[name] for name in sorted(analysis.used_parameters)},
        sql=write(analysis, sizes, max_groups),
        keys=keys,
        draws=draws,
        outputs=tuple(
            Output(o.name, o.expression, _words(analysis, max_groups, o.words), o.unit) for o in analysis.outputs
        ),
        loss=loss,
        tables=tuple(sorted(analysis.reads)),
        proof=_proof(analysis, max_groups, groups, draws, threshold, loss),
        threshold=threshold,
    )
    _check_formulas(analysis, made)
    return made


def _check_formulas(analysis: Analysis, plan: Plan) -> None:
    """Refuses, before anything is charged, a formula over the draws that cannot be computed."""
    try:
        for output in plan.outputs:
            Estimator(output.expression, terms_of(plan))
    except (ArithmeticError, ValueError):
        raise _refuse(analysis, f"the formula of {output.name}", "Write smaller constants") from None


def _refuse(analysis: Analysis, what: str, instead: str) -> QueryRefused:
    return QueryRefused(analysis.query.query, [Refusal(what, instead)])


def _key(analysis: Analysis, key: KeySpec, parameters: BoundParameters, public_values: PublicValues) -> KeyColumn:
    type_name = KEY_TYPES[key.kind]
    declared = key.source
    if isinstance(declared, PrivateKeys):
        return KeyColumn(key.name, type_name, (), private=True)
    if isinstance(declared, KeysFrom):
        raw = public_values(declared.table, declared.column)
    elif isinstance(declared, TruncatedSpan):
        ends = [_edge(edge, parameters) for edge in (declared.since, declared.until)]
        raw = truncated_dates(declared.unit, ends[0], ends[1])
    else:
        raw = declared
    try:
        values = [parse_value(ColumnType.parse(type_name), value) for value in raw]
    except ValueError as error:
        raise _refuse(analysis, f"keys: {key.name}: {error}", f"Give values of type {type_name}") from None
    unique = sorted(set(values))
    if not unique:
        raise _refuse(analysis, f"keys: {key.name} has no values", "Declare at least one")
    return KeyColumn(key.name, type_name, tuple(unique))


def _edge(edge: date | str, parameters: BoundParameters) -> date:
    value = parameters.values[edge.removeprefix("$")] if isinstance(edge, str) else edge
    if not isinstance(value, date):
        raise TypeError("a window's ends are dates")
    return value


def truncated_dates(unit: str, since: date, until: date) -> list[date]:
    """Every date that DATE_TRUNC(unit, ..) gives for the days from `since` to before `until`, in order.

    Args:
      unit: day, week (from Monday), month, quarter or year.
    """
    days = (until - since).days
    return sorted({_truncated(unit, since + timedelta(days=n)) for n in range(days)})


def _truncated(unit: str, day: date) -> date:
    if unit == "day":
        return day
    if unit == "week":
        return day - timedelta(days=day.weekday())
    if unit == "quarter":
        return day.replace(month=3 * ((day.month - 1) // 3) + 1, day=1)
    return day.replace(day=1) if unit == "month" else day.replace(month=1, day=1)


def _groups(analysis: Analysis, sizes: Sequence[int]) -> int:
    groups = 1
    for size in sizes:
        groups *= size
    if groups > GROUPS_MAX:
        raise _refuse(analysis, f"{groups} groups", f"Declare fewer values: at most {GROUPS_MAX} groups are answered")
    return groups


def _draws(analysis: Analysis, max_groups: int) -> tuple[Draw, ...]:
    noise = Noise.GAUSSIAN if analysis.dataset.measure is Noise.GAUSSIAN.measure else Noise.LAPLACE
    sensitivities = [Sensitivity(spec.per_cell, max_groups, spec.norm) for spec in analysis.draws]
    try:
        shares = amounts(analysis, noise, sensitivities)
        mechanisms = [calibrate(noise, s, amount) for s, amount in zip(sensitivities, shares, strict=True)]
    except ValueError as error:
        raise _refuse(
            analysis, f"the noise that this cost asks for is not possible ({error})", "Change `cost` or `bounds`"
        ) from None
    return tuple(
        Draw(i, spec.name, spec.kind, spec.grid, mechanism, spec.words)
        for i, (spec, mechanism) in enumerate(zip(analysis.draws, mechanisms, strict=True))
    )


def _threshold(analysis: Analysis, draws: Sequence[Draw], max_groups: int) -> Threshold | None:
    """The threshold of private keys: the smallest delta asked for by one of them, else a hundredth of the dataset's."""
    if analysis.deciding is None:
        return None
    asked = [k.source.delta for k in analysis.keys if isinstance(k.source, PrivateKeys) and k.source.delta is not None]
    delta = Fraction(min(asked)) if asked else Fraction(analysis.dataset.delta_thresholds) / 100
    units = draws[analysis.deciding].mechanism
    at = threshold(units, max_groups, delta, analysis.dataset.min_units)
    return Threshold(analysis.deciding, at, max_groups, delta_steps(units, max_groups, at))


def _words(analysis: Analysis, max_groups: int, words: str) -> str:
    if analysis.query.contribution.max_norm is not None:
        return words
    return f"max_groups {max_groups}, {words}" if words else f"max_groups {max_groups}"


def _proof(
    analysis: Analysis, max_groups: int, groups: int, draws: Sequence[Draw], found: Threshold | None, loss: Loss
) -> tuple[str, ...]:
    """The chain unit -> rows -> groups -> grid -> sensitivity -> mechanism -> charge, a line each."""
    unit = analysis.dataset.privacy_unit
    lines = [
        f"unit: one {unit}, with all its rows in every personal table, is added or removed",
        f"rows: at most {analysis.dataset.max_rows_per_unit} a unit in each personal table (kept so at load); "
        f"values saturated to their columns' bounds; joins on {unit} only",
        f"groups: {'found in the data' if found else f'{groups} declared'}; {_touched(analysis, max_groups)}",
    ]
    lines += [_draw_line(draw) for draw in draws]
    if found is not None:
        lines.append(
            f"keys: a group is released when its noisy count of units is at least {found.at}; a unit alone in "
            f"{found.max_groups} groups is seen with probability at most delta {_exactly(loss.delta_decimal)}"
        )
    delta = f", delta {_exactly(loss.delta_decimal)}" if loss.delta else ""
    lines.append(f"charge: {loss.measure.unit} {loss.amount_decimal:f}{delta}")
    return tuple(lines)


def _exactly(delta: Decimal) -> str:
    return f"{delta.normalize():e}"


def _touched(analysis: Analysis, max_groups: int) -> str:
    if analysis.query.contribution.max_norm is not None:
        return "one unit may touch them all; its vector over them is cut to the measure's max_norm"
    why = "every key is a fact about the unit" if analysis.facts else "contribution.max_groups, kept by keyed hash"
    return f"one unit touches at most {max_groups} ({why})"


def _draw_line(draw: Draw) -> str:
    mechanism, cost = draw.mechanism, price(draw.mechanism)
    bound = f", {draw.bounding}" if draw.bounding else ""
    norm = (
        f"L2^2 {mechanism.sensitivity.l2_squared}" if cost.measure is Measure.ZCDP else f"L1 {mechanism.sensitivity.l1}"
    )
    return (
        f"{draw.name}: grid {_step(draw)}{bound}; sensitivity {mechanism.sensitivity.per_cell} steps "
        f"in {mechanism.sensitivity.cells} cells ({norm}); {mechanism.noise} scale {mechanism.scale:.6g} steps; "
        f"{cost.measure.unit} {cost.amount_decimal:f}"
    )


def _step(draw: Draw) -> str:
    return f"{Decimal(draw.grid.numerator) / Decimal(draw.grid.denominator):f}"
