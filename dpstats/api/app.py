"""The HTTP service over one open workspace."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

import dpstats
from dpstats.api import (
    asked,
    consent,
    datasets,
    features,
    proposals,
    public,
    published,
    queries,
    releases,
    rights,
    terms,
)
from dpstats.api.ahead import drawing_ahead
from dpstats.api.described import describe
from dpstats.api.epochs import closing_epochs
from dpstats.api.marked import Marked
from dpstats.api.metrics import Metrics
from dpstats.api.middleware import TokenFirst, Watch, WholeBody
from dpstats.api.notices import sending_notices
from dpstats.api.oidc import Issuer, issuer_of
from dpstats.api.preparing import preparing
from dpstats.api.problems import explain
from dpstats.api.rates import RateLimit
from dpstats.api.renewals import renewing
from dpstats.api.replays import Replays
from dpstats.api.traces import Traced, Traces, traces_of
from dpstats.catalog.fields import duration
from dpstats.settings import Settings
from dpstats.web import pages
from dpstats.web.signing_in import Tries
from dpstats.web.visiting import SessionFirst
from dpstats.web.warming import warming_charts
from dpstats.workspace import Workspace

DESCRIPTION = (
    "Differentially private answers to approved questions, and the privacy budget that they spend. "
    "Every number comes with its 95 % interval; the same question asked again gives the same answer, free."
)
# FastAPI can record requests, their bodies and exceptions with OpenTelemetry: nothing of these may leave the process.
NO_TELEMETRY: Any = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}


def create_app(
    workspace: Workspace,
    *,
    close: bool = False,
    counted_in: Path | None = None,
    issuer: Issuer | None = None,
    rate_per_minute: int | None = None,
    keeps_time: bool = False,
    refresh_every: timedelta | None = None,
    prepare_every: timedelta | None = None,
    traces: Traces | None = None,
    draws_ahead: bool = False,
) -> FastAPI:
    """The service over an open workspace.

    Args:
      close: close the workspace when the service stops; else the caller does.
      counted_in: the folder where the workers of one service count together; None where one process serves alone.
      issuer: whose JWTs are taken beside the workspace's own tokens; None: nobody's.
      rate_per_minute: requests that a caller may make in this process, None for any number.
      keeps_time: close consent epochs by the workspace's timetable, and send notices, while it serves.
      refresh_every: how often to renew the feature views that are due while it serves; None: never.
      prepare_every: how often to look for approved queries to prepare while it serves; None: never.
      traces: where the spans of requests go, until the service stops; None: there are none.
      draws_ahead: draw noise before it is asked for, while it serves; one service a process may.
    """
    metrics = Metrics(workspace, counted_in)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # Those who compute or wait hold threads: whoever does neither must find as many as ever.
        limits = workspace.turns.limits
        current_default_thread_limiter().total_tokens += limits.at_once + limits.waiting
        with ExitStack() as meanwhile:
            if keeps_time:
                meanwhile.enter_context(closing_epochs(workspace))
                meanwhile.enter_context(sending_notices(workspace))
                meanwhile.enter_context(warming_charts())
            if draws_ahead:
                meanwhile.enter_context(drawing_ahead(workspace))
            if refresh_every is not None:
                meanwhile.enter_context(renewing(workspace, refresh_every))
            if prepare_every is not None:
                meanwhile.enter_context(preparing(workspace, prepare_every))
            yield
        if close:
            workspace.close()
        if traces is not None:
            traces.close()

    app = FastAPI(
        title="dpstats sandbox" if workspace.sandbox else "dpstats",
        version=dpstats.__version__,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry=NO_TELEMETRY,
        lifespan=lifespan,
        routes=[
            *datasets.router.routes,
            *queries.router.routes,
            *releases.router.routes,
            *consent.router.routes,
            *rights.router.routes,
            *proposals.router.routes,
            *features.router.routes,
            *asked.router.routes,
            *terms.router.routes,
            *public.router.routes,
            *published.router.routes,
            *pages.routes(),
        ],
        middleware=[
            *([Middleware(Marked)] if workspace.sandbox else ()),
            *([] if traces is None else [Middleware(Traced, traces=traces)]),
            Middleware(Watch, metrics=metrics, asked=workspace.store.asked),
            Middleware(TokenFirst, workspace=workspace, issuer=issuer),
            Middleware(SessionFirst, workspace=workspace),
            Middleware(RateLimit, per_minute=rate_per_minute),
            Middleware(WholeBody),
            Middleware(Replays, workspace=workspace),
        ],
        exception_handlers={HTTPException: explain, RequestValidationError: explain},
    )
    app.state.workspace, app.state.metrics = workspace, metrics
    # Apart, so that refusing from an address that many share keeps nobody there from signing in.
    app.state.sign_in_tries, app.state.opt_out_tries = Tries(), Tries()
    describe(app)
    return app


def _span(said: str) -> timedelta | None:
    return None if said == "never" else duration(said)


def app_of_home(settings: Settings, counted_in: Path | None = None) -> FastAPI:
    """The service of one process, on a workspace that it opens now and closes when it stops.

    Raises:
      DpstatsError: the workspace cannot be opened, the self-test fails, or DuckDB is not shut in as it must be.
    """
    workspace = Workspace.open(settings, served=True)
    try:
        workspace.self_test()
        workspace.open_data()
    except BaseException:
        workspace.close()
        raise
    return create_app(
        workspace,
        close=True,
        counted_in=counted_in,
        issuer=issuer_of(settings),
        rate_per_minute=settings.rate_per_minute,
        keeps_time=True,
        traces=traces_of(settings),
        draws_ahead=True,
        refresh_every=_span(settings.refresh_every),
        prepare_every=_span(settings.prepare_every),
    )
