"""What stewards are told of consent: the epochs, and whether answers go by them. Nothing about anybody.

Of the decisions that wait only their order of magnitude is told, so that no page shows one person come or go.
"""

from __future__ import annotations

import math
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from dpstats.access import Action, check
from dpstats.catalog.consented import asked_purposes, consent_rules
from dpstats.catalog.dataset import DatasetFile
from dpstats.errors import NotLoaded
from dpstats.ledger.tokens import Identity
from dpstats.library import Library
from dpstats.release import Road
from dpstats.rights.consent_log import ConsentLog
from dpstats.workspace.epochs import Timetable


class ConsentTold:
    """What a workspace tells of its consent."""

    def __init__(self, library: Library, road: Road, log: ConsentLog, timetable: Timetable) -> None:
        self._library, self._road, self._log, self._timetable = library, road, log, timetable

    def epochs(self, identity: Identity) -> dict[str, Any]:
        """The last epoch, when the next is due, about how much waits for it, and each dataset that asks for consent.

        Raises:
          Forbidden: the caller is no steward.
        """
        check(identity, Action.STEWARD)
        now, last = datetime.now(UTC), self._log.last_epoch()
        return {
            "closed_at": last.closed_at.isoformat() if last else None,
            "next_at": _next(self._timetable, now),
            "max_age_hours": self._timetable.max_age // timedelta(hours=1),
            "waiting": magnitude(self._log.waiting()),
            "datasets": [self._dataset(each, now) for each in self._library.datasets(identity) if asked_purposes(each)],
        }

    def _dataset(self, dataset: DatasetFile, now: datetime) -> dict[str, Any]:
        """As of which epoch a dataset's data are, and whether what asks for consent is answered by it."""
        known = None
        with suppress(NotLoaded), self._road.data(dataset) as (_, engine):
            known = engine.consent
        fits = known is not None and known.rules == consent_rules(dataset)
        fresh = known is not None and now - known.closed_at <= self._timetable.max_age
        return {
            "dataset": dataset.dataset,
            "purposes": list(asked_purposes(dataset)),
            "as_of": known.closed_at.isoformat() if known else None,
            "answers": fits and fresh,
        }


def magnitude(count: int) -> str:
    """A number's order of magnitude: `none`, `fewer than 100`, `fewer than 1,000`, and so on."""
    return f"fewer than {10 ** max(2, math.floor(math.log10(count)) + 1):,}" if count else "none"


def _next(timetable: Timetable, now: datetime) -> str | None:
    """When the timetable closes the next epoch; None if it closes none."""
    if timetable.at is None:
        return None
    today = datetime.combine(now.date(), timetable.at, UTC)
    return (today if today > now else today + timedelta(days=1)).isoformat()
