"""Tells others what they must know: stewards what is near due, recipients who was erased or said no.

What is told of a clock names a request, never a person. What is told to a recipient names the person, since it must
find the person in its own data; it goes only to those whom the webhooks' file lists for that dataset.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dpstats.access import Action, check, operator
from dpstats.ledger.clock import stamp
from dpstats.ledger.tokens import Identity
from dpstats.library import Library
from dpstats.rights.gathering import gather
from dpstats.rights.outbox import CONSENT, Message, Outbox
from dpstats.rights.request_log import Kept, RequestLog
from dpstats.rights.requests import Kind, alarms
from dpstats.workspace.webhooks import ALARMS, Post, Webhook, post

LOOKED_S = 30.0
"""How old the answer of `clocks` may be: anybody may ask for the metrics, and requests may be many."""
TOLD = {Kind.DELETE: "deleted", Kind.CORRECT: "corrected", Kind.OPT_OUT: "opted_out", Kind.LIMIT: "limited"}
"""What a recipient is told when a request of a kind is carried out."""


@dataclass(frozen=True)
class Clocks:
    """Whether some request is near one of its dates, or past it (`near`), and whether one is past it (`overdue`)."""

    near: bool
    overdue: bool


class Notifying:
    """The notices of a workspace. `now`: the time, with a zone. `send`: how a message goes out."""

    def __init__(
        self,
        library: Library,
        log: RequestLog,
        outbox: Outbox,
        webhooks: Sequence[Webhook],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        send: Post = post,
    ) -> None:
        self._library, self._log, self._outbox = library, log, outbox
        self._webhooks = {webhook.name: webhook for webhook in webhooks}
        self._now, self._send = now, send
        self._looking = threading.Lock()
        self._clocks: tuple[float, Clocks] | None = None

    @property
    def tells_somebody(self) -> bool:
        """Whether anybody is sent anything."""
        return bool(self._webhooks)

    def clocks(self) -> Clocks:
        """Whether some request is near one of its dates, or past it; as of at most half a minute ago."""
        with self._looking:
            known = self._clocks
            if known is None or time.monotonic() - known[0] > LOOKED_S:
                known = time.monotonic(), self._looked_at()
                self._clocks = known
        return known[1]

    def notify(self, identity: Identity) -> dict[str, int]:
        """Puts what is due and was not told yet, and sends whatever waits; gives how much went out and how much waits.

        Raises:
          Forbidden: the caller is no steward.
        """
        check(identity, Action.STEWARD)
        if ALARMS in self._webhooks:
            self._outbox.put(self._alarms(), self._now())
        self._outbox.give_up_old(self._now())
        gather(self._outbox, CONSENT, self._now())
        sent = failed = 0
        while (message := self._outbox.take(self._now())) is not None:
            if self._delivered(message):
                sent += 1
            else:
                failed += 1
        return {"delivered": sent, "to_be_tried_again": failed}

    def carried_out(self, kept: Kept, ids: Collection[str], corrected: Mapping[str, Any]) -> tuple[str, ...]:
        """Puts a message to everybody who must know what is carried out for a person; gives their names.

        Put again after a crash, the first one stays.

        Args:
          ids: every id that is known to be the person's.
          corrected: of a correction, the table and the columns; what is true is not sent, since no message is sealed.
        """
        what = TOLD.get(kept.asked.kind)
        if what is None or kept.person is None:
            return ()
        reached = self._reached(kept)
        data = {"request": kept.request_id, "units": sorted({kept.person, *ids}), **corrected}
        told = [hook for hook in self._webhooks.values() if what in hook.told and hook.datasets & reached]
        self._outbox.put([self._about_person(hook, kept, what, reached, data) for hook in told], self._now())
        return tuple(sorted(hook.name for hook in told))

    def about(self, request_id: str) -> list[dict[str, Any]]:
        """What became of the messages to recipients about a request."""
        return [dict(each) for each in self._outbox.about(request_id) if each["recipient"] != ALARMS]

    def stuck(self) -> list[str]:
        """A line for each recipient that does not take what it is sent."""
        return [
            f"{name} has not taken what it was sent since {since:%Y-%m-%d}"
            + (": it is tried again" if state == "waiting" else ": it was given up, tell it by other means")
            for name, state, since in self._outbox.stuck()
        ]

    def _looked_at(self) -> Clocks:
        now = self._now()
        found = [alarm for kept in self._log.all() for alarm in alarms(kept.standing, now)]
        return Clocks(near=bool(found), overdue=any(alarm.is_overdue for alarm in found))

    def _alarms(self) -> list[Message]:
        now = self._now()
        return [
            _message(
                ALARMS,
                kept.request_id,
                "rights.overdue" if alarm.is_overdue else "rights.due",
                {"request": kept.request_id, "what": alarm.what, "due": alarm.due.isoformat()},
                now,
            )
            for kept in self._log.all()
            for alarm in alarms(kept.standing, now)
        ]

    def _reached(self, kept: Kept) -> frozenset[str]:
        """The dataset asked about for a correction; else every one of the same people, for all of which it counts."""
        known = self._library.datasets(operator("notices"))
        same = {each.dataset for each in known if each.lineage == kept.asked.lineage}
        return frozenset({kept.asked.dataset} if kept.asked.kind is Kind.CORRECT else same)

    def _about_person(
        self, hook: Webhook, kept: Kept, what: str, reached: frozenset[str], data: Mapping[str, Any]
    ) -> Message:
        told = {**data, "datasets": sorted(hook.datasets & reached)}
        return _message(hook.name, kept.request_id, f"person.{what}", told, self._now())

    def _delivered(self, message: Message) -> bool:
        hook = self._webhooks.get(message.recipient)
        taken = hook is not None and self._send(hook, message, self._now())
        if taken:
            self._outbox.delivered(message.message_id, self._now())
        return taken


def _message(to: str, request: str, kind: str, data: dict[str, Any], now: datetime) -> Message:
    """A message whose id is made of what it says, but for whom it is about, so that the same is never told twice."""
    told = json.dumps([to, request, kind, data.get("what"), data.get("due")])
    message_id = f"msg_{hashlib.sha256(told.encode()).hexdigest()[:32]}"
    body = json.dumps({"type": kind, "timestamp": stamp(now), "data": data}, ensure_ascii=False)
    return Message(message_id, to, request, kind, body)
