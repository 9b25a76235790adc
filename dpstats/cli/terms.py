"""`dpstats terms`: what recipients of answers accept before they are given any."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dpstats.cli import inputs
from dpstats.cli.output import Table, note, say, show, show_json
from dpstats.cli.session import session_of
from dpstats.cli.words import utc
from dpstats.errors import FileError

app = typer.Typer(help="Recipients' terms: publish, show, accept, list.")


@app.command("publish")
def publish(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The terms, as plain text or Markdown.")],
) -> None:
    """Put terms in force: no token is given data any more until its holder accepted this very version.

    The same text again is the same version. Answers of a workspace where none were published ask for none.
    """
    try:
        text = file.read_text("utf-8")
    except (OSError, ValueError):
        raise FileError(str(file), "cannot be read as text") from None
    with session_of(context).opened() as (workspace, me):
        found = workspace.terms.publish(me, text)
    say(f"the terms in force are version {found['version']}, {found['sha256']}")
    note("every token is refused data until its holder accepts this version")


@app.command("show")
def show_terms(context: typer.Context, as_json: inputs.AsJson = False) -> None:
    """Print the terms in force."""
    with session_of(context).opened() as (workspace, _):
        found = workspace.terms.public()
    if as_json:
        show_json(found)
    elif found is None:
        note("no terms are in force: `dpstats terms publish FILE` puts some in force")
    else:
        say(found["text"])
        note(f"version {found['version']}, {found['sha256']}, since {utc(found['published_at'])}")


@app.command("accept")
def accept(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="TOKEN", parser=inputs.name_text, help="The token's name.")],
) -> None:
    """Note that a token's holder accepted the terms in force, on paper say."""
    with session_of(context).opened() as (workspace, me):
        found = workspace.terms.accept_for(me, name)
    say(f"token {found['token']} is bound by version {found['version']} of the terms")


@app.command("list")
def list_(context: typer.Context, as_json: inputs.AsJson = False) -> None:
    """List who accepted which version, when, and who said so."""
    with session_of(context).opened() as (workspace, me):
        items = workspace.terms.acceptances(me)
    if as_json:
        show_json({"items": items, "next": None})
    elif not items:
        note("nobody accepted any terms yet")
    else:
        rows = tuple((i["token"], str(i["version"]), i["accepted_by"], utc(i["accepted_at"])) for i in items)
        show(Table(("token", "version", "accepted by", "when (UTC)"), rows))
