"""`dpstats bench model`: what a deployment past one machine takes, by rates measured here and checked against a run.

By default: 10 billion rows of 500 million units in its largest dataset, 1,000 datasets, and 10,000 replays a second.
The command takes other sizes.

What runs where
  Rows      A data version is a file on one host (DuckDB), or rows in a Spark cluster (`engine: {spark: ..}`). Either
            bounds contributions in time linear in rows; Spark spreads the units over its machines.
  At rest   What bounding decides is kept beside the file (`dataset prepare`): an approved query then reads a cube of
            its groups. So rows decide how long a load and a preparation take, and not how long an answer does.
  Noise     In the service, linear in the cells of an answer: it never sees a row.
  Ledger    One PostgreSQL for all replicas. Charges take turns, as long with many entries as with few.
  Replays   Any replica. Each asks the ledger whether its release is still to be had, and reads no data.
  Consent   An epoch, an erasure and a correction write a data version anew, on the steward's timetable.

What it costs is the table that the command prints: each line is what one of something took at a small size in this very
run, times how many there are. `checked` is what that rate says of a size several times as large, over what was then
measured there: 1 is a model that holds. A line whose `checked` is far from 1 is not to be believed at the large end. A
fixed cost weighs most on the small size, so a rate errs to the side of too much (`checked` above 1).

What breaks first, in this order
  1. The epoch: it looks at one unit at a time, in Python and on one host, and then writes everybody's rows anew. Past
     what a night holds, a lineage's people must be split over several datasets by unit, or epochs be closed more
     rarely. To move the fold of decisions into the engine is the first thing to build.
  2. The load, likewise on one host: ranks are what takes its time. Spark reads what the load wrote.
  3. Memory of a first answer, which grows with the (unit, group) pairs until what it needs is kept at rest; past its
     limit it is `unavailable`, after its charge. Prepare queries before they are asked (`DPSTATS_PREPARE_EVERY`).
  4. Replays, when the database's reads have no more room behind the workers: releases are immutable and have an ETag,
     so a cache between the service and its callers takes what is asked most.
  5. Charges: thousands of datasets ask for few a second.

What no rate here tells: the network between replicas and their database (a charge waits for its round trips), Spark's
start, and what machines cost. The rates are of this machine: run the command on one of those that will serve.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from dpstats.bench import serve
from dpstats.bench.asking import ME, Asked, Made, asking
from dpstats.bench.query import plain_engine
from dpstats.bench.scale import charging
from dpstats.settings import read_settings
from dpstats.workspace import Workspace

ROWS_A_UNIT, GROUPS = 10, 100
"""Of a made table: rows a unit, and groups of its query."""
LARGER = 4
"""How many times as large the size is at which a rate is checked."""
CELLS, MEASURES, ENTRIES = 5000, 2, 500
"""Groups of the answer whose noise is measured, its measures, and entries of the ledger that is charged."""
ROWS_REPLAYED, SECONDS = 6000, 3.0
"""Rows of the table whose release is replayed, and how long."""
NIGHT_S = 8 * 3600.0
DAY_S = 24 * 3600.0
Said = Callable[[str, float], None]


@dataclass(frozen=True)
class Deployment:
    """What is to be carried. Rows and units are those of the largest dataset, groups those of an answer."""

    rows: int
    units: int
    groups: int
    datasets: int
    releases_a_day: int
    replays_per_s: int


@dataclass(frozen=True)
class Rate:
    """What one of something takes, in seconds or in bytes, and what it said of a larger size over what was measured."""

    of: str
    each: float
    checked: float


@dataclass(frozen=True)
class Rates:
    """All of them, of one machine."""

    load: Rate
    stored: Rate
    epoch: Rate
    plain: Rate
    bounded: Rate
    noise: Rate
    charge: Rate
    replay: Rate


def measure(rows: int, said: Said) -> Rates:
    """Measures every rate.

    Args:
      rows: of the small table; the large one has `LARGER` times as many.
    """
    sizes, cells = (rows, LARGER * rows), (CELLS, LARGER * CELLS)
    said("two tables", 0.0)
    tables = [_asked(Made(size, size // ROWS_A_UNIT, GROUPS)) for size in sizes]
    said("two long answers", 0.3)
    answers = [_asked(Made(rows, rows // ROWS_A_UNIT, groups)) for groups in cells]
    said("two epochs", 0.5)
    units = [size // ROWS_A_UNIT for size in sizes]
    epochs = [_epoch(size) for size in units]
    said("two ledgers", 0.7)
    charges = [_charge(entries) for entries in (ENTRIES, LARGER * ENTRIES)]
    said("replays", 0.8)
    replays = [_replays(workers) for workers in (1, 2)]
    said("measured", 1.0)
    return Rates(
        load=_linear("row", sizes, [asked.load_s for asked in tables]),
        stored=_linear("row", sizes, [float(asked.stored) for asked in tables]),
        epoch=_linear("unit", units, epochs),
        plain=_linear("row", sizes, [asked.plain_s for asked in tables]),
        bounded=_linear("row", sizes, [asked.engine_s for asked in tables]),
        noise=_linear("value", [MEASURES * size for size in cells], [asked.noise_s for asked in answers]),
        charge=Rate("charge, whatever the ledger's length", charges[0], charges[0] / charges[1]),
        replay=Rate("replay, by one worker; checked with two", 1 / replays[0], 2 * replays[0] / replays[1]),
    )


def table(rates: Rates, size: Deployment) -> list[tuple[str, ...]]:
    """What the deployment takes, a line each: what, the rate, how it was checked, and what it comes to."""
    values = MEASURES * size.groups
    charges = size.datasets * size.releases_a_day
    return [
        _line("load of a data version", rates.load, _hours(rates.load.each * size.rows)),
        _line("data version on disk", rates.stored, f"{rates.stored.each * size.rows / 2**30:,.0f} GiB"),
        _line("epoch that all units spoke before", rates.epoch, _hours(rates.epoch.each * size.units)),
        _line("plain query", rates.plain, _seconds(rates.plain.each * size.rows)),
        _line("first answer, nothing at rest", rates.bounded, _seconds(rates.bounded.each * size.rows)),
        _line("noise and answer", rates.noise, _seconds(rates.noise.each * values)),
        _line("charges of a day", rates.charge, f"{rates.charge.each * charges / DAY_S:.1%} of the time of one ledger"),
        _line("replays", rates.replay, f"{rates.replay.each * size.replays_per_s:,.0f} workers busy"),
    ]


def breaks(rates: Rates, size: Deployment) -> list[str]:
    """What does not fit: into a night, or into the time of one ledger; in the order in which it stops fitting."""
    loads = {
        "the epoch": (rates.epoch.each * size.units + rates.load.each * size.rows) / NIGHT_S,
        "the load": rates.load.each * size.rows / NIGHT_S,
        "charges": rates.charge.each * size.datasets * size.releases_a_day / DAY_S,
    }
    over = sorted(((share, name) for name, share in loads.items() if share > 1), reverse=True)
    return [f"{name}: {share:,.1f} times what there is time for" for share, name in over]


def _linear(of: str, sizes: Sequence[int], took: Sequence[float]) -> Rate:
    each = took[0] / sizes[0]
    return Rate(of, each, each * sizes[1] / took[1])


def _line(what: str, rate: Rate, comes_to: str) -> tuple[str, ...]:
    return what, f"{rate.each:.3g}", rate.of, f"{rate.checked:.2f}", comes_to


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:,.1f} h on one host"


def _seconds(seconds: float) -> str:
    return f"{seconds:,.1f} s on one host"


# -- what is measured ----------------------------------------------------------------------------------------------


def _asked(made: Made) -> Asked:
    with tempfile.TemporaryDirectory(prefix="dpstats-bench-") as folder:
        return asking(Path(folder), made)


def _charge(entries: int) -> float:
    with tempfile.TemporaryDirectory(prefix="dpstats-bench-") as folder:
        return charging(Path(folder), entries).engine_s


def _replays(workers: int) -> float:
    return serve.replays_per_s(ROWS_REPLAYED, SECONDS, workers)


def _epoch(units: int) -> float:
    """Seconds in which an epoch is closed that each of so many units, of one row, opted in before."""
    with tempfile.TemporaryDirectory(prefix="dpstats-bench-") as made:
        folder = Path(made)
        with plain_engine() as connection:
            connection.execute(f"COPY (SELECT i AS unit FROM range({units}) t(i)) TO '{folder / 'people.parquet'}'")
            connection.execute(f"COPY ({_OPTED_IN.format(units=units)}) TO '{folder / 'said.parquet'}'")
        (folder / "dataset.yaml").write_text(_DATASET, encoding="utf-8")
        with closing(Workspace.open(read_settings(home=folder / "home", ledger_url=""))) as workspace:
            workspace.datasets.add(ME, folder / "dataset.yaml", {"people": folder / "people.parquet"})
            workspace.consent.import_file(ME, "asked", folder / "said.parquet")
            began = time.perf_counter()
            workspace.epochs.close(ME)
            return time.perf_counter() - began


_OPTED_IN = (
    "SELECT i AS unit, 'offers' AS purpose, 'opt_in' AS decision, TIMESTAMP '2026-01-01 00:00:00' AS observed_at "
    "FROM range({units}) t(i)"
)
_DATASET = """
dataset: asked
privacy_unit: unit
budget: {epsilon: 1, delta: 0}
purposes: {offers: {title: Offers, consent: opt_in}}
tables:
  people:
    one_row_per_unit: true
    columns:
      unit: {type: bigint, category: identifiers, purposes: [offers], why: the key of a member}
"""
