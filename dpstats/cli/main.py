"""The top command, `dpstats`: its options, and every command below it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from dpstats import __version__
from dpstats.cli import (
    audit,
    bench,
    budget,
    consent,
    dataset,
    demo,
    doctor,
    features,
    ledger,
    log,
    minimise,
    notices,
    policy,
    query,
    refresh,
    release,
    retention,
    rights,
    risk,
    serve,
    terms,
    tokens,
)
from dpstats.cli.exits import WRONG_USAGE
from dpstats.cli.helped import Top, in_plain_words
from dpstats.cli.output import say
from dpstats.cli.session import Session, session_of

app = typer.Typer(
    cls=Top,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Answers about groups of people that expose none of them.",
    epilog="A first look, on real data: `dpstats demo`.",
)
app.add_typer(dataset.app, name="dataset")
app.add_typer(query.app, name="query")
app.add_typer(release.app, name="release")
app.add_typer(features.app, name="features")
app.command("refresh")(refresh.refresh)
app.add_typer(budget.app, name="budget")
app.add_typer(ledger.app, name="ledger")
app.add_typer(log.app, name="log")
app.add_typer(tokens.app, name="token")
app.add_typer(terms.app, name="terms")
app.add_typer(consent.app, name="consent")
app.add_typer(rights.app, name="rights")
app.add_typer(minimise.app, name="minimise")
app.add_typer(retention.app, name="retention")
app.add_typer(notices.notice, name="notice")
app.add_typer(notices.transparency, name="transparency")
app.add_typer(risk.app, name="risk")
app.command("plan")(policy.plan)
app.command("apply")(policy.apply)
app.add_typer(bench.app, name="bench")
app.command("demo")(demo.demo)
app.command("serve")(serve.serve)
app.command("audit")(audit.audit)
app.command("doctor")(doctor.doctor)


@app.callback(invoke_without_command=True)
def top(
    context: typer.Context,
    home: Annotated[
        Path | None,
        typer.Option(metavar="DIR", envvar="DPSTATS_HOME", help="The workspace folder (default: dpstats-home)."),
    ] = None,
    version: Annotated[bool, typer.Option("--version", is_eager=True, help="Say the version.")] = False,
) -> None:
    if version:
        say(f"dpstats {__version__}")
        raise typer.Exit
    context.obj = Session(home)
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(WRONG_USAGE)


@app.command()
def init(context: typer.Context) -> None:
    """Make a workspace: the folder that holds data, ledger and keys."""
    session = session_of(context)
    known = session.exists
    with session.opened(make=True) as (workspace, _):
        say(f"{workspace.home} {'is a workspace already' if known else 'is now a workspace'}")


in_plain_words(app)


def main() -> None:
    """The entry point of `dpstats`; exits with 0, 1 or 2."""
    # A stream that the caller closed is None; its place must be taken before a database file gets its number.
    sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    app()
