"""Heads of committed charges on their way to their files: grouped, and while something else is done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager

from dpstats.errors import DpstatsError
from dpstats.ledger.chain import Entry
from dpstats.ledger.database import faults_explained
from dpstats.ledger.groups import Groups
from dpstats.ledger.records import Charged
from dpstats.ledger.writer import ChainWriter

AT_ONCE = 4
"""Callers whose heads are on their way at once while they do something else; those of one moment are saved together."""

Heads = Sequence[Entry | Charged]


class Saving:
    """Saves heads outside the database. Thread-safe."""

    def __init__(self, writer: ChainWriter) -> None:
        self._writer = writer
        self._heads: Groups[Heads, None] = Groups(self._save_all)
        self._threads = _threads()

    def close(self) -> None:
        """Ends its threads."""
        threads, self._threads = self._threads, _threads()
        threads.shutdown()

    def save(self, entry: Entry | Charged) -> None:
        """Saves one head; only for an entry that is committed.

        Raises:
          Unavailable: it cannot be written.
        """
        with faults_explained():
            self._writer.publish(entry)

    def newest(self, decisions: Sequence[object]) -> None:
        """Saves the heads of what was charged, and of what is taken up: callers are told after it, and whoever made a
        charge may have failed to save its head.

        Others may charge meanwhile: a head that is saved is never ahead of the ledger, and a newer one is never
        replaced by an older. Heads that wait for another's save are saved together: the newest stands for all of them.
        """
        heads = _newest(decisions)
        if heads:
            self._heads.ask(heads)

    @contextmanager
    def meanwhile(self, decisions: Sequence[object]) -> Iterator[None]:
        """The same while the block runs, whose end waits for it.

        Raises:
          Unavailable: one of them cannot be written; not if the block fails, which is told then.
        """
        if not _newest(decisions):
            yield
            return
        try:
            saved = self._threads.submit(self.newest, decisions)
        except RuntimeError:  # no thread can be started, or it was closed meanwhile
            self.newest(decisions)
            yield
            return
        try:
            yield
        except BaseException:
            wait([saved])
            raise
        saved.result()

    def _save_all(self, waiting: Sequence[Heads]) -> list[Exception | None]:
        """Saves them; one lineage whose head cannot be saved refuses its own callers, and no other's."""
        failed: dict[str, Exception] = {}
        for head in _newest([head for heads in waiting for head in heads]):
            try:
                self.save(head)
            except DpstatsError as error:
                failed[head.lineage] = error
        return [next((failed[head.lineage] for head in heads if head.lineage in failed), None) for heads in waiting]


def _threads() -> ThreadPoolExecutor:
    """Threads for them, none of which is started before it is needed."""
    return ThreadPoolExecutor(AT_ONCE, "dpstats-heads")


def _newest(decisions: Sequence[object]) -> list[Entry | Charged]:
    """The newest charge of each lineage among these."""
    charges = [one for one in decisions if isinstance(one, Entry | Charged)]
    return list({one.lineage: one for one in sorted(charges, key=lambda one: one.seq)}.values())
