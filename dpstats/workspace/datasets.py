"""Datasets: registered from their files, loaded as data versions, looked at as declared."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from dpstats.access import Action, check, operator
from dpstats.catalog.canonical import load_fingerprint
from dpstats.catalog.dataset import DatasetFile, parse_dataset
from dpstats.catalog.engines import EngineSpec
from dpstats.catalog.purposes import kind_of
from dpstats.catalog.source import load_file
from dpstats.engine.consent import Roll
from dpstats.engine.erasure import Held, files_holding, held, scan_says
from dpstats.engine.in_place import Lake
from dpstats.engine.links import LeftOut
from dpstats.engine.load import load
from dpstats.engine.retention import Ages
from dpstats.engine.spark.export import export
from dpstats.errors import FileError, Unavailable
from dpstats.ledger.files import file_lock
from dpstats.ledger.registry import DataVersionRecord, Manifest
from dpstats.ledger.store import Store
from dpstats.ledger.tokens import Identity
from dpstats.library import Library
from dpstats.rights.notices_at_load import NoticesAtLoad
from dpstats.workspace.dataset_views import blocks_view, table_view
from dpstats.workspace.definitions import Definitions
from dpstats.workspace.owners import Owners
from dpstats.workspace.people import People
from dpstats.workspace.version_files import forget, kept_if_entered, names_in, new_version, sweep, version_file

Progress = Callable[[str, float], None]


Rolls = Callable[[DatasetFile], Roll | None]
"""Whom a dataset's purposes count, as of the last closed epoch."""
Lakes = Callable[[EngineSpec], Lake]
"""What looks at the folders of tables in place, by the engine that reads them."""


NOTHING_ERASED = "not reached: nothing is erased there; what may not be read is left out whenever it is read"
Look = Callable[[DatasetFile, Path], Held]
"""What is still to go from a data version's file: rows by table, and texts that nothing may hold afterwards."""


class Datasets:
    """The datasets of a workspace; `data` is the folder of their data versions, `key` the workspace's secret."""

    def __init__(
        self,
        store: Store,
        library: Library,
        data: Path,
        key: bytes,
        people: People,
        rolls: Rolls,
        notices: NoticesAtLoad,
        lakes: Lakes,
        owners: Owners,
    ) -> None:
        self._registry, self._definitions = store.registry, Definitions(store, library)
        self._library, self._data, self._key = library, data, key
        self._people, self._rolls, self._notices = people, rolls, notices
        self._lakes, self._owners = lakes, owners
        self._now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def add(
        self,
        identity: Identity,
        file: Path,
        sources: Mapping[str, Path],
        progress: Progress | None = None,
        *,
        notice: str = "",
    ) -> str:
        """Registers `dataset.yaml` and loads its data; gives the data version.

        Args:
          notice: the version of the notice at collection that the rows were collected under; empty: none is named.

        Raises:
          FileError: the file or a source is wrong. Conflict: it contradicts what is recorded, or the notice is not
            known, or must be named. Nothing is changed then.
          SecondStewardNeeded: its lineage is new, and is proposed to another steward; add it again once confirmed.
        """
        check(identity, Action.STEWARD)
        text = load_file(file)
        dataset = parse_dataset(text, str(file))
        self._definitions.check(dataset)
        self._check_notice(dataset, sources, notice)
        with self._alone(dataset.lineage):
            self._definitions.sign_off(identity, dataset)
            version, as_of = new_version(), datetime.now(UTC)
            with self._loaded(dataset, sources, version, as_of, append=False, progress=progress) as note_erased:
                self._definitions.enter(identity, dataset, text)
                note_erased()
                self._enter(dataset, version, as_of, _manifest(dataset, sources, None))
            self._note_notice(dataset, version, sources, notice)
            self._forget_old(dataset.dataset)
        return version

    def load(
        self,
        identity: Identity,
        name: str,
        sources: Mapping[str, Path],
        *,
        append: bool = False,
        blocks: tuple[str, str] | None = None,
        progress: Progress | None = None,
        notice: str = "",
    ) -> str:
        """A new data version of a registered dataset: the given tables anew (or added to), the others carried over.

        Args:
          blocks: the first and the last time block that the sources bring anything new of, as the steward knows it;
            None: it may be any. It limits nothing: it is what a feature view's renewal goes by.
          notice: as of `add`.

        Raises:
          NotFound: no such dataset. FileError: a source is wrong; nothing is changed then. Conflict: as of `add`.
          ValueError: `blocks` are none of this dataset's.
        """
        check(identity, Action.STEWARD)
        dataset = self._library.dataset(identity, name)
        manifest = _manifest(dataset, sources, blocks)
        self._check_notice(dataset, sources, notice)
        with self._alone(dataset.lineage):
            version = self._load_next(dataset, sources, manifest, append=append, progress=progress)
            self._note_notice(dataset, version, sources, notice)
            return version

    def notice_alone(self, dataset: DatasetFile) -> str:
        """The version of the notice at collection that tells of a dataset alone, as its file is now."""
        return self._notices.alone(dataset)

    def _check_notice(self, dataset: DatasetFile, sources: Collection[str], notice: str) -> None:
        """Looks only where rows about people come in."""
        if notice or set(sources) & set(dataset.personal_tables):
            others = [each for each in self._library.datasets(operator("notices")) if each.dataset != dataset.dataset]
            self._notices.check(dataset, notice, others)

    def _note_notice(self, dataset: DatasetFile, version: str, sources: Collection[str], notice: str) -> None:
        if notice:
            tables = set(sources) & set(dataset.personal_tables)
            self._notices.note_load(dataset.dataset, version, tables, notice, self._now())

    def _load_next(
        self,
        dataset: DatasetFile,
        sources: Mapping[str, Path],
        manifest: Manifest,
        *,
        append: bool = False,
        progress: Progress | None = None,
        as_of: datetime | None = None,
    ) -> str:
        version, as_of = new_version(), as_of or datetime.now(UTC)
        with self._loaded(dataset, sources, version, as_of, append=append, progress=progress) as note_erased:
            note_erased()
            self._enter(dataset, version, as_of, manifest)
        self._forget_old(dataset.dataset)
        return version

    def renew(self, identity: Identity, name: str) -> str:
        """A new data version of the same rows, but for people erased since, and consent as of the last closed epoch.

        Its rows are as of the same moment as before, and so are its blocks.

        Raises:
          NotFound: no such dataset, or nothing is loaded. FileError: it cannot be made; nothing is changed then.
        """
        check(identity, Action.STEWARD)
        dataset = self._library.dataset(identity, name)
        with self._alone(dataset.lineage):
            as_of = self._registry.data_version(name).as_of
            return self._load_next(dataset, {}, Manifest(frozenset()), as_of=as_of)

    def erase(
        self, identity: Identity, name: str, is_person: LeftOut, progress: Progress | None = None
    ) -> dict[str, Any]:
        """Makes a data version without the people who are suppressed, and removes every other file of the dataset.

        Args:
          is_person: says of an id, as text, whether it is of the person whom the evidence is about.

        Returns:
          The evidence, for stewards alone, as of `rebuild`.

        Raises:
          NotFound: no such dataset. FileError: the data cannot be carried over; nothing is changed then.
        """
        done = self.rebuild(identity, name, lambda dataset, file: held(dataset, file, is_person), progress)
        told = self._owners_told(self._library.dataset(identity, name))
        in_place = {table: f"{says}; {told}" for table, says in done.get("in_place", {}).items()}
        return done | ({"in_place": in_place} if in_place else {})

    def rebuild(self, identity: Identity, name: str, look: Look, progress: Progress | None = None) -> dict[str, Any]:
        """Makes a data version by what is suppressed, corrected and past its time now, and removes every other file.

        Its rows are as of the same moment as before, and so are its blocks: nothing newer was loaded.

        Returns:
          The evidence: rows to go by table, before and after; files removed; a scan of the folder's bytes for what
          must be gone, before (its positive control) and after, and what it shows.

        Raises:
          NotFound: no such dataset. FileError: the data cannot be carried over; nothing is changed then.
        """
        check(identity, Action.STEWARD)
        dataset = self._library.dataset(identity, name)
        folder = self._data / name
        with self._alone(dataset.lineage):
            versions = self._registry.data_versions(name)
            if not versions:
                return {"dataset": name, "data_version": None, "rows_before": {}, "rows_after": {}}
            there = names_in(folder)
            before = look(dataset, self._data / versions[-1].file)
            found_before = files_holding(folder, before.ids)
            manifest, as_of = _manifest(dataset, {}, None), versions[-1].as_of
            version = self._load_next(dataset, {}, manifest, progress=progress, as_of=as_of)
            current = self._data / version_file(name, version)
            sweep(folder, keep=current)
            removed = {Path(each.file).name for each in versions} | (there - names_in(folder))
            after = look(dataset, current)
            found_after = files_holding(folder, before.ids)
            in_place = dataset.tables_in_place
            return {
                "dataset": name,
                "data_version": version,
                "rows_before": dict(before.rows),
                "rows_after": dict(after.rows),
                "files_removed": sorted(removed),
                "scan": {
                    "found_before": list(found_before),
                    "found_after": list(found_after),
                    "says": scan_says(found_before, found_after),
                },
                **({"in_place": dict.fromkeys(in_place, NOTHING_ERASED)} if in_place else {}),
            }

    def _owners_told(self, dataset: DatasetFile) -> str:
        """Who is told of an erased person. Not whether the person's rows are there: made anew, no notes know of whom.

        So a deletion that is gone on with after a crash says what it would have said at once.
        """
        owners = ", ".join(self._owners.of(dataset))
        if owners:
            return f"if the person was noted there, a message to the owner is queued ({owners})"
        return (
            f"no owner is named to be told: `dpstats dataset erased-in-place {dataset.dataset}` lists whom to tell of"
        )

    @contextmanager
    def _alone(self, lineage: str) -> Iterator[None]:
        """One load or erasure of the same people at a time: who is suppressed as a load begins is so as it is entered.

        A dataset that is not known yet has people too: with a lock for each dataset, an erasure would pass by one that
        is being added, and end before it is there.
        """
        with file_lock(self._data.parent / f".load-{lineage}.lock"):
            yield

    def check_definition(self, identity: Identity, dataset: DatasetFile) -> None:
        """Whether the definition could be registered now; nothing is changed, no lineage opened.

        Raises:
          Conflict: it contradicts what is recorded.
        """
        check(identity, Action.STEWARD)
        self._definitions.check(dataset)
        self._definitions.check_terms(identity, dataset)

    def register(self, identity: Identity, text: str, file: str) -> None:
        """Makes a definition the current one without loading data: the loaded ones stay if they fit it.

        Raises:
          FileError: the text is wrong. Conflict: it contradicts what is recorded. Nothing is changed then.
        """
        check(identity, Action.STEWARD)
        dataset = parse_dataset(text, file)
        self._definitions.check(dataset)
        self._definitions.enter(identity, dataset, text)

    def ages(self, dataset: DatasetFile, *, brought_now: Collection[str] = ()) -> Ages:
        """What a dataset's retention is counted by now: a table is as old as the last load that brought it."""
        now, brought = self._now(), dict[str, datetime]()
        manifests = self._registry.manifests()
        for version in self._registry.data_versions(dataset.dataset):
            manifest = manifests.get(version.data_version)
            tables = dataset.tables if manifest is None else manifest.tables
            brought |= dict.fromkeys(tables, version.created_at)
        return Ages(now, brought | dict.fromkeys(brought_now, now))

    @contextmanager
    def _loaded(
        self,
        dataset: DatasetFile,
        sources: Mapping[str, Path],
        version: str,
        as_of: datetime,
        *,
        append: bool,
        progress: Progress | None,
    ) -> Iterator[Callable[[], None]]:
        """Makes a data version's file; removes it again if it does not come to be known.

        Gives what notes of how many erasures it knows, just before it is entered: whoever is erased while it is loaded
        is missed in it then, even if the erasure itself is killed.
        """
        earlier = self._registry.data_versions(dataset.dataset)
        target = self._data / version_file(dataset.dataset, version)
        erased = self._people.erased(dataset)
        with kept_if_entered(target):
            loaded = load(
                dataset,
                sources,
                target=target,
                key=self._key,
                base=self._data / earlier[-1].file if earlier else None,
                append=append,
                progress=progress,
                today=as_of.date(),
                roll=self._rolls(dataset),
                left_out=self._people.left_out(dataset),
                overlay=self._people.overlay(dataset),
                ages=self.ages(dataset, brought_now=sources),
                lake=None if dataset.engine is None else self._lakes(dataset.engine),
            )
            if dataset.engine is not None:
                export(dataset, target)
            # Before the data are entered: whoever is linked to a suppressed person is that person, for good.
            found = self._people.linked_out(dataset, loaded.linked_out)
            self._owners.tell(dataset, loaded.still_in_place)
            yield partial(self._people.note_erased, version, erased, found)
        self._people.confirmed(loaded.confirmed)
        if loaded.linked_out:  # suppressed just now, or by a load that ended before it came so far
            self._leave_linked_out(dataset)

    def _leave_linked_out(self, dataset: DatasetFile) -> None:
        """Makes other data of the same people anew that may hold an id which a load found to be an erased person's.

        They answer nobody meanwhile; what cannot be made anew, until it can, as `doctor` tells. The load stands.
        """
        for other in self._library.datasets(operator("links")):
            versions = self._registry.data_versions(other.dataset)[-1:]
            if other.lineage == dataset.lineage and any(self._people.missed(other, version) for version in versions):
                with suppress(FileError, Unavailable):
                    self._load_next(other, {}, Manifest(frozenset()), as_of=versions[0].as_of)

    def _enter(self, dataset: DatasetFile, version: str, as_of: datetime, manifest: Manifest) -> None:
        """Records a data version. `as_of` is when its load began: blocks end there, in the file and in charges."""
        self._registry.add_manifest(version, manifest)
        self._registry.add_data_version(
            dataset.dataset,
            version,
            file=version_file(dataset.dataset, version),
            fingerprint=load_fingerprint(dataset),
            as_of=as_of,
        )

    def _forget_old(self, name: str) -> None:
        """Removes what is there of data versions that are no longer current; a run on one goes on until it ends."""
        *old, _ = self._registry.data_versions(name)
        for version in old:
            forget(self._data / version.file)

    def current(self, dataset: DatasetFile) -> DataVersionRecord | None:
        """The current data version; None where the data must be loaded first, as the dataset is defined now."""
        found = self._registry.data_versions(dataset.dataset)[-1:]
        return next((each for each in found if each.fingerprint == load_fingerprint(dataset)), None)

    def current_version(self, dataset: DatasetFile) -> str | None:
        """The id of the current data version, if it was loaded under the definition in force."""
        found = self.current(dataset)
        return None if found is None else found.data_version

    @contextmanager
    def current_file(self, dataset: DatasetFile) -> Iterator[Path | None]:
        """The current data version's file, which nothing replaces while the `with` lasts; None if nothing is loaded."""
        with self._alone(dataset.lineage):
            versions = self._registry.data_versions(dataset.dataset)
            yield self._data / versions[-1].file if versions else None

    @contextmanager
    def current_files(self, lineage: str, names: Iterable[str]) -> Iterator[Mapping[str, Path]]:
        """The current data versions' files of datasets of the same people, which nothing replaces while `with` lasts.

        Without those of which nothing is loaded.
        """
        with self._alone(lineage):
            current = {name: self._registry.data_versions(name)[-1:] for name in names}
            yield {name: self._data / version.file for name, versions in current.items() for version in versions}

    def all(self, identity: Identity) -> list[dict[str, Any]]:
        """Every dataset that the caller may see."""
        check(identity, Action.READ)
        return [self._view(dataset) for dataset in self._library.datasets(identity)]

    def one(self, identity: Identity, name: str) -> dict[str, Any]:
        """One dataset: its tables and columns as declared, never anything counted from the data."""
        check(identity, Action.READ)
        return self._view(self._library.dataset(identity, name))

    def _view(self, dataset: DatasetFile) -> dict[str, Any]:
        versions = self._registry.data_versions(dataset.dataset)
        current = versions[-1] if versions else None
        return {
            "dataset": dataset.dataset,
            "title": dataset.title,
            "description": dataset.description,
            "privacy_unit": dataset.privacy_unit,
            "lineage": dataset.lineage,
            "data_version": current.data_version if current else None,
            "as_of": current.as_of.isoformat() if current else None,
            "frozen": self._registry.is_frozen(dataset.dataset),
            "fresh_for_days": dataset.fresh_for.total_seconds() / 86400,
            "blocks": blocks_view(dataset),
            "purposes": {
                name: {"title": p.title, "consent": dataset.consent_of(name), "kind": kind_of(name, p)}
                for name, p in dataset.purposes.items()
            },
            "tables": {name: table_view(dataset, name) for name in dataset.tables},
        }


def _manifest(dataset: DatasetFile, sources: Mapping[str, Path], blocks: tuple[str, str] | None) -> Manifest:
    """What a load brings, as its steward says it."""
    if blocks is None:
        return Manifest(frozenset(sources))
    if dataset.blocks is None:
        raise ValueError(f"dataset {dataset.dataset} has no blocks: load it without naming any")
    first, last = (dataset.blocks.every.block_of(dataset.blocks.every.first_day(name)) for name in blocks)
    if first > last:
        raise ValueError(f"{first} is after {last}: name the earlier block first")
    return Manifest(frozenset(sources), first, last)
