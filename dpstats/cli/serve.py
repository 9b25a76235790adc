"""`dpstats serve`: the service over HTTP, over a workspace's data or, as a sandbox, over invented ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dpstats.cli.output import note, say
from dpstats.cli.session import Session, session_of, working
from dpstats.errors import FileError

if TYPE_CHECKING:
    from dpstats.sandbox.texts import Texts
    from dpstats.settings import Settings

OnReady = Callable[[str], None]
"""Called once with the address, when the service answers."""

UNREAD = (BrokenPipeError, FileError)
"""Nobody reads stdout any more: the service is worth more than a line about it."""

SANDBOX_PORT = 8472
"""Another than the real service's: a program that expects that one does not find a sandbox in its place."""

Port = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=65535,
        metavar="N",
        help="The port to listen on; 0 takes a free one (default: 8471).",
    ),
]


def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(metavar="HOST", help="The address (default: 127.0.0.1).")] = None,
    port: Port = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=64, metavar="N", help="Processes that serve (default: 1).")
    ] = None,
    sandbox: Annotated[
        bool,
        typer.Option("--sandbox", help=f"Serve invented data, with nothing to lose (default port: {SANDBOX_PORT})."),
    ] = False,
    files: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="With --sandbox: make it of the files in DIR, as `apply` takes them."),
    ] = None,
) -> None:
    """Serve over HTTP; prints the address once it is ready.

    A sandbox has the workspace's datasets and approved queries, or those in DIR, or the bundled ones. Its rows are
    invented from what the files say about columns. It has a budget, a ledger and tokens of its own, and says on every
    page and in every answer what it is.
    """
    session = session_of(context)
    if files is not None and not sandbox:
        raise typer.BadParameter("goes with --sandbox", param_hint="--files")
    if sandbox:
        _serve_sandbox(session, files, host=host, port=port, workers=workers)
        return
    session.require()
    start(session, host=host, port=port, workers=workers, on_ready=_ready)


def start(session: Session, *, on_ready: OnReady, **given: object) -> None:
    """Serves until it is stopped."""
    settings = _settings(session, **given)
    from dpstats.api.server import serve as serve_http

    serve_http(settings, on_ready=on_ready)


def _serve_sandbox(session: Session, files: Path | None, **given: object) -> None:
    settings = _settings(session, **given)
    if "port" not in settings.model_fields_set:
        settings = settings.model_copy(update={"port": SANDBOX_PORT})
    from dpstats.api.server import serve as serve_http
    from dpstats.sandbox.made import sandbox

    texts = _texts(session, files, settings.ledger_url.get_secret_value())
    with ExitStack() as stack:
        with working("inventing data"):
            box = stack.enter_context(sandbox(settings, texts))
        serve_http(box.settings, on_ready=lambda address: _sandbox_ready(address, box.tokens))


def _settings(session: Session, **given: object) -> Settings:
    """The settings of this run. What is named as one and is none is told: nobody looks for what a typo leaves out."""
    from dpstats.settings import unread_variables

    for line in unread_variables():
        note(line)
    return session.settings(**given)


def _texts(session: Session, files: Path | None, ledger_url: str) -> Texts:
    """What the sandbox is made of: a folder that is named, else the workspace, else what comes with dpstats.

    Raises:
      FileError: a workspace is named and there is none.
    """
    from dpstats.cli.bundled import bundle
    from dpstats.sandbox.texts import of_folder, of_workspace

    if files is not None:
        return of_folder(files)
    if session.home is None and not session.exists:
        note("there is no workspace here: this sandbox is of the bundled dataset")
        return of_folder(bundle())
    session.require()
    return of_workspace(session.folder, ledger_url)


def _ready(address: str) -> None:
    with suppress(*UNREAD):
        say(f"serving at {address}")


def _sandbox_ready(address: str, tokens: Mapping[str, str]) -> None:
    with suppress(*UNREAD):
        say(f"serving at {address}")
        say("\n".join(["Tokens of this sandbox, which end with it:", *(f"  {r:10} {t}" for r, t in tokens.items())]))
        note("a sandbox: all data are invented, and nothing asked here reaches a workspace")
