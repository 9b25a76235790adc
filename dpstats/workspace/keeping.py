"""What is kept back of deletions: named, read and ended by stewards, each step noted; nothing else ever reads it.

A column is kept as it was when its person was deleted: the person is in no data from then on, so no query counts what
is kept, and no correction, retention or load changes it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from dpstats.access import Action, check, sees
from dpstats.catalog.dataset import DatasetFile
from dpstats.engine.links import LeftOut
from dpstats.engine.pieces import cells
from dpstats.errors import Conflict, InvalidParameters, NotFound
from dpstats.ledger.tokens import Identity
from dpstats.library import Library
from dpstats.rights.kept_back import Also, Cell, KeptBack, KeptColumn
from dpstats.rights.request_log import Kept, RequestLog
from dpstats.rights.requests import KeptEnded, KeptSeen

_LIKE_A_COLUMN = re.compile(r"\s*(\S+\.\S+|\w+\s*\.\s*\w+)\s*")


class Keeping:
    """What is kept back in a workspace."""

    def __init__(self, kept: KeptBack, log: RequestLog, library: Library) -> None:
        self._kept, self._log, self._library = kept, log, library
        self._now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def check(self, request: Kept, dataset: DatasetFile, exceptions: Mapping[str, str]) -> frozenset[str]:
        """The columns that are to be kept of a deletion and were not said before.

        Raises:
          InvalidParameters: something is no column that can be kept. Conflict: it comes too late.
        """
        said = request.standing.exceptions
        new = frozenset(what for what in exceptions if _is_like_a_column(what, dataset) and what not in said)
        strangers = sorted(new - keepable(dataset))
        if strangers:
            what = f"{strangers[0]} is no column that can be kept: name one as table.column, or another system in words"
            raise InvalidParameters({"exceptions": what})
        if new and self._kept.of_request(request.request_id):
            raise Conflict("the deletion was begun, with what is kept back of it: execute it without saying more")
        return new

    def check_held(self, held: Iterable[str], new: frozenset[str], units: Collection[str]) -> None:
        """Refuses to keep columns of which nothing is held.

        Args:
          held: the columns of which the data hold something of the person, who is of the hashes `units`.

        Raises:
          Conflict: so it is.
        """
        nothing = sorted(new - {*held, *(each.column for each in self._kept.of_person(units))})
        if nothing:
            raise Conflict(f"nothing is held of the person in {nothing[0]}: say only what is to be kept")

    def check_still_there(self, request: Kept, dataset: DatasetFile) -> None:
        """Refuses to go on with a deletion whose columns, said before a crash, the dataset has no more.

        Raises:
          Conflict: it would erase for good what was to be kept.
        """
        said = request.standing.exceptions
        gone = sorted({what for what in said if _is_like_a_column(what, dataset)} - keepable(dataset))
        if gone:
            raise Conflict(
                f"{gone[0]} was to be kept and is no column any more: give it its name again, and execute this again"
            )

    def is_begun(self, request: Kept) -> bool:
        """Whether something of a request's person is kept by now, and the person suppressed."""
        return bool(self._kept.of_request(request.request_id))

    def sealing(
        self,
        request: Kept,
        dataset: DatasetFile,
        found: Mapping[str, tuple[Cell, ...]],
        units: Collection[str],
        now: datetime,
    ) -> Also:
        """What keeps a person's cells, by column, in the transaction in which the person is suppressed."""
        kept = [
            KeptColumn(request.request_id, dataset.dataset, column, code, now, _held(found[column]))
            for column, code in request.standing.exceptions.items()
            if column in found and _held(found[column])
        ]
        return partial(self._kept.put, kept=kept, cells=found, units=units)

    def end_others(self, request: Kept, units: Collection[str], actor: str) -> None:
        """Ends what was kept of a person by earlier requests, but for the columns that this one keeps too."""
        said, ended = request.standing.exceptions, dict[str, list[str]]()
        for each in self._kept.of_person(units):
            is_kept_on = each.dataset == request.asked.dataset and each.column in said
            if each.request != request.request_id and not is_kept_on:
                ended.setdefault(each.request, []).append(each.column)
        for earlier, names in ended.items():
            self._end(earlier, names, f"its person asked again, by {request.request_id}", actor)

    def of_person(self, units: Collection[str]) -> tuple[KeptColumn, ...]:
        """What is kept of a person of these hashes (`kept_back.unit_of`), of whatever request."""
        return self._kept.of_person(units)

    def requests(self) -> frozenset[str]:
        """The requests of which something is kept: what is known of them stays as long as that."""
        return frozenset(each.request for each in self._kept.all())

    def all(self, identity: Identity) -> list[dict[str, Any]]:
        """What is kept: of which request, which columns, by which exception, since when; nobody's cells.

        Raises:
          Forbidden: the caller is no steward.
        """
        check(identity, Action.STEWARD)
        return [column_view(each) for each in self._kept.all() if sees(identity, each.dataset)]

    def read(self, identity: Identity, request: str) -> dict[str, Any]:
        """The cells that are kept of a request, each row with its privacy unit; noted before they are shown.

        Of each column it says whether it is `never_disclose`d, so that it is not sent along.

        Raises:
          Forbidden: the caller is no steward. NotFound: nothing is kept of it that the caller may see.
        """
        kept = self._seen(identity, request)
        names = [each.column for each in kept]
        self._log.step(request, KeptSeen(names), actor=identity.name, now=self._now())
        found, tables = self._kept.cells(request), dict[str, Any]()
        for table in dict.fromkeys(name.partition(".")[0] for name in found):
            of = {name.partition(".")[2]: rows for name, rows in found.items() if name.startswith(f"{table}.")}
            units = [unit for unit, _ in next(iter(of.values()))]
            cells_of = [[cell for _, cell in rows] for rows in of.values()]
            rows = [list(row) for row in zip(units, *cells_of, strict=True)]
            tables[table] = {"columns": ["privacy_unit", *of], "rows": rows}
        seen = [column_view(each) | {"never_disclose": self._is_never_sent(identity, each)} for each in kept]
        return {"request": request, "columns": seen, "tables": tables}

    def _is_never_sent(self, identity: Identity, kept: KeptColumn) -> bool:
        """As the dataset's file says; what it does not name any more is not sent either."""
        table, _, column = kept.column.partition(".")
        tables = self._library.dataset(identity, kept.dataset).tables
        return (
            table not in tables or column not in tables[table].columns or tables[table].columns[column].never_disclose
        )

    def end(self, identity: Identity, request: str, reason: str) -> list[dict[str, Any]]:
        """Ends what is kept of a request: its cells are gone for good; gives what it was.

        Raises:
          Forbidden, NotFound: as `read`.
        """
        kept = self._seen(identity, request)
        self._end(request, [each.column for each in kept], reason, identity.name)
        return [column_view(each) for each in kept]

    def _end(self, request: str, names: list[str], reason: str, actor: str) -> None:
        remove = partial(self._kept.remove, request=request, names=names)
        self._log.step(request, KeptEnded(names, reason), actor=actor, now=self._now(), also=remove)

    def _seen(self, identity: Identity, request: str) -> tuple[KeptColumn, ...]:
        check(identity, Action.STEWARD)
        kept = tuple(each for each in self._kept.of_request(request) if sees(identity, each.dataset))
        if not kept:
            raise NotFound("request of which something is kept", request)
        return kept


def keepable(dataset: DatasetFile) -> frozenset[str]:
    """The columns of which something may be kept, as `table.column`; the id is kept along with each.

    None of a table in place: nothing is erased there that could be kept.
    """
    return frozenset(
        f"{table}.{column}"
        for table, spec in dataset.personal_tables.items()
        for column in spec.columns
        if column != dataset.privacy_unit and not spec.in_place
    )


def _is_like_a_column(what: str, dataset: DatasetFile) -> bool:
    """Whether a column may be meant. Mistyped and taken for another system, it would be erased for good."""
    columns = {name.partition(".")[2].lower() for name in keepable(dataset)}
    return bool(_LIKE_A_COLUMN.fullmatch(what)) or what.strip().lower() in columns


def cells_of(
    dataset: DatasetFile, file: Path | None, is_person: LeftOut, columns: Collection[str]
) -> Mapping[str, tuple[Cell, ...]]:
    """What the data hold of a person in columns that can be kept; nothing where nothing is loaded.

    Raises:
      FileError: the data cannot be read.
    """
    names = keepable(dataset) & frozenset(columns)
    if file is None or not names:
        return dict.fromkeys(names, ())
    return cells(dataset, file, is_person, names)


def held_in(found: Mapping[str, tuple[Cell, ...]]) -> frozenset[str]:
    """The columns in which a person has anything."""
    return frozenset(name for name, rows in found.items() if _held(rows))


def column_view(kept: KeptColumn) -> dict[str, Any]:
    """A column that is kept, as stewards see it."""
    return {
        "request": kept.request,
        "dataset": kept.dataset,
        "column": kept.column,
        "code": kept.code,
        "since": kept.since.isoformat(),
        "cells": kept.cells,
    }


def _held(rows: Iterable[Cell]) -> int:
    return sum(cell is not None for _, cell in rows)
