"""`dpstats bench scale`: how time grows with rows, units, groups and the ledger's length, beside the plain query's.

Everything is made for it and gone afterwards. Along each axis the other sizes stay as they are. The engine runs twice:
from the rows, as for a first answer, and at rest, as for a query that was prepared. A release is a run at rest, noise
and writing of the answer; what it costs to charge it is the ledger's own curve, beside a commit that does nothing else.
"""

from __future__ import annotations

import math
import sqlite3
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from dpstats.bench import ledger
from dpstats.bench.asking import Made, asking, at_rest, median
from dpstats.ledger.store import open_store

ROWS, UNITS, GROUPS = 1_000_000, 100_000, 1000
"""Sizes off the axis that is measured, at most: the smallest tables are measured with fewer."""
LEAST_GROUPS, LEAST_UNITS = 10, 1000
ENTRIES_A_COMMIT = 5000
AXES = ("rows", "units", "groups", "ledger")
Said = Callable[[str, float], None]
"""Is told what is measured next, and which share of everything is done."""


@dataclass(frozen=True)
class Sizes:
    """How far each axis goes."""

    rows: int
    units: int
    groups: int
    entries: int


@dataclass(frozen=True)
class Point:
    """Seconds at one size of one axis: the plain query, the engine from the rows and at rest, and the whole release.

    On the axis of the ledger: a bare commit, and a durable charge three times.
    """

    axis: str
    size: int
    plain_s: float
    engine_s: float
    kept_s: float
    release_s: float


def measure(sizes: Sizes, said: Said) -> tuple[Point, ...]:
    """Measures all of it, each axis from its small end to its large one."""
    work = list(_works(sizes))
    points: list[Point] = []
    for done, (axis, size, table) in enumerate(work):
        said(f"{axis}: {size:,}", done / len(work))
        with tempfile.TemporaryDirectory(prefix="dpstats-bench-") as folder:
            points.append(charging(Path(folder), size) if table is None else _asking(Path(folder), axis, size, table))
    return tuple(points)


def steps(first: int, most: int) -> list[int]:
    """Sizes from the first to the last, each about three times the one before: 1, 3, 10, 30 .."""
    found, size = [], min(first, most)
    while size < most:
        found.append(size)
        size = size * 10 // 3 if len(found) % 2 == 0 else size * 3
    return [*found, most]


def steepness(points: Sequence[Point], of: Callable[[Point], float]) -> float:
    """The power of the size with which time grows: the slope of a straight line through the logarithms; 0 of one."""
    if len(points) < 2:
        return 0.0
    along, up = [math.log(point.size) for point in points], [math.log(of(point)) for point in points]
    return statistics.linear_regression(along, up).slope


def table(points: Sequence[Point]) -> tuple[tuple[str, ...], ...]:
    """What was measured, a line each; after each axis, with which power of the size each column grows."""
    lines: list[tuple[str, ...]] = []
    for axis in AXES:
        here = [point for point in points if point.axis == axis]
        lines += [
            (
                axis,
                f"{p.size:,}",
                _seconds(p.plain_s),
                *_beside(p.engine_s, p),
                *_beside(p.kept_s, p),
                _seconds(p.release_s),
            )
            for p in here
        ]
        if len(here) > 1:
            plain, engine, kept, release = (f"{steepness(here, of):.2f}" for of in (_plain, _engine, _kept, _release))
            lines.append((f"{axis}, grow as", "size to the", plain, engine, "", kept, "", release))
    return tuple(lines)


def _plain(point: Point) -> float:
    return point.plain_s


def _engine(point: Point) -> float:
    return point.engine_s


def _kept(point: Point) -> float:
    return point.kept_s


def _release(point: Point) -> float:
    return point.release_s


def _beside(seconds: float, point: Point) -> tuple[str, str]:
    """Seconds, and these over the plain query's."""
    return _seconds(seconds), f"{seconds / point.plain_s:.1f}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.4f}" if seconds < 0.1 else f"{seconds:.2f}"


def _works(sizes: Sizes) -> Iterator[tuple[str, int, Made | None]]:
    rows = min(ROWS, sizes.rows)
    units, groups = min(UNITS, rows // 10), min(GROUPS, sizes.groups)
    for size in steps(min(ROWS, sizes.rows // 10), sizes.rows):
        yield "rows", size, Made(size, min(units, size), groups)
    for size in steps(LEAST_UNITS, sizes.units):
        yield "units", size, Made(max(rows, size), size, groups)
    for size in steps(LEAST_GROUPS, sizes.groups):
        yield "groups", size, Made(rows, units, size)
    for size in steps(1, sizes.entries):
        yield "ledger", size, None


# -- a query -------------------------------------------------------------------------------------------------------


def _asking(folder: Path, axis: str, size: int, made: Made) -> Point:
    asked = asking(folder, made)
    kept_s = at_rest(folder, made)
    return Point(axis, size, asked.plain_s, asked.engine_s, kept_s, kept_s + asked.noise_s)


# -- the ledger ----------------------------------------------------------------------------------------------------


def charging(folder: Path, entries: int) -> Point:
    """A charge of a ledger with so many entries, beside a bare commit to a table with as many rows."""
    with closing(open_store(folder / "home")) as store:
        ledger._prepare(store)
        store.ledger.charge(ledger._request())
        for done in range(1, entries, ENTRIES_A_COMMIT):
            ledger.lengthen(store, folder / "home", min(ENTRIES_A_COMMIT, entries - done))
        charge_s = median(lambda: store.ledger.charge(ledger._request()))
    with closing(sqlite3.connect(folder / "bare.db", isolation_level=None)) as connection:
        for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "CREATE TABLE bare (text TEXT)"):
            connection.execute(statement)
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO bare VALUES (?)", (("x" * ledger.BYTES_A_ROW,) for _ in range(entries)))
        connection.execute("COMMIT")
        insert = "INSERT INTO bare VALUES (?)"
        bare_s = median(lambda: connection.execute(insert, ("x" * ledger.BYTES_A_ROW,)))
    return Point("ledger", entries, bare_s, charge_s, charge_s, charge_s)
