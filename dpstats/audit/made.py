"""Synthetic tables for any dataset, from the public parts of its file and the query's text alone.

Every column gets a few values: those declared, the ends of its bounds, the literals of the SQL and the values of the
query's keys, days from the span that it asks for. Few values make joins meet and conditions hold. A canary is a guess
at the unit that moves the answer most: many rows, at the ends of bounds, in one group or in many.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from secrets import SystemRandom

from dpstats.audit.bench import Tables
from dpstats.catalog.dataset import Column, DatasetFile
from dpstats.catalog.query import DateParameter, DeclaredKeys, QueryFile

CHANCE = SystemRandom()
COMPANY, ROWS_OF_COMPANY = 40, 40
"""Units that are always in, and the most rows of each in a table."""
IDS = 40
"""Whole numbers, from 1, that a column without bounds gets besides those that the query names."""
ROWS = (1, 40, 400)
"""How many rows a canary may have in a table."""
_TEXT = re.compile(r"'((?:[^']|'')*)'")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NUMBER = re.compile(r"(?<![\w.'-])\d{1,9}(?![\w.'-])")
Row = dict[str, object]
Rows = Mapping[str, list[Row]]
"""A unit's rows, by table."""


@dataclass(frozen=True)
class Scene:
    """Neighbouring data: the same tables without a canary and with it."""

    without: Tables
    with_canary: Tables


@dataclass(frozen=True)
class Made:
    """Makes neighbouring data for a query."""

    dataset: DatasetFile
    query: QueryFile

    def public(self) -> Tables:
        """The public tables: as many rows as the column with most values has, each column going round its own."""
        return {name: self._public(table.columns) for name, table in self.dataset.tables.items() if table.public}

    def _public(self, columns: Mapping[str, Column]) -> Mapping[str, list[object]]:
        values = {name: self.choices(column) for name, column in columns.items()}
        length = max(map(len, values.values()))
        return {name: [few[i % len(few)] for i in range(length)] for name, few in values.items()}

    def scene(self, *, widest: bool = False) -> Scene:
        """A canary and its company: `COMPANY` units of the same rows, but at the other ends of bounds.

        Company does not change what the canary adds to a count or a sum. It makes an average sharp: its number of rows
        is far above the noise, and its rows are as far from the canary's as bounds allow.

        Args:
          widest: not a guess, but as many rows as there may be, over all values, at the larger ends of bounds.
        """
        count = min(ROWS[-1] if widest else CHANCE.choice(ROWS), self.dataset.max_rows_per_unit)
        columns = {n: c for table in self.dataset.personal_tables.values() for n, c in table.columns.items()}
        canary = {name: self._extreme(column, widest) for name, column in columns.items()}
        mirrored = {name: _mirrored(columns[name], few) for name, few in canary.items()}
        company = [self._unit(unit, mirrored, min(count, ROWS_OF_COMPANY)) for unit in range(1, COMPANY + 1)]
        return Scene(self._tables(company), self._tables([*company, self._unit(0, canary, count)]))

    def _unit(self, unit: int, values: Mapping[str, list[object]], count: int) -> Rows:
        """A unit's rows; each column goes round its values, alike in all tables that have a column of the name."""
        return {
            name: [
                self._row(unit, {column: values[column][i % len(values[column])] for column in table.columns})
                for i in range(1 if table.one_row_per_unit else count)
            ]
            for name, table in self.dataset.personal_tables.items()
        }

    def _extreme(self, column: Column, widest: bool) -> list[object]:
        if column.bounds and not column.values:
            low, high = column.bounds
            end = high if (abs(high) >= abs(low)) == (widest or CHANCE.random() < 0.85) else low
            return [_number(column, end)]
        few = list(self.choices(column))
        CHANCE.shuffle(few)
        if CHANCE.random() < 0.5:  # what the query names, first
            few.sort(key=lambda value: value not in self._named(type(value)))
        return few if widest else few[: CHANCE.choice((1, 8, len(few)))]

    def _tables(self, units: Sequence[Rows]) -> Tables:
        """The tables that hold these units' rows, and the public ones."""
        made = dict(self.public())
        for name, table in self.dataset.personal_tables.items():
            rows = [row for unit in units for row in unit[name]]
            made[name] = {column: [row[column] for row in rows] for column in table.columns}
        return made

    def _row(self, unit: int, values: Mapping[str, object]) -> Row:
        names: dict[str, object] = {"varchar": f"unit{unit}", "uuid": str(uuid.UUID(int=unit))}
        return {**values, self.dataset.privacy_unit: names.get(self.dataset.unit_type.name, unit)}

    def choices(self, column: Column) -> list[object]:
        """The values that a column gets: declared, or at hand."""
        if column.values:
            return list(column.values)
        if column.bounds:
            return [_number(column, end) for end in column.bounds]
        kind = column.type.name
        if kind == "boolean":
            return [True, False]
        if kind == "uuid":
            return [str(uuid.UUID(int=n)) for n in range(1, 4)]
        if kind in ("date", "timestamp"):
            return self._moments(kind)
        if kind == "varchar":
            return self._named(str) or ["a", "b", "c"]
        return [_number(column, Decimal(n)) for n in sorted({*range(1, IDS + 1), *self._named(int)})]

    def _named(self, kind: type) -> list[object]:
        """Text or whole numbers that the query's SQL, keys and parameters name."""
        sql = self.query.sql
        found: list[object] = [text.replace("''", "'") for text in _TEXT.findall(sql)]
        found += [int(number) for number in _NUMBER.findall(sql)]
        for key in self.query.keys.values():
            found += key.values if isinstance(key, DeclaredKeys) else ()
        for spec in self.query.parameters.values():
            found += [spec.default, *(getattr(spec, "values", ()) or (getattr(spec, "min", None),))]
        return list(dict.fromkeys(value for value in found if type(value) is kind))

    def _moments(self, kind: str) -> list[object]:
        """The days that the query names, and days spread over the span that it asks for by default."""
        days = [date.fromisoformat(str(text)) for text in self._named(str) if _DAY.fullmatch(str(text))]
        dates = {n: s for n, s in self.query.parameters.items() if isinstance(s, DateParameter)}
        if dates or not days:
            first = next((s.default or s.min for n, s in dates.items() if n != "until"), date(2024, 1, 1))
            last = next((s.default or s.max for n, s in dates.items() if n == "until"), first + timedelta(days=366))
            days += [first + timedelta(days=(last - first).days * n // 16) for n in range(16)]
        if kind == "date":
            return list(days)
        return [datetime.combine(day, time(8 + n % 8)) for n, day in enumerate(days)]


def _number(column: Column, value: Decimal) -> object:
    if column.type.is_integer:
        return int(value)
    return float(value) if column.type.name == "double" else value


def _mirrored(column: Column, values: list[object]) -> list[object]:
    """The other end of a column's bounds; the same values where it has none."""
    if column.bounds is None or column.values:
        return values
    ends = [_number(column, end) for end in column.bounds]
    return [ends[0] if value == ends[1] else ends[1] for value in values]
