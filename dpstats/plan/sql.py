"""Writes the bounded aggregate that runs: rows -> codes -> one unit's part in one group -> kept groups -> totals.

Stability, for one privacy unit u added or removed with all its rows:

- `dp_rows` gains or loses u's rows alone (relations.py). Rows of undeclared or NULL keys are dropped by the join with
  the declared values, row by row; so are, where keys are private, those of a NULL key or of one that could not be
  answered (`_answerable`), so that nobody's key can make the answer fail.
- `dp_ranked` numbers rows within one (unit, group) and one average, by a keyed hash of the row's content with an
  ordinal among identical rows, so which rows are kept depends on the multiset of u's rows alone.
- `dp_units` has a row for each (unit, group), made of that unit's rows alone, each part clipped to `per_cell`.
- `dp_kept` keeps at most `max_groups` of u's groups, by a keyed hash of unit and group: again of u's rows alone.
- `dp_cells` counts the kept rows of a quantile by where they lie among its public candidates: at most `max_rows` of u
  in each of its kept groups.
- `dp_totals` adds whole numbers (HUGEINT): u changes at most `max_groups` cells, each by at most `per_cell`.

With `max_norm`, `dp_kept` keeps every group and levels u's vector instead: entries are cut to one size, the level, at
which the vector's norm is the bound R. No vector below it of that norm keeps more in all (at an optimum each entry is
whole or as large as the others that are not), while scaling all of it down would take from the small entries too.
An entry v is whole if what is smaller, with everything else cut to v, is within R; the others are cut to
((R^p - what is whole) / how many they are)^(1/p) * (1 - 1e-12), p the norm's power, truncated toward zero; rounding is
below 1e-14 of them, so the norm is at most R. It is checked again in whole numbers, and a vector that failed would
count as zero. Of entries in the order of their sizes that sum only grows, so the whole ones are those up to a size;
entries that are alike are whole or cut together, so their order cannot matter. All of it looks at u's own entries
alone, so u changes a draw's vector by at most R in that norm.

Most units' vectors are within every norm, and then each entry is whole: what is smaller, with everything else cut down
to v, is no more than the whole vector. `dp_over` names the other units, and by `coalesce` any whose norms could not be
told, so that what passes by the levelling, which costs ten times the rest, is known to be within.
"""

from __future__ import annotations

from collections.abc import Sequence

from dpstats.catalog.query import PrivateKeys
from dpstats.plan.analysis import Analysis
from dpstats.plan.keys import KeySpec
from dpstats.plan.moments import DrawSpec
from dpstats.plan.statistics import Statistic
from dpstats.plan.typed import Kind
from dpstats.privacy.loss import Measure

HASH_KEY = "$dp_key::UBIGINT"
KEY_BYTES_MAX = 1000
"""A private key of longer text is dropped: one unit's keys must not decide how much memory an answer takes."""


def write(analysis: Analysis, sizes: Sequence[int], max_groups: int) -> str:
    """The SQL of a plan.

    Args:
      analysis: the query, understood.
      sizes: how many values each key has.
      max_groups: how many groups of one unit are kept, >= 1.
    """
    ctes = [*coded(analysis, sizes, analysis.body), *bounded(analysis, max_groups)]
    distinct = [(i, statistic) for i, statistic in enumerate(analysis.statistics) if statistic.distinct]
    ctes += [(f"dp_distinct{i}", _distinct(i, statistic)) for i, statistic in distinct]
    quantiles = [(i, statistic) for i, statistic in enumerate(analysis.statistics) if statistic.candidates]
    ctes += [(f"dp_cells{i}", _cells(i, statistic)) for i, statistic in quantiles]
    ctes.append(("dp_totals", _totals(len(analysis.draws))))
    counted = {s.draws[0]: f"coalesce(dp_distinct{i}.c, 0)::HUGEINT" for i, s in distinct}
    counted |= {s.draws[0]: f"dp_cells{i}.c" for i, s in quantiles}
    answers = ", ".join(f"{counted.get(i, f'dp_totals.d{i}')} AS d{i}" for i in range(len(analysis.draws)))
    extra = [f"dp_distinct{i}" for i, _ in distinct] + [f"dp_cells{i}" for i, _ in quantiles]
    joins = "".join(f" LEFT JOIN {name} USING (g)" for name in extra)
    return f"{with_clause(ctes)}\nSELECT {_named_group(analysis)}, {answers} FROM dp_totals{joins}"


def coded(analysis: Analysis, sizes: Sequence[int], body: str, kept: Sequence[str] = ()) -> list[tuple[str, str]]:
    """The CTEs up to `dp_coded`: of each row of `body` its unit, its group and its values' codes.

    Args:
      body: FROM .. WHERE .. of the query, or of a query that its rows are chosen from.
      kept: SQL over the body's rows, carried along as `f0`, `f1`, ..
    """
    extra = [f"{sql} AS f{j}" for j, sql in enumerate(kept)]
    names = [f"f{j}" for j in range(len(kept))]
    return [*analysis.ctes, ("dp_rows", _rows(analysis, body, extra)), ("dp_coded", _coded(analysis, sizes, names))]


def bounded(analysis: Analysis, max_groups: int) -> list[tuple[str, str]]:
    """The CTEs from `dp_coded` to `dp_kept`: of each unit and group what is kept of the unit's part."""
    last = _dropped(max_groups) if analysis.query.contribution.max_norm is None else _levelled(analysis)
    return [*_ranked(analysis), ("dp_units", _units(analysis)), *last]


def with_clause(ctes: Sequence[tuple[str, str]]) -> str:
    """WITH and every CTE."""
    return "WITH " + ",\n".join(f"{name} AS (\n  {sql}\n)" for name, sql in ctes)


def coded_values(analysis: Analysis) -> list[str]:
    """The columns of `dp_coded` beside unit and group: a code (`v0`, ..), or what is counted as it is (`x0`, ..)."""
    return [f"{'v' if s.code else 'x'}{i}" for i, s in enumerate(analysis.statistics) if s.row]


def _totals(draws: int) -> str:
    """A row a group, before anything of a group's size is joined: one unit must not decide how often it is copied."""
    return f"SELECT g, {', '.join(f'sum(d{i})::HUGEINT AS d{i}' for i in range(draws))} FROM dp_kept GROUP BY g"


def _rows(analysis: Analysis, body: str, extra: Sequence[str]) -> str:
    parts = [f"{analysis.unit} AS u"]
    parts += [f"{key.sql} AS k{i}" for i, key in enumerate(analysis.keys)]
    parts += [f"{statistic.row} AS x{i}" for i, statistic in enumerate(analysis.statistics) if statistic.row]
    return f"SELECT {', '.join([*parts, *extra])} {body}"


def _coded(analysis: Analysis, sizes: Sequence[int], extra: Sequence[str]) -> str:
    place = "0::BIGINT"
    for i, size in enumerate(sizes):
        if not _is_private(analysis.keys[i]):
            place = f"({place} * {size} + n{i}.c)"
    parts = ["u", f"{_group(analysis, place)} AS g"]
    parts += [_coded_value(i, statistic) for i, statistic in enumerate(analysis.statistics) if statistic.row]
    joins = " ".join(_key_join(i, key) for i, key in enumerate(analysis.keys) if not _is_private(key))
    present = [_answerable(f"dp_rows.k{i}", analysis.keys[i].kind) for i in _private(analysis)]
    where = f" WHERE {' AND '.join(present)}" if present else ""
    return f"SELECT {', '.join([*parts, *extra])} FROM dp_rows {joins}".rstrip() + where


def _is_private(key: KeySpec) -> bool:
    return isinstance(key.source, PrivateKeys)


def _private(analysis: Analysis) -> list[int]:
    return [i for i, key in enumerate(analysis.keys) if _is_private(key)]


def _answerable(key: str, kind: Kind) -> str:
    """Whether a private key's value can be in an answer: text that is not too long, a date of the years 1 to 9999."""
    if kind is Kind.TEXT:
        return f"{key} IS NOT NULL AND strlen({key}) <= {KEY_BYTES_MAX}"
    if kind in {Kind.DATE, Kind.TIMESTAMP}:
        return f"{key} >= DATE '0001-01-01' AND {key} < DATE '10000-01-01'"
    return f"{key} IS NOT NULL"


def _group(analysis: Analysis, place: str) -> str:
    """What tells groups apart: the place among declared values and, with private keys, their own values."""
    own = ", ".join(f"k{i} := dp_rows.k{i}" for i in _private(analysis))
    return f"struct_pack(c := {place}, {own})" if own else place


def _named_group(analysis: Analysis) -> str:
    """The columns that name a group in the result."""
    private = _private(analysis)
    if not private:
        return "dp_totals.g AS g"
    own = [f"struct_extract(dp_totals.g, 'k{i}') AS k{i}" for i in private]
    return ", ".join(["struct_extract(dp_totals.g, 'c') AS g", *own])


def _coded_value(index: int, statistic: Statistic) -> str:
    return f"{statistic.code} AS v{index}" if statistic.code else f"x{index}"


def _key_join(index: int, key: KeySpec) -> str:
    values = f"$k_{index}::{key.kind.value}[]"
    numbered = f"SELECT unnest({values}) AS v, unnest(range(len({values}))) AS c"
    return f"JOIN ({numbered}) AS n{index} ON dp_rows.k{index} = n{index}.v"


def _ranked(analysis: Analysis) -> list[tuple[str, str]]:
    """Numbers the rows of each average; without averages there is nothing to number."""
    averages = [i for i, statistic in enumerate(analysis.statistics) if statistic.max_rows]
    if not averages:
        return []
    ordinals = ", ".join(f"row_number() OVER (PARTITION BY u, g, v{i}) AS o{i}" for i in averages)
    ranks = ", ".join(_rank(i) for i in averages)
    return [
        ("dp_ordinals", f"SELECT *, {ordinals} FROM dp_coded"),
        ("dp_ranked", f"SELECT *, {ranks} FROM dp_ordinals"),
    ]


def _rank(i: int) -> str:
    order = f"hash({HASH_KEY}, u, v{i}, o{i}), v{i}, o{i}"
    return f"row_number() OVER (PARTITION BY u, g, v{i} IS NULL ORDER BY {order}) AS r{i}"


def _units(analysis: Analysis) -> str:
    source = "dp_ranked" if any(statistic.max_rows for statistic in analysis.statistics) else "dp_coded"
    parts = ", ".join(f"{draw.per_unit} AS d{i}" for i, draw in enumerate(analysis.draws))
    return f"SELECT u, g, {parts} FROM {source} GROUP BY u, g"


def _dropped(max_groups: int) -> list[tuple[str, str]]:
    order = f"row_number() OVER (PARTITION BY u ORDER BY hash({HASH_KEY}, u, g), g)"
    return [("dp_kept", f"SELECT * FROM dp_units QUALIFY {order} <= {max_groups}")]


def _distinct(index: int, statistic: Statistic) -> str:
    """For each group, the number of values that its kept units have, at most so many of each unit."""
    pairs = f"SELECT DISTINCT u, g, x{index} AS x FROM dp_coded WHERE x{index} IS NOT NULL"
    order = f"row_number() OVER (PARTITION BY u, g ORDER BY hash({HASH_KEY}, u, x), x)"
    kept = f"SELECT * FROM ({pairs}) SEMI JOIN dp_kept USING (u, g) QUALIFY {order} <= {statistic.distinct}"
    return f"SELECT g, count(DISTINCT x) AS c FROM ({kept}) GROUP BY g"


def _cells(index: int, statistic: Statistic) -> str:
    """For each group, how many kept rows lie in each cell about the candidates: below, at or above each one."""
    codes = f"[{', '.join(map(str, statistic.candidates))}]::BIGINT[]"
    points = f"SELECT unnest({codes}) AS c, unnest(range({len(statistic.candidates)})) AS j"
    kept = f"r{index} <= {statistic.max_rows} AND v{index} IS NOT NULL"
    rows = f"SELECT g, v{index} AS v FROM dp_ranked SEMI JOIN dp_kept USING (u, g) WHERE {kept}"
    cell = "CASE WHEN p.c IS NULL THEN 0 WHEN r.v = p.c THEN 2 * p.j + 1 ELSE 2 * p.j + 2 END::BIGINT"
    placed = f"SELECT g, {cell} AS cell FROM ({rows}) AS r ASOF LEFT JOIN ({points}) AS p ON r.v >= p.c"
    return f"SELECT g, histogram(cell) AS c FROM ({placed}) GROUP BY g"


def _levelled(analysis: Analysis) -> list[tuple[str, str]]:
    """Cuts each unit's vectors to their norms; L2 for Gaussian noise, L1 for Laplace."""
    l2 = analysis.dataset.measure is Measure.ZCDP
    draws = list(enumerate(analysis.draws))
    weighers = sorted({draw.weigher for draw in analysis.draws})
    names = ", ".join(f"d{i}" for i, _ in draws)
    norms = [f"sum({_part(f'd{i}', l2=l2)}) <= {_limit(draw, l2=l2)}" for i, draw in draws]
    entries = ", ".join(_entry(i, draw) for i, draw in draws)
    held = ", ".join(f"{norm} AS h{i}" for (i, _), norm in zip(draws, norms, strict=True))
    checked = ", ".join(f"CASE WHEN h{i} THEN d{i} ELSE 0 END AS d{i}" for i, _ in draws)
    cells = ", ".join(f"d{i}::HUGEINT AS d{i}" for i, _ in draws)
    within = f"SELECT u, g, {cells} FROM dp_units ANTI JOIN dp_over USING (u) WHERE u IS NOT NULL"
    levels = " ".join(f"JOIN dp_level{i} USING (u)" for i in weighers)
    return [
        (
            "dp_over",
            f"SELECT u, count(*) AS n FROM dp_units GROUP BY u HAVING NOT coalesce({' AND '.join(norms)}, false)",
        ),
        ("dp_many", f"SELECT u, g, {names}, n FROM dp_units JOIN dp_over USING (u)"),
        *(each for i in weighers for each in _level(i, analysis.draws[i], l2=l2)),
        ("dp_levelled", f"SELECT u, g, {entries} FROM dp_many {levels}"),
        ("dp_held", f"SELECT u, {held} FROM dp_levelled GROUP BY u"),
        ("dp_cut", f"SELECT u, g, {checked} FROM dp_levelled JOIN dp_held USING (u)"),
        ("dp_kept", f"{within} UNION ALL SELECT * FROM dp_cut"),
    ]


def _part(column: str, *, l2: bool) -> str:
    """What an entry adds to the L1 norm, or to the square of the L2 norm, as a whole number."""
    return f"{column}::HUGEINT * {column}::HUGEINT" if l2 else f"abs({column}::HUGEINT)"


def _limit(draw: DrawSpec, *, l2: bool) -> str:
    norm = draw.norm or 0
    return f"{norm**2 if l2 else norm}::HUGEINT"


def _level(index: int, draw: DrawSpec, *, l2: bool) -> list[tuple[str, str]]:
    """For each unit the largest size `t` of an entry that is whole, -1 if none is, and the level `l` of the others.

    `s` and `k` add up and count a unit's entries up to the size of one, that size included; so an entry is whole if it
    is with all others that are alike. Sizes past the norm are cut to just past it: that is whole for nobody, either.
    """
    limit, sizes = _limit(draw, l2=l2), f"least(abs(d{index}), {(draw.norm or 0) + 1})::BIGINT"
    part, order = _part("c", l2=l2), "(PARTITION BY u ORDER BY c)"
    added = f"SELECT u, n, c, sum({part}) OVER {order} AS s, count(*) OVER {order} AS k"
    share = f"({limit} - coalesce(max(s) FILTER (WHERE w), 0))::DOUBLE / nullif(count(*) FILTER (WHERE NOT w), 0)"
    level = f"{'sqrt' if l2 else ''}({share}) * (1 - 1e-12)"
    return [
        (f"dp_added{index}", f"{added} FROM (SELECT u, n, {sizes} AS c FROM dp_many)"),
        (f"dp_whole{index}", f"SELECT u, c, s, s + (n - k) * ({part}) <= {limit} AS w FROM dp_added{index}"),
        (
            f"dp_level{index}",
            f"SELECT u, coalesce(max(c) FILTER (WHERE w), -1) AS t{index}, {level} AS l{index} "
            f"FROM dp_whole{index} GROUP BY u",
        ),
    ]


def _entry(index: int, draw: DrawSpec) -> str:
    """An entry as it is, or cut; the moments of an average by the factor of their number of rows."""
    weigher = draw.weigher
    cut = f"trunc(d{index}::DOUBLE * (l{weigher} / nullif(abs(d{weigher}::DOUBLE), 0)))::HUGEINT"
    entry = f"CASE WHEN abs(d{weigher}) <= t{weigher} THEN d{index}::HUGEINT ELSE {cut} END"
    # The clip keeps squares inside 128 bits; an entry inside the norm is never touched by it.
    most = draw.norm or 0
    return f"greatest({-most}::HUGEINT, least({most}::HUGEINT, {entry})) AS d{index}"
