"""Traces tell that a request came and what became of it; nothing of what it asked or got, or whose rows it met."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from api_town import BANDS, MARKER, ME, InMemory, Town, build, exact_spend
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import dpstats
from dpstats.api import create_app
from dpstats.api.metrics import DURATION_BOUNDS_S
from dpstats.api.traces import Traces, check_traces, traces_of
from dpstats.errors import FileError
from dpstats.settings import read_settings
from dpstats.workspace import Workspace

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
RUN = "/v1/queries/{query}/releases"
Told = tuple[str, dict[str, Any], str, bool]


class Traced:
    """A town whose service is traced into memory."""

    def __init__(self, town: Town, spans: InMemorySpanExporter) -> None:
        self.town, self._spans = town, spans

    def after(self, act: Callable[[], object]) -> tuple[ReadableSpan, ...]:
        """The spans that this makes, in the order in which they end."""
        self._spans.clear()
        act()
        return self._spans.get_finished_spans()


@contextmanager
def traced(home: Path, files: Path) -> Iterator[Traced]:
    spans = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    workspace = Workspace.open(read_settings(home=home))
    app = create_app(workspace, traces=Traces(provider))
    with start_blocking_portal() as portal:
        yield Traced(Town(workspace, app, InMemory(app, portal), files), spans)
    workspace.close()
    provider.shutdown()


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, town_home: Path, town_files: Path) -> Iterator[Traced]:
    home = Path(shutil.copytree(town_home, tmp_path_factory.mktemp("traced") / "home"))
    with traced(home, town_files) as found:
        yield found


def told(span: ReadableSpan) -> Told:
    """All of a span but its ids and times."""
    assert not span.events
    assert not span.links
    assert span.status.description is None
    return span.name, dict(span.attributes or {}), span.status.status_code.name, span.parent is not None


def request_span(method: str, route: str, status: int, problem: str = "") -> Told:
    attributes = {"http.request.method": method, "http.route": route, "http.response.status_code": status}
    return f"{method} {route}", attributes | ({"dpstats.problem": problem} if problem else {}), "UNSET", False


CHARGE: Told = ("charge", {}, "UNSET", True)


def test_a_new_release_is_a_request_with_its_charge_and_a_replay_has_none(here: Traced) -> None:
    new = here.after(here.town.run)
    assert [told(span) for span in new] == [CHARGE, request_span("POST", RUN, 201)]
    charge, request = new
    assert charge.parent is not None
    assert request.context is not None
    assert charge.parent.span_id == request.context.span_id
    assert [told(span) for span in here.after(here.town.run)] == [request_span("POST", RUN, 200)]


def test_refusals_tell_their_problem_and_not_what_was_asked(here: Traced) -> None:
    path = "/v1/queries/zq-secret-name/releases?zq=zq-secret"
    spans = here.after(lambda: here.town.ask("POST", path, role="analyst", json={"parameters": {"a": "zq-secret"}}))
    assert [told(span) for span in spans] == [request_span("POST", RUN, 404, "not-found")]
    spans = here.after(lambda: here.town.ask("ZQSECRET", "/zq-secret", role="analyst"))
    assert [told(span) for span in spans] == [request_span("other", "other", 404, "not-found")]
    spans = here.after(lambda: here.town.ask("GET", "/v1/datasets", token="zq-secret"))
    assert [told(span) for span in spans] == [request_span("GET", "other", 401, "unauthorized")]


def test_a_charge_that_is_refused_leaves_no_word_of_why(here: Traced) -> None:
    def until_exhausted() -> None:
        while here.town.run("costly", json={"reuse": "never"}).status_code == 201:
            pass

    charge, request = here.after(until_exhausted)[-2:]
    assert told(charge) == CHARGE
    assert told(request) == request_span("POST", RUN, 409, "budget-exhausted")


def test_the_callers_trace_goes_on_and_its_other_words_do_not(here: Traced) -> None:
    sent = {"traceparent": f"00-{TRACE}-{CALLER}-01", "tracestate": "zq=secret", "baggage": "zq=secret"}
    (span,) = here.after(lambda: here.town.ask("GET", "/v1/datasets", role="analyst", headers=sent))
    assert span.context is not None
    assert span.parent is not None
    assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, CALLER)
    assert "secret" not in span.to_json()
    broken = {"traceparent": "00-zq-secret"}
    (span,) = here.after(lambda: here.town.ask("GET", "/v1/datasets", role="analyst", headers=broken))
    assert span.parent is None


@pytest.mark.parametrize(
    "path",
    ["/v1/consent/events", "/v1/rights/requests", "/consent", "/rights/new", "/opt-out", "/health/live", "/metrics"],
)
def test_what_people_ask_for_themselves_is_not_traced(here: Traced, path: str) -> None:
    assert here.after(lambda: here.town.ask("GET", path, role="steward")) == ()


def test_the_spans_of_neighbouring_datasets_differ_in_ids_and_times_alone(
    here: Traced, tmp_path: Path, town_files: Path
) -> None:
    files = Path(shutil.copytree(town_files, tmp_path / "files"))
    with (files / "sales.csv").open("a", newline="") as sales, (files / "homes.csv").open("a", newline="") as homes:
        sales.write(f"9999,1000,{MARKER},2017-01-15\r\n" * 50)
        homes.write("9999,Nowhere\r\n")
    build(tmp_path / "home", files)

    def asked(of: Traced) -> list[ReadableSpan]:
        town = of.town
        runs = [lambda q=q: town.run(q, json={"reuse": "never"}) for q in ("spend_by_band", "by_shop", "boats")]
        return [span for run in runs for span in of.after(run)]

    with traced(tmp_path / "home", files) as there:
        both = asked(here), asked(there)
    assert [told(span) for span in both[0]] == [told(span) for span in both[1]]
    for span in (*both[0], *both[1]):
        assert all(secret not in span.to_json() for secret in (MARKER, "9999", "spend_by_band", *BANDS, *exact_spend()))
        assert span.name == "charge" or _seconds(span) in DURATION_BOUNDS_S


def _seconds(span: ReadableSpan) -> float:
    assert span.end_time is not None
    assert span.start_time is not None
    return (span.end_time - span.start_time) / 1e9


def test_nothing_of_opentelemetry_is_loaded_while_it_is_off() -> None:
    assert traces_of(read_settings()) is None
    code = (
        "import sys\nfrom dpstats.api.traces import check_traces, traces_of\n"
        "from dpstats.settings import read_settings\nsettings = read_settings()\n"
        "check_traces(settings), traces_of(settings)\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry.sdk')])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_without_the_extra_the_start_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(FileError, match=r"DPSTATS_TRACES.*pip install 'dpstats\[otel\]'"):
        check_traces(read_settings(traces="otlp"))


class Collector:
    """Takes what is exported by OTLP over HTTP."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, bytes]] = []
        taken = self.taken

        class Taking(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                taken.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Taking)

    def spans(self) -> list[tuple[str, str]]:
        """Service and name of each span."""
        found = []
        for path, body in self.taken:
            assert path == "/v1/traces"
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                service = {item.key: item.value.string_value for item in resource.resource.attributes}
                assert set(service) == {"service.name", "service.version"}
                found += [
                    (service["service.name"], span.name) for scope in resource.scope_spans for span in scope.spans
                ]
        return found


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    thread = threading.Thread(target=collector.server.serve_forever)
    thread.start()
    yield collector
    collector.server.shutdown()
    thread.join()
    collector.server.server_close()


def test_every_worker_sends_what_it_has_before_it_ends(home: Path, collector: Collector) -> None:
    workspace = Workspace.open(read_settings(home=home))
    token = workspace.tokens.create(ME, "ana", "analyst")
    workspace.close()
    endpoint = f"http://127.0.0.1:{collector.server.server_port}"
    # Nothing leaves by the clock: what arrives was sent at the end.
    variables = {"DPSTATS_TRACES": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_BSP_SCHEDULE_DELAY": "600000"}
    with (home / "stderr.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", str(Path(__file__).parent / "serving.py"), str(home), "2"],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=os.environ | variables | {"PYTHONPATH": str(Path(dpstats.__file__).parents[1])},
        )
    with process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        headers = {"Authorization": f"Bearer {token}"}
        statuses = [httpx.post(f"{address}{RUN.format(query='boats')}", headers=headers).status_code for _ in range(6)]
        process.terminate()
        assert process.wait(timeout=60) == 0, (home / "stderr.log").read_text()
    assert statuses == [201, *[200] * 5]
    assert sorted(collector.spans()) == [("dpstats", f"POST {RUN}")] * 6 + [("dpstats", "charge")]
