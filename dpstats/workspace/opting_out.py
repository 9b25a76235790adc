"""Saying no without an account: one id, one step, and a receipt that tells when it took effect.

Nobody is asked who they are, since asking would itself be a violation (11 CCR 7026(d), 7060(b)), and whether an id is
known is never told. A refusal counts in every dataset, for every id that is linked to the person.
"""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime
from functools import partial
from typing import Any

from dpstats.access import Action, check, operator
from dpstats.catalog.acting import told_to_consumers
from dpstats.catalog.consented import asked_purposes
from dpstats.catalog.dataset import DatasetFile
from dpstats.errors import Conflict, EngineFailed, InvalidParameters, NotFound, NotLoaded, Unavailable
from dpstats.ledger.tokens import Identity
from dpstats.library import Library
from dpstats.release import Road
from dpstats.rights.consent_log import ConsentLog, Epoch
from dpstats.rights.decisions import ALL_SALE_SHARE, Decision
from dpstats.rights.intake import Intake, Wish
from dpstats.rights.notice import Business
from dpstats.rights.outbox import put_in
from dpstats.rights.pseudonyms import Pseudonyms
from dpstats.workspace.consent import RECEIPT
from dpstats.workspace.refusals_told import RefusalsTold

_PUBLIC = operator("the public form")
_RECEIPT = re.compile(rf"{RECEIPT}[0-9a-f]{{32}}")


class OptingOut:
    """The public opt-out of a workspace."""

    def __init__(
        self,
        library: Library,
        road: Road,
        log: ConsentLog,
        pseudonyms: Pseudonyms,
        refusals: RefusalsTold,
        business: Business,
    ) -> None:
        self._library, self._road, self._log, self._pseudonyms = library, road, log, pseudonyms
        self._refusals, self._business = refusals, business

    @property
    def elsewhere(self) -> str:
        """Where to ask instead: of a service provider, which acts on no request of its own; empty of a business."""
        if self._business.acts_as == "business":
            return ""
        controllers = [each.controller for each in self._library.datasets(_PUBLIC)]
        return told_to_consumers(controllers, self._business.contact)

    def refuse(self, unit: str, *, source: str = "form") -> str:
        """Keeps the refusal of all sale and sharing for whoever has this id; gives its receipt. Recipients are told.

        Raises:
          InvalidParameters: it is no id. Conflict: a service provider holds the data; nothing is kept.
        """
        if self.elsewhere:
            raise Conflict(self.elsewhere)
        receipt, now = f"{RECEIPT}{secrets.token_hex(16)}", datetime.now(UTC)
        wish = Wish(unit, ALL_SALE_SHARE, str(Decision.OPT_OUT), receipt, source)
        intakes = [Intake(dataset, self._pseudonyms, now) for dataset in self._library.datasets(_PUBLIC)]
        problems = {field: what for intake in intakes for field, what in intake.problems(wish).items()}
        if problems:
            raise InvalidParameters(problems)
        received = [intake.received(wish) for intake in intakes]
        messages = [
            message
            for intake, each in zip(intakes, received, strict=True)
            for message in self._refusals.of(_PUBLIC, intake.dataset, [(wish, each)], now)
        ]
        self._log.add(received, partial(put_in, new=messages, now=now))
        return receipt

    def status_for(self, identity: Identity, receipt: str) -> dict[str, Any]:
        """The same for a site that shows it to its visitor.

        Raises:
          Forbidden: the caller may not send consent. NotFound: there is no such receipt.
        """
        check(identity, Action.CONSENT)
        return self.status(receipt)

    def status(self, receipt: str) -> dict[str, Any]:
        """What became of a refusal, however it came: received, and from when on no new answer counts the person.

        Raises:
          NotFound: there is no such receipt.
        """
        datasets = self._library.datasets(_PUBLIC)
        if not datasets or not _RECEIPT.fullmatch(receipt):
            raise NotFound("receipt", receipt)
        named = Intake(datasets[0], self._pseudonyms, datetime.now(UTC)).named(receipt)
        found = self._log.found(named) or self._log.found_refusal(receipt.removeprefix(RECEIPT))
        if found is None:
            raise NotFound("receipt", receipt)
        seq, received_at = found
        epoch = self._log.epoch_with(seq)
        processed_at = epoch.closed_at if epoch is not None and self._is_in_force(epoch) else None
        return {
            "receipt": receipt,
            "received_at": received_at.isoformat(),
            "state": "processed" if processed_at else "received",
            "processed_at": processed_at.isoformat() if processed_at else None,
        }

    def _is_in_force(self, epoch: Epoch) -> bool:
        """Whether every dataset that asks for consent goes by this epoch or a later one, as its data themselves say.

        One that nothing can be asked of now is no exception: it answers nobody.
        """
        return all(self._goes_by(each, epoch) for each in self._library.datasets(_PUBLIC) if asked_purposes(each))

    def _goes_by(self, dataset: DatasetFile, epoch: Epoch) -> bool:
        try:
            with self._road.data(dataset) as (_, engine):
                return engine.consent is not None and engine.consent.closed_at >= epoch.closed_at
        except (EngineFailed, Unavailable):  # it may answer again by what it knew before
            return False
        except NotLoaded:
            return True
