"""What the bounds of a query do to its answer beyond the noise: what is dropped, clipped or cut, in words.

Said from the files alone, never from data: how much is lost is not known before it is asked, and is not told after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dpstats.catalog.query import AccuracyAt, CostAccuracy
from dpstats.plan.analysis import Analysis
from dpstats.plan.arithmetic import draws_of
from dpstats.plan.build import groups_of_a_unit
from dpstats.plan.parts import Part, parts_of
from dpstats.plan.plan import Plan
from dpstats.plan.reach import values_of_a_row
from dpstats.plan.wording import amount, counted, exactly, noun, plural, rounded_down
from dpstats.privacy.accuracy import half_width_steps
from dpstats.privacy.loss import Measure


def consequences(analysis: Analysis, plan: Plan) -> tuple[str, ...]:
    """Sentences about a query's bounds: first about its groups, then measure by measure."""
    one = noun(analysis.dataset.privacy_unit)
    lines = [*_groups(analysis, plan, one), *_threshold(plan, one), *_floor(plan, one), *_top(analysis, plan)]
    for part in parts_of(analysis):
        lines += [f"{part.names}: {line}" for line in (*_clipping(part), *_norm(part, plan))]
    return (*lines, *_solved(analysis), *_untargeted(analysis))


def _groups(analysis: Analysis, plan: Plan, one: str) -> Iterator[str]:
    if not analysis.keys:
        return
    most = groups_of_a_unit(analysis, plan.groups)
    if analysis.query.contribution.max_norm is not None:
        how = "the root of the sum of their squares" if plan.measure is Measure.ZCDP else "the sum of their sizes"
        yield (
            f"No group and no row of a {one} is dropped. Where its numbers over all groups, taken together ({how}), "
            "are above a measure's max_norm, the largest are cut to one size: the answer comes out closer to zero."
        )
    elif analysis.facts:
        yield f"Every key is a fact about the {one}, so it is in one group only: no group of it is dropped."
    elif analysis.deciding is None and most >= plan.groups:
        yield f"max_groups {most}: a {one} may be in every group, so no group of it is dropped."
    else:
        of = "groups that are found" if analysis.deciding is not None else f"{plan.groups:,} groups"
        yield (
            f"max_groups {most}: a {one} counts in at most {most:,} of the {of}, chosen by a keyed hash; what it has "
            "in others is missing from every number."
        )


def _threshold(plan: Plan, one: str) -> Iterator[str]:
    if plan.threshold is None:
        return
    at, width = plan.threshold.at, half_width_steps(plan.draws[plan.threshold.draw].mechanism)
    yield (
        f"A group is shown if its noisy number of {plural(one)} is at least {at:,}: one of {at:,} about every second "
        f"time, one of {at + width:,} at least 95 times in 100. Smaller groups are mostly missing."
    )


def _floor(plan: Plan, one: str) -> Iterator[str]:
    if plan.floor is None:
        return
    yield (
        f"smallest_group {plan.floor.at:,}: where a group's noisy number of {plural(one)} is below that, its measures "
        f"are withheld, its key is not; so is a measure that counts fewer {plural(one)} or rows itself, as an average "
        "does. It is decided by noise, so a group near it may fall on either side. Not held to it: a sum, quantile or "
        "number of values that FILTER or CASE narrows to fewer than its group, and what a difference of counts leaves: "
        "make a key of the condition if it should be."
    )


def _top(analysis: Analysis, plan: Plan) -> Iterator[str]:
    if plan.top is None or analysis.top is None:
        return
    how = "by their noisy values" if plan.top.mechanism is None else "with noise of its own"
    yield f"Only the {counted(plan.top.k, 'group')} with the largest {analysis.top.name} are shown, chosen {how}."


def _clipping(part: Part) -> Iterator[str]:
    """How one unit's part in one group is clipped; where it is weighed, only by bounds that the query states."""
    if part.specs[0].norm is not None and part.bounds is None:
        return
    if part.kind in _OF_KIND:
        yield from _OF_KIND[part.kind](part)
    elif part.specs[0].words:
        yield f"a {part.one}'s part in one group is bounded ({part.specs[0].words}); what is beyond is missing."


def _units(part: Part) -> Iterator[str]:
    if part.specs[0].norm is None:
        yield f"a {part.one} counts once in a group, so nothing is clipped."


def _count(part: Part) -> Iterator[str]:
    least, most = part.bounds or (0, part.specs[0].per_cell)
    more = counted(int(most), "row")
    yield f"a {part.one} with more than {more} in a group counts as {int(most):,}; the rest is missing."
    if least > 0:
        yield f"a {part.one} with a row in a group, but fewer than {int(least):,}, counts as {int(least):,}."


def _distinct(part: Part) -> Iterator[str]:
    most = counted(part.statistic.distinct, "value")
    yield (
        f"of a {part.one} with more than {most} in a group, so many are kept, chosen by a keyed hash; what is dropped "
        "is missing unless somebody else has it."
    )


def _sum(part: Part) -> Iterator[str]:
    if part.bounds is None:
        yield f"a {part.one}'s total in one group is {part.specs[0].words}."
        return
    low, high = (exactly(float(end), part.unit) for end in part.bounds)
    yield f"a {part.one}'s total in one group counts as {high} if it is above that; the rest is missing."
    rows = values_of_a_row(part.analysis, part.name)
    if rows is None or rows[0] < 0 or part.bounds[0] > 0:
        yield f"a {part.one}'s total in one group counts as {low} if it is below that."


def _moments(part: Part) -> Iterator[str]:
    if part.statistic.max_rows > 1:  # 0 where no row is dropped
        yield (
            f"of a {part.one} with more than {part.statistic.max_rows:,} rows in a group, so many are kept, chosen by "
            f"a keyed hash: {plural(part.one)} with many rows weigh less than their rows would."
        )
    yield f"a row's value outside {_values(part)} is moved to the nearer end."
    if part.statistic.candidates:
        yield f"the answer is one of {len(part.statistic.candidates):,} candidate values, or lies between two of them."


def _values(part: Part) -> str:
    if part.bounds is not None:
        low, high = (float(end) for end in part.bounds)
        return f"{exactly(low)} to {exactly(high, part.unit)}"
    return part.specs[0].words.rpartition("clipped to ")[2] or "its column's bounds"


_OF_KIND: dict[str, Callable[[Part], Iterator[str]]] = {
    "units": _units,
    "count": _count,
    "distinct": _distinct,
    "sum": _sum,
    "rows_sum": _moments,
    "quantile": _moments,
    "quantile_tree": _moments,
}


def _norm(part: Part, plan: Plan) -> Iterator[str]:
    """What a norm R leaves whole: in n groups alike, up to R / sqrt(n) in each under L2, R / n under L1."""
    spec = part.counting
    if spec.norm is None:
        return
    norm, power = float(spec.norm * spec.grid), 2 if plan.measure is Measure.ZCDP else 1
    if spec.kind == "units":
        whole = int(norm**power * (1 + 1e-9))
        if whole >= plan.groups:
            yield f"max_norm {exactly(norm)}: a {part.one} counts in full even if it is in every group."
            return
        each = amount(norm / plan.groups ** (1 / power))
        yield (
            f"max_norm {exactly(norm)}: a {part.one} counts in full if it is in at most {counted(whole, 'group')}; in "
            f"all {plan.groups:,}, as {each} in each."
        )
        return
    unit, several = "rows" if spec.kind == "count" else part.unit, min(16, plan.groups)
    most, each = exactly(norm, unit), amount(rounded_down(norm / several ** (1 / power), 3), unit)
    also = f", or {each} in each of {several}" if several > 1 else ""
    left = ", so clipped," if part.bounds else ""
    yield f"max_norm {most}: a {part.one} with {most}{left} in one group{also}, counts in full; twice as much, as half."


def _solved(analysis: Analysis) -> Iterator[str]:
    """For which size of group a cost was solved, so that nobody takes it for a promise about every group."""
    cost = analysis.query.cost
    targets = cost.accuracy if isinstance(cost, CostAccuracy) else {}
    for output in analysis.outputs:
        target = targets.get(output.name)
        if isinstance(target, AccuracyAt):
            where = f"{target.size:,} {'in the denominator' if target.of == 'denominator' else target.of}"
            width = amount(float(target.half_width), output.unit)
            yield (
                f"{output.name}: the cost buys ± {width} for a group of {where}, which the file states and the data do "
                "not; a smaller group has a wider interval."
            )


def _untargeted(analysis: Analysis) -> Iterator[str]:
    cost = analysis.query.cost
    if not isinstance(cost, CostAccuracy):
        return
    aimed = {i for o in analysis.outputs if o.name in cost.accuracy for i in draws_of(o.expression)}
    others = [o.name for o in analysis.outputs if not draws_of(o.expression) <= aimed]
    if others:
        yield f"{', '.join(others)}: no accuracy is asked for, so each draw gets as much as the dearest that has one."
