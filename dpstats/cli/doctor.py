"""`dpstats doctor`: one line for each thing overdue or unsafe."""

from __future__ import annotations

from dataclasses import asdict

import typer

from dpstats.cli import inputs
from dpstats.cli.exits import FAILED
from dpstats.cli.output import say, show_json
from dpstats.cli.session import session_of, working

ALL_WELL = "all well"


def doctor(context: typer.Context, as_json: inputs.AsJson = False) -> None:
    """Look the workspace over: a line for each thing overdue or unsafe.

    Exit status 1 if there is any.
    """
    with session_of(context).opened(check_ledger=False) as (workspace, me), working("looking"):
        findings, encryption = workspace.doctor.findings(me), workspace.doctor.disk_encryption
    if as_json:
        show_json(
            {"ok": not findings, "findings": [asdict(finding) for finding in findings], "disk_encryption": encryption}
        )
    else:
        for finding in findings:
            say(f"{finding.about}: {finding.what}")
    if findings:
        raise typer.Exit(FAILED)
    if not as_json:
        say(ALL_WELL)
