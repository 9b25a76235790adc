"""What is drawn for a statistic, and the moments behind averages and variances.

For one unit and group, with n rows of codes v about a centre c, each |v - c| <= reach:

- the centred sum is at most n * reach, the count is n, and the centred squares, each divided by `square_steps` and
  rounded to a whole number, add up to at most n times what reach^2 becomes so;
- where rows are dropped, n <= max_rows in each group; where the unit's vector over groups is weighed, the weight that
  brings the norm of its numbers of rows to R brings the other moments to R times what one row can add.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction

from dpstats.plan.plan import Quantiles

FRACTION = 1000
"""Grid steps in one row or unit where counts are scaled by a weight."""
SATURATED = 2**50
"""The most that one cell may hold before norms are taken: squares of it add up inside 128 bits."""
SQUARE_DIGITS = 7
"""Squares of codes are divided by a power of ten that leaves the largest so many digits: sums stay inside 64 bits."""


@dataclass(frozen=True)
class Adds:
    """What one row adds to a unit's part in a group, where that part is a total of its rows, clipped.

    `row`: the SQL of a whole number, NULL where the row adds nothing; "" where every row counts. `counted`: what is
    added is 1. `once`: of a unit's rows in a group the first counts, and no other. While what is added above zero is
    at most `high` in all, and what is below at least `low`, the part is the plain total `times` a constant: no clip
    bites.
    """

    row: str
    counted: bool
    low: int | None = None
    high: int | None = None
    times: int = 1
    once: bool = False


@dataclass(frozen=True)
class DrawSpec:
    """One vector to draw: its name, kind, grid and the most that one unit moves one cell, in grid steps.

    `per_unit` is the SQL that clips one unit's part in one group. Where a unit's vector over all groups is clipped to
    a norm, `norm` is that norm in grid steps, and `weigher` the draw whose norm decides the weight. `span`: how far
    apart two parts of a unit can be, 0 among them, where that is not `per_cell`. `quantiles`: what is drawn is not a
    number a group but a quantile; `repeats` is the levels of its tree, 1 without one.
    `least`: what no true number is below, in grid steps, where that is known; it is for display.
    """

    name: str
    kind: str
    grid: Fraction
    per_cell: int
    words: str
    statistic: int
    per_unit: str
    norm: int | None = None
    weigher: int = -1
    span: int | None = None
    quantiles: Quantiles | None = None
    repeats: int = 1
    adds: Adds | None = None
    least: int | None = None


@dataclass(frozen=True)
class Moments:
    """How rows are coded (steps of `step` about `centre`, at most `reach` away) and how a unit's part is limited.

    `norm`: of a unit's numbers of rows over groups, in thousandths of a row, >= 1; None where rows are dropped.
    """

    step: Fraction
    centre: int
    reach: int
    max_rows: int
    norm: int | None

    @property
    def square_steps(self) -> int:
        """What squares of codes are divided by."""
        return int(10 ** max(0, len(str(self.reach**2)) - SQUARE_DIGITS))


def moment_draws(name: str, index: int, moments: Moments, *, squares: bool) -> list[DrawSpec]:
    """The draws behind an average (centred sum, number of rows) and, with `squares`, a variance."""
    centred = f"(v{index} - {moments.centre}::BIGINT)"
    divisor, half = moments.square_steps, moments.square_steps // 2
    square = f"(({centred}::HUGEINT * {centred} + {half}) // {divisor})"
    square_reach = max(1, (moments.reach**2 + half) // divisor)
    wanted = [("sum", "rows_sum", moments.step, centred, moments.reach), ("rows", "count", Fraction(1), "", 1)]
    if squares:
        wanted.append(("squares", "rows_squares", moments.step**2 * divisor, square, square_reach))
    make = _dropped if moments.norm is None else _weighed
    rows = [DrawSpec(f"{name}.{tail}", kind, grid, reach, "", index, row) for tail, kind, grid, row, reach in wanted]
    return [make(row, moments) for row in rows]


def _dropped(spec: DrawSpec, moments: Moments) -> DrawSpec:
    """At most `max_rows` rows of the unit in a group; `spec` holds one row's SQL and reach."""
    i, rows = spec.statistic, moments.max_rows
    kept = f"FILTER (WHERE r{i} <= {rows} AND v{i} IS NOT NULL)"
    most = rows * spec.per_cell
    if not spec.per_unit:
        sql, adds = f"least({rows}, count(*) {kept})", Adds(f"v{i}", counted=True, low=0, high=rows)
    else:
        sql = f"greatest({-most}::HUGEINT, least({most}::HUGEINT, coalesce(sum({spec.per_unit}) {kept}, 0)))"
        adds = Adds(spec.per_unit, counted=False)  # of at most `rows` rows, each within its reach: no clip bites
    return replace(spec, per_cell=most, per_unit=sql, adds=adds)


def _weighed(spec: DrawSpec, moments: Moments) -> DrawSpec:
    """All rows of the unit in a group; the norm of its numbers of rows decides the weight of every moment."""
    steps = moments.norm or 1
    if spec.per_unit:
        most = math.ceil(Fraction(steps, FRACTION) * spec.per_cell)
        total = f"coalesce(sum({spec.per_unit}), 0)"
        return replace(spec, per_cell=most, norm=most, per_unit=total, adds=Adds(spec.per_unit, counted=False))
    value, most = f"v{spec.statistic}", SATURATED // FRACTION
    counted = f"least({most}, count({value}))::HUGEINT * {FRACTION}"
    adds = Adds(value, counted=True, low=0, high=most, times=FRACTION)
    return replace(spec, grid=Fraction(1, FRACTION), per_cell=steps, norm=steps, per_unit=counted, adds=adds)
