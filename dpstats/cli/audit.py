"""`dpstats audit`: the privacy that releases really give, measured from outside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dpstats.cli import inputs
from dpstats.cli.exits import FAILED
from dpstats.cli.output import Table, note, say, show, show_json, tell
from dpstats.cli.session import loading, session_of

if TYPE_CHECKING:
    from dpstats.audit.findings import Finding

RUNS, RUNS_OF_A_QUERY = 10_000, 1_000
"""Runs a side unless told otherwise. Of a query each is a release of its own; of the built-in cases 1,000 share one."""

QueryOrFile = Annotated[
    str | None,
    typer.Argument(
        metavar="QUERY", parser=inputs.name_text, help="A submitted query, or a query's file beside its dataset.yaml."
    ),
]
Runs = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        max=1_000_000,
        help=f"Runs with the unit, and as many without (default: {RUNS}; {RUNS_OF_A_QUERY} for a query).",
    ),
]


def audit(context: typer.Context, query: QueryOrFile = None, runs: Runs = None, as_json: inputs.AsJson = False) -> None:
    """Measure how much releases tell about one unit.

    Releases on synthetic data, with one unit and without it, in a workspace of their own: a lower bound on epsilon
    beside the claim. Without QUERY, tight cases that are built in. Ends with status 1 if a bound exceeds its claim.
    """
    with loading() as progress:
        findings = _findings(context, query, runs, progress)
    from dpstats.audit import report

    show_json(report.as_json(findings)) if as_json else _show(findings)
    for line in report.weak(findings):
        note(line)
    if excess := report.exceeding(findings):
        note(f"dpstats: {excess}")
        raise typer.Exit(FAILED)


def _findings(
    context: typer.Context, query: str | None, runs: int | None, progress: Callable[[str, float], None]
) -> list[Finding]:
    if query is None:
        from dpstats.audit.canaries import audit_canaries

        return list(audit_canaries(runs or RUNS, progress))
    from dpstats.audit.one_unit import audit_query
    from dpstats.audit.subject import from_file, from_workspace

    if query.endswith(".yaml") or Path(query).is_file():
        subject = from_file(Path(query))
    else:
        with session_of(context).opened() as (workspace, me):
            subject = from_workspace(workspace, me, query)
    return [audit_query(subject, runs or RUNS_OF_A_QUERY, progress)]


def _show(findings: list[Finding]) -> None:
    from dpstats.audit import report

    rows = tuple(astuple(report.line(finding)) for finding in findings)
    show(Table(report.HEADS, rows, frozenset({"epsilon claimed", "exact", "measured", "share"})))
    say("\nMeasured, as a share of what may be reached (the mark)")
    for line in report.plot(findings):
        say(f"  {line}")
    say()
    tell(*report.legend(findings))
