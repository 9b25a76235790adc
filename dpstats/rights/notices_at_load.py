"""Under which notice rows were collected: no notice, no collection (1798.100(a), 11 CCR 7012(d)).

A load may name the version of the notice at collection that people were shown, and of a dataset that says so it must.
Known versions are those that were built in this workspace, and the one that the files make now.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Column, Table, Text, select
from sqlalchemy.dialects.sqlite import insert as insert_new

from dpstats.catalog.dataset import DatasetFile
from dpstats.errors import Conflict
from dpstats.ledger.clock import stamp
from dpstats.rights.consent_schema import ConsentDatabase, metadata
from dpstats.rights.notice import Business, notice_of
from dpstats.rights.notice_kinds import collection_of

collection_notices = Table(
    "collection_notices",
    metadata,
    Column("version", Text, primary_key=True),
    Column("built_at", Text, nullable=False),
)
loads = Table(
    "loads_under_notice",
    metadata,
    Column("data_version", Text, primary_key=True),
    Column("dataset", Text, nullable=False),
    Column("tables", Text, nullable=False),
    Column("notice", Text, nullable=False),
    Column("loaded_at", Text, nullable=False),
)


class NoticesAtLoad:
    """The notices at collection of one workspace, and the loads that named one."""

    def __init__(self, database: ConsentDatabase, business: Business) -> None:
        self._database, self._business = database, business

    def note_built(self, version: str, now: datetime) -> None:
        """Notes that a notice at collection was built: loads may name it from now on."""
        with self._database.writing() as connection:
            row = {"version": version, "built_at": stamp(now)}
            connection.execute(insert_new(collection_notices).on_conflict_do_nothing(), row)

    def check(self, dataset: DatasetFile, notice: str, others: Sequence[DatasetFile]) -> None:
        """Lets a load pass that names a known notice, or none where none must be named.

        Args:
          others: the other datasets of the workspace, of which its notice tells too.

        Raises:
          Conflict: it must name one, or names one that nobody knows; nothing is loaded then.
        """
        build = "`dpstats notice build --kind collection` writes one, and `--notice VERSION` names it"
        if not notice and dataset.notice_at_load == "required":
            raise Conflict(f"dataset {dataset.dataset} takes rows under a notice alone: {build}")
        if notice and notice not in self._now(dataset, others) and not self._was_built(notice):
            raise Conflict(f"no notice at collection of version {notice} was ever built here: {build}")

    def note_load(self, dataset: str, data_version: str, tables: Collection[str], notice: str, now: datetime) -> None:
        """Notes under which notice a load's rows were collected; again: no change."""
        row = {"data_version": data_version, "dataset": dataset, "tables": ", ".join(sorted(tables)), "notice": notice}
        with self._database.writing() as connection:
            connection.execute(insert_new(loads).on_conflict_do_nothing(), row | {"loaded_at": stamp(now)})

    def of(self, dataset: str) -> list[Mapping[str, str]]:
        """The loads of a dataset that named a notice, oldest first: when, which tables, which notice."""
        query = select(loads).where(loads.c.dataset == dataset).order_by(loads.c.loaded_at)
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return [{"on": row["loaded_at"][:10], "tables": row["tables"], "notice": row["notice"]} for row in rows]

    def alone(self, dataset: DatasetFile) -> str:
        """The version of the notice that tells of a dataset alone, as its file is now."""
        return self._version([dataset])

    def _now(self, dataset: DatasetFile, others: Sequence[DatasetFile]) -> set[str]:
        """The versions that the files make now: of this dataset alone, and of all together."""
        return {self.alone(dataset), self._version([*others, dataset])}

    def _version(self, datasets: Sequence[DatasetFile]) -> str:
        return str(collection_of(notice_of(self._business, datasets))["version"])

    def _was_built(self, version: str) -> bool:
        query = select(collection_notices.c.version).where(collection_notices.c.version == version)
        with self._database.reading() as connection:
            return connection.execute(query).first() is not None
