"""Callers of one unfinished question: one charges, computes and stores; the others get what it stored."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from desk import ME, Desk
from test_a_stewards_word_counts_at_once import DATASET, QUERY, Running

from dpstats.access import operator
from dpstats.engine.versions import Engines
from dpstats.errors import Busy, Unavailable
from dpstats.release import Answer, Ask, Road

LONG_S = 60.0
TWINS = 6


class Gate:
    """The engines of a desk: counts the runs, holds each until it is opened, and lets the first `failing` ones fail."""

    def __init__(self, engines: Engines, failing: int = 0) -> None:
        self._engines, self._failing = engines, failing
        self.runs, self.reached, self.open = 0, threading.Event(), threading.Event()

    @contextmanager
    def using(self, dataset: str, version_file: str, spark: str = "") -> Iterator[Running]:
        with self._engines.using(dataset, version_file, spark) as engine:
            yield Running(engine, self._pass)

    def _pass(self) -> None:
        self.runs += 1
        self.reached.set()
        assert self.open.wait(LONG_S)
        if self.runs <= self._failing:
            raise Unavailable


@pytest.fixture
def desk(desk: Desk) -> Desk:
    desk.add(DATASET, visits={"person": list(range(50)), "amount": [1] * 50})
    desk.approve(QUERY)
    return desk


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(TWINS + 1) as pool:
        yield pool


def road_through(desk: Desk, gate: Gate) -> Road:
    road = desk.workspace.releases._road
    return Road(desk.workspace.store, road._library, gate, road._turns, road._grid, road._consent_max_age, road._barred)  # type: ignore[arg-type]


def ask_all(desk: Desk, gate: Gate, pool: ThreadPoolExecutor, asks: list[Ask]) -> list[Future[Answer]]:
    """Asks everything while the first one is held at the gate, opens it once the others wait, and waits for the end."""
    road, turns = road_through(desk, gate), desk.workspace.turns
    asked = [pool.submit(road.release, asks[0])]
    assert gate.reached.wait(LONG_S)
    asked += [pool.submit(road.release, ask) for ask in asks[1:]]
    while turns._waiting < len(asks) - 1:
        threading.Event().wait(0.001)
    gate.open.set()
    for each in asked:
        each.exception(LONG_S)
    return asked


def test_twins_of_any_identity_get_the_first_one_s_release_from_one_run_under_one_charge(desk: Desk, pool) -> None:
    gate = Gate(desk.workspace.releases._road._engines)
    asks = [Ask(operator(f"analyst {i}"), "spend", {}) for i in range(TWINS)]
    answers = [each.result() for each in ask_all(desk, gate, pool, asks)]
    assert (gate.runs, len(desk.charges("shop"))) == (1, 1)
    assert [answer.made_now for answer in answers] == [True] + [False] * (TWINS - 1)
    assert len({(answer.stored.release_id, answer.stored.body) for answer in answers}) == 1


def test_a_key_sent_twice_at_once_computes_once(desk: Desk, pool) -> None:
    gate = Gate(desk.workspace.releases._road._engines)
    asks = [Ask(ME, "spend", {}, fresh=True, idempotency_key="monday")] * 3
    answers = [each.result() for each in ask_all(desk, gate, pool, asks)]
    assert (gate.runs, len(desk.charges("shop"))) == (1, 1)
    assert [answer.made_now for answer in answers] == [True, False, False]


def test_when_the_first_one_fails_the_next_goes_on_under_its_charge(desk: Desk, pool) -> None:
    gate = Gate(desk.workspace.releases._road._engines, failing=1)
    asked = ask_all(desk, gate, pool, [Ask(ME, "spend", {})] * 3)
    assert isinstance(asked[0].exception(), Unavailable)
    assert sorted(each.result().made_now for each in asked[1:]) == [False, True]
    assert (gate.runs, len(desk.charges("shop"))) == (2, 1)


def test_a_full_house_refuses_before_the_charge_and_still_gives_replays_and_previews(desk: Desk, pool) -> None:
    desk.approve(QUERY.replace("query: spend", "query: earlier"))
    stored = desk.ask("earlier")
    desk.change(releases_at_once=1, releases_waiting=0)
    gate = Gate(desk.workspace.releases._road._engines)
    road = road_through(desk, gate)
    running = pool.submit(road.release, Ask(ME, "spend", {}))
    assert gate.reached.wait(LONG_S)
    for ask in (Ask(ME, "spend", {}), Ask(ME, "spend", {}, fresh=True)):
        with pytest.raises(Busy):
            road.release(ask)
    assert road.release(Ask(ME, "earlier", {})).stored.release_id == stored["release_id"]
    assert desk.workspace.releases.preview(ME, "earlier", {})["free_replay"]
    gate.open.set()
    assert running.result(LONG_S).made_now
    assert len(desk.charges("shop")) == 2
