"""Serves a workspace over HTTP: binds the address itself, in one process or several, and stops cleanly when told to.

Each process opens the workspace for itself, after it has started: neither SQLite nor DuckDB survives a fork.
"""

from __future__ import annotations

import http.client
import logging
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from dpstats.api.app import app_of_home
from dpstats.api.logs import log_config
from dpstats.api.traces import check_traces
from dpstats.errors import DpstatsError, FileError
from dpstats.settings import Settings
from dpstats.workspace import Workspace

POLL_S = 0.05
BACKLOG = 1024
GRACE_S = 5
"""Seconds that a request gets beyond its deadlines, to wait and to compute, when the service is told to stop."""
ALIVE_S = 60
"""Seconds that a worker process has to say that it is alive, its start included; then another takes its place.

On a busy machine uvicorn's own 5 s end processes that are still starting, again and again."""

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (where to ask whether it is ready)
_STOPS = (signal.SIGINT, signal.SIGTERM)
_UNTOUCHABLE = {signal.SIGKILL, signal.SIGSTOP}


def serve(settings: Settings, on_ready: Callable[[str], None]) -> None:
    """Serves until SIGINT or SIGTERM, then finishes what runs and returns. Call it from the main thread.

    Args:
      settings: where the workspace is, where to listen (port 0: a free one), and in how many processes.
      on_ready: called once, from another thread, with the address, as soon as the service is ready.

    Raises:
      FileError: the address cannot be listened on. DpstatsError: nothing can be served; it says why.
    """
    with _signals_kept(), suppress(KeyboardInterrupt):
        # Whatever is wrong with the ledger or this machine is said here, in one line, before anything listens.
        check_traces(settings)
        with closing(Workspace.open(settings)) as workspace:
            workspace.self_test()
        listener = listening(settings)
        with _telling(settings.host, listener.getsockname()[1], on_ready), closing(listener):
            _run(settings, listener)


def _run(settings: Settings, listener: socket.socket) -> None:
    alone = settings.workers == 1
    if alone:
        uvicorn.Server(_config(settings, partial(app_of_home, settings))).run(sockets=[listener])
        return
    with tempfile.TemporaryDirectory(prefix="dpstats-metrics-") as counted_in:
        config = _config(settings, partial(_worker_app, settings, Path(counted_in)))
        workers = Multiprocess(config, sockets=[listener])
        workers.run()
    if any(worker.exitcode == STARTUP_FAILURE for worker in workers.processes):
        raise DpstatsError("a worker process did not start, so nothing is served: its line on stderr says why")


def _config(settings: Settings, app: Callable[[], FastAPI]) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        factory=True,
        workers=settings.workers,
        # Named, for uvicorn takes httptools where it finds it: that reads a request's head of any length into memory.
        http="h11",
        log_config=log_config(settings.log_format),
        access_log=False,
        ws="none",
        lifespan="on",
        proxy_headers=False,
        server_header=False,
        timeout_worker_healthcheck=ALIVE_S,
        timeout_graceful_shutdown=int(2 * settings.deadline_s) + GRACE_S,
    )


def _worker_app(settings: Settings, counted_in: Path) -> FastAPI:
    """What a worker process serves; one that cannot start ends with the status that stops them all."""
    try:
        return app_of_home(settings, counted_in)
    except Exception as error:
        said = str(error) if isinstance(error, DpstatsError) else type(error).__name__
        logging.getLogger("dpstats.api").error("not started: %s", said)
        sys.exit(STARTUP_FAILURE)


def listening(settings: Settings) -> socket.socket:
    """A socket that takes connections from now on; they wait until a process is there to answer."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        why = error.strerror or error
        what = f"cannot listen on {settings.host}, port {settings.port}: {why}; choose another with `--port`"
        raise FileError("settings", what, key="DPSTATS_HOST, DPSTATS_PORT") from None
    listener.set_inheritable(True)
    return listener


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Signals that stop the service raise KeyboardInterrupt meanwhile; all handlers are as before in the end."""
    kept = {number: signal.getsignal(number) for number in signal.valid_signals() - _UNTOUCHABLE}
    for number in _STOPS:
        signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number, handler in kept.items():
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)


def _interrupt(_number: int, _frame: object) -> None:
    # uvicorn has handlers of its own while it serves, and raises the signal again when it has stopped.
    raise KeyboardInterrupt


@contextmanager
def _telling(host: str, port: int, on_ready: Callable[[str], None]) -> Iterator[None]:
    """Calls `on_ready` when the service is ready, unless it ends before."""
    ended = threading.Event()

    def tell() -> None:
        while not ended.wait(POLL_S):
            if _is_ready(_EVERYWHERE.get(host, host), port):
                on_ready(f"http://{f'[{host}]' if ':' in host else host}:{port}")
                return

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _is_ready(host: str, port: int) -> bool:
    with suppress(OSError, http.client.HTTPException):
        connection = http.client.HTTPConnection(host, port, timeout=5)
        try:
            connection.request("GET", "/health/ready", headers={"Connection": "close"})
            return connection.getresponse().status == http.HTTPStatus.OK
        finally:
            connection.close()
    return False
