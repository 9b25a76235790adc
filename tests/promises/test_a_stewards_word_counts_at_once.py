"""A freeze, a revocation and a new data version count for requests under way: the charge asks again, as does the end.

The other side really acts meanwhile, in a thread of its own, on a workspace opened beside this one; the engine's port
says when: between the checks and the charge, or after the charge while rows are read.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from desk import ME, Desk

from dpstats.engine.duck import DuckEngine
from dpstats.engine.noise import Exact
from dpstats.engine.versions import Engines
from dpstats.errors import DpstatsError, Frozen, NotApproved
from dpstats.plan.plan import Plan
from dpstats.release import Answer, Ask, Road
from dpstats.settings import read_settings
from dpstats.workspace import Workspace

DATASET = """
dataset: shop
privacy_unit: person
budget: {epsilon: 900.0, delta: 0}
tables:
  visits:
    columns:
      person: {type: bigint}
      amount: {type: bigint, bounds: [0, 100]}
"""
QUERY = """
query: spend
dataset: shop
sql: SELECT SUM(amount) AS spend FROM visits
bounds: {spend: [0, 100]}
contribution: {max_groups: 1}
cost: {epsilon: 100}
"""
PRICE = 100 * 10**12
Act = Callable[[Workspace], object]

STOPS: dict[str, tuple[Act, type[DpstatsError]]] = {
    "freeze": (lambda beside: beside.budgets.freeze(ME, "shop", frozen=True), Frozen),
    "revoke": (lambda beside: beside.review.revoke(ME, "spend"), NotApproved),
}


@pytest.fixture
def desk(desk: Desk) -> Desk:
    desk.add(DATASET, visits={"person": list(range(50)), "amount": [1] * 50})
    desk.approve(QUERY)
    return desk


@pytest.fixture(params=list(STOPS))
def stop(request: pytest.FixtureRequest) -> tuple[Act, type[DpstatsError]]:
    return STOPS[request.param]


class Meanwhile:
    """The engines of a desk; at one point of a request, another thread acts once before the request goes on."""

    def __init__(self, engines: Engines, act: Callable[[], None], *, charged: bool) -> None:
        self._engines, self._act, self._charged = engines, act, charged
        self._reached, self._done = threading.Event(), threading.Event()
        self._steward = threading.Thread(target=self._wait_and_act)

    def _wait_and_act(self) -> None:
        self._reached.wait()
        self._act()
        self._done.set()

    @contextmanager
    def using(self, dataset: str, version_file: str, spark: str = "") -> Iterator[Running]:
        with self._engines.using(dataset, version_file, spark) as engine:
            self._steward.start()
            if not self._charged:
                self.pause()
            yield Running(engine, self.pause)
        self._steward.join()

    def pause(self) -> None:
        self._reached.set()
        assert self._done.wait(30)


class Running:
    """An engine that says when it runs."""

    def __init__(self, engine: DuckEngine, pause: Callable[[], None]) -> None:
        self._engine, self._pause = engine, pause
        self.fingerprint, self.public_values = engine.fingerprint, engine.public_values
        self.public_count, self.consent = engine.public_count, engine.consent
        self.changed = engine.changed

    def run(self, plan: Plan) -> Exact:
        self._pause()
        return self._engine.run(plan)


def ask_while(desk: Desk, act: Act, *, charged: bool, fresh: bool = False) -> Answer:
    """Asks, and lets another thread act on a workspace of its own before the charge, or after it."""

    def beside() -> None:
        workspace = Workspace.open(read_settings(home=desk.home))
        act(workspace)
        workspace.close()

    road = desk.workspace.releases._road
    paused = Meanwhile(road._engines, beside, charged=charged)
    beside_it = Road(
        desk.workspace.store, road._library, paused, road._turns, road._grid, road._consent_max_age, road._barred
    )
    return beside_it.release(Ask(ME, "spend", {}, fresh=fresh))


@pytest.mark.parametrize("fresh", [False, True])
def test_stopped_between_the_checks_and_the_charge_nothing_is_charged(desk: Desk, stop, fresh: bool) -> None:
    act, error = stop
    with pytest.raises(error):
        ask_while(desk, act, charged=False, fresh=fresh)
    assert desk.spent("shop") == 0


def test_stopped_after_the_charge_nothing_is_given_out_and_it_is_free_later(desk: Desk, stop) -> None:
    act, error = stop
    with pytest.raises(error):
        ask_while(desk, act, charged=True)
    assert desk.spent("shop") == PRICE
    with pytest.raises(error):
        desk.ask("spend")
    desk.workspace.budgets.freeze(ME, "shop", frozen=False)
    desk.approve(QUERY)
    assert desk.ask("spend")["replayed"] is True
    assert desk.spent("shop") == PRICE
    assert desk.workspace.budgets.verify(ME).ok


def test_a_release_stored_meanwhile_by_another_is_not_given_once_stopped(desk: Desk, stop) -> None:
    def answered_then_stopped(beside: Workspace) -> None:
        beside.releases.make(Ask(ME, "spend", {}))
        stop[0](beside)

    with pytest.raises(stop[1]):
        ask_while(desk, answered_then_stopped, charged=False)
    assert desk.spent("shop") == PRICE


@pytest.mark.parametrize("charged", [False, True])
def test_a_data_version_switched_under_way_changes_neither_the_data_read_nor_the_charge(
    desk: Desk, charged: bool
) -> None:
    before = desk.workspace.store.registry.data_version("shop").data_version
    source = desk.sources({"visits": {"person": list(range(50)), "amount": [100] * 50}})
    answer = ask_while(desk, lambda beside: beside.datasets.load(ME, "shop", source), charged=charged)
    release = desk.workspace.releases.earlier(ME, answer.stored.release_id)
    after = desk.workspace.store.registry.data_version("shop").data_version
    (charge,) = desk.charges("shop")
    assert (release["data_version"], answer.stored.data_version) == (before, before) != (after, after)
    assert charge["release_id"] == answer.stored.release_id
    # 50 of the version that was opened, 5,000 of the other one; epsilon 100 on a bound of 100 moves it by 60 with
    # probability e^-60.
    assert abs(release["rows"][0]["spend"]["value"] - 50) < 60
    assert desk.workspace.budgets.verify(ME).ok
