"""The data versions that are open: one engine a dataset, changed for the next one when nobody runs on it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dpstats.engine.duck import DuckEngine, open_engine
from dpstats.errors import Unavailable


@dataclass
class _Open:
    engine: DuckEngine
    runs: int = 0


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
        self._open_file = partial(
            open_engine, key=key, memory_limit_mb=memory_limit_mb, threads=threads, deadline_s=deadline_s
        )
        self._open: dict[tuple[str, str], _Open] = {}  # least recently asked for first
        self._closed = False
        self._lock = threading.Lock()

    @contextmanager
    def using(self, dataset: str, version_file: str) -> Iterator[DuckEngine]:
        """The engine of a data version, open for as long as the `with` lasts.

        Raises:
          FileError: the file is not a data version.
          LockdownFailed: DuckDB let a probe through.
          Unavailable: `close` was called.
        """
        with self._lock:
            opened = self._ask(dataset, version_file)
        try:
            yield opened.engine
        finally:
            with self._lock:
                opened.runs -= 1
                self._close_idle()

    def close(self) -> None:
        """Closes what nobody runs on now, and the rest when its last run ends; nothing is opened any more."""
        with self._lock:
            self._closed = True
            self._close_idle()

    def _ask(self, dataset: str, version_file: str) -> _Open:
        if self._closed:
            raise Unavailable
        name = (dataset, version_file)
        opened = self._open.pop(name, None) or _Open(self._open_file(self._data_dir / version_file))
        self._open[name] = opened
        opened.runs += 1
        self._close_idle()
        return opened

    def _close_idle(self) -> None:
        keep = self._kept()
        for name, opened in list(self._open.items()):
            if name not in keep and not opened.runs:
                del self._open[name]
                opened.engine.close()

    def _kept(self) -> set[tuple[str, str]]:
        if self._closed:
            return set()
        last = {dataset: (dataset, version_file) for dataset, version_file in self._open}
        newest_first = [name for name in reversed(self._open) if last[name[0]] == name]
        return set(newest_first[: self.datasets_open])
