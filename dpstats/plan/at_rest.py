"""What is kept beside a data version, so that bounding need not be done anew for each answer.

Claim: `AtRest.sql` over what `AtRest.build` made of a data version has the same totals as `Plan.sql` over that data
version, to the last digit. So everything that is proved of the plan's answer holds, whichever way it was found.

Without parameters: the result of `Plan.sql` itself is kept, and there is nothing to prove.

With parameters, that only conditions of the outer WHERE look at: the rows that meet the other conditions are kept,
coded (`dp_coded`), with the columns that those conditions look at. Such a condition is true or not of one row, so the
plan's `dp_coded` is those of the kept rows that meet them. With each row is kept for how long a calendar period around
it (`safe`: none, month, quarter, year, all time) its unit is *whole*: within that period, for each draw and group, what
the unit's rows add above zero and what they add below are within the draw's clip; and the unit is within `max_groups`
groups, or the norm of the larger of the two over its groups is within each `max_norm`.

Let all rows that meet the parameters' conditions lie in one such period (or let the period be all time). Then
(1) a unit's rows among them are all of a whole unit or none: `safe` says the same of all rows of one unit and period;
(2) of a whole unit, any choice of rows adds to a group at most what is above zero and at least what is below. So no
clip bites; it touches no more groups; each entry of its vector is no larger than what was measured, so no norm is
passed, and the plan keeps every entry whole: its part of the totals is the plain total of what its rows add;
(3) all the plan does up to `dp_kept` looks at one unit at a time, so what it keeps of the other units is the same when
the whole units are not there. The totals are sums over units, of whole numbers, in any order.

"At most what is above zero" takes every row to be looked at by itself, which holds: `Adds.row` is SQL over one row's
code. What is counted once a unit (COUNT(DISTINCT unit)) is added up by unit and group first.

Which period is asked for follows from the parameters alone.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from datetime import date, timedelta

from dpstats.catalog.parameters import BoundParameters
from dpstats.plan.analysis import Analysis
from dpstats.plan.filters import Filters, Span
from dpstats.plan.moments import Adds, DrawSpec
from dpstats.plan.plan import AtRest, KeyColumn
from dpstats.plan.sql import bounded, coded, coded_values, with_clause
from dpstats.privacy.loss import Measure

FORMAT = 1
"""Of the tables; raised when they change, so that older ones are not looked at."""
ALL_TIME = 4
MONTHS = {1: 1, 2: 3, 3: 12}
"""Months in the period that each `safe` is about, but for `ALL_TIME`."""
NO_MONTH = -(10**9)
"""The month of a row without a date."""
_PARAMETER = re.compile(r"\$p_\w+")


def at_rest(
    analysis: Analysis, sql: str, keys: Sequence[KeyColumn], max_groups: int, parameters: BoundParameters
) -> AtRest | None:
    """What may be kept for a plan; None where nothing would help.

    Args:
      sql: the plan's.
      keys: the plan's, with their values.
      max_groups: groups of one unit that the plan keeps.
    """
    if not _PARAMETER.search(sql):
        build = [f"CREATE TABLE dp_rest.answer AS {sql}"]
        return AtRest(_key(build, keys), tuple(build), "SELECT * FROM answer")
    filters = analysis.filters
    coding = coded(analysis, [len(key.values) for key in keys], filters.body, filters.columns)
    adds = [draw.adds for draw in analysis.draws]
    if not _is_kept(analysis, coding) or any(each is None for each in adds):
        return None
    build = _build(analysis, coding, max_groups)
    return AtRest(_key(build, keys), tuple(build), _asked(analysis, max_groups, parameters))


def _is_kept(analysis: Analysis, coding: Sequence[tuple[str, str]]) -> bool:
    """Whether rows can be kept: only the outer WHERE looks at parameters, and totals are all that is asked.

    Not where joins multiply rows that conditions with parameters take away again: there might be too many without.
    """
    totals = all(not statistic.distinct and not statistic.candidates for statistic in analysis.statistics)
    tangled = any(_PARAMETER.search(sql) for _, sql in coding)
    many = any(len(each.tables) > 1 or (analysis.filters.public and each.matches) for each in analysis.fanouts)
    return totals and analysis.deciding is None and not tangled and not many


def _key(build: Sequence[str], keys: Sequence[KeyColumn]) -> str:
    values = [[key.sql_type, [str(value) for value in key.values]] for key in keys]
    return hashlib.sha256(json.dumps([FORMAT, list(build), values]).encode()).hexdigest()[:32]


def _build(analysis: Analysis, coding: Sequence[tuple[str, str]], max_groups: int) -> list[str]:
    """Rows, coded; who may not be whole; what those add to each group in each month; who is not whole when; the rows.

    A unit is whole for all time if its totals over all groups are within each clip, and either its rows are no more
    than the groups that are kept, or the sizes of its entries together (a norm is no more) within each norm. Most units
    are, and need no closer look.
    """
    span = analysis.filters.span
    columns = ["u", "g", *coded_values(analysis), *(f"f{j}" for j in range(len(analysis.filters.columns)))]
    reached = ", ".join(_reached(analysis.draws))
    kept_unit = "u" if _counts_once(analysis) else f"CASE WHEN safe < {ALL_TIME} THEN u END AS u"
    return [
        f"CREATE TEMP TABLE dp_c AS {with_clause(coding)}\n"
        f"SELECT {', '.join(['u', 'g::INTEGER AS g', *columns[2:]])}, {_month(span)} AS m FROM dp_coded",
        f"CREATE TEMP TABLE dp_near AS SELECT u FROM (SELECT u, count(*) AS n, {reached} FROM dp_c GROUP BY u) "
        f"WHERE NOT coalesce({' AND '.join(_surely_whole(analysis, max_groups))}, false)",
        f"CREATE TEMP TABLE dp_parts AS SELECT u, g, m, {reached} FROM dp_c SEMI JOIN dp_near USING (u) "
        "GROUP BY u, g, m",
        f"CREATE TEMP TABLE dp_not_{ALL_TIME} AS {_not_whole(analysis, '0', 'dp_parts', max_groups)}",
        *(_not_whole_in(analysis, level, max_groups) for level in sorted(_levels(span), reverse=True)),
        f"CREATE TABLE dp_rest.kept AS SELECT safe, {', '.join([kept_unit, *columns[1:]])} "
        f"FROM ({_with_safe(span)}) ORDER BY m, safe",
    ]


def _levels(span: Span | None) -> tuple[int, ...]:
    return () if span is None else tuple(MONTHS)


def _month(span: Span | None) -> str:
    """SQL for a row's month, counted from year 0; any number where there is none, or no span looks at it."""
    if span is None:
        return "0::BIGINT"
    day = f"f{span.column}"
    return f"coalesce(year({day})::BIGINT * 12 + month({day}) - 1, {NO_MONTH})"


def _period(level: int) -> str:
    """SQL for a month's period; all of it is in one of the next longer."""
    return "m" if MONTHS[level] == 1 else f"m // {MONTHS[level]}"


def _reached(draws: Sequence[DrawSpec]) -> list[str]:
    """SQL for what rows add to each draw below zero (`l`) and above (`h`), where a clip or norm can be passed.

    Past the largest that is ever asked about, a total is cut: it stays past it, and is small enough to go on with.
    """
    found = []
    for i, draw in enumerate(draws):
        adds, most = _adds(draw), _most(draw)
        if most is None:
            continue
        if adds.once:
            found.append(f"{f'(count({adds.row}) > 0)' if adds.row else '1'}::BIGINT AS h{i}")
        elif adds.counted:
            found.append(f"least(count({adds.row or '*'}), {most})::BIGINT AS h{i}")
        else:
            found.append(f"least(coalesce(sum(greatest({adds.row}, 0)), 0), {most})::BIGINT AS h{i}")
            found.append(f"greatest(coalesce(sum(least({adds.row}, 0)), 0), -{most})::BIGINT AS l{i}")
    return found


def _most(draw: DrawSpec) -> int | None:
    """Just past every clip and norm of a draw; None where it has none."""
    adds = _adds(draw)
    ends = [abs(end) for end in (adds.low, adds.high, draw.norm) if end is not None]
    return max(ends) + 1 if ends else None


def _size(i: int, draw: DrawSpec) -> str:
    """SQL for the larger of what is added below and above, in steps of the norm."""
    adds = _adds(draw)
    larger = f"h{i}" if adds.counted or adds.once else f"greatest(h{i}, -l{i})"
    return larger if adds.times == 1 else f"{larger} * {adds.times}"


def _surely_whole(analysis: Analysis, max_groups: int) -> list[str]:
    if analysis.query.contribution.max_norm is None:
        return [f"n <= {max_groups}", *_clips(analysis.draws)]
    norms = [f"({_all_sizes(i, draw)}) * {_adds(draw).times} <= {draw.norm}" for i, draw in enumerate(analysis.draws)]
    return [*norms, *_clips(analysis.draws)]


def _all_sizes(i: int, draw: DrawSpec) -> str:
    """SQL for what the entries of all groups are together at most, from a unit's totals over all groups.

    An entry is the larger of what is added above zero in its group, and below: of both signs, both count.
    """
    adds = _adds(draw)
    return "n" if adds.once else f"h{i}" if adds.counted else f"h{i} - l{i}"


def _adds(draw: DrawSpec) -> Adds:
    if draw.adds is None:
        raise ValueError("a draw that is no total of its rows")
    return draw.adds


def _not_whole(analysis: Analysis, period: str, parts: str, max_groups: int) -> str:
    """The units, and periods, that are not whole; those that could not be told are among them."""
    together = ", ".join(_together(analysis.draws))
    cells = (
        f"SELECT u, {period} AS p, {together} FROM {parts} GROUP BY u, p, g"
        if period != "m"
        else f"SELECT *, m AS p FROM {parts}"
    )
    held = [f"bool_and({clip})" for clip in _clips(analysis.draws)]
    if analysis.query.contribution.max_norm is None:
        held.append(f"count(*) <= {max_groups}")
    else:
        l2 = analysis.dataset.measure is Measure.ZCDP
        held += [_norm(i, draw, l2=l2) for i, draw in enumerate(analysis.draws)]
    return f"SELECT u, p FROM ({cells}) GROUP BY u, p HAVING NOT coalesce({' AND '.join(held)}, false)"


def _together(draws: Sequence[DrawSpec]) -> list[str]:
    """SQL that brings what is added in the months of a period together."""
    found = ["count(*) AS months"]
    for i, draw in enumerate(draws):
        adds = _adds(draw)
        if _most(draw) is not None:
            found.append(f"{'max' if adds.once else 'sum'}(h{i}) AS h{i}")
            found += [] if adds.once or adds.counted else [f"sum(l{i}) AS l{i}"]
    return found


def _clips(draws: Sequence[DrawSpec]) -> list[str]:
    found = []
    for i, adds in enumerate(map(_adds, draws)):
        found += [f"h{i} <= {adds.high}"] if adds.high is not None else []
        found += [f"l{i} >= {adds.low}"] if adds.low is not None and not adds.counted else []
    return found


def _norm(i: int, draw: DrawSpec, *, l2: bool) -> str:
    """Whether the vector of the larger of what is added below and above is within the draw's norm.

    An entry past the norm is cut to just past it: its square stays inside 128 bits, and the norm is passed as before.
    """
    norm = draw.norm or 0
    entry = f"least({_size(i, draw)}, {norm + 1})::HUGEINT"
    return f"sum({entry} * {entry}) <= {norm**2}::HUGEINT" if l2 else f"sum({entry}) <= {norm}::HUGEINT"


def _not_whole_in(analysis: Analysis, level: int, max_groups: int) -> str:
    """Those of the units not whole in a longer period that are not whole in this one."""
    parts = f"(SELECT * FROM dp_parts SEMI JOIN dp_not_{ALL_TIME} USING (u))"
    return f"CREATE TEMP TABLE dp_not_{level} AS {_not_whole(analysis, _period(level), parts, max_groups)}"


def _with_safe(span: Span | None) -> str:
    """SQL for the coded rows with `safe`: the longest period in which the row's unit is whole, 0 if in none."""
    tables = [f"LEFT JOIN dp_not_{ALL_TIME} AS n{ALL_TIME} ON c.u = n{ALL_TIME}.u"]
    tables += [f"LEFT JOIN dp_not_{n} AS n{n} ON c.u = n{n}.u AND {_period(n)} = n{n}.p" for n in _levels(span)]
    cases = [f"WHEN n{n}.u IS NULL THEN {n}" for n in (ALL_TIME, *sorted(_levels(span), reverse=True))]
    return f"SELECT c.*, CASE {' '.join(cases)} ELSE 0 END::TINYINT AS safe FROM dp_c AS c {' '.join(tables)}"


def _asked(analysis: Analysis, max_groups: int, parameters: BoundParameters) -> str:
    """The answer from the kept rows: of whole units by plain totals, of others as the plan does it."""
    filters = analysis.filters
    level = _level(filters, parameters)
    met = "".join(f" AND {condition}" for condition in filters.conditions)
    columns = ", ".join(["u", "g", *coded_values(analysis)])
    named = ", ".join(["u", "g::BIGINT AS g", *coded_values(analysis)])
    names = ", ".join(f"d{i}" for i in range(len(analysis.draws)))
    totals = ", ".join(f"sum(d{i})::HUGEINT AS d{i}" for i in range(len(analysis.draws)))
    ctes = [
        ("dp_coded", f"SELECT {named} FROM kept WHERE safe < {level}{met}"),
        *bounded(analysis, max_groups),
        ("dp_whole_rows", f"SELECT {columns} FROM kept WHERE safe >= {level}{met}"),
        ("dp_whole_units", _plain_totals(analysis)),
        ("dp_parts", f"SELECT g, {names} FROM dp_kept UNION ALL SELECT g, {names} FROM dp_whole_units"),
        ("dp_totals", f"SELECT g, {totals} FROM dp_parts GROUP BY g"),
    ]
    return f"{with_clause(ctes)}\nSELECT g, {names} FROM dp_totals"


def _plain_totals(analysis: Analysis) -> str:
    parts = ", ".join(f"{_part(_adds(draw))} AS d{i}" for i, draw in enumerate(analysis.draws))
    if not _counts_once(analysis):
        return f"SELECT g::BIGINT AS g, {parts} FROM dp_whole_rows GROUP BY g"
    totals = ", ".join(f"sum(d{i}) AS d{i}" for i in range(len(analysis.draws)))
    return f"SELECT g::BIGINT AS g, {totals} FROM (SELECT u, g, {parts} FROM dp_whole_rows GROUP BY u, g) GROUP BY g"


def _part(adds: Adds) -> str:
    if adds.once:
        part = f"(count({adds.row}) > 0)" if adds.row else "1"
    else:
        part = f"count({adds.row or '*'})" if adds.counted else f"coalesce(sum({adds.row}), 0)"
    return f"{part}::HUGEINT * {adds.times}"


def _counts_once(analysis: Analysis) -> bool:
    return any(_adds(draw).once for draw in analysis.draws)


def _level(filters: Filters, parameters: BoundParameters) -> int:
    """The shortest period that all rows lie in that meet the parameters' conditions."""
    span = filters.span
    first, last = (None, None) if span is None else (parameters.values[span.since], parameters.values[span.until])
    if span is None or not isinstance(first, date) or not isinstance(last, date):
        return ALL_TIME
    if not span.closed and last > date.min:
        last -= timedelta(days=1)
    months = [day.year * 12 + day.month - 1 for day in (first, max(first, last))]
    return next((n for n, size in MONTHS.items() if months[0] // size == months[1] // size), ALL_TIME)
