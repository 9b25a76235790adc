"""Rounds: a worker is killed at a point, another one is started, the same is asked again, and nothing may be wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kill_points import Point, points_of
from kill_worlds import CHARGES, LINEAGE, OLD_ENTRIES, OLD_LINEAGE, BackEnd, World, same_ledger, source

import dpstats

KILLED = -9
LARGE = 400_000
"""Rows of a load that must spill."""
NO_POINT = Point("none", "")


@dataclass
class Told:
    """What a worker said before it ended, and how it ended."""

    ended: int = 0
    lines: list[dict[str, Any]] = field(default_factory=list)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """The answers that left."""
        return [json.loads(line["body"]) for line in self.lines if "body" in line]

    @property
    def refused(self) -> list[str]:
        """The kinds of refusals that left."""
        return [line["refused"] for line in self.lines if "refused" in line]


class Workers:
    """Starts workers, one at a time."""

    def __init__(self) -> None:
        environment = os.environ | {"PYTHONPATH": str(Path(dpstats.__file__).parents[1])}
        command = [sys.executable, str(Path(__file__).parent / "kill_worker.py")]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, env=environment
        )

    def run(self, point: Point, on_reading: Callable[[], None] = lambda: None, **task: Any) -> Told:
        """Has a worker do a task, to be killed at a point; `on_reading` is called before it reads rows."""
        given = {"steps": point.parsed(), "watched": point.watched, "within_ms": point.within_ms} | task
        self._send(json.dumps(given))
        told = Told()
        while line := self._line():
            if "ended" in line:
                told.ended = line["ended"]
                return told
            if "reading" in line:
                on_reading()
                self._send("")
            told.lines.append(line)
        raise RuntimeError("the process that starts workers has ended")

    def close(self) -> None:
        """Ends the process that starts them."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _send(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        return json.loads(line) if line else {}


class Campaign:
    """Kills on one back end. A world serves until its budget is exhausted; then comes the next one.

    Args:
      first: the place of the point with which the turns begin.
    """

    def __init__(self, folder: Path, back_end: BackEnd, first: int = 0) -> None:
        self.folder, self.back_end = folder, back_end
        self.workers = Workers()
        self._sources = {
            "small": source(folder / "small.parquet", 60),
            "large": source(folder / "large.parquet", LARGE),
        }
        self.kills: Counter[str] = Counter()
        self.exhausted = self.damaged = 0
        self._worlds, self._rounds, self._first = 0, 0, first
        self.world = self._new_world()

    def run(self, kills: int) -> Iterator[Point]:
        """So many kills, the points by turns; gives each point when its round is over."""
        points = points_of(self.back_end.name)
        while sum(self.kills.values()) < kills:
            point = points[(self._first + self._rounds) % len(points)]
            self._rounds += 1
            if len(self.world.charges()) >= CHARGES:
                self._end_world()
            if self._round(point):
                self.kills[point.name] += 1
            yield point

    def close(self) -> None:
        """Asks the last world for more than it has, and ends."""
        self._end_world()
        self.workers.close()

    # -- one round ------------------------------------------------------------------------------------------------

    def _round(self, point: Point) -> bool:
        """Whether the worker was killed; a random moment may come after its end."""
        works = {"release": self._release, "checkpoint": self._release, "load": self._load, "grant": self._grant,
                 "backup": self._backup, "restore": self._restore, "migration": self._migration}  # fmt: skip
        killed = works[point.work](point)
        random_moment = bool(point.within_ms and not point.steps)
        assert killed or random_moment, f"the point was never reached: {point.name}"
        self.world.check()
        return killed

    def _release(self, point: Point) -> bool:
        n = self._new_question()
        first = self._ask(point, n)
        charges = self.world.charges()
        self.world.check()
        again = self._ask(NO_POINT, n, times=2)
        assert len(again.bodies) == 2
        assert not again.lines[-1]["made_now"]
        assert [asked for _, asked, _ in self.world.charges()].count(n) == 1
        before = [release_id for release_id, asked, _ in charges if asked == n]
        if before:
            assert again.bodies[0]["release_id"] == before[0], "the retry was charged anew"
        return first.ended == KILLED

    def _ask(self, point: Point, n: int, times: int = 1) -> Told:
        world = self.world
        told = self.workers.run(
            point, lambda: world.reading(n), work="release", times=times, n=n, key=f"k{n}", token=world.token,
            home=str(world.home), url=world.url,
        )  # fmt: skip
        for body in told.bodies:
            world.heard(body)
        return told

    def _load(self, point: Point) -> bool:
        world = self.world
        spills = point.name == "spill"
        task = {"source": str(world.sources["large" if spills else "small"]), "spills": spills}
        first = self._run(point, **task)
        world.check()
        assert self._ask(NO_POINT, self._new_question()).bodies, "nothing can be asked after the kill"
        again = self._run(Point("none", "load"), **(task | {"source": str(world.sources["small"]), "spills": False}))
        assert again.refused == []
        assert not [*world.home.glob("data/*/.loading-*")], "what the kill left behind is still there"
        return first.ended == KILLED

    def _grant(self, point: Point) -> bool:
        before = self._grants()
        told = self._run(point, key=f"grant {self._rounds}")
        assert self._grants() - before in ((0, 1) if "commit" in point.name and "committed" not in point.name else (1,))
        return told.ended == KILLED

    def _grants(self) -> int:
        with closing(self.world.store()) as store:
            return store.ledger.budget(LINEAGE).epsilon_cap

    def _backup(self, point: Point) -> bool:
        file = self.world.folder / f"backup-{self._rounds}"
        told = self._run(point, file=str(file))
        if not file.exists():
            self._run(Point("none", "backup"), file=str(file))
        home, url = self.world.beside(self._rounds)
        self._run(Point("none", "restore"), home=str(home), url=url, file=str(file))
        same_ledger(home, url, LINEAGE, self._entries())
        return told.ended == KILLED

    def _restore(self, point: Point) -> bool:
        file = self.world.folder / f"backup-{self._rounds}"
        self.world.backed_up(file)
        home, url = self.world.beside(self._rounds)
        task = {"home": str(home), "url": url, "file": str(file)}
        told = self._run(point, **task)
        again = self._run(Point("none", "restore"), **task)
        assert again.refused in ([], ["Conflict"])
        same_ledger(home, url, LINEAGE, self._entries())
        return told.ended == KILLED

    def _migration(self, point: Point) -> bool:
        home, url = self.world.old(self._rounds)
        told = self._run(point, home=str(home), url=url)
        assert self._run(Point("none", "migration"), home=str(home), url=url).refused == []
        same_ledger(home, url, OLD_LINEAGE, OLD_ENTRIES)
        return told.ended == KILLED

    def _run(self, point: Point, **task: Any) -> Told:
        return self.workers.run(
            point, **({"work": point.work, "home": str(self.world.home), "url": self.world.url} | task)
        )

    def _entries(self) -> int:
        with closing(self.world.store()) as store:
            return store.ledger.head(LINEAGE).seq

    def _new_question(self) -> int:
        self.world.asked.append(len(self.world.asked))
        return self.world.asked[-1]

    # -- worlds ---------------------------------------------------------------------------------------------------

    def _new_world(self) -> World:
        self._worlds += 1
        return World(self.folder / f"world-{self._worlds}", self.back_end, self._sources)

    def _end_world(self) -> None:
        """What is exhausted gives nothing more, and what cannot be checked gives nothing at all."""
        while len(self.world.charges()) < CHARGES:
            self._ask(NO_POINT, self._new_question())
        n = self._new_question()
        assert self._ask(NO_POINT, n).lines == [{"exhausted": True}]
        assert n not in {asked for _, asked, _ in self.world.charges()}
        self.exhausted += 1
        self.world.check()
        self._damage("heads/shop.json")
        self._damage("ledger.key")
        shutil.rmtree(self.world.folder)
        self.world = self._new_world()

    def _damage(self, name: str) -> None:
        """Without this file the ledger cannot be checked: the service refuses even what it has stored."""
        path = self.world.home / name
        content = path.read_bytes()
        path.unlink()
        told = self._ask(NO_POINT, self.world.asked[0])
        assert told.refused == ["LedgerBroken"]
        assert told.bodies == []
        path.write_bytes(content)
        self.world.check()
        self.damaged += 1
