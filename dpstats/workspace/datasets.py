"""Datasets: registered from their files, loaded as data versions, looked at as declared."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dpstats.access import Action, check
from dpstats.catalog.canonical import load_fingerprint
from dpstats.catalog.dataset import Column, DatasetFile, parse_dataset
from dpstats.catalog.purposes import kind_of
from dpstats.catalog.source import load_file
from dpstats.engine.consent import Roll
from dpstats.engine.corrected import right_rows, wrong_cells
from dpstats.engine.corrections import Fix
from dpstats.engine.erasure import Held, files_holding, held
from dpstats.engine.links import LeftOut, ids_of
from dpstats.engine.load import load
from dpstats.engine.load_report import read_report
from dpstats.engine.pieces import Pieces, pieces
from dpstats.engine.retention import Ages
from dpstats.errors import Conflict, NotFound, SecondStewardNeeded
from dpstats.ledger.blocks import BlockTerms
from dpstats.ledger.files import file_lock
from dpstats.ledger.granting import Opening
from dpstats.ledger.proposals import lineage_draft
from dpstats.ledger.records import LineageTerms
from dpstats.ledger.registry import Manifest
from dpstats.ledger.store import Store
from dpstats.ledger.tokens import Identity
from dpstats.library import Library
from dpstats.privacy.conversion import rho_within
from dpstats.privacy.loss import Loss, Measure, amount_down, delta_down
from dpstats.workspace.people import People

Progress = Callable[[str, float], None]


Rolls = Callable[[DatasetFile], Roll | None]
"""Whom a dataset's purposes count, as of the last closed epoch."""


Look = Callable[[DatasetFile, Path], Held]
"""What is still to go from a data version's file: rows by table, and texts that nothing may hold afterwards."""


class Datasets:
    """The datasets of a workspace; `data` is the folder of their data versions, `key` the workspace's secret."""

    def __init__(self, store: Store, library: Library, data: Path, key: bytes, people: People, rolls: Rolls) -> None:
        self._registry, self._ledger, self._proposals = store.registry, store.ledger, store.proposals
        self._library, self._data, self._key = library, data, key
        self._people, self._rolls = people, rolls
        self._now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def add(self, identity: Identity, file: Path, sources: Mapping[str, Path], progress: Progress | None = None) -> str:
        """Registers `dataset.yaml` and loads its data; gives the data version.

        Raises:
          FileError: the file or a source is wrong. Conflict: it contradicts what is recorded. Nothing is changed then.
          SecondStewardNeeded: its lineage is new, and is proposed to another steward; add it again once confirmed.
        """
        check(identity, Action.STEWARD)
        text = load_file(file)
        dataset = parse_dataset(text, str(file))
        self._check_lineage(dataset)
        with self._alone(dataset.lineage):
            self._sign_off(identity, dataset)
            version, as_of = _new_version(), datetime.now(UTC)
            with self._loaded(dataset, sources, version, as_of, append=False, progress=progress):
                self._open_lineage(identity, dataset)
                self._registry.register_dataset(dataset.dataset, text, dataset.lineage)
                self._enter(dataset, version, as_of, _manifest(dataset, sources, None))
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
    ) -> str:
        """A new data version of a registered dataset: the given tables anew (or added to), the others carried over.

        Args:
          blocks: the first and the last time block that the sources bring anything new of, as the steward knows it;
            None: it may be any. It limits nothing: it is what a feature view's renewal goes by.

        Raises:
          NotFound: no such dataset. FileError: a source is wrong; nothing is changed then.
          ValueError: `blocks` are none of this dataset's.
        """
        check(identity, Action.STEWARD)
        dataset = self._library.dataset(identity, name)
        manifest = _manifest(dataset, sources, blocks)
        with self._alone(dataset.lineage):
            return self._load_next(dataset, sources, manifest, append=append, progress=progress)

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
        version, as_of = _new_version(), as_of or datetime.now(UTC)
        with self._loaded(dataset, sources, version, as_of, append=append, progress=progress):
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
        return self.rebuild(identity, name, lambda dataset, file: held(dataset, file, is_person), progress)

    def rebuild(self, identity: Identity, name: str, look: Look, progress: Progress | None = None) -> dict[str, Any]:
        """Makes a data version by what is suppressed, corrected and past its time now, and removes every other file.

        Returns:
          The evidence: rows to go by table, before and after; files removed; a scan of the folder's bytes for what
          must be gone, before (its positive control) and after.

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
            before = look(dataset, self._data / versions[-1].file)
            found_before = files_holding(folder, before.ids)
            version = self._load_next(dataset, {}, _manifest(dataset, {}, None), progress=progress)
            current = self._data / _version_file(name, version)
            removed = {Path(each.file).name for each in versions} | _sweep(folder, keep=current)
            after = look(dataset, current)
            return {
                "dataset": name,
                "data_version": version,
                "rows_before": dict(before.rows),
                "rows_after": dict(after.rows),
                "files_removed": sorted(removed),
                "scan": {"found_before": list(found_before), "found_after": list(files_holding(folder, before.ids))},
            }

    def rows_of(self, identity: Identity, name: str, fix: Fix, is_person: LeftOut) -> tuple[int, int]:
        """How many rows of a person a correction would change, and how many are as it leaves them already.

        Raises:
          NotFound: no such dataset. FileError: the data cannot be read.
        """
        check(identity, Action.STEWARD)
        dataset = self._library.dataset(identity, name)
        with self._alone(dataset.lineage):
            versions = self._registry.data_versions(name)
            if not versions:
                return 0, 0
            file = self._data / versions[-1].file
            return sum(wrong_cells(dataset, file, fix, is_person).rows.values()), right_rows(
                dataset, file, fix, is_person
            )

    def load_report(self, identity: Identity, name: str) -> dict[str, Any]:
        """What the load of the current data version kept and dropped, exactly; for the host's command line alone.

        Raises:
          NotFound: no such dataset, or nothing is loaded. FileError: the data version has no report.
        """
        check(identity, Action.STEWARD)
        self._library.dataset(identity, name)
        version = self._registry.data_version(name)
        tables = {table: vars(report) for table, report in read_report(self._data / version.file).items()}
        return {"dataset": name, "data_version": version.data_version, "as_of": version.as_of.isoformat()} | {
            "tables": tables
        }

    def pieces(self, identity: Identity, name: str, is_person: LeftOut) -> Mapping[str, Pieces]:
        """The rows that the current data version holds of one person, by table; for that person alone.

        Raises:
          Forbidden: the caller is no steward. NotFound: no such dataset. FileError: the data cannot be read.
        """
        check(identity, Action.STEWARD)
        dataset = self._library.dataset(identity, name)
        versions = self._registry.data_versions(name)
        return pieces(dataset, self._data / versions[-1].file, is_person) if versions else {}

    def ids(self, identity: Identity, name: str, is_person: LeftOut) -> frozenset[str]:
        """The ids that the current data version links to a person's, for that person alone.

        Raises:
          Forbidden, NotFound, FileError: as `pieces`.
        """
        check(identity, Action.STEWARD)
        dataset = self._library.dataset(identity, name)
        versions = self._registry.data_versions(name)
        return ids_of(dataset, self._data / versions[-1].file, is_person) if versions else frozenset()

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
        self._check_lineage(dataset)
        with suppress(NotFound):
            self._ledger.terms(dataset.lineage)
            self._open_lineage(identity, dataset)  # a known one is looked at, and granted nothing

    def register(self, identity: Identity, text: str, file: str) -> None:
        """Makes a definition the current one without loading data: the loaded ones stay if they fit it.

        Raises:
          FileError: the text is wrong. Conflict: it contradicts what is recorded. Nothing is changed then.
        """
        check(identity, Action.STEWARD)
        dataset = parse_dataset(text, file)
        self._check_lineage(dataset)
        self._open_lineage(identity, dataset)
        self._registry.register_dataset(dataset.dataset, text, dataset.lineage)

    def ages(self, dataset: DatasetFile, *, brought_now: Collection[str] = ()) -> Ages:
        """What a dataset's retention is counted by now: a table is as old as the last load that brought it."""
        now, brought = self._now(), dict[str, datetime]()
        manifests = self._registry.manifests()
        for version in self._registry.data_versions(dataset.dataset) if self._registered(dataset.dataset) else ():
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
    ) -> Iterator[None]:
        """Makes a data version's file; removes it again if it does not come to be known."""
        earlier = self._registry.data_versions(dataset.dataset) if self._registered(dataset.dataset) else ()
        target = self._data / _version_file(dataset.dataset, version)
        with _kept_if_entered(target):
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
            )
            # Before the data are entered: whoever is linked to a suppressed person is that person, for good.
            self._people.linked_out(dataset, loaded.linked_out)
            yield
        self._people.confirmed(loaded.confirmed)

    def _enter(self, dataset: DatasetFile, version: str, as_of: datetime, manifest: Manifest) -> None:
        """Records a data version. `as_of` is when its load began: blocks end there, in the file and in charges."""
        self._registry.add_manifest(version, manifest)
        self._registry.add_data_version(
            dataset.dataset,
            version,
            file=_version_file(dataset.dataset, version),
            fingerprint=load_fingerprint(dataset),
            as_of=as_of,
        )

    def _forget_old(self, name: str) -> None:
        """Removes the files of data versions that are no longer current; a run on one goes on until it ends."""
        *old, _ = self._registry.data_versions(name)
        for version in old:
            (self._data / version.file).unlink(missing_ok=True)

    def _registered(self, name: str) -> bool:
        return any(record.name == name for record in self._registry.datasets())

    def _check_lineage(self, dataset: DatasetFile) -> None:
        for record in self._registry.datasets():
            if record.name == dataset.dataset and record.lineage != dataset.lineage:
                raise Conflict(
                    f"dataset {dataset.dataset} is of lineage {record.lineage}, and a budget follows its people: "
                    f"write lineage: {record.lineage}"
                )

    def _sign_off(self, identity: Identity, dataset: DatasetFile) -> None:
        """Refuses a new lineage that takes a second steward before anything is loaded for it, and proposes it."""
        if self._proposals.policy().new_lineages and not self._ledger.has_lineage(dataset.lineage):
            self._open_lineage(identity, dataset)

    def _open_lineage(self, identity: Identity, dataset: DatasetFile) -> None:
        opening = _opening(dataset, identity.name)
        try:
            self._ledger.open_as(opening)
        except SecondStewardNeeded as needed:
            proposed = self._proposals.propose(lineage_draft(dataset.dataset, opening), identity)
            raise SecondStewardNeeded(needed.what, proposed.proposal_id) from None

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
            "blocks": _blocks_view(dataset),
            "purposes": {
                name: {"title": p.title, "consent": dataset.consent_of(name), "kind": kind_of(name, p)}
                for name, p in dataset.purposes.items()
            },
            "tables": {name: _table_view(dataset, name) for name in dataset.tables},
        }


def _opening(dataset: DatasetFile, actor: str) -> Opening:
    terms = LineageTerms(
        dataset.lineage,
        dataset.measure,
        delta_down(dataset.conversion_delta),
        dataset.privacy_unit,
        datetime.now(UTC),
        _block_terms(dataset),
    )
    return Opening(terms, stated_cap(dataset), amount_down(dataset.budget.epsilon), actor)


def stated_cap(dataset: DatasetFile) -> Loss:
    """What a dataset's file lets be charged for life."""
    epsilon = dataset.budget.epsilon
    pure = dataset.measure is Measure.PURE
    amount = amount_down(epsilon) if pure else rho_within(epsilon, dataset.conversion_delta)
    return Loss(dataset.measure, amount, delta_down(dataset.delta_thresholds))


def _sweep(folder: Path, *, keep: Path) -> set[str]:
    """Removes every file of a dataset's folder but one: what a killed process left may hold anybody's rows."""
    removed = set()
    for path in folder.iterdir():
        if path.is_file() and path != keep:
            path.unlink(missing_ok=True)
            removed.add(path.name)
    return removed


@contextmanager
def _kept_if_entered(target: Path) -> Iterator[None]:
    """Removes a data version's file if it does not come to be known: nobody would ever erase it."""
    try:
        yield
    except BaseException:
        target.unlink(missing_ok=True)
        raise


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


def _new_version() -> str:
    return f"dv_{secrets.token_hex(8)}"


def _version_file(dataset: str, version: str) -> str:
    return f"{dataset}/{version}.duckdb"


def _block_terms(dataset: DatasetFile) -> BlockTerms | None:
    blocks = dataset.blocks
    if blocks is None:
        return None
    epsilon = amount_down(blocks.budget.epsilon)
    pure = dataset.measure is Measure.PURE
    amount = epsilon if pure else rho_within(blocks.budget.epsilon, blocks.conversion_delta)
    cap = Loss(dataset.measure, amount, delta_down(blocks.delta_thresholds))
    return BlockTerms(blocks.column, blocks.every, cap, epsilon, delta_down(blocks.conversion_delta))


def _blocks_view(dataset: DatasetFile) -> dict[str, Any] | None:
    blocks = dataset.blocks
    if blocks is None:
        return None
    budget = {"epsilon": float(blocks.budget.epsilon), "delta": float(blocks.budget.delta)}
    late_rows = blocks.late_rows.model_dump() if blocks.late_rows else "accept"
    return {"column": blocks.column, "every": str(blocks.every), "budget": budget, "late_rows": late_rows}


def _table_view(dataset: DatasetFile, name: str) -> dict[str, Any]:
    table = dataset.tables[name]
    return {
        "public": table.public,
        "one_row_per_unit": table.one_row_per_unit,
        "columns": {column: _column_view(spec) for column, spec in table.columns.items()},
    }


def _column_view(spec: Column) -> dict[str, Any]:
    return {
        "type": str(spec.type),
        "bounds": [float(end) for end in spec.bounds] if spec.bounds else None,
        "values": [str(value) for value in spec.values] if spec.values else None,
        "unit": spec.unit,
        "category": spec.category,
        "purposes": list(spec.purposes) if spec.purposes else None,
        "why": spec.why,
        "sensitive": spec.sensitive,
        "retention_days": spec.retention.total_seconds() / 86400 if spec.retention else None,
        "never_disclose": spec.never_disclose,
    }
