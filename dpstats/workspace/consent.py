"""Consent in: events, signals and files. Whoever sends them learns nothing about anybody."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dpstats.access import Action, check
from dpstats.catalog.dataset import DatasetFile
from dpstats.engine.listing import listed
from dpstats.errors import FileError, InvalidParameters
from dpstats.ledger.tokens import Identity
from dpstats.library import Library
from dpstats.rights.consent_log import ConsentLog, Received
from dpstats.rights.decisions import Decision
from dpstats.rights.intake import Intake, Wish
from dpstats.rights.pseudonyms import Pseudonyms
from dpstats.rights.signals import Signal, refusals

PROBLEMS_SHOWN = 10
_COLUMNS = ("unit", "purpose", "decision", "observed_at")


class Consent:
    """The consent desk of a workspace."""

    def __init__(self, library: Library, log: ConsentLog, pseudonyms: Pseudonyms) -> None:
        self._library, self._log, self._pseudonyms = library, log, pseudonyms

    def send(self, identity: Identity, wishes: Sequence[tuple[str, Wish]]) -> tuple[dict[str, Any], ...]:
        """Keeps decisions, each for the dataset that is named; all or none.

        What is said of each is the same whoever it is about: its id, when it came, and for an opt-in the `nonce` that
        a confirmation takes, whether or not one is needed.

        Raises:
          Forbidden: the caller may not send consent. NotFound: no such dataset that the caller may see.
          InvalidParameters: a wish is wrong; nothing is kept.
        """
        check(identity, Action.CONSENT)
        now = datetime.now(UTC)
        intakes = {name: self._intake(identity, name, now) for name in {name for name, _ in wishes}}
        problems = {
            f"events.{place}.{field}" if len(wishes) > 1 else field: what
            for place, (name, wish) in enumerate(wishes)
            for field, what in intakes[name].problems(wish).items()
        }
        if problems:
            raise InvalidParameters(dict(list(problems.items())[:PROBLEMS_SHOWN]))
        self._log.add(intakes[name].received(wish) for name, wish in wishes)
        return tuple(_told(intakes[name], wish, now) for name, wish in wishes)

    def signal(
        self,
        identity: Identity,
        dataset: str,
        units: Sequence[str | int],
        signal: Signal,
        *,
        observed_at: str = "",
        event_id: str = "",
    ) -> dict[str, Any]:
        """Keeps what a browser's signal refuses, for every id that came with it; one that says nothing changes nothing.

        Raises:
          Forbidden, NotFound, InvalidParameters: as `send`.
        """
        check(identity, Action.CONSENT)
        now = datetime.now(UTC)
        intake = self._intake(identity, dataset, now)
        name = event_id or f"signal at {observed_at or now.isoformat()}"
        refused = refusals(signal)
        wishes = [
            Wish(unit, one.purpose, str(Decision.OPT_OUT), name, one.source, observed_at)
            for one in refused
            for unit in units
        ]
        # A signal that says nothing is looked at all the same, so that what is wrong with a request is always told.
        judged = wishes or [Wish(unit, "known_minor", "opt_out", name, "gpc", observed_at) for unit in units]
        problems = {field: what for wish in judged for field, what in intake.problems(wish).items()}
        if problems:
            raise InvalidParameters(problems)
        self._log.add(intake.received(wish) for wish in wishes)
        return {"received_at": now.isoformat(), "refused": sorted({one.purpose for one in refused})}

    def import_file(self, identity: Identity, dataset: str, path: Path) -> None:
        """Keeps the decisions in a Parquet or CSV file: unit, purpose, decision, observed_at, maybe event_id.

        All or none of them; a row that is there already is left as it is, so the same file may come again.

        Raises:
          Forbidden: the caller is no steward. NotFound: no such dataset. FileError: a row is wrong; it is told which.
        """
        check(identity, Action.STEWARD)
        intake = self._intake(identity, dataset, datetime.now(UTC))
        self._log.add(list(_of_file(intake, path)))

    def _intake(self, identity: Identity, dataset: str, now: datetime) -> Intake:
        found: DatasetFile = self._library.dataset(identity, dataset)
        return Intake(found, self._pseudonyms, now)


def _told(intake: Intake, wish: Wish, now: datetime) -> dict[str, Any]:
    nonce = intake.nonce(wish, wish.event_id) if wish.decision == Decision.OPT_IN else None
    return {"event_id": wish.event_id, "received_at": now.isoformat(), "nonce": nonce}


def _of_file(intake: Intake, path: Path) -> Iterator[Received]:
    for line, (*cells, event_id) in enumerate(listed(path, _COLUMNS, ("event_id",)), start=1):
        unit, purpose, decision, observed_at = cells
        named = event_id or "|".join((observed_at, "import"))
        wish = Wish(unit, purpose, decision, named, "import", observed_at)
        problems = intake.problems(wish)
        if wish.decision == Decision.CONFIRM:
            problems = {"decision": "a confirmation is sent by itself, with the nonce of its opt-in"}
        for field, what in problems.items():
            # What is wrong with a purpose or a decision may be quoted from the file: a row's place will do.
            said = "is not one that this dataset takes" if field in {"purpose", "decision"} else what
            raise FileError(str(path), f"row {line}: {said}", key=f"column {field}")
        yield intake.received(wish)
