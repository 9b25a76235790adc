"""What is told of consent: the epochs and whether answers go by them, and whether one person may be asked.

Of the decisions that wait only their order of magnitude is told, so that no page shows one person come or go.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from dpstats.access import ALLOWED, Action, check
from dpstats.catalog.consented import asked_purposes, consent_rules, is_sold
from dpstats.catalog.dataset import DatasetFile
from dpstats.catalog.ids import id_text
from dpstats.errors import InvalidParameters, NotLoaded, Unavailable
from dpstats.ledger.tokens import Identity
from dpstats.library import Library
from dpstats.release import Road
from dpstats.rights.asking_again import next_ask
from dpstats.rights.consent_log import ConsentLog
from dpstats.rights.decisions import ALL_SALE_SHARE, LIMIT_SPI, Event, Use, is_limited, standing
from dpstats.rights.intake import ID_MAX
from dpstats.rights.pseudonyms import Pseudonyms
from dpstats.workspace.epochs import Timetable
from dpstats.workspace.held_data import HeldData


class ConsentTold:
    """What a workspace tells of its consent."""

    def __init__(
        self,
        library: Library,
        road: Road,
        log: ConsentLog,
        pseudonyms: Pseudonyms,
        timetable: Timetable,
        held_data: HeldData,
    ) -> None:
        self._library, self._road, self._log = library, road, log
        self._pseudonyms, self._timetable, self._held_data = pseudonyms, timetable, held_data

    def of_unit(self, identity: Identity, dataset: str, unit: str | int) -> dict[str, Any]:
        """Whether a person may be asked for each purpose that asks; to a steward also what was decided so far.

        To a steward, what was decided under any id that the loaded data link to it is the person's too; a collector
        is told by this id alone, or it could find out whose ids are one person's. A person who refused may be asked
        again after 12 months; an opt-in of the person's own may come at any time.

        Raises:
          Forbidden: the caller may not send consent. NotFound: no such dataset. InvalidParameters: it is no id.
          Unavailable: the links between ids cannot be read now.
        """
        check(identity, Action.CONSENT)
        known = self._library.dataset(identity, dataset)
        if not str(unit).strip() or len(str(unit)) > ID_MAX:
            raise InvalidParameters({"unit": f"must be an id of 1 to {ID_MAX} characters"})
        own, told = {id_text(known.unit_type, unit)}, Action.STEWARD in ALLOWED[identity.role]
        ids = self._held_data.linked(identity, dataset, own) if told else own
        people = sorted(self._pseudonyms.of(known.lineage, each) for each in ids)
        events = tuple(event for person in people for event in self._log.of_person(known.lineage, person))
        now = datetime.now(UTC)
        return {"dataset": dataset, "purposes": [_standing(*each, told, now) for each in _uses(known, events)]}

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
        with suppress(NotLoaded, Unavailable), self._road.data(dataset) as (_, engine):
            known = engine.consent
        fits = known is not None and known.rules == consent_rules(dataset)
        fresh = known is not None and now - known.closed_at <= self._timetable.max_age
        return {
            "dataset": dataset.dataset,
            "purposes": list(asked_purposes(dataset)),
            "as_of": known.closed_at.isoformat() if known else None,
            "answers": fits and fresh,
        }


def _uses(dataset: DatasetFile, events: tuple[Event, ...]) -> Iterator[tuple[str, str, datetime | None]]:
    """Each thing that can be refused: its name, how the person stands, and from when on the person may be asked."""
    for purpose in asked_purposes(dataset):
        sold = is_sold(dataset, purpose)
        at = standing(events, Use(dataset.dataset, purpose, sold))
        refusing = frozenset({purpose, *([ALL_SALE_SHARE] if sold else [])})
        yield purpose, "opt_in" if at.said_yes else "opt_out" if at.said_no else "none", next_ask(events, refusing)
    for refusal in (ALL_SALE_SHARE, LIMIT_SPI):
        again = next_ask(events, frozenset({refusal}))
        ended = refusal == LIMIT_SPI and again is not None and not is_limited(events, dataset.dataset)
        yield refusal, "opt_in" if ended else "opt_out" if again else "none", again


def _standing(purpose: str, decision: str, again: datetime | None, told: bool, now: datetime) -> dict[str, Any]:
    waits = again is not None and decision != "opt_in" and now < again
    return {
        "purpose": purpose,
        "decision": decision if told else None,
        "may_ask": not waits,
        "next_ask_not_before": again.isoformat() if again is not None and waits else None,
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
