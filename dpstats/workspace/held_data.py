"""What current data versions hold, read for one person, for stewards on the host, or to tell whose an id is.

Nothing that is read here comes near an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

from dpstats.access import Action, check
from dpstats.catalog.dataset import DatasetFile
from dpstats.engine.at_owner import Erased, erased_at_owner
from dpstats.engine.corrected import right_rows, wrong_cells
from dpstats.engine.corrections import Fix
from dpstats.engine.in_place import notes_of
from dpstats.engine.links import LeftOut, ids_of, linked_ids
from dpstats.engine.load_report import read_report
from dpstats.engine.pieces import Pieces, pieces
from dpstats.errors import FileError, Unavailable
from dpstats.ledger.registry import Registry
from dpstats.ledger.tokens import Identity
from dpstats.library import Library
from dpstats.workspace.people import People

_TRIES = 3
CurrentFile = Callable[[DatasetFile], AbstractContextManager[Path | None]]
"""Holds a dataset's current data version, as `Datasets.current_file`."""


class HeldData:
    """The data of a workspace; `data` is the folder of their data versions."""

    def __init__(
        self, library: Library, registry: Registry, data: Path, people: People, current_file: CurrentFile
    ) -> None:
        self._library, self._registry, self._data = library, registry, data
        self._people, self._current_file = people, current_file

    def pieces(self, identity: Identity, name: str, is_person: LeftOut) -> Mapping[str, Pieces]:
        """The rows that the current data version holds of one person, by table; for that person alone.

        Raises:
          Forbidden: the caller is no steward. NotFound: no such dataset. FileError: the data cannot be read.
        """
        check(identity, Action.STEWARD)
        dataset = self._library.dataset(identity, name)
        versions = self._registry.data_versions(name)
        return pieces(dataset, self._data / versions[-1].file, is_person) if versions else {}

    def ids(self, identity: Identity, name: str, is_person: LeftOut) -> frozenset[str]:
        """The ids that the current data version links to a person's, for that person alone.

        Raises:
          Forbidden, NotFound, FileError: as `pieces`.
        """
        check(identity, Action.STEWARD)
        dataset = self._library.dataset(identity, name)
        versions = self._registry.data_versions(name)
        return ids_of(dataset, self._data / versions[-1].file, is_person) if versions else frozenset()

    def linked(self, identity: Identity, name: str, ids: Collection[str]) -> frozenset[str]:
        """These ids, as `id_text` writes them, and those that the current data version links to one of them.

        Whoever may send consent may make the service look; what is found is shown to nobody.

        Raises:
          Forbidden: the caller may not send consent. NotFound: no such dataset. Unavailable: the data cannot be read.
        """
        check(identity, Action.CONSENT)
        dataset = self._library.dataset(identity, name)
        for _ in range(_TRIES):  # a data version may go while it is looked up: another one is current then
            versions = self._registry.data_versions(name)[-1:]
            with suppress(FileError):
                return linked_ids(dataset, self._data / versions[0].file, ids) if versions else frozenset(ids)
        raise Unavailable

    def rows_of(self, identity: Identity, name: str, fix: Fix, is_person: LeftOut) -> tuple[int, int]:
        """How many rows of a person a correction would change, and how many are as it leaves them already.

        Raises:
          NotFound: no such dataset. FileError: the data cannot be read.
        """
        check(identity, Action.STEWARD)
        dataset = self._library.dataset(identity, name)
        with self._current_file(dataset) as file:
            if file is None:
                return 0, 0
            wrong = wrong_cells(dataset, file, fix, is_person)
            return sum(wrong.rows.values()), right_rows(dataset, file, fix, is_person)

    def erased_in_place(self, identity: Identity, name: str) -> dict[str, Any]:
        """Who was erased, and is in the files still that tables in place are read from, as the files are now.

        `unread` says why a table cannot be read now. For the host's command line alone: the owner must take these
        people out.

        Raises:
          Forbidden: the caller is no steward. NotFound: no such dataset.
        """
        check(identity, Action.STEWARD)
        dataset = self._library.dataset(identity, name)
        left_out = self._people.left_out(dataset)
        with self._current_file(dataset) as file:
            found = Erased({}, {})
            if file is not None and left_out is not None:
                found = erased_at_owner(dataset, file, left_out)
        tables = {table: list(ids) for table, ids in found.ids.items()}
        return {"dataset": name, "tables": tables, "unread": dict(found.unread)}

    def load_report(self, identity: Identity, name: str) -> dict[str, Any]:
        """What the load of the current data version kept and dropped, exactly; for the host's command line alone.

        Of tables in place: how many files were noted, their bytes, and which version of the table, where its log
        counts them. No row of them is counted.

        Raises:
          NotFound: no such dataset, or nothing is loaded. FileError: the data version has no report.
        """
        check(identity, Action.STEWARD)
        self._library.dataset(identity, name)
        version = self._registry.data_version(name)
        file = self._data / version.file
        noted = notes_of(file)
        return {
            "dataset": name,
            "data_version": version.data_version,
            "as_of": version.as_of.isoformat(),
            "tables": {table: vars(report) for table, report in read_report(file).items() if table not in noted},
            "in_place": {
                table: {
                    "files": len(notes.pins),
                    "bytes": sum(pin.size for pin in notes.pins),
                    "version": notes.version,
                }
                for table, notes in noted.items()
            },
        }
