"""Column types, and the values that a file or a caller may give for them.

A value in Python is `bool`, `int`, `Decimal` (double and decimal), `str` (varchar in Unicode normal form C, and uuid in
lower case), `date`, or a `datetime` without zone that means UTC. `parse_value` of a parsed value is that value.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Context, Decimal

from dpstats.catalog.text import forbidden_position, quoted

Value = bool | int | Decimal | str | date | datetime
"""A value of a column."""

_SIMPLE = ("bigint", "integer", "double", "varchar", "boolean", "date", "timestamp", "uuid")
_DECIMAL = re.compile(r"decimal\( *([0-9]{1,2}) *, *([0-9]{1,2}) *\)")
_MAX_PRECISION = 38
_INTEGER_BITS = {"integer": 31, "bigint": 63}
_LONGEST_PLAIN = 30
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?)?")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

EXACT = Context(prec=1000)
"""Arithmetic on numbers read from files never rounds: they have at most 64 digits and exponents within 400."""


@dataclass(frozen=True)
class ColumnType:
    """A column's type: `name`, and for `decimal` its digits (`precision`, 1 to 38) and how many follow the point."""

    name: str
    precision: int = 0
    scale: int = 0

    @classmethod
    def parse(cls, text: str) -> ColumnType:
        """The type written as in a dataset file: `bigint`, `decimal(10,2)`.

        Raises:
          ValueError: there is no such type.
        """
        if text in _SIMPLE:
            return cls(text)
        found = _DECIMAL.fullmatch(text)
        if found is None:
            hint = "; inside { } put it in quotes, 'decimal(10,2)'" if text.startswith("decimal") else ""
            raise ValueError(f"{quoted(text)} is not a type: use one of {', '.join(_SIMPLE)}, decimal(p,s){hint}")
        precision, scale = int(found[1]), int(found[2])
        if not (1 <= precision <= _MAX_PRECISION and scale <= precision):
            raise ValueError(f"decimal(p,s) needs 1 <= p <= {_MAX_PRECISION} and s <= p, not {quoted(text)}")
        return cls("decimal", precision, scale)

    def __str__(self) -> str:
        return f"decimal({self.precision},{self.scale})" if self.name == "decimal" else self.name

    @property
    def sql(self) -> str:
        """The type's name in DuckDB."""
        return str(self).upper()

    @property
    def is_numeric(self) -> bool:
        """Whether it has bounds and can be summed."""
        return self.name in ("bigint", "integer", "double", "decimal")

    @property
    def is_integer(self) -> bool:
        """Whether all its values are whole by type."""
        return self.name in _INTEGER_BITS

    @property
    def is_temporal(self) -> bool:
        """Whether it is a date or a timestamp."""
        return self.name in ("date", "timestamp")


def parse_value(column_type: ColumnType, raw: object) -> Value:
    """A value of `column_type`, from a YAML or JSON scalar.

    Numbers come as `int` or `Decimal`, never as `float` or text; a double is taken to the nearest 64-bit number; a
    decimal must fit without rounding. Dates are `YYYY-MM-DD`, timestamps ISO without zone (UTC).

    Raises:
      ValueError: it is not a value of that type; the message is one line, to follow the value's place.
    """
    return _PARSERS[column_type.name](column_type, raw)


def canonical_value(value: Value) -> bool | int | str:
    """A value as canonical JSON holds it: `Decimal` as its shortest plain text, dates and timestamps in ISO format."""
    match value:
        case Decimal():
            return canonical_decimal(value)
        case date():
            return value.isoformat()
        case _:
            return value


def canonical_decimal(value: Decimal) -> str:
    """The one text of a finite number: `0.5`, `500`, `1E+40`; equal numbers have the same text, zero is `0`.

    Raises:
      ValueError: it is not finite.
    """
    if not value.is_finite():
        raise ValueError("a canonical number is finite")
    if not value:
        return "0"
    shortest = value.normalize(EXACT)
    return f"{shortest:f}" if abs(shortest.adjusted()) <= _LONGEST_PLAIN else str(shortest)


def normal_text(raw: object) -> str:
    """Text in Unicode normal form C, so that two spellings of one word are one value.

    Raises:
      ValueError: it is not text, or holds a forbidden character.
    """
    if not isinstance(raw, str):
        raise ValueError(f"must be text, not {quoted(raw)}: put it in quotes")
    text = unicodedata.normalize("NFC", raw)
    position = forbidden_position(text)
    if position is not None:
        raise ValueError(f"character U+{ord(text[position]):04X} is not allowed in a value")
    return text


def parse_date(raw: object) -> date:
    """A date, or one from a text `YYYY-MM-DD`.

    Raises:
      ValueError: it is neither, or no such day.
    """
    return raw if isinstance(raw, date) and not isinstance(raw, datetime) else date_of_text(raw)


def date_of_text(raw: object) -> date:
    """A date from a text `YYYY-MM-DD`, and from nothing else.

    Raises:
      ValueError: it is not such a text, or no such day.
    """
    try:
        if isinstance(raw, str) and _DATE.fullmatch(raw):
            return date.fromisoformat(raw)
    except ValueError:
        pass
    raise ValueError(f"must be a date YYYY-MM-DD, not {quoted(raw)}")


def _number(raw: object) -> Decimal:
    if isinstance(raw, int | Decimal) and not isinstance(raw, bool):
        number = Decimal(raw)
        if number.is_finite():
            return number
    raise ValueError(f"must be a number, not {quoted(raw)}")


def _boolean(raw: object) -> bool:
    if isinstance(raw, bool):
        return raw
    raise ValueError(f"must be true or false, not {quoted(raw)}")


def _integer(column_type: ColumnType, raw: object) -> int:
    number = _number(raw)
    limit = 2 ** _INTEGER_BITS[column_type.name]
    if not -limit <= number < limit:
        raise ValueError(f"does not fit in {column_type}: {quoted(raw)}")
    if number != int(number):
        raise ValueError(f"must be a whole number, not {quoted(raw)}")
    return int(number)


def _double(raw: object) -> Decimal:
    number = _number(raw)
    nearest = float(number)
    if not math.isfinite(nearest):
        raise ValueError(f"does not fit in double: {quoted(raw)}")
    # The shortest text of the nearest double; minus zero and zero are one value.
    return Decimal(repr(nearest)) if nearest else Decimal(0)


def _decimal(column_type: ColumnType, raw: object) -> Decimal:
    number = _number(raw)
    limit = Decimal(10) ** (column_type.precision - column_type.scale)
    if not -limit < number < limit:
        raise ValueError(f"does not fit in {column_type}: {quoted(raw)}")
    fitted = number.quantize(Decimal(1).scaleb(-column_type.scale), context=EXACT)
    if fitted != number:
        raise ValueError(f"must have at most {column_type.scale} digits after the point, not {quoted(raw)}")
    return fitted if fitted else fitted.copy_abs()


def _timestamp(raw: object) -> datetime:
    if isinstance(raw, datetime) and raw.tzinfo is None:
        return raw
    try:
        if isinstance(raw, str) and _TIMESTAMP.fullmatch(raw):
            return datetime.fromisoformat(raw)
    except ValueError:
        pass
    raise ValueError(f"must be a UTC timestamp YYYY-MM-DDTHH:MM:SS without zone, not {quoted(raw)}")


def _uuid(raw: object) -> str:
    if isinstance(raw, str) and _UUID.fullmatch(raw.lower()):
        return raw.lower()
    raise ValueError(f"must be a UUID like 01234567-89ab-cdef-0123-456789abcdef, not {quoted(raw)}")


_PARSERS: dict[str, Callable[[ColumnType, object], Value]] = {
    "bigint": _integer,
    "integer": _integer,
    "double": lambda _, raw: _double(raw),
    "decimal": _decimal,
    "varchar": lambda _, raw: normal_text(raw),
    "boolean": lambda _, raw: _boolean(raw),
    "date": lambda _, raw: parse_date(raw),
    "timestamp": lambda _, raw: _timestamp(raw),
    "uuid": lambda _, raw: _uuid(raw),
}
