"""The peers: what to install, what each may bound, what noise it prices, and one run in an environment of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bounding import Cells, Shape, groups_dropped, rows_dropped, rows_of_unit_dropped
from work import Floats

RUNNING = Path(__file__).parent / "running"
INSTALL_S, RUN_S = 900, 1800
"""Seconds that one peer may take to install, and to run once."""
Setting = Mapping[str, float]
Kept = Callable[[Cells, Setting], Floats]

GROUPS_A_UNIT = (5, 10, 15, 20, 25, 30, 35, 40, 50, 60)
ROWS_A_GROUP = (1, 2, 3, 4, 5, 10)
ROWS_A_UNIT = (10, 20, 30, 40, 45, 50, 55, 60, 80, 100)
HIGHS = (10.0, 20.0, 30.0, 40.0, 60.0)
TOTALS = (20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 100.0, 150.0, 200.0)


@dataclass(frozen=True)
class Bounds:
    """One way of bounding: the settings that are tried, what each keeps, and its sensitivity (L1, and L2 squared)."""

    settings: Sequence[Setting]
    kept: Kept
    l1: Callable[[Setting], float]
    l2_squared: Callable[[Setting], float]


@dataclass(frozen=True)
class Peer:
    """A peer; `noises` are those that it can draw here, `scripts` what runs it."""

    name: str
    installs: Sequence[str]
    noises: Sequence[Shape]
    count: Bounds
    sum: Bounds
    joint: bool = False
    """Whether its accountant composes Gaussians jointly (PLD), which zCDP does not."""


def _each(**choices: Sequence[float]) -> list[Setting]:
    settings: list[dict[str, float]] = [{}]
    for name, values in choices.items():
        settings = [{**setting, name: value} for setting in settings for value in values]
    return settings


def _count(lost: int) -> Bounds:
    """Counts with groups and rows dropped; `lost` groups fewer are kept than are paid for."""
    return Bounds(
        _each(groups=GROUPS_A_UNIT, rows=ROWS_A_GROUP),
        lambda cells, s: groups_dropped(
            cells, rows_dropped(cells, cells.count, int(s["rows"])), int(s["groups"]) - lost
        ),
        lambda s: s["groups"] * s["rows"],
        lambda s: s["groups"] * s["rows"] ** 2,
    )


def _sum(lost: int) -> Bounds:
    """Sums of clipped amounts with groups and rows dropped."""
    return Bounds(
        _each(groups=GROUPS_A_UNIT, rows=ROWS_A_GROUP, high=HIGHS),
        lambda cells, s: groups_dropped(
            cells, rows_dropped(cells, cells.sums(s["high"]), int(s["rows"])), int(s["groups"]) - lost
        ),
        lambda s: s["groups"] * s["rows"] * s["high"],
        lambda s: s["groups"] * (s["rows"] * s["high"]) ** 2,
    )


_GROUP_TOTALS = Bounds(
    [{**setting, "rows": 10.0} for setting in _each(groups=GROUPS_A_UNIT, total=TOTALS)],
    lambda cells, s: groups_dropped(cells, cells.sums().clip(0, s["total"]), int(s["groups"])),
    lambda s: s["groups"] * s["total"],
    lambda s: s["groups"] * s["total"] ** 2,
)
_UNIT_ROWS = Bounds(
    _each(rows_of_unit=ROWS_A_UNIT),
    lambda cells, s: rows_of_unit_dropped(cells, cells.count, int(s["rows_of_unit"])),
    lambda s: s["rows_of_unit"],
    lambda s: s["rows_of_unit"] ** 2,
)
_UNIT_ROWS_SUM = Bounds(
    _each(rows_of_unit=ROWS_A_UNIT, high=HIGHS),
    lambda cells, s: rows_of_unit_dropped(cells, cells.sums(s["high"]), int(s["rows_of_unit"])),
    lambda s: s["rows_of_unit"] * s["high"],
    lambda s: (s["rows_of_unit"] * s["high"]) ** 2,
)
PEERS = {
    "opendp_polars": Peer(
        "OpenDP Polars", ["opendp[polars]>=0.16,<0.17", "pyarrow"], ["gaussian", "laplace"], _count(1), _sum(1)
    ),
    "smartnoise": Peer("SmartNoise SQL", ["smartnoise-sql", "pyarrow"], ["laplace"], _UNIT_ROWS, _UNIT_ROWS_SUM),
    "pipelinedp": Peer(
        "PipelineDP",
        ["pipeline-dp", "dp-accounting", "numpy", "pyarrow"],
        ["gaussian", "laplace"],
        _count(0),
        _GROUP_TOTALS,
        joint=True,
    ),
    "tumult": Peer("Tumult Analytics", ["tmlt.analytics", "pyarrow"], ["gaussian", "laplace"], _count(0), _sum(0)),
}


class NotRun(Exception):
    """A peer that could not be installed or run; the reason in one line."""


def environment(name: str, cache: Path) -> Path:
    """The Python of the peer's virtual environment in `cache`, made and filled on first use.

    Raises:
      NotRun: it does not install on this Python.
    """
    place = cache / name
    python = place / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    done = place / "installed"
    if not done.exists():
        _command([sys.executable, "-m", "venv", "--clear", str(place)], INSTALL_S)
        _command([str(python), "-m", "pip", "install", "--quiet", *PEERS[name].installs], INSTALL_S)
        done.touch()
    return python


def run(name: str, cache: Path, ask: Mapping[str, object]) -> dict[str, Any]:
    """What the peer answers to `ask` (see running/asked.py).

    Raises:
      NotRun: it failed, or took too long.
    """
    python = environment(name, cache)
    lines = _command([str(python), str(RUNNING / f"{name}.py"), json.dumps(ask)], RUN_S).strip().splitlines()
    return dict(json.loads(lines[-1]))


def _command(command: Sequence[str], timeout_s: int) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        raise NotRun(f"took more than {timeout_s} s") from None
    if done.returncode:
        raise NotRun(next(_last_words(done.stderr), "failed"))
    return done.stdout


def _last_words(text: str) -> Iterator[str]:
    yield from (line.strip()[:120] for line in reversed(text.splitlines()) if "rror" in line)
