"""A caller's parameters, checked against the query's own list and given the types that the SQL binds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import Any

from dpstats.catalog.fields import is_name
from dpstats.catalog.query import DateParameter, EnumParameter, IntegerParameter, QueryFile
from dpstats.catalog.text import quoted
from dpstats.catalog.types import canonical_value, date_of_text, normal_text
from dpstats.errors import InvalidParameters

BoundValue = date | int | str

_INTEGER = re.compile(r"-?[0-9]{1,19}")
_MAX_SHOWN = 10


@dataclass(frozen=True)
class BoundParameters:
    """Every parameter of a query with its value, in the order of their names.

    `canonical`: as JSON scalars, which identify a release; `values`: as Python values, for binding to SQL.
    """

    canonical: dict[str, str | int]
    values: dict[str, BoundValue]


def bind_parameters(query: QueryFile, given: Mapping[str, object]) -> BoundParameters:
    """The values of a query's parameters, defaults filled in.

    Args:
      given: by name, from JSON or from a command line. Dates are `YYYY-MM-DD`; a whole number may be an `int` or text
        of digits (never a `bool` or `float`); an enum's text is compared in Unicode normal form C.

    Raises:
      InvalidParameters: with every problem, by parameter: unknown, missing without a default, of the wrong type, out
        of its range, or a span that does not end after it starts.
    """
    problems = dict(islice(_unknown(query, given), _MAX_SHOWN))
    values: dict[str, BoundValue] = {}
    for name in sorted(query.parameters):
        try:
            values[name] = _value(query.parameters[name], name in given, given.get(name))
        except ValueError as error:
            problems[name] = str(error)
    for since, until in _spans(query):
        start, end = values.get(since), values.get(until)
        if isinstance(start, date) and isinstance(end, date) and start >= end:
            problems[since] = f"must be before {until}: {start} is not before {end}"
    problems |= _window_problems(query, values)
    if problems:
        raise InvalidParameters(problems)
    return BoundParameters({name: canonical_value(value) for name, value in values.items()}, values)


def _window_problems(query: QueryFile, values: Mapping[str, BoundValue]) -> dict[str, str]:
    """A window of a parameter and a date must end after it starts too; of two parameters, that is seen to already."""
    window = query.window
    if window is None or isinstance(window.since, str) is isinstance(window.until, str):
        return {}
    since, until = (values.get(e[1:]) if isinstance(e, str) else e for e in (window.since, window.until))
    if not (isinstance(since, date) and isinstance(until, date)) or since < until:
        return {}
    if isinstance(window.since, str):
        return {window.since[1:]: f"must be before {until}, not {since}"}
    return {str(window.until)[1:]: f"must be after {since}, not {until}"}


def _unknown(query: QueryFile, given: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    known = ", ".join(islice(sorted(query.parameters), _MAX_SHOWN))
    what = f"there is no such parameter: this query has {known}" if known else "this query has no parameters"
    for name in given:
        if name not in query.parameters:
            yield name if is_name(name) else quoted(name), what


def _value(parameter: DateParameter | EnumParameter | IntegerParameter, is_given: bool, raw: object) -> BoundValue:
    if not is_given:
        if parameter.default is None:
            raise ValueError("this parameter must be given: it has no default")
        return parameter.default
    if isinstance(parameter, EnumParameter):
        return _choice(parameter, raw)
    value = date_of_text(raw) if isinstance(parameter, DateParameter) else _integer(raw)
    low: Any = parameter.min
    high: Any = parameter.max
    if not low <= value <= high:
        raise ValueError(f"must be from {low} to {high}, not {quoted(value)}")
    return value


def _integer(raw: object) -> int:
    if isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and _INTEGER.fullmatch(raw):
        return int(raw)
    raise ValueError(f"must be a whole number, not {quoted(raw)}")


def _choice(parameter: EnumParameter, raw: object) -> str | int:
    of_numbers = isinstance(parameter.values[0], int)
    value: object = raw
    try:
        value = _integer(raw) if of_numbers else normal_text(raw)
    except ValueError:
        value = None
    if value is not None and value in parameter.values:
        return value
    shown = ", ".join(quoted(choice) for choice in parameter.values[:_MAX_SHOWN])
    more = ", ..." if len(parameter.values) > _MAX_SHOWN else ""
    raise ValueError(f"must be one of {shown}{more}, not {quoted(raw)}")


def _spans(query: QueryFile) -> Iterator[tuple[str, str]]:
    """Pairs of date parameters of which the first must be before the second."""
    names = {name for name, parameter in query.parameters.items() if isinstance(parameter, DateParameter)}
    if {"since", "until"} <= names:
        yield "since", "until"
    if query.window and isinstance(query.window.since, str) and isinstance(query.window.until, str):
        yield query.window.since[1:], query.window.until[1:]
