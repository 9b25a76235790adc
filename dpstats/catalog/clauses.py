"""The parts of a query's file: its parameters, keys, contribution bounds, window and price."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Discriminator, Field, PlainValidator, Tag, model_validator

from dpstats.catalog.fields import (
    ColumnName,
    FileModel,
    FrozenMap,
    IsoDate,
    Name,
    Number,
    ProblemsError,
    between,
    not_empty,
    parse_each,
)
from dpstats.catalog.text import quoted
from dpstats.catalog.types import normal_text, parse_date

Scalar = str | int | Decimal | bool
"""A value as YAML gives it, before its column's type is known."""

_INT64 = 2**63
Ordered = TypeVar("Ordered", date, int)

_TABLE_COLUMN = re.compile(r"[a-z][a-z0-9_]{0,62}\.[A-Za-z_][A-Za-z0-9_]{0,62}")
_PARAMETER = re.compile(r"\$[a-z][a-z0-9_]{0,62}")

Int64 = Annotated[int, between(-_INT64, _INT64 - 1)]
UpToAMillion = Annotated[int, between(1, 1_000_000)]
SizeOfGroup = Annotated[int, between(10, 1_000_000_000_000)]


class DateParameter(FileModel):
    """A date from `min` to `max`, both included."""

    type: Literal["date"]
    min: IsoDate
    max: IsoDate
    default: IsoDate | None = None

    @model_validator(mode="after")
    def _check(self) -> DateParameter:
        _check_range(self.min, self.max, self.default)
        return self


class IntegerParameter(FileModel):
    """A whole number of 64 bits from `min` to `max`, both included."""

    type: Literal["integer"]
    min: Int64
    max: Int64
    default: Int64 | None = None

    @model_validator(mode="after")
    def _check(self) -> IntegerParameter:
        _check_range(self.min, self.max, self.default)
        return self


def _check_range(low: Ordered, high: Ordered, default: Ordered | None) -> None:
    if low > high:
        raise ProblemsError([(("max",), f"max {high} is below min {low}: swap them")])
    if default is not None and not low <= default <= high:
        raise ProblemsError([(("default",), f"the default must be from {low} to {high}, not {default}")])


def _enum_values(raw: object) -> tuple[str, ...] | tuple[int, ...]:
    values = parse_each(raw, _text_or_int, lambda value: value)
    if len({type(value) for value in values}) > 1:
        raise ValueError("the values must be all text or all whole numbers: put numbers in quotes to make them text")
    return values  # type: ignore[return-value]


def _text_or_int(raw: object) -> str | int:
    if isinstance(raw, bool) or not isinstance(raw, str | int):
        raise ValueError(f"must be text or a whole number, not {quoted(raw)}")
    if isinstance(raw, int) and not -_INT64 <= raw < _INT64:
        raise ValueError("must fit in 64 bits")
    return normal_text(raw) if isinstance(raw, str) else raw


class EnumParameter(FileModel):
    """One of `values`: all text (in normal form C) or all whole numbers."""

    type: Literal["enum"]
    values: Annotated[tuple[str, ...] | tuple[int, ...], PlainValidator(_enum_values)]
    default: Annotated[str | int | None, PlainValidator(_text_or_int)] = None

    @model_validator(mode="after")
    def _check(self) -> EnumParameter:
        if self.default is not None and self.default not in self.values:
            raise ProblemsError([(("default",), f"the default {quoted(self.default)} is not one of the values")])
        return self


def _kind_of_parameter(raw: object) -> str | None:
    kind = raw.get("type") if isinstance(raw, Mapping) else None
    return f"<{kind}>" if kind in ("date", "enum", "integer") else None


Parameter = Annotated[
    Annotated[DateParameter, Tag("<date>")]
    | Annotated[EnumParameter, Tag("<enum>")]
    | Annotated[IntegerParameter, Tag("<integer>")],
    Discriminator(
        _kind_of_parameter,
        custom_error_type="parameter",
        custom_error_message="a parameter has a `type`, which is date, enum or integer",
    ),
]


def _key_value(raw: object) -> Scalar:
    if not isinstance(raw, str | int | Decimal):
        raise ValueError(f"must be a single value, not {quoted(raw)}")
    return normal_text(raw) if isinstance(raw, str) else raw


def _key_values(raw: object) -> tuple[Scalar, ...]:
    # In Python True == 1 and both hash alike; as values of a key they differ.
    return parse_each(raw, _key_value, lambda value: (isinstance(value, bool), value))


class DeclaredKeys(FileModel):
    """The values of a key, as YAML scalars; `parse_value` makes them values of the key's type."""

    values: Annotated[tuple[Scalar, ...], PlainValidator(_key_values)]


class KeysFrom(FileModel):
    """The values of a key are all those of a public table's column."""

    table: Name
    column: ColumnName

    @model_validator(mode="before")
    @classmethod
    def _split(cls, raw: Any) -> Any:
        if not isinstance(raw, dict) or "from" not in raw:
            return raw
        origin = raw["from"]
        if not isinstance(origin, str) or not _TABLE_COLUMN.fullmatch(origin):
            raise ProblemsError([(("from",), f"must be a public table and column, table.column, not {quoted(origin)}")])
        table, _, column = origin.partition(".")
        return {"table": table, "column": column}


def _small_delta(delta: Decimal) -> Decimal:
    if not Decimal("1e-15") <= delta < 1:
        raise ValueError(f"must be at least 1e-15 and below 1, not {quoted(delta)}")
    return delta


class PrivateKeys(FileModel):
    """The values of a key are found in the data by thresholding, which costs delta.

    `delta`: at most so much of the dataset's `delta_thresholds`; None: a hundredth of it.
    """

    private: Literal[True]
    delta: Annotated[Number, AfterValidator(_small_delta)] | None = None


def _kind_of_single(*kinds: str) -> Discriminator:
    def kind(raw: object) -> str | None:
        if isinstance(raw, Mapping) and set(raw) == {"private", "delta"}:
            return "<private>" if "private" in kinds else None
        only = next(iter(raw)) if isinstance(raw, Mapping) and len(raw) == 1 else None
        return f"<{only}>" if only in kinds else None

    return Discriminator(
        kind,
        custom_error_type="single",
        custom_error_message=f"must be a mapping with exactly one key, of {', '.join(kinds)}",
    )


Keys = Annotated[
    Annotated[DeclaredKeys, Tag("<values>")]
    | Annotated[KeysFrom, Tag("<from>")]
    | Annotated[PrivateKeys, Tag("<private>")],
    _kind_of_single("values", "from", "private"),
]


def _positive(number: Decimal) -> Decimal:
    if not 0 < number <= Decimal("1e15"):
        raise ValueError(f"must be above 0 and at most 1e15, not {quoted(number)}")
    return number


Positive = Annotated[Number, AfterValidator(_positive)]


def _kind_of_norm(raw: object) -> str:
    return "<each>" if isinstance(raw, Mapping) else "<all>"


Norms = Annotated[
    Annotated[Positive, Tag("<all>")] | Annotated[FrozenMap[Name, Positive], Tag("<each>")],
    Discriminator(_kind_of_norm),
]


class Contribution(FileModel):
    """What one unit may bring: groups that it touches, rows in one group, or the norm of its vector. None: unsaid.

    `max_norm` is by measure, in the measure's own units (rows for counts and averages, groups for counts of units).
    """

    max_groups: UpToAMillion | None = None
    max_rows: UpToAMillion | None = None
    max_norm: Norms | None = None


CANDIDATES_MAX = 10_000
"""Candidate points of one quantile."""


def _points(raw: object) -> int | tuple[Decimal, ...]:
    if isinstance(raw, int) and not isinstance(raw, bool):
        if not 2 <= raw <= CANDIDATES_MAX:
            raise ValueError(f"must be from 2 to {CANDIDATES_MAX} even steps, not {raw}")
        return raw
    points = parse_each(raw, _point, lambda point: point)
    if len(points) > CANDIDATES_MAX or list(points) != sorted(points):
        raise ValueError(f"must be at most {CANDIDATES_MAX} numbers, rising")
    return points


def _point(raw: object) -> Decimal:
    if isinstance(raw, bool) or not isinstance(raw, int | Decimal):
        raise ValueError(f"must be a number, not {quoted(raw)}")
    return Decimal(raw)


Candidates = Annotated[int | tuple[Decimal, ...], PlainValidator(_points)]
"""The values that a quantile may take: so many even steps over its bounds, or rising numbers inside them."""


def _window_edge(raw: object) -> date | str:
    if isinstance(raw, str) and _PARAMETER.fullmatch(raw):
        return raw
    try:
        return parse_date(raw)
    except ValueError:
        raise ValueError(f"must be a parameter like $since, or a date YYYY-MM-DD, not {quoted(raw)}") from None


Edge = Annotated[date | str, PlainValidator(_window_edge)]


class Window(FileModel):
    """The half-open span of time that the WHERE keeps; each end is a date or `$` and the name of a date parameter."""

    since: Edge = Field(alias="from")
    until: Edge


class CostRho(FileModel):
    """A release costs this rho of zCDP."""

    rho: Annotated[Number, between("1e-12", 10)]


class CostEpsilon(FileModel):
    """A release alone amounts to this epsilon, at the dataset's conversion delta."""

    epsilon: Annotated[Number, between("1e-12", 1000)]


class AccuracyAt(FileModel):
    """The half-width that a measure should have in a group of so many `rows`, `units` or `values`: a public number.

    `denominator`: of a ratio to a sum, how large that sum is, in its own units. Exactly one of the four is said.
    """

    half_width: Positive
    rows: SizeOfGroup | None = None
    units: SizeOfGroup | None = None
    values: SizeOfGroup | None = None
    denominator: Positive | None = None

    @model_validator(mode="after")
    def _check(self) -> AccuracyAt:
        if len(self._said()) != 1:
            raise ValueError("say how large a group is by one of rows, units, values or denominator")
        return self

    def _said(self) -> list[tuple[str, int | Decimal]]:
        sizes = ("rows", self.rows), ("units", self.units), ("values", self.values), ("denominator", self.denominator)
        return [(of, size) for of, size in sizes if size is not None]

    @property
    def of(self) -> str:
        """What the size counts: "rows", "units", "values", or "denominator" where it is a sum."""
        return self._said()[0][0]

    @property
    def size(self) -> int | Decimal:
        """How large the group is."""
        return self._said()[0][1]


def _kind_of_target(raw: object) -> str:
    return "<at>" if isinstance(raw, Mapping) else "<everywhere>"


Target = Annotated[
    Annotated[Positive, Tag("<everywhere>")] | Annotated[AccuracyAt, Tag("<at>")],
    Discriminator(_kind_of_target),
]
"""A half-width in every group, or in one of a stated size."""


class CostAccuracy(FileModel):
    """A release costs what these 95 % half-widths need, in each measure's own units."""

    accuracy: Annotated[FrozenMap[Name, Target], AfterValidator(not_empty)]


Cost = Annotated[
    Annotated[CostRho, Tag("<rho>")]
    | Annotated[CostEpsilon, Tag("<epsilon>")]
    | Annotated[CostAccuracy, Tag("<accuracy>")],
    _kind_of_single("rho", "epsilon", "accuracy"),
]
