"""The register of what there is and what may be asked: datasets, data versions, freezes, queries and approvals.

Nothing is forgotten: a change is a new row, and the newest row is what holds now.
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, insert, select, update

from dpstats.errors import Conflict, NotFound
from dpstats.ledger import approvals, histories, schema
from dpstats.ledger.approvals import Approval, Wish, as_approval
from dpstats.ledger.chain import canonical_json
from dpstats.ledger.clock import Clock, moment_of, stamp
from dpstats.ledger.database import one_moment, reading, writing
from dpstats.ledger.prepared import Row


@dataclass(frozen=True)
class DatasetRecord:
    """One revision of a dataset's definition (raw YAML), from 1."""

    name: str
    definition: str
    lineage: str
    registered_at: datetime
    revision: int


@dataclass(frozen=True)
class DataVersionRecord:
    """One load of a dataset: its id, the file it is in, a fingerprint, when it was made and as of when it tells."""

    data_version: str
    dataset: str
    file: str
    fingerprint: str
    created_at: datetime
    as_of: datetime


@dataclass(frozen=True)
class FreezeRecord:
    """A steward froze (`frozen`) or thawed a dataset."""

    dataset: str
    frozen: bool
    actor: str
    at: datetime


@dataclass(frozen=True)
class QueryRecord:
    """One revision of a query's text (raw YAML), from 1."""

    name: str
    dataset: str
    text: str
    submitted_at: datetime
    revision: int
    actor: str


@dataclass(frozen=True)
class ViewRecord:
    """One revision of a feature view's text (raw YAML), from 1. An empty text withdraws the view."""

    name: str
    dataset: str
    text: str
    submitted_at: datetime
    revision: int
    actor: str


@dataclass(frozen=True)
class Manifest:
    """What a load brought, as its steward said it: `tables`, and of the blocked one the blocks from `first` to `last`.

    Both ends None: every block. Nothing in it was counted from rows.
    """

    tables: frozenset[str]
    first: str | None = None
    last: str | None = None

    def brings(self, table: str, block: str | None = None) -> bool:
        """Whether it brought the table, or that block of it."""
        if table not in self.tables:
            return False
        return block is None or self.first is None or self.last is None or self.first <= block <= self.last


class Registry:
    """Datasets, data versions, queries and approvals, in the ledger's database."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine, self._clock = engine, clock

    def one_moment(self) -> AbstractContextManager[None]:
        """Whatever is read of the ledger's database inside is of one moment; nothing may be written meanwhile."""
        return one_moment(self._engine)

    def now(self) -> datetime:
        """What time it is, by the ledger's clock."""
        return self._clock()

    def register_dataset(self, dataset: str, definition: str, lineage: str) -> DatasetRecord:
        """Makes `definition` the current one; the same text again changes nothing.

        Raises:
          Conflict: the dataset is known under another lineage: its budget follows its people.
        """
        with writing(self._engine) as connection:
            known = histories.newest(connection, schema.datasets, dataset)
            if known is not None and known["lineage"] != lineage:
                raise Conflict(
                    f"dataset {dataset} belongs to lineage {known['lineage']}, not {lineage}: "
                    "its people keep their budget, so keep its lineage"
                )
            if known is None or known["definition"] != definition:
                row = {"definition": definition, "lineage": lineage, "registered_at": self._now()}
                histories.append(connection, schema.datasets, dataset, row)
            return _dataset(histories.known(connection, schema.datasets, dataset))

    def dataset(self, name: str) -> DatasetRecord:
        """The dataset's current definition.

        Raises:
          NotFound: it was never registered.
        """
        with reading(self._engine) as connection:
            return _dataset(histories.known(connection, schema.datasets, name))

    def definitions(self, name: str) -> tuple[DatasetRecord, ...]:
        """Every definition that the dataset ever had, oldest first; none if it was never registered."""
        with reading(self._engine) as connection:
            return tuple(_dataset(row) for row in histories.every(connection, schema.datasets, name))

    def datasets(self) -> tuple[DatasetRecord, ...]:
        """Every dataset's current definition, by name."""
        with reading(self._engine) as connection:
            return tuple(_dataset(row) for row in histories.newest_of_each(connection, schema.datasets))

    def add_data_version(
        self, dataset: str, data_version: str, *, file: str, fingerprint: str, as_of: datetime
    ) -> DataVersionRecord:
        """Makes `data_version`, a random id that the caller chose, the dataset's current one.

        Raises:
          NotFound: the dataset was never registered. Conflict: the id is taken. ValueError: `as_of` has no zone.
        """
        values = {"data_version": data_version, "file": file, "fingerprint": fingerprint, "as_of": stamp(as_of)}
        table = schema.data_versions
        with writing(self._engine) as connection:
            histories.known(connection, schema.datasets, dataset)
            taken = select(table.c.dataset).where(table.c.data_version == data_version)
            if connection.execute(taken).first() is not None:
                raise Conflict(f"data version {data_version} is there already: choose another random id")
            histories.append(connection, table, dataset, values | {"created_at": self._now()})
        return self.data_version(dataset)

    def add_manifest(self, data_version: str, manifest: Manifest) -> None:
        """Records what the load of a data version brought; once. Before the version itself, so that none lacks it."""
        row = {"first_block": manifest.first, "last_block": manifest.last}
        with writing(self._engine) as connection:
            tables = canonical_json(sorted(manifest.tables))
            connection.execute(insert(schema.load_manifests).values(data_version=data_version, tables=tables, **row))

    def manifests(self) -> dict[str, Manifest]:
        """What each load brought, by data version; of one that is not there it is not known, so take it for all."""
        with reading(self._engine) as connection:
            rows = connection.execute(select(schema.load_manifests)).mappings().all()
        return {
            row["data_version"]: Manifest(frozenset(json.loads(row["tables"])), row["first_block"], row["last_block"])
            for row in rows
        }

    def submit_view(self, view: str, dataset: str, text: str, actor: str) -> ViewRecord:
        """Makes a text the feature view's current one; the same text again changes nothing.

        Raises:
          NotFound: the dataset was never registered. Conflict: another dataset has a view of this name.
        """
        with writing(self._engine) as connection:
            histories.known(connection, schema.datasets, dataset)
            known = histories.newest(connection, schema.feature_views, view)
            if known is not None and known["dataset"] != dataset:
                raise Conflict(f"feature view {view} is one of dataset {known['dataset']}: choose another name")
            if known is None or known["text"] != text:
                row = {"dataset": dataset, "text": text, "submitted_at": self._now(), "actor": actor}
                histories.append(connection, schema.feature_views, view, row)
            return _view(histories.known(connection, schema.feature_views, view))

    def withdraw_view(self, view: str, actor: str) -> None:
        """Ends a feature view, by a revision that says nothing; a text that is submitted later begins it again.

        Raises:
          NotFound: no view of this name, or it is withdrawn already.
        """
        with writing(self._engine) as connection:
            known = _standing(histories.known(connection, schema.feature_views, view))
            row = {"dataset": known.dataset, "text": "", "submitted_at": self._now(), "actor": actor}
            histories.append(connection, schema.feature_views, view, row)

    def view(self, name: str) -> ViewRecord:
        """A feature view's current text.

        Raises:
          NotFound: no view of this name, or it is withdrawn.
        """
        with reading(self._engine) as connection:
            return _standing(histories.known(connection, schema.feature_views, name))

    def views(self) -> tuple[ViewRecord, ...]:
        """The current text of every feature view that is not withdrawn, by name."""
        with reading(self._engine) as connection:
            rows = histories.newest_of_each(connection, schema.feature_views)
        return tuple(_view(row) for row in rows if row["text"])

    def data_version(self, dataset: str) -> DataVersionRecord:
        """The dataset's current data version.

        Raises:
          NotFound: the dataset is not known, or nothing was ever loaded.
        """
        with reading(self._engine) as connection:
            row = histories.newest(connection, schema.data_versions, dataset)
        if row is None:
            raise NotFound("loaded dataset", dataset)
        return _data_version(row)

    def data_versions(self, dataset: str) -> tuple[DataVersionRecord, ...]:
        """Every data version of the dataset, oldest first; none if it was never registered."""
        with reading(self._engine) as connection:
            return tuple(_data_version(row) for row in histories.every(connection, schema.data_versions, dataset))

    def freeze(self, dataset: str, actor: str) -> FreezeRecord:
        """From now on the dataset answers nothing.

        Raises:
          NotFound: it was never registered.
        """
        return self._set_frozen(dataset, True, actor)

    def thaw(self, dataset: str, actor: str) -> FreezeRecord:
        """Ends a freeze.

        Raises:
          NotFound: the dataset was never registered.
        """
        return self._set_frozen(dataset, False, actor)

    def is_frozen(self, dataset: str) -> bool:
        """Whether the dataset is frozen now."""
        with reading(self._engine) as connection:
            row = histories.newest(connection, schema.freezes, dataset)
        return row is not None and bool(row["frozen"])

    def freezes(self, dataset: str) -> tuple[FreezeRecord, ...]:
        """Every freeze and thaw of the dataset, oldest first."""
        with reading(self._engine) as connection:
            return tuple(_freeze(row) for row in histories.every(connection, schema.freezes, dataset))

    def submit_query(self, query: str, dataset: str, text: str, actor: str) -> QueryRecord:
        """Submits a text for review. The newest text again changes nothing; approvals stay recorded.

        Raises:
          NotFound: the dataset was never registered. Conflict: another dataset has a query of this name.
        """
        with writing(self._engine) as connection:
            return self._submitted(connection, query, dataset, text, actor)

    def _submitted(self, connection: Connection, query: str, dataset: str, text: str, actor: str) -> QueryRecord:
        histories.known(connection, schema.datasets, dataset)
        known = histories.newest(connection, schema.queries, query)
        if known is not None and known["dataset"] != dataset:
            raise Conflict(
                f"query {query} is one of dataset {known['dataset']}: "
                "a query's name is unique in the service, so choose another"
            )
        if known is None or known["text"] != text:
            row = {"dataset": dataset, "text": text, "submitted_at": self._now(), "actor": actor}
            histories.append(connection, schema.queries, query, row)
        return _query(histories.known(connection, schema.queries, query))

    def query(self, name: str) -> QueryRecord:
        """The current text: the last one that was approved, live or revoked; the newest if none ever was.

        Raises:
          NotFound: no query of this name.
        """
        with reading(self._engine) as connection:
            return _current_query(connection, name)

    def newest_query(self, name: str) -> QueryRecord:
        """The text submitted last: what a steward reviews.

        Raises:
          NotFound: no query of this name.
        """
        with reading(self._engine) as connection:
            return _query(histories.known(connection, schema.queries, name))

    def query_revision(self, name: str, revision: int) -> QueryRecord:
        """One text of a query, by its number from 1.

        Raises:
          NotFound: no such query, or no such revision.
        """
        with reading(self._engine) as connection:
            return _query(histories.numbered(connection, schema.queries, name, revision))

    def queries(self, dataset: str | None = None) -> tuple[QueryRecord, ...]:
        """The current text of every query, or of one dataset's, by name."""
        with reading(self._engine) as connection:
            newest = histories.newest_of_each(connection, schema.queries)
            names = [row["query"] for row in newest if dataset in (None, row["dataset"])]
            return tuple(_current_query(connection, name) for name in names)

    def approve(
        self, query: str, version: str, revision: int, actor: str, expires_after: timedelta | None = None
    ) -> Approval:
        """Approves `version` as it is in the text's `revision`, at an unknown price; see `approve_as`."""
        return self.approve_as(Wish(query, version, revision, actor, expires_after))

    def approve_as(self, wish: Wish) -> Approval:
        """Approves a version as it is in a revision of the text, which becomes current. In force already: no change.

        Raises:
          NotFound: no such query or revision. SecondStewardNeeded: policy asks for another steward.
        """
        with writing(self._engine) as connection:
            return approvals.approve(connection, wish, self._clock())

    def submit_and_approve(self, dataset: str, text: str, wish: Wish) -> Approval:
        """Submits a text and approves it, both or neither: no text stands unapproved in between.

        Args:
          wish: its `revision` is the one that the text gets.

        Raises:
          NotFound, Conflict: as `submit_query`. SecondStewardNeeded: policy asks for another steward.
        """
        with writing(self._engine) as connection:
            revision = self._submitted(connection, wish.query, dataset, text, wish.actor).revision
            return approvals.approve(connection, replace(wish, revision=revision), self._clock())

    def approval(self, query: str, version: str) -> Approval | None:
        """The approval under which the version may be asked now, None if there is none."""
        with reading(self._engine) as connection:
            ruling = approvals.ruling(connection, query, version)
        return ruling if ruling is not None and ruling.holds(self._clock()) else None

    def approvals(self, query: str) -> tuple[Approval, ...]:
        """Every approval of the query, holding or ended, oldest first."""
        with reading(self._engine) as connection:
            return tuple(as_approval(row) for row in histories.every(connection, schema.approvals, query))

    def revoke(self, query: str, actor: str, version: str | None = None) -> int:
        """Ends the query's live approvals, or those of one version, and says how many. They stay ended."""
        table = schema.approvals
        ended = update(table).where(table.c.query == query, table.c.revoked_at.is_(None))
        if version is not None:
            ended = ended.where(table.c.version == version)
        with writing(self._engine) as connection:
            return connection.execute(ended.values(revoked_by=actor, revoked_at=self._now())).rowcount

    def _now(self) -> str:
        return stamp(self._clock())

    def _set_frozen(self, dataset: str, frozen: bool, actor: str) -> FreezeRecord:
        with writing(self._engine) as connection:
            histories.known(connection, schema.datasets, dataset)
            histories.append(connection, schema.freezes, dataset, {"frozen": frozen, "actor": actor, "at": self._now()})
            return _freeze(histories.known(connection, schema.freezes, dataset))


def _dataset(row: Row) -> DatasetRecord:
    registered_at = moment_of(row["registered_at"])
    return DatasetRecord(row["dataset"], row["definition"], row["lineage"], registered_at, row["revision"])


def _data_version(row: Row) -> DataVersionRecord:
    return DataVersionRecord(
        data_version=row["data_version"],
        dataset=row["dataset"],
        file=row["file"],
        fingerprint=row["fingerprint"],
        created_at=moment_of(row["created_at"]),
        as_of=moment_of(row["as_of"]),
    )


def _freeze(row: Row) -> FreezeRecord:
    return FreezeRecord(row["dataset"], bool(row["frozen"]), row["actor"], moment_of(row["at"]))


def _query(row: Row) -> QueryRecord:
    return QueryRecord(
        name=row["query"],
        dataset=row["dataset"],
        text=row["text"],
        submitted_at=moment_of(row["submitted_at"]),
        revision=row["revision"],
        actor=row["actor"],
    )


def _standing(row: Row) -> ViewRecord:
    """A view that is not withdrawn.

    Raises:
      NotFound: it is.
    """
    if not row["text"]:
        raise NotFound("view", row["view"])
    return _view(row)


def _view(row: Row) -> ViewRecord:
    return ViewRecord(
        name=row["view"],
        dataset=row["dataset"],
        text=row["text"],
        submitted_at=moment_of(row["submitted_at"]),
        revision=row["revision"],
        actor=row["actor"],
    )


def _current_query(connection: Connection, name: str) -> QueryRecord:
    approved = histories.newest(connection, schema.approvals, name)
    if approved is None:
        return _query(histories.known(connection, schema.queries, name))
    return _query(histories.numbered(connection, schema.queries, name, approved["revision"]))
