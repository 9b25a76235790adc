"""What a request to know is answered by: a package of everything that may be told, and the evidence of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from dpstats.catalog.dataset import DatasetFile
from dpstats.errors import Conflict
from dpstats.ledger.chain import sha256
from dpstats.ledger.ledger import Ledger
from dpstats.ledger.tokens import Identity
from dpstats.library import Library
from dpstats.rights.consent_log import ConsentLog
from dpstats.rights.corrections import Corrections
from dpstats.rights.deliveries import Deliveries
from dpstats.rights.kept_back import unit_of
from dpstats.rights.notice import NOBODY_NAMED, notice_of
from dpstats.rights.package import STATISTICS_MAX, TableOf, Told, zipped
from dpstats.rights.pseudonyms import Pseudonyms
from dpstats.rights.request_log import Kept
from dpstats.rights.requests import Disclosure
from dpstats.workspace.budgets import Budgets
from dpstats.workspace.correcting import correction_told
from dpstats.workspace.erasing import Erasing, is_of
from dpstats.workspace.held_data import HeldData
from dpstats.workspace.keeping import Keeping
from dpstats.workspace.rights_told import (
    NOT_READ,
    SEND_LATER,
    TOLD_OF_THE_NOTICE,
    consented,
    kept_told,
    refused_pieces,
    statistic,
)
from dpstats.workspace.spending import Spending


@dataclass(frozen=True)
class OfPeople:
    """What a workspace keeps of people beside their rows."""

    consent_log: ConsentLog
    corrections: Corrections
    pseudonyms: Pseudonyms
    keeping: Keeping


class Disclosing:
    """The packages of a workspace."""

    def __init__(
        self,
        library: Library,
        ledger: Ledger,
        held_data: HeldData,
        of_people: OfPeople,
        budgets: Budgets,
        spending: Spending,
        deliveries: Deliveries,
        erasing: Erasing,
    ) -> None:
        self._library, self._ledger, self._held_data = library, ledger, held_data
        self._consent_log, self._corrections = of_people.consent_log, of_people.corrections
        self._pseudonyms, self._keeping = of_people.pseudonyms, of_people.keeping
        self._budgets, self._spending = budgets, spending
        self._deliveries, self._erasing = deliveries, erasing

    def carried_out(
        self, identity: Identity, kept: Kept, now: datetime
    ) -> tuple[dict[str, Any], dict[str, str] | None]:
        """The evidence, and where the package is fetched; None where only the notice is told.

        Raises:
          Conflict: a deletion of the person was begun meanwhile.
        """
        if kept.standing.disclosure is Disclosure.POLICY_ONLY:
            return {"disclosed": str(kept.standing.disclosure), "told": list(TOLD_OF_THE_NOTICE)}, None
        told = self.known(identity, kept, now)
        content = zipped(told)
        secret, until = self._deliveries.put(content, now, about=kept.asked.unit)
        # A deletion that begins later finds the package; one that began before may have looked for it already.
        if told.tells_pieces and self._erasing.is_begun(kept):
            self._deliveries.drop(kept.asked.unit)
            raise Conflict("a deletion of the person was begun meanwhile: execute this again once it is carried out")
        evidence: dict[str, Any] = {
            "disclosed": str(kept.standing.disclosure),
            "package_sha256": sha256(content),
            "until": until,
        }
        if kept.standing.exceptions:
            evidence |= {"exceptions": dict(kept.standing.exceptions), "told": list(refused_pieces(kept).values())}
        if unread := {table.name: told_later for table in told.tables if (told_later := table.unread_told)}:
            evidence |= {NOT_READ: {"tables": [*unread], "says": SEND_LATER}}
            evidence["told"] = [*evidence.get("told", ()), *unread.values()]
        return evidence, {"path": f"/v1/rights/packages/{secret}", "expires_at": until}

    def known(self, identity: Identity, kept: Kept, now: datetime) -> Told:
        """Everything that may be told: categories always, the pieces to who is known well enough."""
        name, lineage = kept.asked.dataset, kept.asked.lineage
        dataset = self._library.dataset(identity, name)
        specific = kept.standing.disclosure is Disclosure.SPECIFIC_PIECES
        is_person = is_of([str(kept.person)], dataset)
        found = self._held_data.pieces(identity, name, is_person) if specific else {}
        budget, refused = self._budgets.one(identity, name), refused_pieces(kept)
        linked = self._held_data.ids(identity, name, is_person)
        pseudonyms = {kept.asked.unit, *(self._pseudonyms.of(lineage, each) for each in linked)}
        kept_units = {
            unit_of(self._pseudonyms, lineage, dataset.unit_type, each) for each in {str(kept.person), *linked}
        }
        return Told(
            request_id=kept.request_id,
            made_at=now.isoformat(),
            told=notice_of(NOBODY_NAMED, [dataset])["datasets"][0],
            consent=self._consent_history(lineage, pseudonyms),
            linked=sorted(linked) if specific else [],
            corrections=self._told_corrections(dataset, pseudonyms, refused) if specific else [],
            kept_back=[kept_told(each) for each in self._keeping.of_person(kept_units)],
            tables=[
                TableOf(
                    table, each.columns, each.rows, each.withheld, each.unread, table in dataset.tables_in_place
                ).without(refused)
                for table, each in found.items()
            ],
            specific=specific,
            statistics=self._published(identity, name),
            epsilon_at_most=budget["epsilon_spent"],
            delta=budget["delta"],
        )

    def _told_corrections(
        self, dataset: DatasetFile, pseudonyms: Collection[str], refused: Collection[str]
    ) -> list[dict[str, Any]]:
        """What was corrected of a person and still stands in for what a source says."""
        found = self._corrections.of_person(dataset.lineage, pseudonyms)
        return [told for each in found if (told := correction_told(dataset, each, refused))]

    def _consent_history(self, lineage: str, pseudonyms: Collection[str]) -> list[dict[str, str]]:
        """What the person decided under each of their ids, and what the person was shown where that was said."""
        found = []
        for each in sorted(pseudonyms):
            shown = self._consent_log.shown_to(lineage, each)
            for event in self._consent_log.of_person(lineage, each):
                found.append(consented(event) | (asdict(shown[event.event]) if event.event in shown else {}))
        return found

    def _published(self, identity: Identity, dataset: str) -> list[dict[str, Any]]:
        """The newest statistics that were published of a dataset, with their values."""
        page = self._ledger.releases(dataset, datasets=identity.datasets, limit=STATISTICS_MAX)
        purposes = self._spending.purposes(stored.query for stored in page.items)
        return [statistic(stored, purposes) for stored in page.items]
