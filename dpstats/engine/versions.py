"""The data versions that are open: one engine a dataset, changed for the next one when nobody runs on it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from dpstats.engine.duck import open_engine
from dpstats.engine.locked import Limits
from dpstats.engine.port import Engine
from dpstats.errors import EngineFailed, Unavailable


class _Limits(TypedDict):
    memory_limit_mb: int
    threads: int
    deadline_s: float


@dataclass
class _Open:
    engine: Engine
    runs: int = 0


@dataclass(frozen=True)
class _Name:
    """A data version of a dataset, in Spark at that address; in DuckDB if there is none."""

    dataset: str
    version_file: str
    spark: str


class Engines:
    """Opens data version files when they are asked for, and shares them between threads.

    Of each dataset the version asked for last stays open. Any other closes as soon as nobody runs on it, so that the
    file of an old version can be erased; likewise the datasets not asked for longest, beyond `datasets_open`.

    Args:
      data_dir: The folder that version files are relative to.
      key: The workspace's secret key.
      memory_limit_mb, threads, deadline_s: The limits of each engine, as in `open_engine`.
      datasets_open: Datasets whose engines stay open between runs, >= 1.
    """

    def __init__(
        self,
        data_dir: Path,
        key: bytes,
        *,
        memory_limit_mb: int = 2048,
        threads: int = 2,
        deadline_s: float = 60,
        datasets_open: int = 8,
    ) -> None:
        self._data_dir, self.datasets_open = data_dir, datasets_open
        self.limits = Limits(memory_limit_mb, threads, deadline_s)
        limits: _Limits = {"memory_limit_mb": memory_limit_mb, "threads": threads, "deadline_s": deadline_s}
        self._key, self._limits = key, limits
        self._open: dict[_Name, _Open] = {}  # least recently asked for first
        self._closed = False
        self._lock, self._opening_spark = threading.Lock(), threading.Lock()

    @contextmanager
    def using(self, dataset: str, version_file: str, spark: str = "") -> Iterator[Engine]:
        """The engine of a data version, open for as long as the `with` lasts.

        Args:
          spark: The address of the Spark that answers; none: DuckDB does, in this process.

        Raises:
          FileError: the file is not a data version, or not one for that engine.
          EngineFailed: that Spark cannot be used.
          LockdownFailed: DuckDB let a probe through.
          Unavailable: `close` was called.
        """
        name = _Name(dataset, version_file, spark)
        with self._opening_spark if spark else nullcontext():
            # A Spark takes its time to start or to fail, in which nobody else has to wait.
            made = self._opened(name) if spark and not self._is_there(name) else None
            with self._lock:
                opened = self._ask(name, made)
        try:
            yield opened.engine
        finally:
            with self._lock:
                opened.runs -= 1
                if not opened.runs and self._open.get(name) is not opened:
                    opened.engine.close()  # it was found dead meanwhile, and another is in its place
                self._close_idle()

    def close(self) -> None:
        """Closes what nobody runs on now, and the rest when its last run ends; nothing is opened any more."""
        with self._lock:
            self._closed = True
            self._close_idle()

    def _is_there(self, name: _Name) -> bool:
        """Whether it is open, and can be asked still; one that cannot is let go."""
        with self._lock:
            opened = self._open.get(name)
        if opened is None or opened.engine.is_answering:
            return opened is not None or self._closed
        with self._lock:
            if self._open.pop(name, None) is not None and not opened.runs:
                opened.engine.close()
        return self._closed

    def _ask(self, name: _Name, made: Engine | None) -> _Open:
        if self._closed:
            if made is not None:
                made.close()
            raise Unavailable
        opened = self._open.pop(name, None) or _Open(made or self._opened(name))
        self._open[name] = opened
        opened.runs += 1
        self._close_idle()
        return opened

    def _opened(self, name: _Name) -> Engine:
        path = self._data_dir / name.version_file
        if not name.spark:
            return open_engine(path, key=self._key, **self._limits)
        from dpstats.engine.spark.engine import open_spark

        try:
            return open_spark(path, address=name.spark, key=self._key, **self._limits)
        except EngineFailed as failed:
            raise EngineFailed(failed.what, name.dataset) from None

    def _close_idle(self) -> None:
        keep = self._kept()
        for name, opened in list(self._open.items()):
            if name not in keep and not opened.runs:
                del self._open[name]
                opened.engine.close()

    def _kept(self) -> set[_Name]:
        if self._closed:
            return set()
        last = {name.dataset: name for name in self._open}
        newest_first = [name for name in reversed(self._open) if last[name.dataset] == name]
        return set(newest_first[: self.datasets_open])
