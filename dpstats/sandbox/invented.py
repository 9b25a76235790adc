"""Invented tables for a dataset, from the public parts of its file and of its queries' files, by chance.

A column has its declared values, or lies within its bounds; days are those that the queries may ask for; ids are small
whole numbers, the same in every table, so that joins meet. Nothing here has seen a row.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cached_property
from secrets import SystemRandom

from dpstats.catalog.dataset import Column, DatasetFile
from dpstats.catalog.query import DateParameter, DeclaredKeys, EnumParameter, QueryFile

UNITS = 1_000
MOST_ROWS = 40
"""Of one unit in one table; most units have far fewer."""
IDS = 200
"""How many ids a column of whole numbers without bounds has."""
TEXTS = 5
"""How many texts a column has of which nothing is said."""
_CHANCE = SystemRandom()
_LITERALS = r"\s*(?:=|<>|!=|IN|LIKE)\s*\(?\s*((?:'(?:[^']|'')*'\s*,?\s*)+)"
_PARAMETER = r"\s*(?:=|IN)\s*\(?\s*\$(\w+)"
_TEXT = re.compile(r"'((?:[^']|'')*)'")

Rows = Mapping[str, Sequence[object]]
"""A table's columns."""


@dataclass(frozen=True)
class Inventor:
    """Invents the tables of one dataset."""

    dataset: DatasetFile
    queries: tuple[QueryFile, ...]

    def tables(self) -> dict[str, Rows]:
        """Every table by name."""
        return {
            name: self._public(table.columns) if table.public else self._personal(table.columns, table.one_row_per_unit)
            for name, table in self.dataset.tables.items()
        }

    def _public(self, columns: Mapping[str, Column]) -> Rows:
        """A row for each value of its first column that has few, so that every one is there; the others by chance."""
        domains = {name: self._domain(name, column) for name, column in columns.items()}
        leading = max(domains, key=lambda name: len(domains[name]))
        rows = len(domains[leading]) or TEXTS
        return {
            name: list(domains[name]) if name == leading and domains[name] else self._drawn(name, column, rows)
            for name, column in columns.items()
        }

    def _personal(self, columns: Mapping[str, Column], one_row: bool) -> Rows:
        most = min(MOST_ROWS, self.dataset.max_rows_per_unit)
        counts = [1 if one_row else int((most + 1) * _CHANCE.random() ** 2) for _ in range(UNITS)]
        units = [self._unit(number) for number, count in enumerate(counts, 1) for _ in range(count)]
        unit = self.dataset.privacy_unit
        drawn = {name: self._drawn(name, column, len(units)) for name, column in columns.items() if name != unit}
        return {unit: units, **drawn}

    def _unit(self, number: int) -> object:
        match self.dataset.unit_type.name:
            case "varchar":
                return f"invented {number}"
            case "uuid":
                return str(uuid.UUID(int=number))
            case _:
                return number

    def _drawn(self, name: str, column: Column, rows: int) -> list[object]:
        domain = self._domain(name, column)
        if domain:
            # Some values are commoner than others, as everywhere.
            return _CHANCE.choices(domain, [1 / (2 + place) for place in range(len(domain))], k=rows)
        draw = self._draw(column)
        return [draw() for _ in range(rows)]

    def _domain(self, name: str, column: Column) -> list[object]:
        """The few values that a column has; none where it lies in a range."""
        if column.values:
            return list(column.values)
        match column.type.name:
            case "boolean":
                return [False, True]
            case "varchar":
                return self._texts(name) or [f"{name} {number}" for number in range(1, TEXTS + 1)]
            case "uuid":
                return [str(uuid.UUID(int=number)) for number in range(1, IDS + 1)]
            case "bigint" | "integer" if column.bounds is None:
                return list(range(1, IDS + 1))
            case _:
                return []

    def _texts(self, column: str) -> list[object]:
        """The texts that queries know of a column: declared keys of its name, and what its values are compared with."""
        return list(dict.fromkeys(text for query in self.queries for text in _texts_in(query, column)))

    def _draw(self, column: Column) -> Callable[[], object]:
        if column.type.is_temporal:
            first, last = self._span
            days, day_only = (last - first).days, column.type.name == "date"
            return lambda: _moment(first + timedelta(days=_CHANCE.randrange(days)), day_only)
        low, high = column.bounds or (Decimal(0), _largest(column))
        return lambda: _number(column, low + (high - low) * Decimal(_CHANCE.random()) ** 3)

    @cached_property
    def _span(self) -> tuple[date, date]:
        """From the first day to the one after the last that a query may ask for, but nothing to come; else a year."""
        specs = [
            spec for query in self.queries for spec in query.parameters.values() if isinstance(spec, DateParameter)
        ]
        tomorrow = datetime.now(UTC).date() + timedelta(days=1)
        last = min([tomorrow, *([max(spec.max for spec in specs)] if specs else [])])
        first = min([spec.min for spec in specs], default=last - timedelta(days=365))
        return (first, last) if first < last else (last - timedelta(days=365), last)


def _texts_in(query: QueryFile, column: str) -> Iterator[str]:
    key = query.keys.get(column)
    if isinstance(key, DeclaredKeys):
        yield from (value for value in key.values if isinstance(value, str))
    for found in re.finditer(rf"\b{re.escape(column)}{_LITERALS}", query.sql, re.IGNORECASE):
        yield from (text.replace("''", "'") for text in _TEXT.findall(found[1]))
    for found in re.finditer(rf"\b{re.escape(column)}{_PARAMETER}", query.sql, re.IGNORECASE):
        spec = query.parameters.get(found[1])
        if isinstance(spec, EnumParameter):
            yield from (str(value) for value in spec.values)


def _moment(day: date, day_only: bool) -> object:
    return day if day_only else datetime.combine(day, time(_CHANCE.randrange(24), _CHANCE.randrange(60)))


def _largest(column: Column) -> Decimal:
    """The end of a range where no bounds are said: 100, or what its digits can hold."""
    whole = column.type.precision - column.type.scale
    return min(Decimal(100), Decimal(10) ** whole - 1) if column.type.name == "decimal" else Decimal(100)


def _number(column: Column, value: Decimal) -> object:
    if column.type.is_integer:
        return int(value)
    if column.type.name == "decimal":
        return value.quantize(Decimal(1).scaleb(-column.type.scale))
    return float(round(value, 2))
