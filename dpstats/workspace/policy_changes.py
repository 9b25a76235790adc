"""What a file of a policy, or its absence, means for what is registered and approved: the records of a plan."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from dpstats.catalog.dataset import DatasetFile
from dpstats.catalog.query import QueryFile
from dpstats.plan.analysis import Analysis
from dpstats.plan.plan import Plan
from dpstats.workspace.policy_files import QueryText


class Change(StrEnum):
    """What a file, or its absence, means for what is registered."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    SUBMITTED = "submitted"
    """Registered so, and never approved."""
    EXPIRED = "expired"
    """Its approval ended by itself."""
    REVOKED = "revoked"
    """A steward ended its approval: no file brings it back."""
    WITHDRAWN = "withdrawn"
    """Approved (a view: registered), and no file says so any more."""
    WAITING = "waiting"
    """It cannot be priced before public data are loaded; a view: before its queries are approved."""
    REFUSED = "refused"


APPROVED_BY_APPLYING = frozenset({Change.NEW, Change.CHANGED, Change.SUBMITTED, Change.EXPIRED})


@dataclass(frozen=True)
class DatasetChange:
    """A dataset's file against its registered definition.

    `parts`: the keys that differ. `ends`: the queries whose approval the new definition ends. `load`: data must be
    loaded before it answers.
    """

    name: str
    change: Change
    file: Path
    text: str
    dataset: DatasetFile
    parts: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()
    load: bool = False
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Priced:
    """A query that can be answered: its analysis, and its plan at default parameters."""

    analysis: Analysis
    plan: Plan


@dataclass(frozen=True)
class QueryChange:
    """A query's file against what is registered and approved. `said` None: it has no file any more.

    `parts`: the keys that differ from the registered text. `version` is empty, and `priced` None, where it cannot be
    answered or not be priced.
    """

    name: str
    dataset: str
    change: Change
    said: QueryText | None
    version: str = ""
    priced: Priced | None = None
    parts: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


def cadence_of(query: QueryFile) -> str:
    """How often a query is meant to be asked; "once" where nothing is said."""
    return query.cadence or "once"
