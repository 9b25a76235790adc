"""`dpstats bench serve`: replays beside a trivial endpoint, new releases beside the engine, memory over many requests.

Everything is made for it and gone afterwards: a workspace with synthetic rows, `dpstats serve` and the trivial endpoint
in processes of their own, asked by this one, turn about. The machine is shared by all three, in the same way.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pyarrow as pa
import pyarrow.parquet as pq

from dpstats.access import operator
from dpstats.bench import ready
from dpstats.bench.load import Target, ask, rate
from dpstats.catalog.parameters import bind_parameters
from dpstats.release import Ask
from dpstats.settings import read_settings
from dpstats.workspace import Workspace

DATASET = """
dataset: bench
privacy_unit: unit
budget: {epsilon: 900.0, delta: 0}
tables:
  events:
    columns:
      unit: {type: bigint}
      amount: {type: bigint, bounds: [0, 100]}
"""
QUERY = """
query: spend
dataset: bench
sql: SELECT COUNT(DISTINCT unit) AS units, SUM(amount) AS spend FROM events
bounds: {spend: [0, 1000]}
cost: {epsilon: 0.5}
"""
PATH = "/v1/queries/spend/releases"
ROWS_A_UNIT = 600
MEASURED_AT = (0.1, 0.5, 1.0)
"""Shares of all requests after which memory is measured."""
CONNECTIONS, NEW, ROUNDS = 16, 20, 5
"""Connections at once, new releases, and turns that the two rates are measured in."""
ME = operator("bench")


@dataclass(frozen=True)
class Size:
    """How much is measured: rows, seconds for each rate, processes that serve, and requests while memory is watched."""

    rows: int
    seconds: float
    workers: int
    requests: int


@dataclass(frozen=True)
class Measured:
    """Answers a second; milliseconds at the median; MiB of the serving processes by how many requests they answered.

    Those are of all kinds: replays, previews, lists, budgets, refusals, and one new release in two hundred. `many_ms`:
    of a new release of 2,000 cells whose noise had time to be drawn; `many_at_once_ms`: straight after another.
    """

    trivial_per_s: float
    replays_per_s: float
    new_ms: float
    engine_ms: float
    many_ms: float
    many_at_once_ms: float
    memory_mib: dict[int, float]

    @property
    def share(self) -> float:
        """Replays as a share of the trivial endpoint's rate."""
        return self.replays_per_s / self.trivial_per_s


def measure(size: Size) -> Measured:
    """Measures all of it, once."""
    with tempfile.TemporaryDirectory(prefix="dpstats-bench-") as folder:
        home = Path(folder) / "home"
        with _prepared(home, Path(folder), size.rows) as (workspace, token), ExitStack() as running:
            trivial = running.enter_context(_trivial(size.workers))
            process, address = running.enter_context(served(home, size.workers))
            new_ms, engine_ms = _new(workspace, address, token)
            trivial_per_s, replays_per_s = _rates((trivial, _replay(address, token)), size.seconds)
            memory = _memory(process.pid, _mixed(address, token), size.requests)
        many = _many(Path(folder) / "many")
        return Measured(trivial_per_s, replays_per_s, new_ms, engine_ms, *many, memory)


def _many(home: Path) -> tuple[float, float]:
    token = ready.prepared(home)
    with served(home, workers=1) as (_, address):
        return ready.new_ms(address, token)


def replays_per_s(rows: int, seconds: float, workers: int) -> float:
    """Replays a second alone, of so many processes that serve."""
    with tempfile.TemporaryDirectory(prefix="dpstats-bench-") as folder:
        home = Path(folder) / "home"
        with _prepared(home, Path(folder), rows) as (_, token), served(home, workers) as (_, address):
            return rate(_replay(address, token), connections=CONNECTIONS, seconds=seconds)


def _memory(parent: int, targets: Sequence[Target], requests: int) -> dict[int, float]:
    """Resident memory at some points of a long load of all kinds of requests."""
    found, done = {}, 0
    for share in MEASURED_AT:
        ask(targets, round(share * requests) - done, connections=CONNECTIONS)
        done = round(share * requests)
        found[done] = _memory_mib(parent)
    return found


def _rates(targets: Sequence[Target], seconds: float) -> list[float]:
    """Answers a second of each at the median, asked turn about: what else the machine does meets them all alike."""
    found = [
        [rate(target, connections=CONNECTIONS, seconds=seconds / ROUNDS) for target in targets] for _ in range(ROUNDS)
    ]
    return [statistics.median(own) for own in zip(*found, strict=True)]


def table(size: Size, found: Measured) -> list[tuple[str, str]]:
    """What was measured, a line each."""
    return [
        ("rows", f"{size.rows:,}"),
        ("workers", str(size.workers)),
        ("trivial FastAPI endpoint, a second", f"{found.trivial_per_s:,.0f}"),
        ("replays, a second", f"{found.replays_per_s:,.0f}"),
        ("replays as a share of trivial", f"{found.share:.2f}"),
        ("new release at p50, ms", f"{found.new_ms:.1f}"),
        ("of it in the engine, ms", f"{found.engine_ms:.1f}"),
        ("overhead of a new release, ms", f"{found.new_ms - found.engine_ms:.1f}"),
        (f"new release of {ready.CELLS:,} cells at p50, noise drawn ahead, ms", f"{found.many_ms:.1f}"),
        ("the same, one straight after another, ms", f"{found.many_at_once_ms:.1f}"),
        *((f"memory after {done:,} requests, MiB", f"{mib:.0f}") for done, mib in found.memory_mib.items()),
    ]


@contextmanager
def _prepared(home: Path, folder: Path, rows: int) -> Iterator[tuple[Workspace, str]]:
    """An open workspace with one approved query and one release of it, and a token for it."""
    events = {"unit": [row // ROWS_A_UNIT for row in range(rows)], "amount": [row % 101 for row in range(rows)]}
    pq.write_table(pa.table(events), folder / "events.parquet")
    for name, text in (("dataset", DATASET), ("spend", QUERY)):
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    workspace = Workspace.open(read_settings(home=home, ledger_url=""))
    try:
        workspace.datasets.add(ME, folder / "dataset.yaml", {"events": folder / "events.parquet"})
        workspace.review.approve(ME, "spend", workspace.review.submit(ME, folder / "spend.yaml")[1])
        workspace.releases.make(Ask(ME, "spend", {}))
        yield workspace, workspace.tokens.create(ME, "bench", "analyst")
    finally:
        workspace.close()


def _engine_ms(workspace: Workspace) -> float:
    """Milliseconds of the query alone: the exact answer is not opened, and gone."""
    road = workspace._road
    known, analysis = workspace._library.runnable(ME, "spend")
    plan = road.plan(known, analysis, bind_parameters(known.query, {}))
    with road.data(known.dataset) as (_, engine):
        began = time.perf_counter()
        engine.run(plan)
        return (time.perf_counter() - began) * 1000


def _new(workspace: Workspace, address: str, token: str) -> tuple[float, float]:
    """Milliseconds at the median, asked turn about: of a new release over one connection, and of its query alone."""
    with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {token}"}, timeout=60) as client:
        found = [(_timed(client), _engine_ms(workspace)) for _ in range(NEW)]
    new, alone = zip(*found, strict=True)
    return statistics.median(new), statistics.median(alone)


def _timed(client: httpx.Client) -> float:
    began = time.perf_counter()
    client.post(PATH, json={"reuse": "never"}).raise_for_status()
    return (time.perf_counter() - began) * 1000


def _replay(address: str, token: str) -> Target:
    return _request(address, token, "POST", PATH)


def _request(address: str, token: str, method: str, path: str, body: str = "", status: int = 200) -> Target:
    where = urlsplit(address)
    head = f"{method} {path} HTTP/1.1\r\nHost: {where.netloc}\r\nAuthorization: Bearer {token}\r\n"
    sent = f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    return Target(str(where.hostname), int(where.port or 0), sent.encode(), status)


def _mixed(address: str, token: str) -> list[Target]:
    """Two hundred requests of all kinds; one of them is a new release, after which nothing is remembered any more."""
    to = partial(_request, address, token)
    kinds = [
        *[_replay(address, token)] * 12,
        to("POST", "/v1/queries/spend/preview", "{}"),
        to("GET", "/v1/releases?limit=10"),
        to("GET", "/v1/datasets/bench/budget"),
        to("GET", "/v1/queries"),
        to("POST", PATH, '{"parameters": {"none": 1}}', 422),
        to("POST", "/v1/queries/nothing/releases", "{}", 404),
        to("GET", "/v1/datasets/bench/ledger", status=403),
        _request(address, "dps_none", "GET", "/v1/queries", status=401),
    ]
    return [to("POST", PATH, '{"reuse": "never"}', 201), *(kinds * 10)[1:]]


@contextmanager
def _trivial(workers: int) -> Iterator[Target]:
    with _running([sys.executable, "-m", "dpstats.bench.trivial", str(workers)]) as (_, line):
        yield Target("127.0.0.1", int(line), b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n")


@contextmanager
def served(home: Path, workers: int) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with _running([sys.executable, "-m", "dpstats.bench.service", str(home), str(workers)]) as both:
        yield both


@contextmanager
def _running(command: list[str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that says one line when it is ready; its logs go nowhere."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)  # noqa: S603
    try:
        line = process.stdout.readline().strip() if process.stdout is not None else ""
        if not line:
            raise RuntimeError("a process that was to be measured did not start")
        yield process, line
    finally:
        process.terminate()
        process.communicate()


def _memory_mib(parent: int) -> float:
    """Resident memory of a process and its children, as Linux tells it."""
    found = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        fields = _fields(status)
        if str(parent) in (fields.get("Pid"), fields.get("PPid")):
            found += int(fields.get("VmRSS", "0 kB").split()[0])
    return found / 1024


def _fields(status: Path) -> dict[str, str]:
    try:
        lines = status.read_text().splitlines()
    except OSError:
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
