"""A data version in DuckDB, locked down: plans run on it, and nothing else does.

The connection reads one file and can do nothing more: no other file, no network, no extension, no setting, no spill.
Whatever goes wrong while rows are read becomes one `Unavailable` that carries nothing of them.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from dpstats.catalog.types import Value
from dpstats.engine.meta import ConsentMeta, Meta, read_meta
from dpstats.engine.names import quoted
from dpstats.engine.noise import Exact
from dpstats.engine.probes import probe
from dpstats.errors import FileError, NotFound, Unavailable
from dpstats.plan.plan import Draw, Group, KeyColumn, Plan

CONNECT_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "allow_unsigned_extensions": False,
    "allow_persistent_secrets": False,
    "python_enable_replacements": False,
}
"""What is closed before a connection exists, for the loader too."""

_PARAMETER = re.compile(r"\$p_\w+")
_COUNTS_KEPT = 1000
_opening = threading.Lock()
T = TypeVar("T")


def open_engine(
    path: Path, *, key: bytes, memory_limit_mb: int = 2048, threads: int = 2, deadline_s: float = 60
) -> DuckEngine:
    """The data version in the file `path`, read-only and locked down.

    DuckDB keeps one instance a file and process: a file that this process has open already keeps its first limits.

    Args:
      path: A file that `load` made.
      key: The workspace's secret key; rows are sampled by it.
      memory_limit_mb: Memory for all queries together, in MB. There is no spill: what needs more is `Unavailable`.
      threads: Worker threads for all queries together.
      deadline_s: Seconds after which a query is stopped, and is `Unavailable`.

    Raises:
      FileError: the file is not a data version of this dpstats.
      LockdownFailed: a probe got out of the locked connection.
    """
    limits = {
        "max_execution_time": str(int(deadline_s * 1000)),
        "memory_limit": f"'{memory_limit_mb}MB'",
        "threads": str(threads),
    }
    with _opening:
        connection = _connect(path)
        try:
            meta = read_meta(connection, path)
            _lock(connection, limits)
            probe(connection, path)
        except BaseException:
            connection.close()
            raise
    return DuckEngine(connection, meta, _sampling_key(key))


def _connect(path: Path) -> duckdb.DuckDBPyConnection:
    connection = None
    if path.is_file():
        try:
            connection = duckdb.connect(path, read_only=True, config=CONNECT_CONFIG)
        except duckdb.Error:
            connection = None
    if connection is None:
        raise FileError(str(path), "cannot be opened as a data version: load the dataset again")
    return connection


def _lock(connection: duckdb.DuckDBPyConnection, limits: dict[str, str]) -> None:
    """Closes the instance, in this order. GLOBAL, because a plain SET holds for this cursor and not for the next."""
    if connection.execute("SELECT current_setting('lock_configuration')").fetchone() == (True,):
        return  # this process has the file open already: its instance is shared, and is probed again
    settings = {
        "temp_directory": "''",
        **limits,
        "TimeZone": "'UTC'",
        "disabled_optimizers": "'top_n_window_elimination'",  # it makes keep-k-groups-a-unit 2.5 times slower
        "enable_external_access": "false",
        "disabled_filesystems": "'LocalFileSystem'",
        "lock_configuration": "true",
    }
    # Of a connection and its cursors: drawn on stdout after two seconds, it would tell how long a query takes.
    connection.execute("SET enable_progress_bar = false")
    for name, value in settings.items():
        connection.execute(f"SET GLOBAL {name} = {value}")


def _sampling_key(key: bytes) -> int:
    """The 64-bit number `$dp_key`, from the workspace's key."""
    return int.from_bytes(hmac.digest(key, b"bounding", hashlib.sha256)[:8], "big")


class DuckEngine:
    """One open data version. Every call has a cursor of its own, so threads may share an engine."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, meta: Meta, sampling_key: int) -> None:
        self._connection, self._meta, self._sampling_key = connection, meta, sampling_key
        self._counts: dict[tuple[str, tuple[tuple[str, object], ...]], int] = {}  # public numbers

    @property
    def fingerprint(self) -> str:
        """The load fingerprint of the dataset file with which this data version was loaded."""
        return self._meta.fingerprint

    @property
    def consent(self) -> ConsentMeta | None:
        """As of when this data version knows its people's consent; None if it does not."""
        return self._meta.consent

    def run(self, plan: Plan) -> Exact:
        """The plan's exact answer, closed; `noise.add_noise` opens it.

        Raises:
          Unavailable: whatever went wrong: the reason may depend on rows, so there is none.
        """
        answer = self._quietly(lambda cursor: _answer(cursor, plan, self._sampling_key))
        if answer is None:
            raise Unavailable
        return answer

    def public_values(self, table: str, column: str) -> tuple[Value, ...]:
        """The distinct values of a public table's column, sorted, without NULL, as `catalog.types` writes them.

        Raises:
          NotFound: this data version has no such public table, or it has no such column.
          Unavailable: the values could not be read now.
        """
        if column not in self._meta.public_columns.get(table, ()):
            raise NotFound("public column", f"{table}.{column}")
        values = self._quietly(lambda cursor: _distinct(cursor, table, column))
        if values is None:
            raise Unavailable
        return values

    def public_count(self, sql: str, parameters: Mapping[str, object]) -> int:
        """The whole number that a SELECT over public tables alone gives; the same is counted once.

        Args:
          parameters: a query's, by name; in `sql` they are `$p_<name>`.

        Raises:
          NotFound: it reads something else than public tables.
          Unavailable: it could not be counted now.
        """
        asked = (sql, tuple(parameters.items()))
        count = self._counts.get(asked)
        if count is None:
            read = self._quietly(lambda cursor: cursor.get_table_names(_PARAMETER.sub("NULL", sql)))
            if read is not None and not read <= self._meta.public_columns.keys():
                raise NotFound("public table", ", ".join(sorted(read - self._meta.public_columns.keys())))
            count = None if read is None else self._quietly(lambda cursor: _counted(cursor, sql, parameters))
            if count is None:
                raise Unavailable
            if len(self._counts) >= _COUNTS_KEPT:
                self._counts.clear()
            self._counts[asked] = count
        return count

    def close(self) -> None:
        """Closes the file. Nobody may be running."""
        self._connection.close()

    def _quietly(self, read: Callable[[duckdb.DuckDBPyConnection], T]) -> T | None:
        """What `read` says on a cursor of its own, or None.

        The error ends here, and so do the frames that hold rows: one raised by the caller after this returns has no
        context and no traceback that leads to them.
        """
        try:
            with self._connection.cursor() as cursor:
                return read(cursor)
        except Exception:
            return None


def _answer(cursor: duckdb.DuckDBPyConnection, plan: Plan, sampling_key: int) -> Exact:
    (statement,) = cursor.extract_statements(plan.sql)
    if statement.type != duckdb.StatementType.SELECT:
        raise ValueError("a plan is one SELECT")
    binds = {name: _bind(name, plan, sampling_key) for name in statement.named_parameters}
    cursor.execute(statement, binds)
    names = [column[0] for column in cursor.description]
    rows = cursor.fetchall()
    return _found(plan, names, rows) if plan.private_keys else Exact(plan, _dense(plan, names, rows))


def _bind(name: str, plan: Plan, sampling_key: int) -> Any:
    if name == "dp_key":
        return duckdb.Value(sampling_key, duckdb.sqltype("UBIGINT"))
    kind, _, rest = name.partition("_")
    if kind == "k":
        return _key_values(plan.keys[int(rest)])
    if kind == "p":
        return plan.parameter_values[rest]
    raise KeyError(name)


def _key_values(key: KeyColumn) -> Any:
    values = [float(v) if isinstance(v, Decimal) and key.sql_type == "DOUBLE" else v for v in key.values]
    return duckdb.Value(values, duckdb.list_type(duckdb.sqltype(key.sql_type)))


def _dense(plan: Plan, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[list[int]]:
    """A vector for each draw; a group that is absent, and a sum over no values (NULL), is 0."""
    place = names.index("g")
    columns = [names.index(f"d{draw.index}") for draw in plan.draws]
    vectors = [[0] * (plan.groups * draw.cells) for draw in plan.draws]
    seen: set[int] = set()
    for row in rows:
        group = _whole(row[place])
        if group in seen or not 0 <= group < plan.groups:
            raise ValueError("a group is there twice, or is none of the plan's")
        seen.add(group)
        for draw, vector, column in zip(plan.draws, vectors, columns, strict=True):
            vector[group * draw.cells : (group + 1) * draw.cells] = _cells(draw, row[column])
    return vectors


def _found(plan: Plan, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> Exact:
    """The groups that are there, sorted by key, and a vector over them for each draw."""
    place, declared = names.index("g"), list(plan.declared_groups())
    own = {i: names.index(f"k{i}") for i in plan.private_keys}
    columns = [names.index(f"d{draw.index}") for draw in plan.draws]
    found: dict[Group, list[list[int]]] = {}
    for row in rows:
        given = iter(declared[_whole(row[place])])
        group = tuple(_value(row[own[i]]) if i in own else next(given) for i in range(len(plan.keys)))
        if group in found:
            raise ValueError("a group is there twice")
        found[group] = [_cells(draw, row[column]) for draw, column in zip(plan.draws, columns, strict=True)]
    groups = sorted(found)
    vectors = ([cell for group in groups for cell in found[group][i]] for i in range(len(columns)))
    return Exact(plan, vectors, groups)


def _cells(draw: Draw, raw: Any) -> list[int]:
    """One group's whole numbers: of several cells, those that are not in the map are 0; so is a sum over no values."""
    if draw.quantiles is None:
        return [0 if raw is None else _whole(raw)]
    cells = [0] * draw.cells
    for place, count in (raw or {}).items():
        cells[_whole(place)] = _whole(count)
    return cells


def _whole(value: object) -> int:
    if type(value) is not int:
        raise TypeError("an exact answer is made of whole numbers")
    return value


def _counted(cursor: duckdb.DuckDBPyConnection, sql: str, parameters: Mapping[str, object]) -> int:
    (statement,) = cursor.extract_statements(sql)
    binds = {name: parameters[name.removeprefix("p_")] for name in statement.named_parameters}
    ((count,),) = cursor.execute(statement, binds).fetchall()
    return _whole(count)


def _distinct(cursor: duckdb.DuckDBPyConnection, table: str, column: str) -> tuple[Value, ...]:
    name = quoted(column)
    sql = f"SELECT DISTINCT {name} FROM {quoted(table)} WHERE {name} IS NOT NULL ORDER BY {name}"
    return tuple(_value(row[0]) for row in cursor.execute(sql).fetchall())


def _value(raw: Any) -> Value:
    """A value of DuckDB as the catalog writes it: a double as the Decimal of its shortest text, a UUID as text."""
    if isinstance(raw, float):
        return Decimal(repr(raw))
    return raw if isinstance(raw, Value) else str(raw)
