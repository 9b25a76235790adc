"""What the fields of the files are made of: names, numbers, durations, text, and the frozen model they live in."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from dpstats.catalog.source import Problem
from dpstats.catalog.text import quoted
from dpstats.catalog.types import EXACT, normal_text, parse_date

MAX_VALUES = 1_000_000
"""The most values that a list of allowed, key or parameter values may hold."""
MAX_BOUND = Decimal("1e15")
MAX_BOUND_DECIMALS = 12
RESERVED_PREFIX = "dp_"
"""Names that start so are dpstats' own."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_COLUMN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_DURATION = re.compile(r"([1-9][0-9]{0,5})([mhd])")
_MINUTES = {"m": 1, "h": 60, "d": 1440}
_LONGEST_DURATION = timedelta(days=3650)
_MAX_LINE = 500

K = TypeVar("K")
V = TypeVar("V")


class ProblemsError(ValueError):
    """Several problems at once, each with its place below the value that is being checked."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(" | ".join(what for _, what in self.problems))


class FileModel(BaseModel):
    """A frozen part of a file: unknown keys are errors, and no value is taken for one of another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def is_name(text: object) -> bool:
    """Whether `text` is written like the name of a dataset, table, query, parameter or measure."""
    return isinstance(text, str) and _NAME.fullmatch(text) is not None


def _name(text: str) -> str:
    if not is_name(text):
        raise ValueError(f"{quoted(text)} is not a name: use a-z, 0-9 and _, a letter first, at most 63 characters")
    return _not_reserved(text)


def _column_name(text: str) -> str:
    if not _COLUMN_NAME.fullmatch(text):
        raise ValueError(
            f"{quoted(text)} is not a column name: use A-Z, a-z, 0-9 and _, no digit first, at most 63 characters"
        )
    return _not_reserved(text)


def _not_reserved(name: str) -> str:
    if name.lower().startswith(RESERVED_PREFIX):
        raise ValueError(f"names that start with {RESERVED_PREFIX} are reserved: choose another than {quoted(name)}")
    return name


def _line(text: str) -> str:
    line = normal_text(text).strip()
    if len(line) > _MAX_LINE or not line.isprintable():
        raise ValueError(f"must be one line of at most {_MAX_LINE} characters")
    return line


def _prose(text: str) -> str:
    return normal_text(text).strip()


def _some_text(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return text


def _decimal(raw: object) -> Decimal:
    if isinstance(raw, bool) or not isinstance(raw, int | Decimal):
        comma = isinstance(raw, str) and re.fullmatch("-?[0-9]+,[0-9]+", raw)
        raise ValueError(f"must be a number, not {quoted(raw)}" + (": decimals follow a point" if comma else ""))
    number = Decimal(raw)
    if not number.is_finite():
        raise ValueError("must be a finite number")
    return number


def _bound(number: Decimal) -> Decimal:
    if not -MAX_BOUND <= number <= MAX_BOUND:
        raise ValueError(f"must be between -1e15 and 1e15, not {quoted(number)}")
    if number != number.quantize(Decimal(1).scaleb(-MAX_BOUND_DECIMALS), context=EXACT):
        raise ValueError(f"must have at most {MAX_BOUND_DECIMALS} digits after the point, not {quoted(number)}")
    return number


def duration(raw: object) -> timedelta:
    """A span of time: a number of minutes, hours or days such as 90m, 12h or 30d, at most 3,650 days.

    Raises:
      ValueError: it is not such a text.
    """
    if isinstance(raw, timedelta):
        return raw
    found = _DURATION.fullmatch(raw) if isinstance(raw, str) else None
    if found is None:
        raise ValueError(f"must be a time like 30d, 12h or 90m, not {quoted(raw)}")
    span = timedelta(minutes=int(found[1]) * _MINUTES[found[2]])
    if span > _LONGEST_DURATION:
        raise ValueError(f"must be at most {_LONGEST_DURATION.days}d, not {quoted(raw)}")
    return span


def _to_tuple(raw: object) -> object:
    return tuple(raw) if isinstance(raw, list) else raw


def _pair(raw: object) -> object:
    if not isinstance(raw, list | tuple) or len(raw) != 2:
        raise ValueError("must be a list of two numbers, [low, high]")
    return tuple(raw)


def _in_order(pair: tuple[Decimal, Decimal]) -> tuple[Decimal, Decimal]:
    low, high = pair
    if low > high:
        raise ValueError(f"the low bound {low} is above the high bound {high}: swap them")
    return pair


def between(low: str | int, high: str | int) -> AfterValidator:
    """A check that a number is within [low, high], both given exactly."""

    def check(number: V) -> V:
        if not Decimal(low) <= number <= Decimal(high):  # type: ignore[operator]
            raise ValueError(f"must be between {low} and {high}, not {quoted(number)}")
        return number

    return AfterValidator(check)


def frozen_mapping(mapping: Mapping[K, V]) -> Mapping[K, V]:
    """The same mapping, read-only."""
    return MappingProxyType(dict(mapping))


def not_empty(mapping: Mapping[K, V]) -> Mapping[K, V]:
    """A check that there is at least one entry."""
    if not mapping:
        raise ValueError("must have at least one entry")
    return mapping


def parse_each(raw: object, parse: Callable[[object], V], identity: Callable[[V], Hashable]) -> tuple[V, ...]:
    """Every item of a list, parsed; none may come twice.

    Args:
      raw: should be a list of 1 to `MAX_VALUES` items.
      parse: gives an item's value or raises ValueError.
      identity: what tells two values apart.

    Raises:
      ProblemsError: with the place of every item that is wrong.
      ValueError: it is not such a list.
    """
    if not isinstance(raw, list | tuple) or not 1 <= len(raw) <= MAX_VALUES:
        raise ValueError(f"must be a list of 1 to {MAX_VALUES} values")
    values: list[V] = []
    seen: dict[Hashable, int] = {}
    problems: list[Problem] = []
    for place, item in enumerate(raw):
        try:
            value = parse(item)
        except ValueError as error:
            problems.append(((place,), str(error)))
            continue
        if seen.setdefault(identity(value), place) != place:
            problems.append(((place,), f"{quoted(item)} is given twice: remove one"))
        values.append(value)
    if problems:
        raise ProblemsError(problems)
    return tuple(values)


def folded_twins(names: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs (earlier, later) of names that differ only in case, which DuckDB takes for one."""
    first: dict[str, str] = {}
    return [(first[name.lower()], name) for name in names if first.setdefault(name.lower(), name) != name]


Name = Annotated[str, AfterValidator(_name)]
ColumnName = Annotated[str, AfterValidator(_column_name)]
Line = Annotated[str, AfterValidator(_line)]
Prose = Annotated[str, AfterValidator(_prose)]
Sql = Annotated[str, AfterValidator(_some_text)]
Number = Annotated[Decimal, BeforeValidator(_decimal)]
Bound = Annotated[Number, AfterValidator(_bound)]
Bounds = Annotated[tuple[Bound, Bound], BeforeValidator(_pair), AfterValidator(_in_order)]
Duration = Annotated[timedelta, BeforeValidator(duration)]
IsoDate = Annotated[date, BeforeValidator(parse_date)]
Items = Annotated[tuple[V, ...], BeforeValidator(_to_tuple)]
FrozenMap = Annotated[Mapping[K, V], AfterValidator(frozen_mapping)]
