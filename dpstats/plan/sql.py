"""Writes the bounded aggregate that runs: rows -> codes -> one unit's part in one group -> kept groups -> totals.

Stability, for one privacy unit u added or removed with all its rows:

- `dp_rows` gains or loses u's rows alone (relations.py). Rows of undeclared or NULL keys are dropped by the join with
  the declared values, row by row.
- `dp_ranked` numbers rows within one (unit, group) and one average, by a keyed hash of the row's content with an
  ordinal among identical rows, so which rows are kept depends on the multiset of u's rows alone.
- `dp_units` has a row for each (unit, group), made of that unit's rows alone, each part clipped to `per_cell`.
- `dp_kept` keeps at most `max_groups` of u's groups, by a keyed hash of unit and group: again of u's rows alone.
- the last SELECT adds whole numbers (HUGEINT): u changes at most `max_groups` cells, each by at most `per_cell`.
"""

from __future__ import annotations

from collections.abc import Sequence

from dpstats.plan.analysis import Analysis, KeySpec
from dpstats.plan.statistics import Statistic

HASH_KEY = "$dp_key::UBIGINT"


def write(analysis: Analysis, sizes: Sequence[int], max_groups: int) -> str:
    """The SQL of a plan.

    Args:
      analysis: the query, understood.
      sizes: how many values each key has.
      max_groups: how many groups of one unit are kept, >= 1.
    """
    ctes = [
        *analysis.ctes,
        ("dp_rows", _rows(analysis)),
        ("dp_coded", _coded(analysis, sizes)),
        *_ranked(analysis),
        ("dp_units", _units(analysis)),
        ("dp_kept", _kept(max_groups)),
    ]
    totals = ", ".join(f"sum(d{i})::HUGEINT AS d{i}" for i in range(len(analysis.draws)))
    clauses = ",\n".join(f"{name} AS (\n  {sql}\n)" for name, sql in ctes)
    return f"WITH {clauses}\nSELECT g, {totals} FROM dp_kept GROUP BY g ORDER BY g"


def _rows(analysis: Analysis) -> str:
    parts = [f"{analysis.unit} AS u"]
    parts += [f"{key.sql} AS k{i}" for i, key in enumerate(analysis.keys)]
    parts += [f"{statistic.row} AS x{i}" for i, statistic in enumerate(analysis.statistics) if statistic.row]
    return f"SELECT {', '.join(parts)} {analysis.body}"


def _coded(analysis: Analysis, sizes: Sequence[int]) -> str:
    place = "0::BIGINT"
    for i, size in enumerate(sizes):
        place = f"({place} * {size} + n{i}.c)"
    parts = ["u", f"{place} AS g"]
    parts += [_coded_value(i, statistic) for i, statistic in enumerate(analysis.statistics) if statistic.row]
    joins = " ".join(_key_join(i, key) for i, key in enumerate(analysis.keys))
    return f"SELECT {', '.join(parts)} FROM dp_rows {joins}".rstrip()


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


def _kept(max_groups: int) -> str:
    order = f"row_number() OVER (PARTITION BY u ORDER BY hash({HASH_KEY}, u, g), g)"
    return f"SELECT * FROM dp_units QUALIFY {order} <= {max_groups}"
