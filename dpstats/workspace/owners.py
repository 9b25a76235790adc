"""Owners of tables that are read in place are told who was erased: only they can take a person out of their files.

It goes to those whom the webhooks' file names for a dataset with `told: [in_place]`, off until it does. What is told is
the ids as the owner's files spell them, of those files that a load or an erasure knew; the same is never told twice,
and told again of other files that hold them still.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from dpstats.catalog.dataset import DatasetFile
from dpstats.engine.in_place import StillThere
from dpstats.ledger.clock import stamp
from dpstats.rights.outbox import Message, Outbox
from dpstats.workspace.webhooks import Webhook

UNITS_MAX = 1000
"""People of whom one message tells."""
KIND = "table.holds_erased"
IN_PLACE = "in_place"
"""What recipients are told of, as the webhooks' file names it; and what these messages are about."""


class Owners:
    """The owners of a workspace's tables in place. `key`: the workspace's secret."""

    def __init__(self, outbox: Outbox, webhooks: Sequence[Webhook], key: bytes) -> None:
        self._outbox, self._key = outbox, key
        self._webhooks = [hook for hook in webhooks if IN_PLACE in hook.told]
        self._now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def of(self, dataset: DatasetFile) -> tuple[str, ...]:
        """Who is told, of a dataset."""
        return tuple(sorted(hook.name for hook in self._webhooks if dataset.dataset in hook.datasets))

    def tell(self, dataset: DatasetFile, still: Mapping[str, StillThere]) -> None:
        """Puts a message for whoever is left out of what is answered, and is in an owner's files still.

        Args:
          still: by table.
        """
        messages = [
            message
            for hook in self._webhooks
            if dataset.dataset in hook.datasets
            for table, there in still.items()
            for message in self._messages(hook, dataset.dataset, table, there)
        ]
        self._outbox.put(messages, self._now())

    def _messages(self, hook: Webhook, dataset: str, table: str, there: StillThere) -> Iterator[Message]:
        units = sorted(there.ids)
        for part in (units[start : start + UNITS_MAX] for start in range(0, len(units), UNITS_MAX)):
            told = json.dumps([hook.name, dataset, table, there.files, part])
            # By the key, so that nobody finds out by guessing of whom a message was that went out.
            name = hmac.digest(self._key, told.encode(), hashlib.sha256).hex()[:32]
            data = {"dataset": dataset, "table": table, "units": part}
            body = json.dumps({"type": KIND, "timestamp": stamp(self._now()), "data": data}, ensure_ascii=False)
            yield Message(f"msg_{name}", hook.name, IN_PLACE, KIND, body)
