"""From what a collector sends to an event that is kept, or every reason why not.

Nothing here looks at whom the data hold or at what was said before: the answer is the same for a person who is known
and for one who is not.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta

from dpstats.catalog.dataset import RESERVED_PURPOSES, DatasetFile
from dpstats.catalog.ids import id_text
from dpstats.catalog.text import forbidden_position, quoted
from dpstats.rights.consent_log import NOT_SAID, Received, Shown
from dpstats.rights.deadlines import day_of
from dpstats.rights.decisions import ALL_SALE_SHARE, KNOWN_MINOR, LIMIT_SPI, REFUSING, Decision, Event
from dpstats.rights.pseudonyms import Pseudonyms

SOURCES = ("api", "form", "gpc", "gpp", "agent", "drp", "drop", "import", "operator")
ID_MAX = 256
"""Characters of a person's id."""
NO_ID = f"must be an id of 1 to {ID_MAX} characters"
EVENT_ID_MAX = 128
SHOWN_MAX = 200
"""Characters of what an event says of the notice, the language and the method."""
CHILDHOOD = timedelta(days=16 * 366)
"""How far away a minor's sixteenth birthday may be."""
_SHA256 = re.compile(r"(sha256:)?[0-9a-f]{64}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,4}")
AHEAD_MAX = timedelta(minutes=5)
"""How far a sender's clock may be ahead; an opt-in from the future would outlast every refusal until then."""


@dataclass(frozen=True)
class Wish:
    """A decision as it is sent. `observed_at` empty: now. `confirms` and `nonce`: of the opt-in that it confirms.

    `turns_16_on`: of the mark of a known minor, the day from which it holds no more; empty: not known.
    """

    unit: str | int
    purpose: str
    decision: str
    event_id: str
    source: str = "api"
    observed_at: str = ""
    confirms: str = ""
    nonce: str = ""
    turns_16_on: str = ""
    shown: Shown = NOT_SAID


class Intake:
    """Reads the wishes of one dataset's people, as they come at one moment."""

    def __init__(self, dataset: DatasetFile, pseudonyms: Pseudonyms, now: datetime) -> None:
        self._dataset, self._pseudonyms, self._now = dataset, pseudonyms, now

    @property
    def dataset(self) -> DatasetFile:
        """The dataset whose people decide."""
        return self._dataset

    @property
    def purposes(self) -> tuple[str, ...]:
        """What a decision may be about: the dataset's own purposes, and the reserved ones."""
        return (*self._dataset.purposes, *RESERVED_PURPOSES)

    def problems(self, wish: Wish) -> dict[str, str]:
        """What is wrong with a wish, by its field; nothing if it can be kept."""
        return dict(self._problems(wish))

    def received(self, wish: Wish) -> Received:
        """The event that a wish without problems is kept as."""
        dataset, pseudonyms = self._dataset, self._pseudonyms
        unit = self._unit(wish)
        event = Event(
            dataset=dataset.dataset,
            purpose=wish.purpose,
            decision=Decision(wish.decision),
            observed_at=min(self._observed(wish), self._now),
            event=self._named(wish.event_id),
            confirms=self._named(wish.confirms) if wish.confirms else "",
            until=date.fromisoformat(wish.turns_16_on) if wish.turns_16_on else None,
        )
        told = ("event", dataset.dataset, unit, wish.purpose, wish.decision, wish.event_id, wish.confirms)
        identity = pseudonyms.hashed(*told)
        return Received(dataset.lineage, unit, event, wish.source, identity, self._now, wish.shown)

    def nonce(self, wish: Wish, event_id: str) -> str:
        """What a confirmation of the opt-in `event_id`, of the wish's person and purpose, must bring along."""
        return self._pseudonyms.hashed("nonce", self._dataset.dataset, self._unit(wish), wish.purpose, event_id)[:32]

    def named(self, event_id: str) -> str:
        """A sender's own name of an event, as the log keeps it."""
        return self._named(event_id)

    def _unit(self, wish: Wish) -> str:
        return self._pseudonyms.of(self._dataset.lineage, id_text(self._dataset.unit_type, wish.unit))

    def _named(self, event_id: str) -> str:
        """A sender's own name of an event, which may hold an id, as a keyed hash."""
        return self._pseudonyms.hashed("event id", event_id)[:32]

    def _observed(self, wish: Wish) -> datetime:
        if not wish.observed_at:
            return self._now
        moment = datetime.fromisoformat(wish.observed_at)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)

    def _problems(self, wish: Wish) -> Iterator[tuple[str, str]]:
        yield from self._id_problems(wish)
        yield from self._purpose_problems(wish)
        yield from self._time_problems(wish)
        yield from _shown_problems(wish.shown)
        yield from self._minor_problems(wish)
        if wish.source not in SOURCES:
            yield "source", f"must be one of {', '.join(SOURCES)}"
        if wish.decision == Decision.CONFIRM:
            if not hmac.compare_digest(wish.nonce.encode(), self.nonce(wish, wish.confirms).encode()):
                yield "nonce", "must be what the opt-in named in `confirms`, of the same unit and purpose, was given"
        elif wish.confirms or wish.nonce:
            yield "confirms" if wish.confirms else "nonce", "is for a `confirm` alone: remove it"

    def _id_problems(self, wish: Wish) -> Iterator[tuple[str, str]]:
        if not is_id(str(wish.unit)):
            yield "unit", NO_ID
        if not 1 <= len(wish.event_id) <= EVENT_ID_MAX or not wish.event_id.isprintable():
            yield "event_id", f"must be a text of 1 to {EVENT_ID_MAX} characters"

    def _purpose_problems(self, wish: Wish) -> Iterator[tuple[str, str]]:
        if wish.purpose not in self.purposes:
            yield "purpose", f"there is no purpose {quoted(wish.purpose)}: use one of {', '.join(self.purposes)}"
        elif wish.decision not in set(Decision):
            yield "decision", f"must be one of {', '.join(Decision)}"
        elif wish.purpose == KNOWN_MINOR and wish.decision not in REFUSING:
            yield "decision", f"{KNOWN_MINOR} takes opt_out (is one) or withdraw (is one no more)"
        elif wish.purpose == LIMIT_SPI and wish.decision == Decision.WITHDRAW:
            yield "decision", f"{LIMIT_SPI} takes opt_out, or opt_in and its confirmation, which end it"
        elif wish.purpose == ALL_SALE_SHARE and wish.decision != Decision.OPT_OUT:
            yield "decision", f"{wish.purpose} is a refusal: it takes opt_out alone, and an opt-in names one purpose"

    def _time_problems(self, wish: Wish) -> Iterator[tuple[str, str]]:
        try:
            observed = self._observed(wish)
        except (ValueError, OverflowError):
            yield "observed_at", "must be a moment like 2026-01-31T12:00:00Z"
            return
        # A refusal is never refused for its clock: it counts from now.
        if observed > self._now + AHEAD_MAX and wish.decision not in REFUSING:
            yield "observed_at", "is in the future"

    def _minor_problems(self, wish: Wish) -> Iterator[tuple[str, str]]:
        if not wish.turns_16_on:
            return
        if (wish.purpose, wish.decision) != (KNOWN_MINOR, Decision.OPT_OUT):
            yield "turns_16_on", f"is for {KNOWN_MINOR} with opt_out alone: remove it"
            return
        try:
            day = date.fromisoformat(wish.turns_16_on)
        except ValueError:
            yield "turns_16_on", "must be a day like 2031-05-17"
            return
        if not timedelta(0) < day - day_of(self._now) <= CHILDHOOD:
            yield "turns_16_on", "must be a day to come, within 16 years"


def is_id(text: str) -> bool:
    """Whether a text may be a person's id."""
    return bool(text.strip()) and len(text) <= ID_MAX and forbidden_position(text) is None


def _shown_problems(shown: Shown) -> Iterator[tuple[str, str]]:
    if shown == NOT_SAID:
        return
    for field, text in asdict(shown).items():
        if len(text) > SHOWN_MAX or (text and not text.isprintable()):
            yield field, f"must be a text of at most {SHOWN_MAX} characters"
    if shown.notice_sha256 and not _SHA256.fullmatch(shown.notice_sha256):
        yield "notice_sha256", "must be a SHA-256: 64 hexadecimal digits"
    if shown.language and not _LANGUAGE.fullmatch(shown.language):
        yield "language", "must be a language tag like en or es-US"
