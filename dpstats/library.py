"""The catalog as it is registered: definitions and queries by name, parsed and analysed once for each text."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from dpstats.access import Action, check, operator, sees
from dpstats.catalog.acting import ActsAs, provider_problems
from dpstats.catalog.dataset import DatasetFile, parse_dataset
from dpstats.catalog.query import QueryFile, parse_query
from dpstats.errors import (
    Conflict,
    FileError,
    Frozen,
    NotAnswered,
    NotApproved,
    NotFound,
    QueryRefused,
    TermsNotAccepted,
)
from dpstats.ledger.recipients import Recipients
from dpstats.ledger.registry import QueryRecord, Registry
from dpstats.ledger.tokens import Identity
from dpstats.plan.analysis import Analysis, analyse

UNANSWERABLE = "sha256:none"
"""The version of a query that its dataset's present definition does not answer."""


@lru_cache(maxsize=256)
def dataset_of(text: str, name: str) -> DatasetFile:
    """A dataset's definition, parsed once for each text."""
    return parse_dataset(text, name)


@lru_cache(maxsize=4096)
def analysis_of(query_text: str, dataset_text: str, query: str, dataset: str) -> Analysis:
    """A query's analysis, made once for each pair of texts.

    Raises:
      FileError, QueryRefused: the query cannot be answered.
    """
    return analyse(parse_query(query_text, f"{query}.yaml"), dataset_of(dataset_text, dataset))


@dataclass(frozen=True)
class Known:
    """A query as it stands: its newest text, its version against the dataset's definition, and its approval.

    `approved_until`: when the approval ends by itself, None if it does not.
    """

    record: QueryRecord
    query: QueryFile
    dataset: DatasetFile
    version: str
    approved: bool
    analysis: Analysis | None
    approved_until: datetime | None = None


class Library:
    """Looks datasets and queries up for a caller; what the caller may not see does not exist.

    `recipients`: the terms that whoever is given data accepts; None for one that only looks texts up. `acts_as`: of a
    service provider, no query of a dataset that it may not hold is answered.
    """

    def __init__(self, registry: Registry, recipients: Recipients | None = None, acts_as: ActsAs = "business") -> None:
        self.registry, self._recipients, self.acts_as = registry, recipients, acts_as

    def check_terms(self, identity: Identity) -> None:
        """Lets those pass who accepted the recipients' terms in force, or are bound by none.

        Raises:
          TermsNotAccepted: the caller must accept them first.
        """
        if self._recipients is None:
            raise LookupError("this library only looks texts up: nobody is given data by it")
        owed = self._recipients.owed(identity)
        if owed is not None:
            raise TermsNotAccepted(str(identity.role), owed.version)

    def dataset(self, identity: Identity, name: str) -> DatasetFile:
        """A dataset's definition.

        Raises:
          NotFound: there is none, or it is hidden from the caller.
        """
        if not sees(identity, name):
            raise NotFound("dataset", name)
        return dataset_of(self.registry.dataset(name).definition, name)

    def datasets(self, identity: Identity) -> list[DatasetFile]:
        """The definitions that the caller may see, by name."""
        records = [record for record in self.registry.datasets() if sees(identity, record.name)]
        return [dataset_of(record.definition, record.name) for record in records]

    def known(self, identity: Identity, name: str) -> Known:
        """A query in its newest text, approved or not.

        Raises:
          NotFound: there is none, or its dataset is hidden from the caller.
        """
        record = self.registry.newest_query(name)
        if not sees(identity, record.dataset):
            raise NotFound("query", name)
        return self.as_it_stands(record)

    def all(self, identity: Identity) -> list[Known]:
        """Every query that the caller may see, in its newest text, by name."""
        names = [r.name for r in self.registry.queries() if sees(identity, r.dataset)]
        return [self.known(identity, name) for name in sorted(names)]

    def runnable(self, identity: Identity, name: str) -> tuple[Known, Analysis]:
        """An approved query of a dataset that is not frozen, for a caller who may run it.

        Raises:
          Forbidden, NotFound, Frozen, NotApproved.
        """
        check(identity, Action.RELEASE)
        with self.registry.one_moment():
            self.check_terms(identity)
            known = self.known(identity, name)
            frozen = self.registry.is_frozen(known.record.dataset)
        if frozen:
            raise Frozen(known.record.dataset)
        if known.analysis is None or not known.approved:
            raise not_approved(known)
        return known, known.analysis

    def check_held(self, dataset: DatasetFile) -> None:
        """Lets pass what the deployment may hold by what it acts as.

        Raises:
          Conflict: a service provider may not hold it; says every reason.
        """
        if self.acts_as == "service_provider":
            same = [
                each
                for each in self.datasets(operator("catalog"))
                if each.lineage == dataset.lineage and each.dataset != dataset.dataset
            ]
            problems = tuple(provider_problems(dataset, same))
            if problems:
                raise Conflict(f"dataset {dataset.dataset}: {' | '.join(problems)}")

    def as_it_stands(self, record: QueryRecord) -> Known:
        """A recorded query, against its dataset's definition in force."""
        definition = self.registry.dataset(record.dataset).definition
        dataset = dataset_of(definition, record.dataset)
        query = query_of(record.text, record.name)
        try:
            self.check_held(dataset)
            analysis = analysis_of(record.text, definition, record.name, record.dataset)
        except (QueryRefused, FileError, Conflict):
            return Known(record, query, dataset, UNANSWERABLE, approved=False, analysis=None)
        approval = self.registry.approval(record.name, analysis.version)
        until = None if approval is None else approval.expires_at
        return Known(record, query, dataset, analysis.version, approval is not None, analysis, until)


def not_approved(known: Known) -> NotApproved:
    """Why a query that is not approved answers nothing: nobody approved it so, or nobody could."""
    if known.analysis is None:
        return NotAnswered(known.record.name, known.version, known.record.dataset)
    return NotApproved(known.record.name, known.version)


@lru_cache(maxsize=4096)
def query_of(text: str, name: str) -> QueryFile:
    """A query's text, parsed once for each text."""
    return parse_query(text, f"{name}.yaml")
