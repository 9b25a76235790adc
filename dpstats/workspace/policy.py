"""Policy as code: what the files of a folder would change against what is registered and approved.

Nothing is read but files, the register and the budget; of the data, public tables alone, for the values of keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dpstats.access import Action, check
from dpstats.catalog.canonical import load_fingerprint
from dpstats.catalog.dataset import DatasetFile
from dpstats.catalog.differences import differences
from dpstats.errors import Conflict, FileError, NotFound, NotLoaded, QueryRefused
from dpstats.ledger.approvals import Approval
from dpstats.ledger.registry import QueryRecord
from dpstats.ledger.store import Store
from dpstats.ledger.tokens import Identity
from dpstats.library import analysis_of, dataset_of, query_of
from dpstats.plan.analysis import Analysis
from dpstats.workspace.datasets import Datasets
from dpstats.workspace.policy_changes import Change, DatasetChange, Priced, QueryChange
from dpstats.workspace.policy_features import ViewChange, ViewPlanning
from dpstats.workspace.policy_files import DatasetText, PolicyFiles, QueryText, read_policy
from dpstats.workspace.review import Review


@dataclass(frozen=True)
class PolicyPlan:
    """Everything that a folder would change. `before`: what was approved when the plan was made, as far as priced."""

    files: PolicyFiles
    datasets: tuple[DatasetChange, ...]
    queries: tuple[QueryChange, ...]
    views: tuple[ViewChange, ...]
    before: tuple[Priced, ...]

    @property
    def refusals(self) -> tuple[str, ...]:
        """Every reason why the plan cannot be carried out."""
        wrong = [reason for file in self.files.wrong for reason in file.reasons]
        return (*wrong, *(reason for change in self.changes for reason in _told(change)))

    @property
    def changes(self) -> tuple[DatasetChange | QueryChange | ViewChange, ...]:
        """Datasets, then queries, then feature views."""
        return (*self.datasets, *self.queries, *self.views)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return {change.change for change in self.changes} <= {Change.UNCHANGED, Change.REVOKED}


def _told(change: DatasetChange | QueryChange | ViewChange) -> Iterator[str]:
    if change.change is Change.REFUSED:
        yield from (f"{change.name}: {reason}" for reason in change.reasons)


class Planning:
    """Compares files with the workspace."""

    def __init__(self, store: Store, review: Review, datasets: Datasets, views: ViewPlanning) -> None:
        self._registry = store.registry
        self._review, self._datasets, self._views = review, datasets, views

    def plan(self, identity: Identity, folder: Path) -> PolicyPlan:
        """What the files of the folder would change; changes nothing.

        Raises:
          FileError: there is no such folder, or nothing in it. Forbidden: the caller is no steward.
        """
        check(identity, Action.STEWARD)
        files = read_policy(folder)
        datasets = tuple(self._dataset_change(identity, said) for _, said in sorted(files.datasets.items()))
        queries = [self._query_change(said, files) for said in files.queries.values()]
        queries += self._withdrawn(files)
        ordered = sorted(queries, key=lambda item: (item.dataset, item.name))
        views = tuple(self._views.changes(files, {item.name: item for item in ordered}))
        return PolicyPlan(files, datasets, tuple(ordered), views, tuple(self._approved(files)))

    # -- datasets ------------------------------------------------------------------------------------------------

    def _dataset_change(self, identity: Identity, said: DatasetText) -> DatasetChange:
        name, dataset = said.dataset.dataset, said.dataset
        known = self._definition(name)
        parts = () if known is None else differences(dataset_of(known, name), dataset)
        change = Change.NEW if known is None else Change.CHANGED if parts else Change.UNCHANGED
        try:
            self._datasets.check_definition(identity, dataset)
        except Conflict as error:
            return DatasetChange(name, Change.REFUSED, said.file, said.text, dataset, parts, reasons=(str(error),))
        ends = tuple(self._ended(name, said.text)) if change is Change.CHANGED else ()
        return DatasetChange(name, change, said.file, said.text, dataset, parts, ends, self._must_load(dataset))

    def _ended(self, dataset: str, definition: str) -> Iterator[str]:
        """The approved queries of a dataset that another definition leaves without an approval."""
        for record in self._records(dataset):
            before = self._version(record, self._registry.dataset(dataset).definition)
            if self._approval(record.name, before) is None:
                continue
            if self._approval(record.name, self._version(record, definition)) is None:
                yield record.name

    def _must_load(self, dataset: DatasetFile) -> bool:
        versions = self._registry.data_versions(dataset.dataset)
        return not versions or versions[-1].fingerprint != load_fingerprint(dataset)

    # -- queries -------------------------------------------------------------------------------------------------

    def _query_change(self, said: QueryText, files: PolicyFiles) -> QueryChange:
        name, dataset = said.query.query, said.query.dataset
        definition = self._planned_definition(dataset, files)
        registered = self._newest(name)
        try:
            if definition is None:
                raise NotFound("dataset", dataset)
            if registered is not None and registered.dataset != dataset:
                raise Conflict(f"a query of dataset {registered.dataset} has this name: choose another")
            analysis = analysis_of(said.text, definition, name, dataset)
            plan = self._review.plan_of_defaults(analysis)
        except NotLoaded:
            return QueryChange(name, dataset, Change.WAITING, said, reasons=(_waits(dataset),))
        except QueryRefused as error:
            return QueryChange(name, dataset, Change.REFUSED, said, reasons=tuple(str(r) for r in error.reasons))
        except (Conflict, FileError, NotFound) as error:
            return QueryChange(name, dataset, Change.REFUSED, said, reasons=(str(error),))
        if plan is None:
            return QueryChange(name, dataset, Change.WAITING, said, reasons=(_waits(dataset),))
        change = self._compared(registered, analysis, definition)
        parts = () if registered is None else differences(query_of(registered.text, name), said.query)
        return QueryChange(name, dataset, change, said, analysis.version, Priced(analysis, plan), parts)

    def _compared(self, registered: QueryRecord | None, analysis: Analysis, definition: str) -> Change:
        if registered is None:
            return Change.NEW
        ruling = [a for a in self._registry.approvals(registered.name) if a.version == analysis.version][-1:]
        if ruling and ruling[0].revoked_at is not None:
            return Change.REVOKED
        same = self._version(registered, definition) == analysis.version
        if same and self._approval(registered.name, analysis.version) is not None:
            return Change.UNCHANGED
        if same and ruling:
            return Change.EXPIRED
        return Change.CHANGED if self._registry.approvals(registered.name) or not same else Change.SUBMITTED

    def _withdrawn(self, files: PolicyFiles) -> Iterator[QueryChange]:
        """Approved queries of the folder's datasets that have no file; a file that is wrong is a file."""
        there = {*files.queries, *(wrong.file.stem for wrong in files.wrong)}
        for dataset in files.datasets:
            for record in self._records(dataset) if self._definition(dataset) is not None else ():
                versions = {item.version for item in self._registry.approvals(record.name)}
                held = [version for version in versions if self._approval(record.name, version) is not None]
                if record.name not in there and held:
                    yield QueryChange(record.name, dataset, Change.WITHDRAWN, None)

    def _approved(self, files: PolicyFiles) -> Iterator[Priced]:
        """What is approved of the folder's datasets and can be priced."""
        for dataset in files.datasets:
            definition = self._definition(dataset)
            for record in self._records(dataset) if definition is not None else ():
                if self._approval(record.name, self._version(record, str(definition))) is None:
                    continue
                analysis = analysis_of(record.text, str(definition), record.name, dataset)
                try:
                    plan = self._review.plan_of_defaults(analysis)
                except (NotLoaded, QueryRefused):
                    continue
                if plan is not None:
                    yield Priced(analysis, plan)

    # -- the register --------------------------------------------------------------------------------------------

    def _definition(self, dataset: str) -> str | None:
        known = {record.name: record.definition for record in self._registry.datasets()}
        return known.get(dataset)

    def _planned_definition(self, dataset: str, files: PolicyFiles) -> str | None:
        said = files.datasets.get(dataset)
        return self._definition(dataset) if said is None else said.text

    def _newest(self, name: str) -> QueryRecord | None:
        try:
            return self._registry.newest_query(name)
        except NotFound:
            return None

    def _records(self, dataset: str) -> list[QueryRecord]:
        return [self._registry.newest_query(record.name) for record in self._registry.queries(dataset)]

    def _version(self, record: QueryRecord, definition: str) -> str:
        """The version of a registered text under a definition; empty where it cannot be answered."""
        try:
            return analysis_of(record.text, definition, record.name, record.dataset).version
        except (QueryRefused, FileError):
            return ""

    def _approval(self, query: str, version: str) -> Approval | None:
        return self._registry.approval(query, version) if version else None


def _waits(dataset: str) -> str:
    return (
        f"its keys come from a public table that is not loaded as it is defined now: load {dataset}, "
        "then plan and apply again"
    )
