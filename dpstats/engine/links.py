"""Several ids of one person, made one privacy unit at load: with k ids apart, one person could cost k times the rho.

Links come as pairs of an id and a unit. Ids that links join, over however many steps, are one person's; the unit that
stands for them is the smallest of those named as units, so it depends on that person's links alone. Every row of such
an id gets that unit before rows are counted, ranked or bounded.

Stability. A person is a group of ids with its links: adding or removing it, with its rows, decisions and links, adds or
removes the rows of one unit and changes no other's, since no link leads out of the group. A link that is wrong and
joins two people makes them one unit: both are protected together, and bounded together.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

import duckdb

from dpstats.catalog.dataset import LINKS, DatasetFile
from dpstats.catalog.ids import id_text
from dpstats.catalog.types import parse_value
from dpstats.engine.listing import listed
from dpstats.engine.names import quoted
from dpstats.engine.opened import HELD, opened
from dpstats.errors import FileError

TABLE = "dp_links"
"""The table of a data version that holds each linked id and its unit; nothing but a load and consent reads it."""
_AT_ONCE = 10_000
Pair = tuple[str, str]
"""An id and a unit, as `id_text` writes them."""
LeftOut = Callable[[str], bool]
"""Says of a privacy unit's id, as text, whether its rows may not be in a data version, or are the ones looked for."""


def pairs_of_file(dataset: DatasetFile, path: Path) -> list[Pair]:
    """The links in a Parquet or CSV file with the columns `id` and `unit`.

    Raises:
      FileError: it cannot be read, or a row has no id, or no unit of the privacy unit's type.
    """
    found: list[Pair] = []
    for place, (raw_id, raw_unit) in enumerate(listed(path, ("id", "unit")), start=1):
        each, unit = id_text(dataset.unit_type, raw_id), id_text(dataset.unit_type, raw_unit)
        if not each.strip() or not _is_unit(dataset, unit):
            what = f"row {place}: must have an id, and a unit that is a {dataset.unit_type}"
            raise FileError(str(path), what, key=LINKS)
        found.append((each, unit))
    return found


def pairs_of_version(connection: duckdb.DuckDBPyConnection, schema: str) -> list[Pair]:
    """The links that a data version, open as `schema`, was loaded with; none if it has no such table."""
    try:
        return connection.execute(f"SELECT id, CAST(unit AS VARCHAR) FROM {schema}.{TABLE}").fetchall()
    except duckdb.CatalogException:
        return []


def whole_person(dataset: DatasetFile, file: Path, is_person: LeftOut) -> LeftOut:
    """Says of an id whether it is the person's, or is the unit that a data version has for one of the person's ids.

    Raises:
      FileError: the file cannot be read as a data version.
    """
    if not dataset.links:
        return is_person
    units = {unit for each, unit in _linked(file) if is_person(each)}
    return lambda text: text in units or is_person(text)


def ids_of(dataset: DatasetFile, file: Path, is_person: LeftOut) -> frozenset[str]:
    """Every id that a data version links to one of the person's, units among them; none where there are no links.

    Raises:
      FileError: the file cannot be read as a data version.
    """
    if not dataset.links:
        return frozenset()
    pairs = _linked(file)
    units = {unit for each, unit in pairs if is_person(each) or is_person(unit)}
    return frozenset(text for pair in pairs if pair[1] in units for text in pair)


def linked_ids(dataset: DatasetFile, file: Path, ids: Collection[str]) -> frozenset[str]:
    """These ids, as `id_text` writes them, and all that a data version links to one of them; without reading them all.

    Raises:
      FileError: the file cannot be read as a data version.
    """
    if not dataset.links:
        return frozenset(ids)
    same = f"SELECT unit FROM {HELD}.{TABLE} WHERE id IN (SELECT unnest($dp_ids::VARCHAR[]))"
    sql = f"SELECT id FROM {HELD}.{TABLE} WHERE unit IN ({same})"
    with opened(file) as connection:
        try:
            found = connection.execute(sql, {"dp_ids": list(ids)}).fetchall()
        except duckdb.CatalogException:  # it was loaded without links
            found = []
    return frozenset({*ids, *(text for (text,) in found)})


def units_of(pairs: Iterable[Pair]) -> Mapping[str, str]:
    """The unit of every id that is linked, the units' own ids among them."""
    parents: dict[str, str] = {}

    def root(each: str) -> str:
        while parents.setdefault(each, each) != each:
            parents[each] = parents.setdefault(parents[each], parents[each])
            each = parents[each]
        return each

    units: set[str] = set()
    for each, unit in pairs:
        units.add(unit)
        parents[root(each)] = root(unit)
    chosen: dict[str, str] = {}
    for unit in sorted(units, key=lambda text: (len(text), text)):
        chosen.setdefault(root(unit), unit)
    return {each: chosen[root(each)] for each in list(parents)}


def write_links(
    connection: duckdb.DuckDBPyConnection, schema: str, dataset: DatasetFile, units: Mapping[str, str]
) -> None:
    """Creates `TABLE` in `schema`, an SQL name.

    Raises:
      duckdb.Error: it cannot be written.
    """
    kind, rows = dataset.unit_type.sql, sorted(units.items())
    connection.execute(f"CREATE TABLE {schema}.{TABLE} (id VARCHAR NOT NULL, unit {kind} NOT NULL)")
    for start in range(0, len(rows), _AT_ONCE):
        part = rows[start : start + _AT_ONCE]
        binds = {"dp_ids": [each for each, _ in part], "dp_units": [unit for _, unit in part]}
        values = f"SELECT unnest($dp_ids::VARCHAR[]), CAST(unnest($dp_units::VARCHAR[]) AS {kind})"
        connection.execute(f"INSERT INTO {schema}.{TABLE} {values}", binds)


def resolving(rows: str, schema: str, unit: str) -> str:
    """SQL that gives the rows of a linked id, in the table `rows`, the unit that stands for it."""
    name = quoted(unit)
    is_linked = f"CAST({rows}.{name} AS VARCHAR) = dp_l.id"
    return f"UPDATE {rows} SET {name} = dp_l.unit FROM {schema}.{TABLE} AS dp_l WHERE {is_linked}"


def _linked(file: Path) -> list[Pair]:
    with opened(file) as connection:
        return pairs_of_version(connection, HELD)


def _is_unit(dataset: DatasetFile, text: str) -> bool:
    kind = dataset.unit_type
    try:
        parse_value(kind, int(text) if kind.name in {"bigint", "integer"} else text)
    except ValueError:
        return False
    return bool(text.strip())
