"""Who may be counted for what: the truths that a data version holds of each of its people, as of a closed epoch.

Each person's truths are a function of that person's own decisions, under every id that is theirs, and of the dataset's
file. A person of whom nothing is known did not opt in, and did not opt out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from dpstats.catalog.consented import asked_purposes, consent_columns, consent_rules, is_sold
from dpstats.catalog.dataset import DatasetFile
from dpstats.catalog.ids import id_text
from dpstats.rights.consent_log import ConsentLog
from dpstats.rights.deadlines import day_of
from dpstats.rights.decisions import Event, Use, agreed_since, is_limited, is_minor, standing
from dpstats.rights.pseudonyms import Pseudonyms

Truths = tuple[bool, ...]
"""One for each of a roll's columns."""


@dataclass(frozen=True)
class Roll:
    """The truths of a dataset's people at `closed_at`, by the ids that they have.

    `rules`: what the truths were worked out by; `columns`: what each of them says; `unknown`: those of a person of whom
    nothing is known.
    """

    closed_at: datetime
    rules: str
    columns: tuple[str, ...]
    unknown: Truths
    _dataset: DatasetFile
    _pseudonyms: Pseudonyms
    _decided: Mapping[str, Sequence[Event]]

    def truths(self, ids: Iterable[object]) -> Truths:
        """The truths of the person to whom all these ids belong."""
        events = [event for each in ids for event in self._decided.get(self._pseudonym(each), ())]
        return truths(self._dataset, events, day_of(self.closed_at)) if events else self.unknown

    def _pseudonym(self, person_id: object) -> str:
        return self._pseudonyms.of(self._dataset.lineage, id_text(self._dataset.unit_type, person_id))


def roll_of(dataset: DatasetFile, log: ConsentLog, pseudonyms: Pseudonyms) -> Roll | None:
    """The roll of a dataset at the last closed epoch; None if none was closed, or nobody is ever asked."""
    epoch = log.last_epoch() if asked_purposes(dataset) else None
    if epoch is None:
        return None
    decided = log.decided(dataset.lineage, epoch)
    columns, nothing = consent_columns(dataset), truths(dataset, [], day_of(epoch.closed_at))
    return Roll(epoch.closed_at, consent_rules(dataset), columns, nothing, dataset, pseudonyms, decided)


def truths(dataset: DatasetFile, events: Sequence[Event], on: date) -> Truths:
    """The truths of a person of these decisions on a day, in the order of `consent_columns`.

    A known minor is counted only for what was opted in to, and all of a minor's columns are sensitive: one who limited
    the use of those is counted for nothing that asks.
    """
    minor, limited = is_minor(events, on), is_limited(events, dataset.dataset)
    found: list[bool] = []
    for purpose in asked_purposes(dataset):
        use, began = Use(dataset.dataset, purpose, is_sold(dataset, purpose)), dataset.purposes[purpose].began
        at = standing(events, use)
        opted_in = at.said_yes and not (minor and limited)
        found += [opted_in, opted_in if minor else not at.said_no]
        found += [opted_in and agreed_since(events, use, began)] if began is not None else []
    return (*found, not limited)
