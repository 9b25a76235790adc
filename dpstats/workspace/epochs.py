"""Consent epochs: on a timetable, what people decided takes effect, all of it at once.

An epoch's close gives every dataset that asks for consent a new data version under a new random id, whether or not
anything changed, so that nobody can watch one person leave. How many people are counted is told to nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

from dpstats.access import Action, check, operator
from dpstats.catalog.consented import asked_purposes
from dpstats.catalog.dataset import DatasetFile
from dpstats.errors import Forbidden, NotLoaded, Unavailable
from dpstats.ledger.files import file_lock
from dpstats.ledger.store import Store
from dpstats.ledger.tokens import Identity
from dpstats.library import Library
from dpstats.release import Road
from dpstats.rights.consent_log import ConsentLog
from dpstats.workspace.datasets import Datasets
from dpstats.workspace.each import done_to_each


@dataclass(frozen=True)
class Renewed:
    """A dataset's new data version; empty if none could be made before its data are loaded as it is defined now."""

    dataset: str
    data_version: str


@dataclass(frozen=True)
class Timetable:
    """When epochs are closed: every day at `at`, in UTC; None: by whoever runs `dpstats consent epoch`.

    `max_age`: how old the last one may be before purposes that ask for consent answer nothing.
    """

    at: time | None
    max_age: timedelta

    def due(self, last: datetime | None, now: datetime) -> bool:
        """Whether a moment to close an epoch has passed since the last one was closed."""
        if self.at is None:
            return False
        today = datetime.combine(now.astimezone(UTC).date(), self.at, UTC)
        latest = today if today <= now else today - timedelta(days=1)
        return last is None or last < latest


NIGHTLY = Timetable(time(3), timedelta(hours=48))
"""The timetable where no setting says another."""


class Epochs:
    """The epochs of a workspace; one is closed at a time."""

    def __init__(
        self,
        store: Store,
        library: Library,
        road: Road,
        log: ConsentLog,
        datasets: Datasets,
        timetable: Timetable,
        lock: Path,
    ) -> None:
        self._road = road
        self._read: dict[str, tuple[str, datetime | None]] = {}  # by dataset: its version, and the epoch of its data
        self._registry, self._library, self._log = store.registry, library, log
        self._datasets, self.timetable, self._lock = datasets, timetable, lock

    def close(self, identity: Identity) -> tuple[Renewed, ...]:
        """Closes the running epoch, and gives each dataset that asks for consent a data version that goes by it.

        What a killed process left undone, the next close does.

        Raises:
          Forbidden: as of `check_closing`. FileError: a data version cannot be written; the others are.
        """
        self.check_closing(identity)
        with file_lock(self._lock):
            return self._close(identity)

    def check_closing(self, identity: Identity) -> None:
        """Whether this caller may close an epoch: it is every dataset's, so one who sees some of them may not.

        Raises:
          Forbidden: the caller is no steward of all datasets.
        """
        check(identity, Action.STEWARD)
        if identity.datasets:
            raise Forbidden(str(identity.role), "close an epoch for datasets that it does not see")

    def close_if_due(self, identity: Identity, now: datetime) -> tuple[Renewed, ...]:
        """Closes the running epoch if the timetable says so, and nobody else has by now.

        Where it was closed, but a dataset's data could not be made anew, that is tried again.

        Raises:
          Forbidden, FileError: as of `close`.
        """
        self.check_closing(identity)
        if not self._is_due(now) and not any(self._behind()):
            return ()
        with file_lock(self._lock):
            if self._is_due(now):
                return self._close(identity)
            return self._renew_all(identity, list(self._behind()))

    def last_closed(self) -> datetime | None:
        """When the last epoch was closed, None if none ever was."""
        epoch = self._log.last_epoch()
        return None if epoch is None else epoch.closed_at

    def _is_due(self, now: datetime) -> bool:
        """Nothing is due where nobody is asked, so that a workspace without consent keeps none."""
        return any(self._asking()) and self.timetable.due(self.last_closed(), now)

    def _close(self, identity: Identity) -> tuple[Renewed, ...]:
        self._log.close_epoch(datetime.now(UTC))
        return self._renew_all(identity, list(self._asking()))

    def _renew_all(self, identity: Identity, datasets: Sequence[DatasetFile]) -> tuple[Renewed, ...]:
        return done_to_each(datasets, lambda d: Renewed(d.dataset, self._renewed(identity, d)))

    def _renewed(self, identity: Identity, dataset: DatasetFile) -> str:
        return "" if self._datasets.current(dataset) is None else self._datasets.renew(identity, dataset.dataset)

    def _behind(self) -> Iterator[DatasetFile]:
        """The datasets whose data were made before the last epoch was closed, or go by an earlier one."""
        for dataset in self._asking():
            current, closed_at = self._datasets.current(dataset), self.last_closed()
            if closed_at is None or current is None:
                continue
            if current.created_at < closed_at or self._missed(dataset, current.data_version, closed_at):
                yield dataset

    def _missed(self, dataset: DatasetFile, version: str, closed_at: datetime) -> bool:
        """Whether data go by an earlier epoch, as they say: their load was under way as the last one was closed."""
        if self._read.get(dataset.dataset, ("", None))[0] != version:
            with suppress(NotLoaded, Unavailable), self._road.data(dataset) as (read, engine):
                known = None if engine.consent is None else engine.consent.closed_at
                self._read[dataset.dataset] = read.data_version, known
        read_of, known = self._read.get(dataset.dataset, ("", None))
        return read_of == version and (known is None or known < closed_at)

    def _asking(self) -> Iterator[DatasetFile]:
        yield from (d for d in self._library.datasets(operator("epochs")) if asked_purposes(d))
