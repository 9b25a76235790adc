"""What recipients are told when people say no: which ids, of which data, and what was refused.

Whoever sold or shared data must tell those that got them (11 CCR 7026(f), 7027(g)). It goes to those alone whom the
webhooks' file lists for these data, whichever way the refusal came: by the form, an event, a signal or a file. Nothing
looks at whether an id is known, so a message says nothing about who is in the data.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from dpstats.access import operator
from dpstats.catalog.consented import is_sold
from dpstats.catalog.dataset import DatasetFile
from dpstats.catalog.ids import id_text
from dpstats.ledger.clock import stamp
from dpstats.ledger.tokens import Identity
from dpstats.library import Library
from dpstats.rights.consent_log import Received
from dpstats.rights.decisions import ALL_SALE_SHARE, LIMIT_SPI, REFUSING
from dpstats.rights.intake import Wish
from dpstats.rights.outbox import CONSENT, Message
from dpstats.workspace.datasets import Datasets
from dpstats.workspace.webhooks import Told, Webhook

UNITS_MAX = 1000
"""People of whom one message tells."""


@dataclass(frozen=True)
class _Refusal:
    """One refusal that is told: `name` tells it apart, `unit` is the person's id as the data have it."""

    what: Told
    name: tuple[str, str]
    unit: str


class RefusalsTold:
    """Makes the messages of a workspace; it sends none."""

    def __init__(self, library: Library, datasets: Datasets, webhooks: Sequence[Webhook]) -> None:
        self._library, self._datasets, self._webhooks = library, datasets, webhooks

    def of(
        self, identity: Identity, dataset: DatasetFile, kept: Sequence[tuple[Wish, Received]], now: datetime
    ) -> list[Message]:
        """The messages of the refusals among what a dataset's people decided; the same ones when it comes again.

        A refusal counts for all data of the same people, so recipients of any of them are told: of the ids that came,
        and never of what the data link to them, for anybody may send a refusal in anybody's name.
        """
        if not self._webhooks:
            return []
        refusals = [found for wish, received in kept if (found := _refusal(dataset, wish, received)) is not None]
        reached = frozenset(
            each.dataset for each in self._library.datasets(operator("notices")) if each.lineage == dataset.lineage
        )
        return [
            message
            for hook in self._webhooks
            if hook.datasets & reached
            for message in self._to(identity, hook, dataset, refusals, sorted(hook.datasets & reached), now)
        ]

    def _to(
        self,
        identity: Identity,
        hook: Webhook,
        dataset: DatasetFile,
        refusals: Sequence[_Refusal],
        datasets: list[str],
        now: datetime,
    ) -> Iterator[Message]:
        for what in sorted(hook.told & {each.what for each in refusals}):
            told = sorted((each for each in refusals if each.what == what), key=lambda each: each.name)
            for part in (told[start : start + UNITS_MAX] for start in range(0, len(told), UNITS_MAX)):
                units = sorted({each.unit for each in part})
                kind, names = f"person.{what}", [each.name for each in part]
                body = {"type": kind, "timestamp": stamp(now), "data": {"datasets": datasets, "units": units}}
                yield Message(_id(hook, kind, names), hook.name, CONSENT, kind, json.dumps(body, ensure_ascii=False))


def _refusal(dataset: DatasetFile, wish: Wish, received: Received) -> _Refusal | None:
    """A decision as recipients are told of it; None if it refuses nothing that reaches them."""
    event = received.event
    if event.decision not in REFUSING:
        return None
    sold = event.purpose == ALL_SALE_SHARE or (event.purpose in dataset.purposes and is_sold(dataset, event.purpose))
    what: Told | None = "opted_out" if sold else "limited" if event.purpose == LIMIT_SPI else None
    return None if what is None else _Refusal(what, (received.unit, event.event), id_text(dataset.unit_type, wish.unit))


def _id(hook: Webhook, kind: str, names: Sequence[tuple[str, str]]) -> str:
    """A message's name, made of keyed hashes: the same refusals of the same people are never told under two."""
    return f"msg_{hashlib.sha256(json.dumps([hook.name, kind, names]).encode()).hexdigest()[:32]}"
