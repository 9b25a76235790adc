"""A data version in Spark: the plan's bounded aggregate runs there, whole numbers a group come back.

Public tables and what the data version says of itself are read from its DuckDB file, so both engines plan alike.
Whatever goes wrong while rows are read becomes one `Unavailable` that carries nothing of them.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from dpstats.catalog.types import Value
from dpstats.engine.answers import answered
from dpstats.engine.binds import sampling_key_of
from dpstats.engine.duck import DuckEngine, open_engine
from dpstats.engine.in_place import Notes
from dpstats.engine.looks import Looks
from dpstats.engine.meta import ConsentMeta
from dpstats.engine.noise import Exact
from dpstats.engine.spark.export import Exported, exported
from dpstats.engine.spark.lake import raw_view, show, stamp
from dpstats.engine.spark.session import is_answering, open_session, stoppable
from dpstats.errors import EngineFailed, Unavailable
from dpstats.plan.plan import KeyColumn, Plan
from dpstats.plan.spark.selects import Tables, relations_of, translate

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

T = TypeVar("T")
_STOPPED_EVERY_S = 1.0
_LITTLE_MEMORY_MB = 256
"""Of DuckDB beside Spark: it reads public tables alone."""


def open_spark(
    path: Path, *, address: str, key: bytes, memory_limit_mb: int = 2048, threads: int = 2, deadline_s: float = 60
) -> SparkEngine:
    """The data version in the file `path`, whose tables were written for Spark, at that address.

    Args:
      address: `local[2]` or `spark://host:port`; its workers must see the folder beside `path`.
      The others: as in `duck.open_engine`.

    Raises:
      FileError: the file is not a data version, or was loaded for another engine.
      LockdownFailed: as `duck.open_engine`.
      EngineFailed: Spark cannot be used at that address.
    """
    tables = exported(path)
    public = open_engine(path, key=key, memory_limit_mb=_LITTLE_MEMORY_MB, threads=1, deadline_s=deadline_s)
    try:
        session = open_session(address, memory_mb=memory_limit_mb, threads=threads)
        _show(session, tables)
    except BaseException:
        public.close()
        raise

    def show_in_place(table: str) -> bool:
        return _shown(session, table, tables.in_place[table], key)

    return SparkEngine(session, public, tables, sampling_key_of(key), deadline_s, show_in_place)


def _show(session: SparkSession, tables: Exported) -> None:
    """Gives the session the tables, by their names."""

    def show() -> bool:
        for table, file in tables.files.items():
            session.read.parquet(str(file)).createOrReplaceTempView(table)
        return True

    if not _quietly(show):
        raise EngineFailed("it does not see the workspace's folder: give its machines that folder under the same path")


def _shown(session: SparkSession, table: str, notes: Notes, key: bytes) -> bool:
    """Gives the session a table in place; not if rows would be hashed otherwise now, or it is of another definition."""

    def shown() -> bool:
        if notes.stamp != stamp(session, notes, key):
            return False
        show(session, table, notes, key)
        return True

    return _quietly(shown) or False


class SparkEngine:
    """One open data version. Threads may share it."""

    def __init__(
        self,
        session: SparkSession,
        public: DuckEngine,
        tables: Exported,
        sampling_key: int,
        deadline_s: float,
        show_in_place: Callable[[str], bool],
    ) -> None:
        self._session, self._public, self._exported = session, public, tables
        self._show_in_place, self._showing = show_in_place, threading.Lock()
        self._shown: set[str] = set()
        self._looks = {table: Looks(notes.each_as_noted) for table, notes in tables.in_place.items()}
        self._sampling_key, self._deadline_s = sampling_key, deadline_s

    @property
    def fingerprint(self) -> str:
        """The load fingerprint of the dataset file with which this data version was loaded."""
        return self._public.fingerprint

    @property
    def consent(self) -> ConsentMeta | None:
        """As of when this data version knows its people's consent; None if it does not."""
        return self._public.consent

    @property
    def is_answering(self) -> bool:
        """Whether Spark is there still: its process may have died, by want of memory for one."""
        return is_answering(self._session)

    def changed(self, tables: Collection[str]) -> tuple[str, ...]:
        """As `port.Engine`."""
        return tuple(table for table in tables if table in self._exported.in_place and not self._is_shown(table))

    def _is_shown(self, table: str) -> bool:
        """Whether the session has a table in place, whose files are as they were noted; they may be so again."""
        if not self._looks[table].are_so():
            return False
        with self._showing:
            if table not in self._shown and self._show_in_place(table):
                self._shown.add(table)
            return table in self._shown

    def run(self, plan: Plan) -> Exact:
        """The plan's exact answer, closed; `noise.add_noise` opens it.

        Raises:
          Unavailable: whatever went wrong: the reason may depend on rows, so there is none.
        """
        answer = _quietly(lambda: self._answer(plan)) if not self.changed(plan.tables) else None
        if answer is None or self.changed(plan.tables):  # what was read meanwhile may be of other rows
            raise Unavailable
        return answer

    def public_values(self, table: str, column: str) -> tuple[Value, ...]:
        """As `DuckEngine.public_values`."""
        return self._public.public_values(table, column)

    def public_count(self, sql: str, parameters: Mapping[str, object]) -> int:
        """As `DuckEngine.public_count`."""
        return self._public.public_count(sql, parameters)

    def close(self) -> None:
        """Takes the tables from the session, and closes the file. Nobody may be running."""
        _quietly(lambda: [self._session.catalog.dropTempView(table) for table in self._views])
        self._public.close()

    @property
    def _views(self) -> list[str]:
        in_place = [view for table in self._shown for view in (table, raw_view(table))]
        return [*in_place, *self._exported.files]

    @cached_property
    def _tables(self) -> Tables:
        return relations_of(self._exported.columns)

    def _answer(self, plan: Plan) -> Exact:
        query = translate(plan.sql, self._tables)
        keys = {f"k_{place}": _in_json(plan.keys[place]) for place in query.keys}
        binds = {**query.texts, **keys, **{name: self._bind(plan, name) for name in query.parameters}}
        with self._deadline():
            found = self._session.sql(query.sql, args=binds).toArrow()
        rows = zip(*(map(_plain, column.to_pylist()) for column in found.columns), strict=True)
        return answered(plan, [(found.column_names, [list(rows)])])

    def _bind(self, plan: Plan, name: str) -> Any:
        if name == "dp_key":  # the same 64 bits, as Spark reads them
            return self._sampling_key - (1 << 64 if self._sampling_key >> 63 else 0)
        value = plan.parameter_values[name.removeprefix("p_")]
        return value.isoformat() if isinstance(value, date) else value  # PySpark hands over no year below 1000

    @contextmanager
    def _deadline(self) -> Iterator[None]:
        """Stops the jobs of this thread when their time is over, and whatever it starts after that."""
        ended = threading.Event()
        with stoppable(self._session) as stop:
            threading.Thread(target=self._watch, args=(ended, stop), daemon=True).start()
            try:
                yield
            finally:
                ended.set()

    def _watch(self, ended: threading.Event, stop: Callable[[], object]) -> None:
        """Only what runs already can be stopped, so it is tried again: a query is planned before it runs."""
        over = ended.wait(self._deadline_s)
        while not over:
            _quietly(stop)
            over = ended.wait(_STOPPED_EVERY_S)


def _in_json(key: KeyColumn) -> str:
    values = [value.isoformat(" ") if isinstance(value, datetime) else value for value in key.values]
    return json.dumps([value.isoformat() if isinstance(value, date) else value for value in values])


def _plain(value: Any) -> Any:
    """A cell as DuckDB gives it: a decimal of no places is a whole number, a map a dictionary."""
    if isinstance(value, Decimal):
        whole = int(value)
        if whole != value:
            raise TypeError("an exact answer is made of whole numbers")
        return whole
    if isinstance(value, list):
        return dict(value)
    if isinstance(value, datetime | date | str | bool | int) or value is None:
        return value
    raise TypeError("an exact answer is made of whole numbers and keys")


def _quietly(read: Callable[[], T]) -> T | None:
    """What `read` says, or None: an error of Spark may hold cells, so it ends here, with the frames that hold rows."""
    try:
        return read()
    except Exception:
        return None
