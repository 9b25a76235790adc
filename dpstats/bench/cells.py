"""`dpstats bench cells`: a release of very many cells, from the question to its last byte, and the memory it takes.

Everything is made for it and gone afterwards: a small table, and a query with two measures of each of so many declared
groups. A release is asked for as any caller asks: it is charged, run, drawn, written and stored before the first byte
is sent. Each size runs in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dpstats.bench.asking import ME, Made, approve, made_file, written
from dpstats.bench.query import peak_mib
from dpstats.release import Ask
from dpstats.settings import read_settings
from dpstats.workspace import Workspace

ROWS = 1_000_000
"""Rows of the table; there is a unit for each ten."""
MEASURES = 2
SMALLER = 10
"""How much smaller the release is that is measured beside the one that is asked about."""


@dataclass(frozen=True)
class Sent:
    """One release: seconds until it is stored, and until its bytes are there to be sent; its size; the peak memory.

    `idle_mib`: the most memory that the process had before it asked.
    """

    groups: int
    stored_s: float
    sent_s: float
    size: int
    idle_mib: float
    peak_mib: float

    @property
    def cells(self) -> int:
        """How many noisy numbers it holds."""
        return MEASURES * self.groups


def measure(groups: int) -> tuple[Sent, ...]:
    """Measures a release of about so many groups, and one of fewer before it.

    Args:
      groups: >= 100; the nearest square at or below is made, a key for each side.
    """
    with tempfile.TemporaryDirectory(prefix="dpstats-bench-") as name:
        return tuple(_alone(Path(name) / str(size), size) for size in (groups // SMALLER, groups))


def table(found: Sequence[Sent]) -> tuple[tuple[str, ...], ...]:
    """What was measured, a line a release."""
    return tuple(
        (
            f"{each.groups:,} x {MEASURES}",
            f"{each.stored_s:.2f}",
            f"{each.sent_s:.2f}",
            f"{each.sent_s / each.cells * 1e6:.1f}",
            f"{each.size / 2**20:.0f}",
            f"{each.idle_mib:.0f}",
            f"{each.peak_mib:.0f}",
        )
        for each in found
    )


def _alone(folder: Path, groups: int) -> Sent:
    folder.mkdir()
    command = [sys.executable, "-m", "dpstats.bench.cells", str(folder), str(groups)]
    ended = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    return Sent(**json.loads(ended.stdout))


def main() -> None:
    """One release, in this process: `python -m dpstats.bench.cells FOLDER GROUPS` prints its `Sent`."""
    folder, side = Path(sys.argv[1]), math.isqrt(int(sys.argv[2]))
    workspace = Workspace.open(read_settings(home=folder / "home", ledger_url=""))
    try:
        _prepare(workspace, folder, Made(ROWS, ROWS // 10, side * side))
        idle_mib, began = peak_mib(), time.perf_counter()
        given = workspace.releases.give(Ask(ME, "sold", {}))
        stored_s = time.perf_counter() - began
        size = sum(map(len, given.sent.pieces()))
        sent_s = time.perf_counter() - began
    finally:
        workspace.close()
    found = Sent(side * side, stored_s, sent_s, size, idle_mib, peak_mib())
    sys.stdout.write(json.dumps(vars(found)))


def _prepare(workspace: Workspace, folder: Path, made: Made) -> None:
    file = made_file(folder, made)
    written(folder, made)
    workspace.datasets.add(ME, folder / "dataset.yaml", {"sales": file})
    approve(workspace, folder)


if __name__ == "__main__":
    main()
