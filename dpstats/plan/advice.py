"""What a steward may want to change in a query, and how its noise compares with what was released before.

From the files and from released (noisy) numbers only: no row is ever looked at, so advice costs nothing and tells
nothing new. Earlier releases are given by the caller, as plain records of what they show to everybody who may see them.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from dpstats.catalog.purposes import SALE_OR_SHARING, kind_of
from dpstats.plan.analysis import Analysis
from dpstats.plan.build import groups_of_a_unit
from dpstats.plan.parts import Part, parts_of
from dpstats.plan.plan import Plan
from dpstats.plan.reach import Range, rows_of_a_unit, values_of_a_row
from dpstats.plan.wording import about, amount, counted, exactly, noun, plainly, plural, rounded_down, rounded_up, share
from dpstats.privacy.loss import Measure

BY_GROUP = SALE_OR_SHARING | {"personalization_aggregate", "contextual_ads"}
"""The kinds of purposes that treat people by the group that they are in."""
FLOOR = 20
"""The smallest group that is recommended: that of keys which are found in the data."""
FEW = 3
"""A bound of so many times the released average of a unit is recommended."""
TIGHT, WIDE = 1.5, 6
"""Bounds below or above so many times that average are remarked upon."""


@dataclass(frozen=True)
class Shown:
    """One measure of an earlier release: its values, group by group, as they were released.

    `kind`: that of its draw ("units", "count", "sum", ..), "" for what is computed from several.
    """

    kind: str
    unit: str | None
    half_width_95: float | None
    values: tuple[float, ...]


@dataclass(frozen=True)
class Earlier:
    """An earlier release of the same dataset, with the names of its keys."""

    release_id: str
    query: str
    day: date
    parameters: Mapping[str, Any]
    keys: tuple[str, ...]
    measures: Mapping[str, Shown]

    def cited(self, plan: Plan) -> str:
        """`release 1ada5bac.. of 2026-03-01`, the id whole so that it can be looked up; and what else it was asked."""
        asked = ", ".join(f"{name} {value}" for name, value in self.parameters.items())
        other = "" if dict(self.parameters) == dict(plan.parameters) else f" (asked for {asked or 'no parameters'})"
        return f"release {self.release_id} of {self.day.isoformat()}{other}"


def compared(plan: Plan, measures: Mapping[str, Mapping[str, Any]], earlier: Sequence[Earlier]) -> tuple[str, ...]:
    """How each measure's noise compares with its newest released values, in the same query.

    Args:
      measures: the plan's, as a preview has them.
      earlier: newest first; those with the same parameters are preferred.
    """
    own = _nearest([item for item in earlier if item.query == plan.query], plan)
    lines = (_relative(name, body, own, plan) for name, body in measures.items())
    return tuple(line for line in lines if line)


def _nearest(earlier: Sequence[Earlier], plan: Plan) -> list[Earlier]:
    """Those of the plan's query and parameters first, then those of its parameters, then the rest; newest first."""
    return sorted(earlier, key=lambda item: (dict(item.parameters) != dict(plan.parameters), item.query != plan.query))


def _relative(name: str, body: Mapping[str, Any], own: Sequence[Earlier], plan: Plan) -> str:
    width = body["half_width_95"]
    found = next((item for item in own if name in item.measures and item.measures[name].values), None)
    if width is None or found is None:
        return ""
    shown, unit = found.measures[name], body.get("unit")
    middle = abs(statistics.median(shown.values))
    where = "" if len(shown.values) == 1 else " in its middle group"
    if middle <= (shown.half_width_95 or 0.0):
        return f"{name}: {found.cited(plan)} could not tell it from 0{where}."
    return (
        f"{name}: {found.cited(plan)} showed about {about(middle, unit)}{where}; "
        f"± {amount(width, unit)} is {share(width, middle)}."
    )


def recommendations(analysis: Analysis, plan: Plan, earlier: Sequence[Earlier] = ()) -> tuple[str, ...]:
    """What could be changed in the query's file, and what that would do.

    Args:
      earlier: releases of the same dataset, newest first.
    """
    near = _nearest(earlier, plan)
    lines = [*_small_groups(analysis), *_norms(analysis, plan)]
    for part in parts_of(analysis):
        if part.specs[0].norm is None:  # else what a unit may add to one group does not set the noise
            lines += [f"{part.name}: {line}" for line in (*_reach(part), *_from_releases(part, plan, near))]
    return tuple(lines)


# -- small groups ----------------------------------------------------------------------------------------------


def _small_groups(analysis: Analysis) -> Iterator[str]:
    """What people are shown or sold by their group: noise alone does not make a group of one an aggregate."""
    name = analysis.query.purpose
    if analysis.floor is None and kind_of(name, analysis.dataset.purposes[name]) in BY_GROUP:
        yield (
            f"{name} treats people by their group, and no smallest group is said: groups of very few are told too, "
            f"with their noise. `purposes: {{{name}: {{smallest_group: {FLOOR}}}}}` in dataset.yaml withholds the "
            f"measures of those whose noisy number of {plural(noun(analysis.dataset.privacy_unit))} is below {FLOOR}, "
            "at no cost where the query counts them."
        )


# -- max_norm instead of max_groups ----------------------------------------------------------------------------


def _norms(analysis: Analysis, plan: Plan) -> Iterator[str]:
    """Norms of the sensitivity that bounds on groups have: the bound times sqrt(groups) in L2, times groups in L1."""
    most = groups_of_a_unit(analysis, plan.groups)
    given = analysis.query.contribution.max_norm is not None
    if given or analysis.facts or analysis.deciding is not None or analysis.top is not None or most == 1:
        return
    parts = list(parts_of(analysis))
    if any(part.measure is None or part.counting.kind not in {"units", "count", "sum"} for part in parts):
        return
    dropped = most < plan.groups
    if not dropped and all(part.kind == "units" for part in parts):
        return  # nothing is lost as it is
    written = ", ".join(f"{part.name}: {_equal_norm(part, most, plan.measure)}" for part in parts)
    better = "drops no group and no row" if dropped else "clips less"
    yield (
        f"contribution: {{max_norm: {{{written}}}}} instead of max_groups and max_rows has the same noise and "
        f"{better}: only what is above the norm is cut. A smaller norm has less noise and cuts more."
    )


def _equal_norm(part: Part, most: int, measure: Measure) -> str:
    factor = math.sqrt(most) if measure is Measure.ZCDP else float(most)
    return plainly(rounded_down(float(part.counting.per_cell * part.counting.grid) * factor, 6))


# -- bounds against what the file lets rows reach --------------------------------------------------------------


def _reach(part: Part) -> Iterator[str]:
    rows, values = rows_of_a_unit(part.analysis), values_of_a_row(part.analysis, part.name)
    if part.kind == "rows_sum":
        yield from _reach_of_average(part, rows, values)
    elif part.kind == "count" and part.bounds and rows is not None and part.bounds[1] > rows:
        yield (
            f"no {part.one} has more than {counted(rows, 'row')}, so {exactly(float(part.bounds[1]))} is never "
            f"reached; [0, {rows}] comes {_noise(rows / float(part.bounds[1]))}."
        )
    elif part.kind == "sum" and part.bounds and values:
        yield from _reach_of_sum(part, part.bounds, values, rows)


def _reach_of_average(part: Part, rows: int | None, values: Range | None) -> Iterator[str]:
    most, bounds = part.statistic.max_rows, part.bounds
    if rows is not None and most > rows:
        yield (
            f"max_rows {most} is more than the {counted(rows, 'row')} that a {part.one} can have; max_rows {rows} "
            f"comes {_noise(rows / most)}."
        )
    if bounds and values and (bounds[0] < values[0] or bounds[1] > values[1]):
        narrower = float((values[1] - values[0]) / (bounds[1] - bounds[0]))
        better = f"; those come {_noise(narrower)}" if narrower < 1 else ""
        yield f"bounds {_span(bounds)} go beyond its column's own, {_span(values)}, which every row is within{better}."


def _reach_of_sum(part: Part, bounds: Range, values: Range, rows: int | None) -> Iterator[str]:
    largest, row = max(abs(bounds[0]), abs(bounds[1])), max(abs(values[0]), abs(values[1]))
    if values[1] > bounds[1] > 0:
        yield (
            f"a single row may be {exactly(float(values[1]), part.unit)}, by its column's bounds: more than the "
            f"{exactly(float(bounds[1]), part.unit)} that a {part.one}'s whole total is clipped to."
        )
    if values[0] >= 0 and -bounds[0] > bounds[1]:
        yield f"no row is below {exactly(float(values[0]), part.unit)}, yet the low bound sets the noise: write 0."
    elif rows is not None and largest > rows * row:
        yield (
            f"a {part.one} has at most {counted(rows, 'row')} of at most {exactly(float(row), part.unit)} each, so its "
            f"total never passes {exactly(float(rows * row), part.unit)}; bounds of that come "
            f"{_noise(float(rows * row / largest))}."
        )


def _span(bounds: Range) -> str:
    return f"[{plainly(float(bounds[0]))}, {plainly(float(bounds[1]))}]"


def _noise(times: float) -> str:
    return f"with {amount(times)} times the noise at the same cost"


# -- bounds against what was released --------------------------------------------------------------------------


def _from_releases(part: Part, plan: Plan, earlier: Sequence[Earlier]) -> Iterator[str]:
    """The bound on a unit's part against the released average of it: total over units, both noisy."""
    if part.kind not in {"sum", "count"} or part.bounds is None or part.bounds[1] <= 0:
        return
    keys = {key.name for key in part.analysis.keys}
    for item in earlier:
        average = _average(item, part.name, part.kind) if set(item.keys) == keys else None
        if average is not None:
            yield _remark(part, float(part.bounds[1]), average, item.cited(plan))
            return


def _average(item: Earlier, name: str, kind: str) -> float | None:
    """A unit's average part in a group, None where either sum is lost in its noise or is not positive."""
    total = item.measures.get(name)
    units = next((shown for shown in item.measures.values() if shown.kind == "units"), None)
    if total is None or units is None or total.kind != kind:
        return None
    if not (_told_from_zero(total) and _told_from_zero(units)):
        return None
    return math.fsum(total.values) / math.fsum(units.values)


def _told_from_zero(shown: Shown) -> bool:
    """Whether the sum over groups is above twice the 95 % half-width of its noise, which grows as their root."""
    width = (shown.half_width_95 or 0.0) * math.sqrt(len(shown.values))
    return bool(shown.values) and math.fsum(shown.values) > 2 * width


def _remark(part: Part, bound: float, average: float, cited: str) -> str:
    unit = part.unit or ("rows" if part.kind == "count" else None)
    times, better = bound / average, rounded_up(FEW * average)
    start = (
        f"{cited} shows about {about(average, unit)} a {part.one} in a group on average (noisy, and clipped as it was "
        f"then); the bound of {exactly(bound, unit)} is {amount(times)} times that"
    )
    if TIGHT <= times <= WIDE:
        return f"{start}, which is usual: a few times the average."
    what = "which is wide" if times > WIDE else f"so that {plural(part.one)} above the average are clipped"
    return f"{start}, {what}. [0, {plainly(better)}] is {FEW} times, {_noise(better / bound)}."
