"""A query's parameters as the fields of a form, and back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PREFIX = "p."
"""Before a parameter's name in a form, so that it cannot be taken for one of the form's own fields."""


@dataclass(frozen=True)
class Field:
    """A parameter as it is asked for.

    `value` is what was typed, or its default; `fault`, what is wrong with it; `hint`, what to know beforehand.
    """

    name: str
    kind: str
    value: str
    choices: tuple[str, ...]
    low: str
    high: str
    fault: str
    hint: str


def fields_of(query: Mapping[str, Any], typed: Mapping[str, str], faults: Mapping[str, str]) -> list[Field]:
    """The fields of a query's form, with what was typed in them."""
    return [_field(name, spec, typed, faults, query.get("sql", "")) for name, spec in query["parameters"].items()]


def _field(name: str, spec: Mapping[str, Any], typed: Mapping[str, str], faults: Mapping[str, str], sql: str) -> Field:
    default = "" if spec["default"] is None else str(spec["default"])
    return Field(
        name=name,
        kind=spec["type"],
        value=typed.get(PREFIX + name, default),
        choices=tuple(str(value) for value in spec.get("values", ())),
        low=str(spec.get("min", "")),
        high=str(spec.get("max", "")),
        fault=faults.get(name, ""),
        hint="This day itself is left out." if spec["type"] == "date" and _left_out(name, sql) else "",
    )


def _left_out(name: str, sql: str) -> bool:
    """Whether rows are kept that are before the parameter, in each place where it stands; not said where SQL turns that
    around."""
    before = re.findall(rf"([<>=!]*)\s*\${name}\b", sql)
    return bool(before) and set(before) == {"<"} and not re.search(r"\b(NOT|CASE)\b", sql, re.IGNORECASE)


def parameters_of(query: Mapping[str, Any], typed: Mapping[str, str]) -> dict[str, object]:
    """What was typed, as the API would be sent it; an empty field is left to its default.

    What is no whole number stays text, and is refused by name where parameters are bound.
    """
    given = {name: typed[PREFIX + name].strip() for name in query["parameters"] if typed.get(PREFIX + name, "").strip()}
    return {name: _value(query["parameters"][name], text) for name, text in given.items()}


def _value(spec: Mapping[str, Any], text: str) -> object:
    if spec["type"] == "integer" and text.removeprefix("-").isdecimal() and len(text) < 20:
        return int(text)
    if spec["type"] == "enum":
        return next((value for value in spec["values"] if str(value) == text), text)
    return text
