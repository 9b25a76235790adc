"""Carrying a correction out: checked against what is declared, kept, put in place, with evidence; or not begun."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from dpstats.catalog.dataset import DatasetFile
from dpstats.catalog.types import ColumnType, canonical_value, parse_value
from dpstats.engine.corrected import wrong_cells
from dpstats.engine.corrections import Fix
from dpstats.engine.erasure import Held
from dpstats.errors import Conflict, InvalidParameters
from dpstats.ledger.tokens import Identity
from dpstats.rights.corrections import Correction, Corrections, Said
from dpstats.workspace.datasets import Datasets
from dpstats.workspace.held_data import HeldData
from dpstats.workspace.people import as_fix

TOLD_AFTER_CORRECTION = (
    "What was wrong is corrected in the version of the data that is kept, and the old value is erased from it.",
    "Files that are loaded later get the corrected value too, until they say the same.",
    "Statistics that were published before stay as they are; new ones are made from the corrected data.",
)
_UNCHECKED = 0
"""The number of a correction that is not kept yet."""


@dataclass(frozen=True)
class Wanted:
    """What is to be corrected: in the rows of `table` in which every column of `where` has its value, `put` is true.

    Values are those of JSON, or text as it is typed.
    """

    table: str
    put: Mapping[str, object] = field(repr=False)
    where: Mapping[str, object] = field(default_factory=dict, repr=False)


class Correcting:
    """The corrections of a workspace."""

    def __init__(self, datasets: Datasets, held_data: HeldData, corrections: Corrections) -> None:
        self._datasets, self._held_data, self._corrections = datasets, held_data, corrections

    def checked(self, identity: Identity, dataset: DatasetFile, person: Callable[[str], bool], wanted: Wanted) -> Said:
        """What is wanted, as it is kept.

        Raises:
          InvalidParameters: it names what is not declared, the person's id, or a value of another type; or it does not
            say which of the person's rows. Conflict: no row of the person is as it says. Nothing is changed then.
        """
        said = _said(dataset, wanted)
        wrong, right = self._held_data.rows_of(identity, dataset.dataset, _fix(said), person)
        if not wrong + right:
            raise Conflict("the person has no row there that is as the correction says: nothing was changed")
        return said

    def known(self, request: str) -> Correction | None:
        """What was begun of a request before."""
        return self._corrections.of_request(request)

    def cells(self, request: str) -> dict[str, Any]:
        """What a request's correction is of: its table and columns, nothing of any value; {} where there is none."""
        found = self._corrections.of_request(request)
        said = None if found is None else found.said
        return {} if said is None else {"table": said.table, "columns": sorted(said.put)}

    def state(self, request: str) -> dict[str, Any] | None:
        """Since when a request's correction is put in place, and when the source said the same; nothing of any value.

        None where there is none: not yet, not any more, or it was another kind of request.
        """
        found = self._corrections.of_request(request)
        if found is None:
            return None
        confirmed_at = found.confirmed_at.isoformat() if found.confirmed_at else None
        return {"since": found.since.isoformat(), "confirmed_at": confirmed_at}

    def keep(self, request: str, dataset: DatasetFile, unit: str, said: Said, now: datetime) -> Correction:
        """From now on every load puts it in place."""
        return self._corrections.add(request, dataset.lineage, dataset.dataset, unit, said, now)

    def carried_out(
        self, identity: Identity, dataset: DatasetFile, person: Callable[[str], bool], kept: Correction
    ) -> dict[str, Any]:
        """Makes the data anew with what is corrected, and removes what held the old value; gives the evidence."""
        fix = as_fix(kept)

        def look(current: DatasetFile, file: Path) -> Held:
            return wrong_cells(current, file, fix, person) if fix else Held({}, frozenset())

        evidence = self._datasets.rebuild(identity, dataset.dataset, look)
        said = {"table": fix.table, "columns": sorted(fix.put), "by": sorted(fix.where)} if fix else {}
        return {"corrected": said | evidence, "told": list(TOLD_AFTER_CORRECTION)}


def correction_told(
    dataset: DatasetFile, kept: Correction, refused: Collection[str] = frozenset()
) -> dict[str, Any] | None:
    """A correction of a dataset as its person is told of it; None of another dataset's, or of one that is over.

    A value that may not be sent out is not, nor one that is `refused`, by `table.column`.
    """
    said = kept.said
    if said is None or kept.dataset != dataset.dataset or said.table not in dataset.tables:
        return None
    columns = dataset.tables[said.table].columns
    shown = {
        name for name, spec in columns.items() if not spec.never_disclose and f"{said.table}.{name}" not in refused
    }
    return {
        "table": said.table,
        "set": {column: value for column, value in said.put.items() if column in shown},
        "where": {column: value for column, value in said.where.items() if column in shown},
        "since": kept.since.isoformat(),
    }


def _fix(said: Said) -> Fix:
    return Fix(_UNCHECKED, said.table, said.where, said.put)


def _said(dataset: DatasetFile, wanted: Wanted) -> Said:
    problems: dict[str, str] = {}
    table = dataset.personal_tables.get(wanted.table)
    if table is None:
        names = ", ".join(dataset.personal_tables)
        raise InvalidParameters({"table": f"must be one of the tables that hold people: {names}"})
    if table.in_place:
        what = f"{wanted.table} is read in place: its owner corrects it there, and then it is loaded again"
        raise InvalidParameters({"table": what})
    if not wanted.put:
        problems["set"] = "says nothing: name a column and its value"
    if not wanted.where and not table.one_row_per_unit:
        problems["where"] = f"must say which rows: a person may have several in {wanted.table}"
    parsed: dict[str, dict[str, str]] = {"set": {}, "where": {}}
    for key, values in (("set", wanted.put), ("where", wanted.where)):
        for column, raw in values.items():
            try:
                parsed[key][column] = _text(_type_of(dataset, wanted.table, column), raw)
            except ValueError as error:
                problems[f"{key}.{column}"] = str(error)
    if problems:
        raise InvalidParameters(problems)
    return Said(wanted.table, parsed["where"], parsed["set"])


def _type_of(dataset: DatasetFile, table: str, column: str) -> ColumnType:
    """A column's type.

    Raises:
      ValueError: it is not declared, or says whose row it is.
    """
    if column == dataset.privacy_unit:
        raise ValueError("says whose row it is, which is no matter of a correction")
    found = dataset.tables[table].columns.get(column)
    if found is None:
        raise ValueError("is not a column of this table")
    return found.type


def _text(kind: ColumnType, raw: object) -> str:
    """A value as text that a load reads as that value."""
    value = canonical_value(parse_value(kind, next(_scalars(kind, raw))))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _scalars(kind: ColumnType, raw: object) -> Iterator[object]:
    """The value as JSON would have it, where it was typed as text."""
    if isinstance(raw, str) and kind.is_numeric:
        try:
            yield Decimal(raw)
        except InvalidOperation:
            raise ValueError("must be a number") from None
    if isinstance(raw, str) and kind.name == "boolean" and raw in {"true", "false"}:
        yield raw == "true"
    yield raw
