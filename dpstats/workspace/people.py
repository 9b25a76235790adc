"""What is known of people beside the data: who was erased, what was corrected, answers that wait, and birthdays.

All are found by keyed hashes of ids. Who was erased and what was corrected outlast any file: a stale source or a
restored data version changes nothing about them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime

from dpstats.catalog.dataset import DatasetFile
from dpstats.catalog.ids import id_text
from dpstats.engine.corrections import Fix, FixesOf, Overlay
from dpstats.ledger.registry import DataVersionRecord
from dpstats.rights.consent_log import ConsentLog
from dpstats.rights.corrections import Correction, Corrections
from dpstats.rights.deliveries import Deliveries
from dpstats.rights.erasures import LINKED, Erased, Erasures
from dpstats.rights.kept_back import KeptBack, unit_of
from dpstats.rights.pseudonyms import Pseudonyms
from dpstats.rights.suppression import Suppressions


class People:
    """The people of a workspace, as its loads and erasures ask about them."""

    def __init__(
        self,
        suppressions: Suppressions,
        corrections: Corrections,
        pseudonyms: Pseudonyms,
        deliveries: Deliveries,
        consent_log: ConsentLog,
        erasures: Erasures,
        kept_back: KeptBack,
    ) -> None:
        self._suppressions, self._corrections, self._pseudonyms = suppressions, corrections, pseudonyms
        self._deliveries, self._consent_log, self._erasures = deliveries, consent_log, erasures
        self._kept_back = kept_back

    def left_out(self, dataset: DatasetFile) -> Callable[[str], bool] | None:
        """Says of an id whether its person was erased, as of now; None if nobody was."""
        return self._suppressions.left_out(dataset.lineage, dataset.unit_type)

    def erased(self, dataset: DatasetFile) -> Erased | None:
        """How many people were erased, as of now; looked up before `left_out`, so that it knows of no one more."""
        return self._erasures.of(dataset.lineage)

    def note_erased(self, data_version: str, erased: Erased | None, found: int) -> None:
        """Keeps of how many a data version's load knew, and found itself; before the version is entered."""
        self._erasures.note(data_version, erased, found)

    def missed(self, dataset: DatasetFile, version: DataVersionRecord) -> bool:
        """Whether somebody was erased of whom a data version's load knew nothing."""
        return self._erasures.came_after(dataset.lineage, version.data_version, version.created_at)

    def linked_out(self, dataset: DatasetFile, units: Mapping[str, str]) -> int:
        """Erases ids that are linked to somebody who was erased, for good: they are that person's.

        By these ids too is found what is kept back of the person. Gives how many rows of suppressions are new.

        Args:
          units: a unit by id, the same one for all ids of a person.
        """
        now, new = datetime.now(UTC), 0
        people: dict[str, set[str]] = {}
        for each, unit in units.items():
            people.setdefault(unit, {unit}).add(each)
        for theirs in people.values():
            self._kept_back.also_of(self.kept_unit(dataset, each) for each in theirs)
        for each in units:
            new += self._suppressions.add(dataset.lineage, each, request=LINKED, now=now)
            self.forget(dataset, each)
        return new

    def forget(self, dataset: DatasetFile, person: str) -> None:
        """Removes what is kept of an id beside the data: answers that nobody fetched yet, corrections, a birthday."""
        pseudonym = self.pseudonym(dataset, person)
        self._deliveries.drop(pseudonym)
        self._corrections.drop(dataset.lineage, pseudonym)
        self._consent_log.forget_birthdays(dataset.lineage, pseudonym)

    def holds(self, dataset: DatasetFile, person: str) -> bool:
        """Whether there is anything of an id that `forget` would remove."""
        pseudonym = self.pseudonym(dataset, person)
        return (
            self._deliveries.holds(pseudonym)
            or bool(self._corrections.of_person(dataset.lineage, [pseudonym]))
            or any(event.until is not None for event in self._consent_log.of_person(dataset.lineage, pseudonym))
        )

    def overlay(self, dataset: DatasetFile) -> Overlay:
        """What was corrected in a dataset and still stands, by table."""
        found: dict[str, dict[str, list[Fix]]] = {}
        for each in self._corrections.standing(dataset.lineage, dataset.dataset):
            fix = as_fix(each)
            if fix is not None:
                found.setdefault(fix.table, {}).setdefault(each.unit, []).append(fix)
        return {table: self._fixes_of(dataset, by_unit) for table, by_unit in found.items()}

    def confirmed(self, numbers: Collection[int]) -> None:
        """Closes corrections that a source says as well."""
        if numbers:
            self._corrections.confirm(numbers, datetime.now(UTC))

    def pseudonym(self, dataset: DatasetFile, person: str) -> str:
        """The keyed hash of an id among the people of a dataset."""
        return self._pseudonyms.of(dataset.lineage, id_text(dataset.unit_type, person))

    def kept_unit(self, dataset: DatasetFile, person: str) -> str:
        """The keyed hash of an id by which what is kept of its person is found; see `kept_back.unit_of`."""
        return unit_of(self._pseudonyms, dataset.lineage, dataset.unit_type, person)

    def _fixes_of(self, dataset: DatasetFile, by_unit: Mapping[str, Sequence[Fix]]) -> FixesOf:
        def fixes_of(ids: Iterable[str]) -> Sequence[Fix]:
            found = [fix for each in ids for fix in by_unit.get(self.pseudonym(dataset, each), ())]
            return sorted(found, key=lambda fix: fix.number)

        return fixes_of


def as_fix(correction: Correction) -> Fix | None:
    """A correction as a load replays it; None if the source confirmed it."""
    said = correction.said
    return None if said is None else Fix(correction.number, said.table, said.where, said.put)
