"""Names for the shell's completion, looked up in the workspace's register. Whatever is wrong there: no names, no words.

The register is only looked at, so a key that is pressed changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import typer

from dpstats.cli.session import Session
from dpstats.errors import DpstatsError

if TYPE_CHECKING:
    from dpstats.ledger.registry import Registry


Names = Callable[["Registry"], Iterable[str]]


def query_names(context: typer.Context, incomplete: str) -> list[str]:
    """The queries that were submitted and whose names begin so."""
    return _names(context, incomplete, lambda registry: [record.name for record in registry.queries()])


def dataset_names(context: typer.Context, incomplete: str) -> list[str]:
    """The registered datasets whose names begin so."""
    return _names(context, incomplete, lambda registry: [record.name for record in registry.datasets()])


def parameter_values(context: typer.Context, incomplete: str) -> list[str]:
    """What a parameter of the query that was typed may be set to: `since=2017-01-01`; one of an enum, each value."""
    query = context.params.get("name") or next(iter(context.args), "")  # after a `-p` without a value it is among these
    return _names(context, incomplete, lambda registry: _settings(registry, str(query))) if query else []


def _settings(registry: Registry, query: str) -> Iterator[str]:
    import yaml

    text = next((record.text for record in registry.queries() if record.name == query), "")
    for name, parameter in ((yaml.safe_load(text) or {}).get("parameters") or {}).items():
        values = parameter.get("values") or [parameter.get("default", parameter.get("min", ""))]
        yield from (f"{name}={value}" for value in values)


def _names(context: typer.Context, incomplete: str, of: Names) -> list[str]:
    session = Session(context.find_root().params.get("home"))
    with suppress(DpstatsError):
        session.require()
        from dpstats.ledger.looking import looked_at

        with looked_at(session.folder, session.settings().ledger_url.get_secret_value()) as registry:
            return sorted(name for name in of(registry) if name.startswith(incomplete))
    return []
