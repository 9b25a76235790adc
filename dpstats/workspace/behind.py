"""Data that are older than an erasure: restored from an old copy, or of an erasure that is not over."""

from __future__ import annotations

from contextlib import suppress

from dpstats.access import Action, check
from dpstats.catalog.dataset import DatasetFile
from dpstats.engine.erasure import Held
from dpstats.errors import FileError
from dpstats.ledger.store import Store
from dpstats.ledger.tokens import Identity
from dpstats.library import Library
from dpstats.rights.suppression import Suppressions
from dpstats.workspace.datasets import Datasets


class Behind:
    """Looks for such data in a workspace, and makes them anew."""

    def __init__(self, store: Store, library: Library, datasets: Datasets, suppressions: Suppressions) -> None:
        self._registry, self._library = store.registry, library
        self._datasets, self._suppressions = datasets, suppressions

    def is_behind(self, dataset: DatasetFile) -> bool:
        """Whether a dataset's data were made before somebody among its people was erased for the last time."""
        last = self._suppressions.newest(dataset.lineage)
        versions = self._registry.data_versions(dataset.dataset)[-1:]
        return last is not None and any(version.created_at < last for version in versions)

    def catch_up(self, identity: Identity) -> None:
        """Makes such data anew, so that whoever was erased is in nothing that is served.

        Raises:
          Forbidden: the caller is no steward.
        """
        check(identity, Action.STEWARD)
        if not self._suppressions.any():
            return
        for dataset in self._library.datasets(identity):
            if self.is_behind(dataset):
                # Data that cannot be made anew cannot be opened either, and answer nobody.
                with suppress(FileError):
                    self._datasets.rebuild(identity, dataset.dataset, lambda *_: Held({}, frozenset()))
