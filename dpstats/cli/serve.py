"""`dpstats serve`: the service over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Annotated

import typer

from dpstats.cli.output import say
from dpstats.cli.session import Session, session_of
from dpstats.errors import FileError

OnReady = Callable[[str], None]
"""Called once with the address, when the service answers."""

UNREAD = (BrokenPipeError, FileError)
"""Nobody reads stdout any more: the service is worth more than a line about it."""

Port = Annotated[
    int | None,
    typer.Option(min=0, max=65535, metavar="N", help="The port to listen on; 0 takes a free one (default: 8471)."),
]


def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(metavar="HOST", help="The address (default: 127.0.0.1).")] = None,
    port: Port = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=64, metavar="N", help="Processes that serve (default: 1).")
    ] = None,
) -> None:
    """Serve over HTTP; prints the address once it is ready."""
    session = session_of(context)
    session.require()
    start(session, host=host, port=port, workers=workers, on_ready=_ready)


def start(session: Session, *, on_ready: OnReady, **given: object) -> None:
    """Serves until it is stopped."""
    settings = session.settings(**given)
    from dpstats.api.server import serve as serve_http

    serve_http(settings, on_ready=on_ready)


def _ready(address: str) -> None:
    with suppress(*UNREAD):
        say(f"serving at {address}")
