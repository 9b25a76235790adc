"""Data that are older than an erasure: restored from an old copy, or of an erasure that is not over."""

from __future__ import annotations

from collections.abc import Callable

from dpstats.access import Action, check
from dpstats.catalog.dataset import DatasetFile
from dpstats.errors import FileError, Unavailable
from dpstats.ledger.registry import DataVersionRecord
from dpstats.ledger.store import Store
from dpstats.ledger.tokens import Identity
from dpstats.library import Library
from dpstats.rights.erasures import Erasures
from dpstats.rights.suppression import Suppressions


class Behind:
    """Looks for such data in a workspace: they answer nobody until they are made anew."""

    def __init__(self, store: Store, library: Library, suppressions: Suppressions, erasures: Erasures) -> None:
        self._registry, self._library = store.registry, library
        self._suppressions, self._erasures = suppressions, erasures
        self._stuck: frozenset[str] = frozenset()

    def is_behind(self, dataset: DatasetFile) -> bool:
        """Whether a dataset's data were made before somebody among its people was erased for the last time."""
        last = self._suppressions.newest(dataset.lineage)
        versions = self._registry.data_versions(dataset.dataset)[-1:]
        return last is not None and any(
            version.created_at < last or self.must_not_answer(dataset, version) for version in versions
        )

    def must_not_answer(self, dataset: DatasetFile, version: DataVersionRecord) -> bool:
        """Whether a data version may hold somebody who was erased, be it that it is being made anew, or cannot be."""
        stuck = version.data_version in self._stuck
        return stuck or self._erasures.came_after(dataset.lineage, version.data_version, version.created_at)

    def catch_up(self, identity: Identity, rebuild: Callable[[str], object]) -> None:
        """Makes such data anew, so that whoever was erased is in nothing that is served.

        What cannot be made anew answers nobody, and keeps nothing else from being served.

        Raises:
          Forbidden: the caller is no steward.
        """
        check(identity, Action.STEWARD)
        if not self._suppressions.any():
            return
        for dataset in self._library.datasets(identity):
            if self.is_behind(dataset):
                behind = {each.data_version for each in self._registry.data_versions(dataset.dataset)}
                self._stuck |= behind
                try:
                    rebuild(dataset.dataset)
                except (FileError, Unavailable):
                    continue
                self._stuck -= behind
