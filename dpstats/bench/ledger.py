"""`dpstats bench ledger`: durable charges by many callers beside bare commits, and a long ledger beside a short one.

Charges and bare commits are made one after the other in the same run, on one disk and on SQLite with the same
`synchronous`: what is compared is checking, chaining and signing a charge and saving its head, shared by a group, with
a commit that does nothing else. A long ledger is made of one charge written again and again, chained and signed by the
very code that does it for each charge, many entries a transaction; only what is decided before a charge is left out.
"""

from __future__ import annotations

import secrets
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, fields
from pathlib import Path

from dpstats.ledger.chain import Content
from dpstats.ledger.database import writing
from dpstats.ledger.growing import Growing
from dpstats.ledger.heads import HeadFiles
from dpstats.ledger.records import ChargeRequest, Question
from dpstats.ledger.signing import Signer
from dpstats.ledger.store import Store, open_store
from dpstats.ledger.writer import ChainWriter
from dpstats.privacy.loss import Loss, Measure

LINEAGE = DATASET = QUERY = "bench"
EVENT = {"mechanism": "discrete_laplace", "scale": "1e12", "per_cell": 1, "cells": 1, "norm": None}
BYTES_A_ROW = 1000
"""Of a bare commit: about an entry's size."""
SHORT = 1000
"""Entries of the ledger that a long one is compared with."""
AT_ONCE, OPENED, ASKED = 5000, 7, 50
"""Entries a transaction while a ledger is made; how often each is then opened, and charged and asked."""


@dataclass(frozen=True)
class Size:
    """How much is measured: callers at once, seconds for each rate, and entries of the long ledger."""

    callers: int
    seconds: float
    entries: int


@dataclass(frozen=True)
class Costs:
    """What a ledger costs at the median, in ms: to open it, to charge it alone, and to ask for its budget."""

    open_ms: float
    charge_ms: float
    budget_ms: float


@dataclass(frozen=True)
class Measured:
    """Bare commits and charges a second, the charges' times in ms at the median and the 99th percentile, and costs."""

    bare_per_s: float
    charges_per_s: float
    p50_ms: float
    p99_ms: float
    short: Costs
    long: Costs


def measure(size: Size) -> Measured:
    """Measures all of it, once, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="dpstats-bench-") as folder:
        bare = _bare(Path(folder) / "bare.db", size.seconds)
        rate, times = _charges(Path(folder) / "home", size)
        cuts = statistics.quantiles(times, n=100)
        short, long = (_costs(Path(folder) / str(entries), entries) for entries in (SHORT, size.entries))
        return Measured(bare, rate, cuts[49] * 1000, cuts[98] * 1000, short, long)


def table(size: Size, found: Measured) -> list[tuple[str, str]]:
    """What was measured, a line each."""
    short, long = found.short, found.long
    return [
        ("callers", str(size.callers)),
        ("bare commits one by one, a second", f"{found.bare_per_s:,.0f}"),
        ("durable charges, a second", f"{found.charges_per_s:,.0f}"),
        ("charges as a multiple of bare", f"{found.charges_per_s / found.bare_per_s:.2f}"),
        ("a charge at p50, ms", f"{found.p50_ms:.1f}"),
        ("a charge at p99, ms", f"{found.p99_ms:.1f}"),
        ("p99 as a multiple of p50", f"{found.p99_ms / found.p50_ms:.1f}"),
        ("entries of the short and the long ledger", f"{SHORT:,} and {size.entries:,}"),
        ("opening, ms", f"{short.open_ms:.1f} and {long.open_ms:.1f}"),
        ("opening, long as a multiple of short", f"{long.open_ms / short.open_ms:.2f}"),
        ("a charge alone, ms", f"{short.charge_ms:.1f} and {long.charge_ms:.1f}"),
        ("a charge, long as a multiple of short", f"{long.charge_ms / short.charge_ms:.2f}"),
        ("its budget, ms", f"{short.budget_ms:.2f} and {long.budget_ms:.2f}"),
        ("its budget, long as a multiple of short", f"{long.budget_ms / short.budget_ms:.2f}"),
    ]


def _bare(path: Path, seconds: float) -> float:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "CREATE TABLE bare (text TEXT)"):
            connection.execute(statement)
        began, done = time.perf_counter(), 0
        while time.perf_counter() < began + seconds:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO bare VALUES (?)", ("x" * BYTES_A_ROW,))
            connection.execute("COMMIT")
            done += 1
        return done / (time.perf_counter() - began)


def _charges(home: Path, size: Size) -> tuple[float, list[float]]:
    """Charges a second by all callers, and the seconds that each took."""
    with closing(open_store(home)) as store:
        _prepare(store)
        began = time.perf_counter()
        with ThreadPoolExecutor(size.callers) as pool:
            each = list(pool.map(lambda _: _ask(store, began + size.seconds), range(size.callers)))
        took = time.perf_counter() - began
    times = [one for found in each for one in found]
    return len(times) / took, times


def _costs(home: Path, entries: int) -> Costs:
    with closing(open_store(home)) as store:
        _prepare(store)
        store.ledger.charge(_request())
        for done in range(2, entries, AT_ONCE):
            lengthen(store, home, min(AT_ONCE, entries - done))
    opening = _median_ms(lambda: open_store(home).close(), OPENED)
    with closing(open_store(home)) as store:
        charging = _median_ms(lambda: store.ledger.charge(_request()), ASKED)
        return Costs(opening, charging, _median_ms(lambda: store.ledger.budget(LINEAGE), ASKED))


def lengthen(store: Store, home: Path, entries: int) -> None:
    """Writes the newest charge of the workspace's ledger so many times more, in one transaction."""
    writer = ChainWriter(Signer(home / "ledger.key"), HeadFiles(home / "heads"))
    with writing(store.engine) as connection:
        chains = Growing(connection, writer)
        newest = chains.end(LINEAGE).newest
        said = {field.name: getattr(newest, field.name) for field in fields(Content)}
        for _ in range(entries):
            newest = chains.append(Content(**said | {"release_id": secrets.token_hex(16)}))
        chains.close()
    writer.publish(newest)


def _median_ms(step: Callable[[], object], times: int) -> float:
    took = []
    for _ in range(times):
        began = time.perf_counter()
        step()
        took.append(time.perf_counter() - began)
    return statistics.median(took) * 1000


def _prepare(store: Store) -> None:
    store.ledger.open_lineage(
        LINEAGE,
        measure=Measure.PURE,
        conversion_delta=0,
        privacy_unit="unit",
        cap=Loss(Measure.PURE, 10**15),
        epsilon=10**15,
        actor=QUERY,
    )
    store.registry.register_dataset(DATASET, "", LINEAGE)
    revision = store.registry.submit_query(QUERY, DATASET, "", QUERY).revision
    store.registry.approve(QUERY, QUERY, revision, QUERY)


def _ask(store: Store, until: float) -> list[float]:
    """Charges until then, once at least; seconds that each took."""
    took: list[float] = []
    while not took or time.perf_counter() < until:
        began = time.perf_counter()
        store.ledger.charge(_request())
        took.append(time.perf_counter() - began)
    return took


def _request() -> ChargeRequest:
    return ChargeRequest(
        lineage=LINEAGE,
        dataset=DATASET,
        question=Question(QUERY, QUERY, "{}"),
        data_version=QUERY,
        plan_hash=QUERY,
        loss=Loss(Measure.PURE, 1),
        events=(EVENT,),
        actor=QUERY,
        token_id=None,
        token_cap=None,
        fresh=True,
        idempotency_key=None,
    )
