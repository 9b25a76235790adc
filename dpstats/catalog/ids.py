"""Ids of people in one spelling, so that an id in a file, a link and a decision is the same id."""

from __future__ import annotations

import unicodedata
import uuid
from decimal import Decimal

from dpstats.catalog.types import ColumnType

_WHOLE = {"bigint", "integer"}


def id_text(unit_type: ColumnType, raw: object) -> str:
    """An id as a data version's id of the unit's type reads, else as text in normal form C.

    Ids of other kinds, a device's for instance, are ids too: whether one is known is never told.
    """
    text = unicodedata.normalize("NFC", str(raw))
    if unit_type.name == "varchar":
        return text
    return _whole(text.strip()) if unit_type.name in _WHOLE else _uuid(text.strip())


def _uuid(text: str) -> str:
    try:
        return str(uuid.UUID(text))  # as DuckDB reads one: with or without hyphens and braces
    except ValueError:
        return text.lower()


def _whole(text: str) -> str:
    try:
        number = Decimal(text)
        return str(int(number)) if number.is_finite() and abs(number) < 10**30 and number == int(number) else text
    except (ArithmeticError, ValueError):  # no number, or one beyond any
        return text
