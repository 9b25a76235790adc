"""Consent in: events, signals and files. Whoever sends them learns nothing about anybody."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from dpstats.access import Action, check
from dpstats.catalog.dataset import DatasetFile
from dpstats.engine.listing import listed
from dpstats.errors import FileError, InvalidParameters
from dpstats.ledger.tokens import Identity
from dpstats.library import Library
from dpstats.rights.consent_log import ConsentLog, Received
from dpstats.rights.decisions import REFUSING, Decision
from dpstats.rights.intake import Intake, Wish
from dpstats.rights.outbox import put_in
from dpstats.rights.pseudonyms import Pseudonyms
from dpstats.rights.signals import Signal, refusals
from dpstats.workspace.refusals_told import RefusalsTold

PROBLEMS_SHOWN = 10
RECEIPT = "no_"
"""How a receipt begins; what follows is secret."""
_COLUMNS = ("unit", "purpose", "decision", "observed_at")


class Consent:
    """The consent desk of a workspace."""

    def __init__(self, library: Library, log: ConsentLog, pseudonyms: Pseudonyms, refusals: RefusalsTold) -> None:
        self._library, self._log, self._pseudonyms = library, log, pseudonyms
        self._refusals = refusals

    def send(
        self, identity: Identity, wishes: Sequence[tuple[str, Wish]], *, tell: bool = True
    ) -> tuple[dict[str, Any], ...]:
        """Keeps decisions, each for the dataset that is named; all or none.

        Args:
          tell: recipients are told of refusals; False where the caller tells them.

        What is said of each is the same whoever it is about: its id, when it came, for an opt-in the `nonce` that a
        confirmation takes, whether or not one is needed, and for a refusal the receipt that its status is asked by.
        A refusal that comes again under its `event_id` changes nothing, whatever was decided since, and is told by when
        it came first: one that is made anew has an `event_id` of its own.

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
        kept = self._as_first(self._keep(identity, [(intakes[name], wish) for name, wish in wishes], now, tell=tell))
        return tuple(_told(intakes[name], wish, one) for (name, wish), one in zip(wishes, kept, strict=True))

    def check_kept(self, identity: Identity, dataset: str, wish: Wish) -> None:
        """Whether a decision would be kept; nothing is.

        Raises:
          NotFound, InvalidParameters: as `send`.
        """
        problems = self._intake(identity, dataset, datetime.now(UTC)).problems(wish)
        if problems:
            raise InvalidParameters(problems)

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
        kept = self._as_first(self._keep(identity, [(intake, wish) for wish in wishes], now))
        return {
            "received_at": max((one.received_at for one in kept), default=now).isoformat(),
            "refused": sorted({one.purpose for one in refused}),
            "receipt": receipt_of(kept[0]) if kept else None,
        }

    def import_file(self, identity: Identity, dataset: str, path: Path) -> None:
        """Keeps the decisions in a Parquet or CSV file: unit, purpose, decision, observed_at, maybe event_id and
        turns_16_on.

        All or none of them; a row that is there already is left as it is, so the same file may come again.

        Raises:
          Forbidden: the caller is no steward. NotFound: no such dataset. FileError: a row is wrong; it is told which.
        """
        check(identity, Action.STEWARD)
        now = datetime.now(UTC)
        intake = self._intake(identity, dataset, now)
        self._keep(identity, [(intake, wish) for wish in _of_file(intake, path)], now)

    def _keep(
        self, identity: Identity, wishes: Sequence[tuple[Intake, Wish]], now: datetime, *, tell: bool = True
    ) -> list[Received]:
        """Keeps wishes without problems, and what recipients are told of them, in one transaction; in their order."""
        by_dataset: dict[str, list[tuple[Wish, Received]]] = {}
        datasets = {intake.dataset.dataset: intake.dataset for intake, _ in wishes}
        received = [intake.received(wish) for intake, wish in wishes]
        for (intake, wish), one in zip(wishes, received, strict=True):
            by_dataset.setdefault(intake.dataset.dataset, []).append((wish, one))
        messages = [
            message
            for name, kept in (by_dataset.items() if tell else ())
            for message in self._refusals.of(identity, datasets[name], kept, now)
        ]
        self._log.add(received, partial(put_in, new=messages, now=now))
        return received

    def _as_first(self, kept: Sequence[Received]) -> list[Received]:
        """Refusals with the time at which they came first, as their receipts tell it.

        Of an opt-in nothing is told that its sender does not know: whoever guesses an `event_id` would learn of it.
        """
        refusals = [one.identity for one in kept if one.event.decision in REFUSING]
        came = self._log.came(refusals) if refusals else {}
        return [replace(one, received_at=came.get(one.identity, one.received_at)) for one in kept]

    def _intake(self, identity: Identity, dataset: str, now: datetime) -> Intake:
        found: DatasetFile = self._library.dataset(identity, dataset)
        return Intake(found, self._pseudonyms, now)


def _told(intake: Intake, wish: Wish, kept: Received) -> dict[str, Any]:
    nonce = intake.nonce(wish, wish.event_id) if wish.decision == Decision.OPT_IN else None
    receipt = receipt_of(kept) if wish.decision in REFUSING else None
    return {"event_id": wish.event_id, "received_at": kept.received_at.isoformat(), "nonce": nonce, "receipt": receipt}


def receipt_of(kept: Received) -> str:
    """What the status of a refusal is asked by: whoever sends the same one again is given the same, and nobody else."""
    return f"{RECEIPT}{kept.identity[:32]}"


def _of_file(intake: Intake, path: Path) -> Iterator[Wish]:
    for line, (*cells, event_id) in enumerate(listed(path, _COLUMNS, ("turns_16_on", "event_id")), start=1):
        unit, purpose, decision, observed_at, turns_16_on = cells
        named = event_id or "|".join((observed_at, "import"))
        wish = Wish(unit, purpose, decision, named, "import", observed_at, turns_16_on=turns_16_on)
        problems = intake.problems(wish)
        if wish.decision == Decision.CONFIRM:
            problems = {"decision": "a confirmation is sent by itself, with the nonce of its opt-in"}
        for field, what in problems.items():
            # What is wrong with a purpose may quote the file: its row's place, and what could stand there, will do.
            said = f"is none of {', '.join(intake.purposes)}" if field == "purpose" else what
            raise FileError(str(path), f"row {line}: {said}", key=f"column {field}")
        yield wish
