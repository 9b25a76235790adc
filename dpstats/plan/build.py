"""From an understood query, its parameters and its key values to a priced `Plan`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction

from dpstats.catalog.parameters import BoundParameters
from dpstats.catalog.query import AccuracyAt, CostAccuracy, KeysFrom, PrivateKeys
from dpstats.catalog.types import ColumnType, parse_value
from dpstats.errors import QueryRefused, Refusal
from dpstats.plan.analysis import GROUPS_MAX, Analysis, OutputSpec
from dpstats.plan.answer import terms_of
from dpstats.plan.at_rest import at_rest
from dpstats.plan.caps import PublicCount, within_caps
from dpstats.plan.estimating import Estimator
from dpstats.plan.fanout import Readings, in_words
from dpstats.plan.keys import KeySpec, TruncatedSpan
from dpstats.plan.moments import DrawSpec
from dpstats.plan.plan import ByUnit, Draw, KeyColumn, Output, Plan, Threshold, Top
from dpstats.plan.pricing import Priced, amounts
from dpstats.plan.proof import proof
from dpstats.plan.spark.pieces import NotOnSpark
from dpstats.plan.spark.selects import declared, translate
from dpstats.plan.sql import write
from dpstats.plan.top import moved_apart
from dpstats.plan.typed import Kind
from dpstats.plan.wording import amount
from dpstats.privacy.accuracy import half_width_steps
from dpstats.privacy.loss import Loss, no_loss
from dpstats.privacy.mechanism import ADDED, SELECTED, Noise, Sensitivity, calibrate, price
from dpstats.privacy.threshold import delta_steps, threshold

CELLS_MAX = 4_000_000
"""Exact counts of all quantiles in all groups; where keys are private, in those that one unit may touch."""
NODES_MAX = 1_000_000
"""Noisy counts that the groups of a quantile's tree may have together: more would take minutes to draw."""
SELECTED_MAX = 2_000_000
"""Groups that are looked at, once for each that is selected."""
KEY_TYPES = {
    Kind.INT: "bigint",
    Kind.TEXT: "varchar",
    Kind.BOOL: "boolean",
    Kind.DATE: "date",
    Kind.TIMESTAMP: "timestamp",
}
PublicValues = Callable[[str, str], Sequence[object]]
"""(table, column) of a public table -> its distinct values."""


def build(
    analysis: Analysis, parameters: BoundParameters, public_values: PublicValues, public_count: PublicCount
) -> Plan:
    """The plan of a query for these parameters.

    Args:
      analysis: the query, understood.
      parameters: checked against the query's declarations.
      public_values: reads the distinct values of a public column; personal tables are never asked for.
      public_count: counts rows of public tables, for what one personal row meets in joins.

    Raises:
      QueryRefused: a key has no values or one of the wrong type, there are too many groups, the noise that the cost
        asks for is out of range, or public tables multiply rows past the cap.
    """
    analysis, read = within_caps(analysis, parameters, public_count)
    _check_ranks(analysis, read)
    keys = tuple(_key(analysis, key, parameters, public_values) for key in analysis.keys)
    sizes = [len(key.values) for key in keys]
    groups = _groups(analysis, [len(key.values) for key in keys if not key.private])
    paid = priced(analysis, groups)
    sql = write(analysis, sizes, paid.max_groups)
    made = Plan(
        dataset=analysis.dataset.dataset,
        query=analysis.query.query,
        query_version=analysis.version,
        parameters=parameters.canonical,
        parameter_values={name: parameters.values[name] for name in sorted(analysis.used_parameters)},
        sql=sql,
        keys=keys,
        draws=paid.draws,
        outputs=tuple(_output(analysis, each, paid) for each in analysis.outputs),
        loss=paid.loss,
        tables=tuple(sorted(analysis.reads)),
        proof=proof(analysis, paid, in_words(read), parameters),
        threshold=paid.threshold,
        floor=analysis.floor,
        top=paid.top,
        at_rest=at_rest(analysis, sql, keys, paid.max_groups, parameters),
        by_unit=_by_unit(analysis),
    )
    _check_formulas(analysis, made)
    _check_engine(analysis, made)
    return made


def _by_unit(analysis: Analysis) -> ByUnit | None:
    """Where units are, if the answer is a sum over them: distinct values of several units are no sum."""
    tables = analysis.dataset.personal_tables
    read = tuple(sorted(analysis.reads.keys() & tables.keys()))
    hidden = any(column.lower() == "rowid" for table in read for column in tables[table].columns)
    if hidden or any(statistic.distinct for statistic in analysis.statistics):
        return None
    return ByUnit(analysis.dataset.privacy_unit, read)


def groups_of_a_unit(analysis: Analysis, groups: int) -> int:
    """How many groups one unit may touch, of so many declared ones."""
    return analysis.max_groups if analysis.deciding is not None else min(analysis.max_groups, groups)


def priced(analysis: Analysis, groups: int, times: Fraction = Fraction(1)) -> Priced:
    """The draws, what chooses groups, and the loss, at `times` the query's own cost, of so many declared groups.

    Raises:
      QueryRefused: the noise that the cost asks for is out of range, or too much for the floor to mean anything.
    """
    max_groups = groups_of_a_unit(analysis, groups)
    draws, top = _draws(analysis, max_groups, groups, times)
    _check_floor(analysis, draws)
    threshold = _threshold(analysis, draws, max_groups)
    mechanisms = [*(draw.mechanism for draw in draws), *([top.mechanism] if top and top.mechanism else [])]
    loss = sum((price(mechanism) for mechanism in mechanisms), start=no_loss(analysis.dataset.measure))
    if threshold is not None:
        loss += Loss(loss.measure, 0, threshold.delta_steps)
    return Priced(groups, max_groups, draws, top, threshold, loss)


def _check_floor(analysis: Analysis, draws: Sequence[Draw]) -> None:
    """Refuses a floor that noise alone often lifts a group of one over: whose count is not sure to within the floor.

    Where keys are private a threshold decides, which accounts for its count's noise.
    """
    floor = analysis.floor
    if floor is None or analysis.deciding is not None:
        return
    draw = draws[floor.draw]
    width = half_width_steps(draw.mechanism) * draw.grid
    if width > floor.at:
        raise _refuse(
            analysis,
            f"smallest_group {floor.at:,} is decided by a count of units that is right to {amount(float(width))} at "
            "this cost: a group of one would often be told",
            "Spend more, or more of it on the count (select it, and give it `weights` or an accuracy), or lower its "
            "max_norm or max_groups; or raise smallest_group",
        )


def _check_engine(analysis: Analysis, plan: Plan) -> None:
    """Refuses, before anything is charged, what the dataset's engine cannot say so that it means the same."""
    if analysis.dataset.engine is None:
        return
    try:
        translate(plan.sql, declared(analysis.dataset))
    except NotOnSpark as refused:
        raise _refuse(analysis, refused.what, refused.instead) from None


def _check_ranks(analysis: Analysis, read: Readings) -> None:
    """Refuses a join for which rows would be told apart by the rank that a load gives them: in place they have none."""
    dataset = analysis.dataset
    for table, reading in read.items():
        if dataset.tables[table].in_place and reading.rank is not None:
            raise _refuse(
                analysis,
                f"a join of {table}, which is read in place: with {dataset.max_rows_per_unit:,} rows of one unit in a "
                "table, it would have too many rows of one",
                "Join what a CTE groups by the privacy unit, lower max_rows_per_unit in dataset.yaml, or load "
                f"{table} as a copy",
            )


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


def _draws(analysis: Analysis, max_groups: int, groups: int, times: Fraction) -> tuple[tuple[Draw, ...], Top | None]:
    """The draws and the selection of the largest groups, which share the cost."""
    top = _top(analysis, groups)
    cells = min(max_groups, top.k) if top is not None and top.selects else max_groups
    wanted = [_wanted(analysis, spec, cells) for spec in analysis.draws]
    if top is not None and top.selects:
        wanted.append((SELECTED[analysis.dataset.measure], Sensitivity(top.range, top.k)))
    _check_size(analysis, groups if analysis.deciding is None else groups * max_groups, top)
    try:
        shares = amounts(analysis, wanted, times)
        mechanisms = [calibrate(*each, amount) for each, amount in zip(wanted, shares, strict=True)]
    except ValueError as error:
        raise _refuse(
            analysis, f"the noise that this cost asks for is not possible ({error})", "Change `cost` or `bounds`"
        ) from None
    draws = tuple(
        Draw(i, spec.name, spec.kind, spec.grid, mechanisms[i], spec.words, spec.quantiles, spec.least)
        for i, spec in enumerate(analysis.draws)
    )
    return draws, None if top is None else Top(top.draw, top.k, mechanisms[-1] if top.selects else None)


def _check_size(analysis: Analysis, groups: int, top: _TopWanted | None) -> None:
    """Refuses what would take too much memory or time, as far as is known before any row is read."""
    of = [spec.quantiles for spec in analysis.draws if spec.quantiles is not None]
    nodes = sum(quantiles.tree.nodes for quantiles in of if quantiles.share is None)
    if groups * sum(quantiles.cells for quantiles in of) > CELLS_MAX or groups * nodes > NODES_MAX:
        raise _refuse(analysis, f"{groups} groups of so many candidates", "Declare fewer groups, or `candidates: {..}`")
    if top is not None and top.selects and groups * top.k > SELECTED_MAX:
        raise _refuse(analysis, f"the {top.k} largest of {groups} groups", "Declare fewer groups, or a smaller LIMIT")


@dataclass(frozen=True)
class _TopWanted:
    """A selection of the largest groups before it is priced; `selects`: by their exact values."""

    draw: int
    k: int
    range: int
    selects: bool


def _top(analysis: Analysis, groups: int) -> _TopWanted | None:
    """Which groups are selected; None where all of them fit in LIMIT anyhow."""
    top = analysis.top
    if top is None:
        return None
    private = analysis.deciding is not None
    if top.k >= groups and not private:
        return None
    return _TopWanted(top.draw, top.k, moved_apart(analysis.draws[top.draw]), not private)


def _wanted(analysis: Analysis, spec: DrawSpec, cells: int) -> tuple[Noise, Sensitivity]:
    selects = spec.quantiles is not None and spec.quantiles.share is not None
    noise = (SELECTED if selects else ADDED)[analysis.dataset.measure]
    return noise, Sensitivity(spec.per_cell, cells * spec.repeats, spec.norm)


def _threshold(analysis: Analysis, draws: Sequence[Draw], max_groups: int) -> Threshold | None:
    """The threshold of private keys: the smallest delta asked for by one of them, else a hundredth of the dataset's."""
    if analysis.deciding is None:
        return None
    asked = [k.source.delta for k in analysis.keys if isinstance(k.source, PrivateKeys) and k.source.delta is not None]
    delta = Fraction(min(asked)) if asked else Fraction(analysis.dataset.delta_thresholds) / 100
    units = draws[analysis.deciding].mechanism
    least = max(analysis.dataset.min_units, analysis.floor.at if analysis.floor else 0)
    at = threshold(units, max_groups, delta, least)
    return Threshold(analysis.deciding, at, max_groups, delta_steps(units, max_groups, at))


def _output(analysis: Analysis, spec: OutputSpec, paid: Priced) -> Output:
    cost = analysis.query.cost
    target = cost.accuracy.get(spec.name) if isinstance(cost, CostAccuracy) else None
    at = float(target.size) if isinstance(target, AccuracyAt) else None
    return Output(spec.name, spec.expression, _bounding(analysis, spec.words, paid), spec.unit, at)


def _bounding(analysis: Analysis, words: str, paid: Priced) -> str:
    """How a measure was bounded, in the words of a release."""
    top = paid.top
    said = [] if analysis.query.contribution.max_norm is not None else [f"max_groups {paid.max_groups}"]
    said += [words] if words else []
    if top is not None and analysis.top is not None:
        said.append(f"only the {top.k} groups with the largest {'noisy ' * (top.mechanism is None)}{analysis.top.name}")
    return ", ".join(said)
