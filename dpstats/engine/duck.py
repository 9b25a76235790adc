"""A data version in DuckDB, locked down: plans run on it, and nothing else does.

The connection reads one file and can do nothing more: no other file, no network, no extension, no setting, no spill.
Whatever goes wrong while rows are read becomes one `Unavailable` that carries nothing of them.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import duckdb

from dpstats.catalog.types import Value
from dpstats.engine.answers import Result, answered, value_of, whole
from dpstats.engine.at_rest import KeptFiles
from dpstats.engine.binds import bound, sampling_key_of
from dpstats.engine.locked import Limits, connect, lock
from dpstats.engine.meta import ConsentMeta, Meta, read_meta
from dpstats.engine.names import quoted
from dpstats.engine.noise import Exact
from dpstats.engine.passes import ROWS_A_PASS, Deadline, Pass, TableRows, one_deadline, passes_of
from dpstats.engine.probes import probe
from dpstats.errors import NotFound, Unavailable
from dpstats.plan.plan import Plan

_PARAMETER = re.compile(r"\$p_\w+")
_COUNTS_KEPT = 1000
ROWS_AT_ONCE = 50_000
"""Rows of a result that are there as Python's objects at a time."""
_opening = threading.Lock()
T = TypeVar("T")


def open_engine(
    path: Path,
    *,
    key: bytes,
    memory_limit_mb: int = 2048,
    threads: int = 2,
    deadline_s: float = 60,
    rows_a_pass: int = ROWS_A_PASS,
) -> DuckEngine:
    """The data version in the file `path`, read-only and locked down.

    DuckDB keeps one instance a file and process: a file that this process has open already keeps its first limits.

    Args:
      path: A file that `load` made.
      key: The workspace's secret key; rows are sampled by it.
      memory_limit_mb: Memory for all queries together, in MB. There is no spill: what needs more is `Unavailable`.
      threads: Worker threads for all queries together.
      deadline_s: Seconds after which a query is stopped, and is `Unavailable`.
      rows_a_pass: Rows of units that are bounded at a time, about; any number gives the same answers.

    Raises:
      FileError: the file is not a data version of this dpstats.
      LockdownFailed: a probe got out of the locked connection.
    """
    limits, sampling_key = Limits(memory_limit_mb, threads, deadline_s), sampling_key_of(key)
    with _opening:
        connection = connect(path)
        try:
            meta = read_meta(connection, path)
            lock(connection, limits)
            probe(connection, path)
        except BaseException:
            connection.close()
            raise
    kept = KeptFiles(path, sampling_key, limits)
    return DuckEngine(connection, meta, kept, sampling_key=sampling_key, limits=limits, rows_a_pass=rows_a_pass)


class DuckEngine:
    """One open data version. Every call has a cursor of its own, so threads may share an engine."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        meta: Meta,
        kept: KeptFiles,
        *,
        sampling_key: int,
        limits: Limits,
        rows_a_pass: int,
    ) -> None:
        self._connection, self._meta, self._kept = connection, meta, kept
        self._sampling_key, self._limits, self._rows_a_pass = sampling_key, limits, rows_a_pass
        self._table_rows = TableRows()
        self._counts: dict[tuple[str, tuple[tuple[str, object], ...]], int] = {}  # public numbers

    @property
    def fingerprint(self) -> str:
        """The load fingerprint of the dataset file with which this data version was loaded."""
        return self._meta.fingerprint

    @property
    def consent(self) -> ConsentMeta | None:
        """As of when this data version knows its people's consent; None if it does not."""
        return self._meta.consent

    @property
    def is_answering(self) -> bool:
        """Always: it is in this process."""
        return True

    def changed(self, _tables: Collection[str]) -> tuple[str, ...]:
        """None: DuckDB reads nothing in place."""
        return ()

    def run(self, plan: Plan) -> Exact:
        """The plan's exact answer, closed; `noise.add_noise` opens it. From what is kept at rest, where that is there.

        Raises:
          Unavailable: whatever went wrong: the reason may depend on rows, so there is none. If it went wrong with what
            is kept at rest, that is not looked at again.
        """
        answer = self._answered(plan)
        if answer is None:
            raise Unavailable
        return answer

    def _answered(self, plan: Plan) -> Exact | None:
        if plan.at_rest is not None:
            at_rest = plan.at_rest
            with self._kept.reading(at_rest) as connection:
                if connection is not None:
                    found = _quietly(connection, lambda c: _answer(c, plan, self._sampling_key, at_rest.sql))
                    if found is None:  # not both ways now: that could take twice the deadline
                        self._kept.give_up(at_rest)
                    return found
        return self._quietly(lambda cursor: self._in_passes(cursor, plan))

    def _in_passes(self, cursor: duckdb.DuckDBPyConnection, plan: Plan) -> Exact:
        """The answer by the plan's SQL, in as many passes as its rows ask for."""
        passes = passes_of(cursor, plan, self._rows_a_pass, self._table_rows)
        if len(passes) == 1:
            return _answer(cursor, plan, self._sampling_key)
        with one_deadline(cursor, self._limits.deadline_s) as deadline:
            return answered(plan, _results(cursor, plan, self._sampling_key, passes, deadline))

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
        self._kept.close()
        self._connection.close()

    def _quietly(self, read: Callable[[duckdb.DuckDBPyConnection], T]) -> T | None:
        return _quietly(self._connection, read)


def _quietly(connection: duckdb.DuckDBPyConnection, read: Callable[[duckdb.DuckDBPyConnection], T]) -> T | None:
    """What `read` says on a cursor of its own, or None.

    The error ends here, and so do the frames that hold rows: one raised by the caller after this returns has no
    context and no traceback that leads to them.
    """
    try:
        with connection.cursor() as cursor:
            return read(cursor)
    except Exception:
        return None


def _answer(cursor: duckdb.DuckDBPyConnection, plan: Plan, sampling_key: int, sql: str | None = None) -> Exact:
    """The answer by the plan's SQL, or by `sql`, which gives the same."""
    return answered(plan, [_result(cursor, plan, sampling_key, Pass(plan.sql if sql is None else sql))])


def _results(
    cursor: duckdb.DuckDBPyConnection, plan: Plan, sampling_key: int, passes: Sequence[Pass], deadline: Deadline
) -> Iterator[Result]:
    for each in passes:
        deadline.check()
        yield _result(cursor, plan, sampling_key, each)
    deadline.check()


def _result(cursor: duckdb.DuckDBPyConnection, plan: Plan, sampling_key: int, each: Pass) -> Result:
    (statement,) = cursor.extract_statements(each.sql)
    if statement.type != duckdb.StatementType.SELECT:
        raise ValueError("a plan is one SELECT")
    cursor.execute(statement, bound(statement, plan, sampling_key, each.binds))
    return [column[0] for column in cursor.description], iter(lambda: cursor.fetchmany(ROWS_AT_ONCE), [])


def _counted(cursor: duckdb.DuckDBPyConnection, sql: str, parameters: Mapping[str, object]) -> int:
    (statement,) = cursor.extract_statements(sql)
    binds = {name: parameters[name.removeprefix("p_")] for name in statement.named_parameters}
    ((count,),) = cursor.execute(statement, binds).fetchall()
    return whole(count)


def _distinct(cursor: duckdb.DuckDBPyConnection, table: str, column: str) -> tuple[Value, ...]:
    name = quoted(column)
    sql = f"SELECT DISTINCT {name} FROM {quoted(table)} WHERE {name} IS NOT NULL ORDER BY {name}"
    return tuple(value_of(row[0]) for row in cursor.execute(sql).fetchall())
