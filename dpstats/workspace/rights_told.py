"""What is told of a request, and of a person's data, in words and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any

from dpstats.catalog.dataset import DatasetFile
from dpstats.ledger.records import StoredRelease
from dpstats.rights.decisions import Event
from dpstats.rights.kept_back import KeptColumn
from dpstats.rights.notice import PAST_STATISTICS
from dpstats.rights.package import OPT_OUT_OFFERED
from dpstats.rights.request_log import Kept
from dpstats.rights.requests import CLOSED, EXCEPTIONS, UNVERIFIED_KINDS, WITHHOLDINGS, Kind, Level, State
from dpstats.views import whole

TOLD_AFTER_ERASURE = (
    "The data about you were erased from every version that is kept.",
    "Files that are loaded later, and backups that are restored, leave you out.",
    PAST_STATISTICS,
    "No budget is given back for it: what was released stays charged.",
)

ALL_BUT_WHAT_IS_KEPT = (
    "The data about you were erased from every version that is kept, all but what we say below that we keep of them."
)
"""What is told in place of the first of these, where something is kept back."""

KEPT_IS_NOT_SCANNED = (
    "Of these columns the person's cells, with the id of each row, are kept sealed in consent.db. Rows and bytes above "
    "are those of the data's files, where nothing of them is left."
)

LEFT_WITH_OWNERS = (
    "Some tables are files of their owners, which we only read: nothing can be erased there by us. From now on your "
    "rows there are left out of whatever is answered, and it is for their owners to erase them, from earlier versions "
    "that they keep too."
)
"""What is told besides to who is erased from data of which some are read in place."""

NOT_READ = "not_read"
"""Where a request's evidence says which tables its package says nothing of yet."""
SEND_LATER = (
    "The files of these tables could not be read at their owner, and the person was told that what they hold comes "
    "later: the request stays open. Carry it out again once they can be read, and send that package."
)
"""What the evidence says to the steward of tables in place that a package says nothing of."""

TOLD_OF_THE_NOTICE = (
    "We could not make sure enough of who you are to send anything that is about you.",
    "Our privacy notice, at /privacy, says what we collect, what for, and for how long.",
)

DELETED_SINCE = "The data about you were deleted since you asked, so there is nothing to correct."
"""What is told to who asked for a correction and for a deletion, which was carried out first."""


def statistic(stored: StoredRelease, purposes: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    """A release, as the person is told of it: with its published values.

    Args:
      purposes: what queries are for, by query and version.
    """
    body = whole(stored.body)
    return {
        "release_id": stored.release_id,
        "title": stored.query.replace("_", " "),
        "purpose": purposes.get((stored.query, stored.query_version), ""),
        "as_of": body["as_of"],
        "cost": body["cost"],
        "rows": body["rows"],
    }


def consented(event: Event) -> dict[str, str]:
    """A decision, as the person is told of it."""
    return {"at": event.observed_at.isoformat(), "purpose": event.purpose, "decision": str(event.decision)}


def kept_elsewhere(what: str, code: str) -> str:
    """What the business keeps of a deletion in other systems, as the person is told of it."""
    return f"We keep {what} outside these data, {EXCEPTIONS[code]} ({code}), and use it for nothing else."


def kept_here(column: str, code: str) -> str:
    """What is kept of a deletion here, as the person is told of it."""
    return (
        f"We keep {column}, {EXCEPTIONS[code]} ({code}). It is sealed, apart from all other data: no statistic is made "
        "of it, and it is used for nothing else."
    )


def kept_told(kept: KeptColumn) -> dict[str, str]:
    """A column of which something is kept of a person who was deleted, in the answer to a request to know."""
    said = {"column": kept.column, "code": kept.code, "since": kept.since.isoformat()}
    return said | {"says": kept_here(kept.column, kept.code)}


def told_after_erasure(kept: Collection[tuple[str, str]], elsewhere: Mapping[str, str]) -> list[str]:
    """What is told to who was deleted.

    Args:
      kept: what is kept here all the same, as columns and codes; elsewhere: what other systems keep, by code.
    """
    first, *others = TOLD_AFTER_ERASURE
    told = [ALL_BUT_WHAT_IS_KEPT if kept else first, *others]
    told += [kept_here(column, code) for column, code in sorted(kept)]
    told += [kept_elsewhere(what, code) for what, code in elsewhere.items()]
    return [*told, OPT_OUT_OFFERED] if kept or elsewhere else told


def evidence_seen(evidence: Mapping[str, Any], is_seen: Callable[[str], bool]) -> dict[str, Any]:
    """A request's evidence, but for the datasets that who looks may not know of: a deletion reaches several."""
    erased = evidence.get("erased")
    if erased is None:
        return dict(evidence)
    return {**evidence, "erased": [each for each in erased if is_seen(each["dataset"])]}


def pieces_told(dataset: DatasetFile) -> frozenset[str]:
    """The columns whose cells who asks is told, as `table.column`, but for the id by which it is asked."""
    return frozenset(
        f"{table}.{column}"
        for table, spec in dataset.personal_tables.items()
        for column, told in spec.columns.items()
        if column != dataset.privacy_unit and not told.never_disclose
    )


def refused_pieces(kept: Kept) -> dict[str, str]:
    """The columns that are kept from who asked to know, each with what the person is told of it."""
    return {
        what: f"We hold {what} and do not tell it, {WITHHOLDINGS[code]} ({code}). All the rest is told."
        for what, code in kept.standing.exceptions.items()
    }


def offered(kept: Kept) -> dict[str, Any]:
    """What is told to who was denied a deletion."""
    denied = kept.asked.kind is Kind.DELETE and kept.standing.state is State.DENIED
    return {"told": [OPT_OUT_OFFERED]} if denied else {}


def level_name(level: Level) -> str:
    """A level, as requests name it."""
    return level.name.lower()


def next_step(kept: Kept, now: datetime) -> str | None:
    """What to do next, as the last word of a command."""
    state, kind = kept.standing.stands_at(now), kept.asked.kind
    if kind is Kind.KNOW and state is State.CONFIRMED and kept.standing.method:
        return "execute"  # it is answered by less: nobody could be verified
    if kept.standing.state is State.EXECUTING or kind in UNVERIFIED_KINDS:
        return None if state in CLOSED else "execute"
    steps: Mapping[State, str] = {
        State.RECEIVED: "verify",
        State.CONFIRMED: "verify",
        State.VERIFIED: "execute",
    }
    return steps.get(state)


def holds_sensitive(dataset: DatasetFile) -> bool:
    """Whether a dataset holds what the statute calls sensitive personal information."""
    columns = (spec for table in dataset.personal_tables.values() for spec in table.columns.values())
    return any(isinstance(spec.sensitive, str) for spec in columns)
