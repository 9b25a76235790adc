"""What is typed, turned into values; what cannot be is wrong usage, told before anything is opened."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import typer

from dpstats.cli.completing import dataset_names, parameter_values, query_names
from dpstats.cli.output import printable

AMOUNT_MAX = Decimal(1_000_000)
AMOUNT_MIN = Decimal("1e-12")
"""The step in which amounts are counted: less cannot be granted or capped."""


NEVER = "never"
"""The life of a token that does not expire."""


def name_text(text: str) -> str:
    """A name as typed.

    Raises:
      BadParameter: it holds what no name can: nothing at all, control characters, or bytes that are not UTF-8.
    """
    if not text.strip() or not text.isprintable():
        raise typer.BadParameter(f"{printable(repr(text))} is not a name")
    return text


def amount(text: str) -> Decimal:
    """A privacy amount, exactly as typed: 0, or from 1e-12 to 1,000,000.

    Raises:
      BadParameter: it is not such a number.
    """
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise typer.BadParameter(f"{printable(repr(text))} is not a number: write one like 0.1") from None
    if not value.is_finite() or (value and not AMOUNT_MIN <= value <= AMOUNT_MAX):
        raise typer.BadParameter(f"{printable(text)} is out of range: give 0, or a number from 1e-12 to 1,000,000")
    return value


def limit(text: str) -> Decimal:
    """An epsilon above which something is asked for, exactly as typed; infinity for `never`.

    Raises:
      BadParameter: it is neither a privacy amount nor `never`.
    """
    return Decimal("Infinity") if text == "never" else amount(text)


def span(text: str) -> timedelta:
    """A span of time as typed: 90m, 12h or 30d.

    Raises:
      BadParameter: it is not one.
    """
    from dpstats.catalog.fields import duration

    try:
        return duration(text)
    except ValueError as error:
        raise typer.BadParameter(printable(str(error))) from None


def life_text(text: str) -> str:
    """How long something lives, as typed: a span, or `never`.

    Raises:
      BadParameter: it is neither.
    """
    life(text)
    return text


def life(text: str) -> timedelta | None:
    """How long something lives; None for ever."""
    return None if text == NEVER else span(text)


def pairs(texts: Iterable[str], option: str, shape: str) -> dict[str, str]:
    """`K=V` texts as a mapping; V may hold `=`.

    Raises:
      BadParameter: one has no `=` or no name before it, or a name comes twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise typer.BadParameter(f"{printable(repr(text))} must be {shape}", param_hint=option)
        if name in found:
            raise typer.BadParameter(f"{printable(name)} is given twice", param_hint=option)
        found[name] = value
    return found


def parameters(given: Sequence[str] | None, more: Sequence[str] | None) -> dict[str, str]:
    """The values of a query's parameters, by name."""
    found = pairs([*(given or ()), *(more or ())], "-p", "NAME=VALUE")
    for name, value in found.items():
        if not _is_text(name) or not _is_text(value):
            raise typer.BadParameter(f"{printable(name)} is not UTF-8 text", param_hint="-p")
    return found


def sources(given: Sequence[str] | None, more: Sequence[str] | None) -> dict[str, Path]:
    """The file of each table, by the table's name."""
    found = pairs([*(given or ()), *(more or ())], "--source", "TABLE=PATH")
    if not all(found.values()):
        raise typer.BadParameter("a path is missing: write TABLE=PATH", param_hint="--source")
    return {name: Path(path) for name, path in found.items()}


def _is_text(text: str) -> bool:
    return text.encode("utf-8", "ignore").decode() == text


def check_reason(reason: str) -> None:
    """Lets a reason pass that people will read: something, on one line.

    Raises:
      typer.BadParameter: it is blank, or holds what a terminal does not print.
    """
    if not reason.strip() or not reason.isprintable():
        raise typer.BadParameter("say why, on one line", param_hint="--reason")


QueryName = Annotated[
    str,
    typer.Argument(metavar="NAME", parser=name_text, autocompletion=query_names, help="The query's name."),
]
DatasetName = Annotated[
    str,
    typer.Argument(metavar="DATASET", parser=name_text, autocompletion=dataset_names, help="The dataset's name."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "-p", "--parameter", metavar="K=V", autocompletion=parameter_values, help="A parameter's value; once for each."
    ),
]
MoreParameters = Annotated[
    list[str] | None,
    typer.Argument(metavar="K=V", autocompletion=parameter_values, help="The same as -p K=V."),
]
Sources = Annotated[
    list[str] | None,
    typer.Option(
        "--source",
        metavar="TABLE=PATH",
        help="A table's Parquet or CSV file, or folder of Parquet files; once for each table.",
    ),
]
MoreSources = Annotated[list[str] | None, typer.Argument(metavar="TABLE=PATH", help="The same as --source TABLE=PATH.")]
