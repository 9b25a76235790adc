"""OpenTelemetry traces, by switch: a span for each request, and within it one for each charge.

A span holds what `/metrics` tells (route as it is written, method, status, slug of the problem) and nothing else: no
name that was asked for, parameter, unit, value, token or text of an error. Its parent is the caller's `traceparent`;
`tracestate` and `baggage`, which are texts of the caller's, are not looked at. A request's duration is rounded up to
the bounds of the metrics, so a trace tells no more of it than they do. The charge, which is made before a row is read,
has its real times; what comes after it has no span. What people ask for themselves (consent, rights) is not traced.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import dpstats
from dpstats.api.metrics import METHODS, OTHER, rounded_up_s
from dpstats.api.outcome import PEOPLES_OWN, Outcome, asks_below, outcome_of
from dpstats.errors import FileError
from dpstats.settings import Settings
from dpstats.spans import TRACER

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

UNTRACED = (*PEOPLES_OWN, "/health/", "/metrics/")
"""What people ask for themselves, and what machines ask all day."""

_NS = 1_000_000_000


class Traces:
    """The spans of one process. `provider` samples and exports them; it must be made in this very process."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("dpstats", dpstats.__version__)

    def begin(self, parent: Context, began_ns: int) -> Span:
        """The span of a request, which has no name until it ends."""
        from opentelemetry.trace import SpanKind

        return self._tracer.start_span("request", parent, SpanKind.SERVER, start_time=began_ns)

    def within(self, name: str) -> AbstractContextManager[Span]:
        """A step of the current request; an error that passes through leaves no word in it."""
        return self._tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False)

    def close(self) -> None:
        """Sends what is not sent yet."""
        self._provider.shutdown()


class Traced:
    """Makes a span of each request, around `Watch`: refusals of any kind have theirs."""

    def __init__(self, app: ASGIApp, traces: Traces) -> None:
        self._app, self._traces = app, traces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or asks_below(scope, UNTRACED):
            await self._app(scope, receive, send)
            return
        from opentelemetry.trace import use_span

        status = 0

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        began_ns, began = time.time_ns(), time.perf_counter()
        span = self._traces.begin(_caller_of(scope), began_ns)
        before = TRACER.set(self._traces.within)
        try:
            with use_span(span, record_exception=False, set_status_on_exception=False):
                await self._app(scope, receive, sent)
        finally:
            TRACER.reset(before)
            seconds = rounded_up_s(time.perf_counter() - began)
            _describe(span, outcome_of(scope, request_id="", status=status, seconds=seconds))
            span.end(began_ns + int(seconds * _NS))


def traces_of(settings: Settings) -> Traces | None:
    """What `DPSTATS_TRACES` asks for, in this process; where to and how is said by OpenTelemetry's own `OTEL_*`.

    Raises:
      FileError: they are asked for, and OpenTelemetry is not installed.
    """
    if settings.traces == "off":
        return None
    check_traces(settings)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    # Not the SDK's default, which may look at the process and its command line.
    named = Resource({"service.name": "dpstats", "service.version": dpstats.__version__})
    provider = TracerProvider(resource=named.merge(OTELResourceDetector().detect()), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Traces(provider)


def check_traces(settings: Settings) -> None:
    """Before anything listens.

    Raises:
      FileError: traces are asked for, and OpenTelemetry is not installed.
    """
    if settings.traces == "off":
        return
    try:
        import opentelemetry.exporter.otlp.proto.http.trace_exporter
        import opentelemetry.sdk.trace  # noqa: F401
    except ModuleNotFoundError:
        what = "traces need OpenTelemetry: pip install 'dpstats[otel]'"
        raise FileError("settings", what, key="DPSTATS_TRACES") from None


def _caller_of(scope: Scope) -> Context:
    """The caller's span, by the one `traceparent` header; none if there is none, or more, or it is malformed."""
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    given = [value.decode("latin-1") for name, value in scope["headers"] if name == b"traceparent"]
    carrier = {"traceparent": given[0]} if len(given) == 1 else {}
    return TraceContextTextMapPropagator().extract(carrier, Context())


def _describe(span: Span, outcome: Outcome) -> None:
    from opentelemetry.trace import StatusCode

    method = outcome.method if outcome.method in METHODS else OTHER
    span.update_name(f"{method} {outcome.route or OTHER}")
    span.set_attribute("http.request.method", method)
    span.set_attribute("http.route", outcome.route or OTHER)
    if outcome.status:
        span.set_attribute("http.response.status_code", outcome.status)
    if outcome.problem:
        span.set_attribute("dpstats.problem", outcome.problem)
    if outcome.status >= 500:
        span.set_status(StatusCode.ERROR)
