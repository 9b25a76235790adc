"""Carrying a deletion out: kept out first, a person is erased from every dataset of the same people, with evidence.

What the law lets the business keep of it is sealed first, in the transaction that keeps the person out (`keeping`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from dpstats.access import operator, sees
from dpstats.catalog.dataset import DatasetFile
from dpstats.catalog.ids import id_text
from dpstats.engine.at_owner import is_at_owner
from dpstats.engine.erasure import held
from dpstats.engine.in_place import notes_of
from dpstats.engine.links import ids_of
from dpstats.errors import Conflict
from dpstats.ledger.tokens import Identity
from dpstats.library import Library
from dpstats.rights.request_log import Kept
from dpstats.rights.suppression import Suppressions
from dpstats.workspace.datasets import Datasets
from dpstats.workspace.keeping import Keeping, cells_of, column_view, held_in, keepable
from dpstats.workspace.people import People
from dpstats.workspace.rights_told import KEPT_IS_NOT_SCANNED, LEFT_WITH_OWNERS, told_after_erasure


@dataclass(frozen=True)
class _Found:
    """A person in the data of its people: their files, by dataset, and every id that is known to be the person's."""

    datasets: Sequence[DatasetFile]
    files: Mapping[str, Path]
    ids: frozenset[str]


class Erasing:
    """The deletions of a workspace."""

    def __init__(
        self, library: Library, datasets: Datasets, suppressions: Suppressions, people: People, keeping: Keeping
    ) -> None:
        self._library, self._datasets, self._suppressions, self._people = library, datasets, suppressions, people
        self._keeping = keeping

    def reached(self, identity: Identity, lineage: str) -> list[DatasetFile]:
        """Every dataset of the same people.

        Raises:
          Conflict: the caller may not see them all, and an erasure leaves none out.
        """
        found = [each for each in self._library.datasets(operator(identity.name)) if each.lineage == lineage]
        if not all(sees(identity, each.dataset) for each in found):
            raise Conflict(
                "an erasure takes a person out of all data of the same people, and you may not see all of them: a "
                "steward of all datasets must execute it"
            )
        return found

    def is_begun(self, kept: Kept) -> bool:
        """Whether a deletion of a request's person was begun: whatever is read of the person now is to go, or gone."""
        return self._suppressions.since(kept.asked.lineage, str(kept.person)) is not None

    def check_held(self, kept: Kept, reached: Sequence[DatasetFile]) -> None:
        """Refuses to delete who was deleted before, where nothing came back since: from an old backup, by consent.

        Raises:
          Conflict: so it is. FileError: the data cannot be read.
        """
        since = self._suppressions.since(kept.asked.lineage, str(kept.person))
        if since is None:
            return
        with self._found(kept, reached) as found:
            is_held = any(self._holds(dataset, found) for dataset in reached)
            noted = {name: notes_of(file) for name, file in found.files.items()}
        is_held = is_held or bool(self._keeping.of_person(self._units(found)))
        # Rows at an owner are those that a request to know is shown. No load waits for an owner's disk meanwhile.
        if not is_held and not any(
            is_at_owner(dataset, noted.get(dataset.dataset, {}), is_of(found.ids, dataset)) for dataset in reached
        ):
            raise Conflict(
                f"the person was deleted on {since:%Y-%m-%d}, and nothing is held since: deny it as no_match"
            )

    def check_kept_back(self, identity: Identity, kept: Kept, exceptions: Mapping[str, str]) -> None:
        """Refuses to keep what cannot be kept, before anything is done.

        Raises:
          InvalidParameters: something is no column. Conflict: it comes too late, or the person has nothing in a column.
          FileError: the data cannot be read.
        """
        dataset = self._library.dataset(identity, kept.asked.dataset)
        new = self._keeping.check(kept, dataset, exceptions)
        if new:
            with self._found(kept, self.reached(identity, kept.asked.lineage)) as found:
                cells = cells_of(dataset, found.files.get(dataset.dataset), is_of(found.ids, dataset), new)
            self._keeping.check_held(held_in(cells), new, self._units(found))

    def carried_out(self, identity: Identity, kept: Kept, now: datetime) -> dict[str, Any]:
        """Suppression first, so that whatever comes next leaves the person out; then every dataset of its people."""
        person = str(kept.person)
        self._begin(identity, kept, now)
        # Links go with the rows. Each load suppresses and forgets the ids whose links it leaves out, before it enters
        # what is without them: so after a crash an id is suppressed already, or its link is still there to be read.
        reached = self.reached(identity, kept.asked.lineage)
        with self._found(kept, reached) as found:
            ids, units = found.ids, self._units(found)
        self._keeping.end_others(kept, units, identity.name)
        for dataset in reached:
            self._people.linked_out(dataset, dict.fromkeys(ids - {person}, person))
        evidence: dict[str, Any] = {}
        # Looked up again after each: a load that began before the suppression may have brought a dataset meanwhile.
        while left := [each for each in self.reached(identity, kept.asked.lineage) if each.dataset not in evidence]:
            dataset = left[0]
            evidence[dataset.dataset] = self._datasets.erase(identity, dataset.dataset, is_of(ids, dataset))
            for each in ids:  # again: an answer may have been made of rows that were there until now
                self._people.forget(dataset, each)
        told = self._told(identity, kept, units)
        if any(each.get("in_place") for each in evidence.values()):
            told["told"] = [*told["told"], LEFT_WITH_OWNERS]
        return {"erased": list(evidence.values())} | told

    def _begin(self, identity: Identity, kept: Kept, now: datetime) -> None:
        """Suppresses the person, and seals what is kept back in the same transaction: a crash leaves both or neither.

        Nothing is loaded meanwhile, so that what is sealed is what is erased.
        """
        lineage, person = kept.asked.lineage, str(kept.person)
        suppress = partial(self._suppressions.add, lineage, person, request=kept.request_id, now=now)
        dataset = self._library.dataset(identity, kept.asked.dataset)
        named = keepable(dataset) & kept.standing.exceptions.keys()
        if self._keeping.is_begun(kept):
            suppress()
            return
        self._keeping.check_still_there(kept, dataset)
        if not named:
            suppress()
            return
        with self._found(kept, self.reached(identity, lineage)) as found:
            cells = cells_of(dataset, found.files.get(dataset.dataset), is_of(found.ids, dataset), named)
            # In this dataset's spelling alone: in another's it may be somebody else's id too.
            units = frozenset(self._people.kept_unit(dataset, each) for each in found.ids)
            suppress(also=self._keeping.sealing(kept, dataset, cells, units, now))

    def _told(self, identity: Identity, kept: Kept, units: Collection[str]) -> dict[str, Any]:
        """What was kept all the same, as evidence, and what the person is told."""
        columns, exceptions = self._keeping.of_person(units), kept.standing.exceptions
        here = keepable(self._library.dataset(identity, kept.asked.dataset)) | {each.column for each in columns}
        elsewhere = {what: code for what, code in exceptions.items() if what not in here}
        told = told_after_erasure({(each.column, each.code) for each in columns}, elsewhere)
        evidence: dict[str, Any] = {"exceptions": dict(exceptions), "told": told}
        if columns:
            kept_back = {"columns": [column_view(each) for each in columns], "says": KEPT_IS_NOT_SCANNED}
            evidence |= {"kept_back": kept_back}
        return evidence

    @contextmanager
    def _found(self, kept: Kept, reached: Sequence[DatasetFile]) -> Iterator[_Found]:
        """A request's person in the data, which nothing replaces while the `with` lasts.

        Raises:
          FileError: the data cannot be read.
        """
        names = [each.dataset for each in reached]
        with self._datasets.current_files(kept.asked.lineage, names) as files:
            yield _Found(reached, files, _ids(reached, files, str(kept.person)))

    def _units(self, found: _Found) -> frozenset[str]:
        """By what is found that is kept of a person: of every id, as each dataset of its people spells it."""
        return frozenset(self._people.kept_unit(dataset, each) for dataset in found.datasets for each in found.ids)

    def _holds(self, dataset: DatasetFile, found: _Found) -> bool:
        """Whether there is anything to delete: rows, whatever of them may be told, or what is kept beside the data."""
        file = found.files.get(dataset.dataset)
        there = None if file is None else held(dataset, file, is_of(found.ids, dataset))
        if there is not None and (any(there.rows.values()) or there.in_place):
            return True
        return any(self._people.holds(dataset, each) for each in found.ids)


def _ids(reached: Iterable[DatasetFile], files: Mapping[str, Path], person: str) -> frozenset[str]:
    """Every id of a person: its own, and those that a dataset of its people links to it, over however many steps.

    Raises:
      FileError: the data cannot be read.
    """
    ids, found = frozenset[str](), frozenset({person})
    while found:
        ids |= found
        found = frozenset(each for dataset in reached for each in _linked(dataset, files, ids))
    return ids


def _linked(dataset: DatasetFile, files: Mapping[str, Path], ids: Collection[str]) -> Iterator[str]:
    """The ids that a dataset links to these, without these in its own spelling: elsewhere that may be another."""
    if not dataset.links or dataset.dataset not in files:
        return
    is_known = is_of(ids, dataset)
    yield from (each for each in ids_of(dataset, files[dataset.dataset], is_known) if not is_known(each))


def is_of(ids: Iterable[str], dataset: DatasetFile) -> Callable[[str], bool]:
    """Says of an id of the dataset whether it is one of a person's, which are spelled as another dataset's may be."""
    spelled = {id_text(dataset.unit_type, each) for each in ids}
    return lambda text: id_text(dataset.unit_type, text) in spelled
