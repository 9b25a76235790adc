"""A service looks at its primitives before it answers: with any of them broken, it does not start and is never ready.

Only here are parts of dpstats replaced, each by one that is broken as a build or a library could be.
"""

from __future__ import annotations

import asyncio
import math
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from dpstats.api.app import app_of_home, create_app
from dpstats.api.server import serve
from dpstats.engine import ahead as drawn_ahead
from dpstats.engine import duck, noise
from dpstats.engine.ahead import DrawnAhead
from dpstats.errors import LockdownFailed, SelfTestFailed
from dpstats.ledger.clock import is_right
from dpstats.ledger.store import open_store
from dpstats.plan.plan import Noisy, Plan, Threshold
from dpstats.privacy import conversion, mechanism, selection, threshold
from dpstats.privacy.loss import Loss, Measure
from dpstats.privacy.mechanism import Mechanism, Noise, Sensitivity
from dpstats.privacy.selftest import CHECKS
from dpstats.settings import read_settings
from dpstats.workspace import Workspace
from dpstats.workspace.selftest import failed_checks, failed_in_process

Draw = Callable[[Mechanism, Sequence[int]], list[int]]
Patch = Callable[[pytest.MonkeyPatch], None]

draw, price, measurement, tail = mechanism.draw, mechanism.price, mechanism.measurement, threshold.tail
epsilon_of_rho, select, noisy = conversion.epsilon_of_rho, selection.select, noise._noisy


@pytest.fixture(autouse=True)
def looked_at_anew() -> Iterator[None]:
    """As in a new process."""
    failed_in_process.cache_clear()
    yield
    failed_in_process.cache_clear()


def with_draw(broken: Draw) -> Patch:
    return lambda patch: patch.setattr(mechanism, "draw", broken)


def scaled(factor: float) -> Draw:
    """Noise of another scale than it is priced at."""
    return lambda made, exact: draw(Mechanism(made.noise, made.scale * factor, made.sensitivity), exact)


def seeded(made: Mechanism, exact: Sequence[int]) -> list[int]:
    source = random.Random(7)
    return [value + round(source.gauss(0, made.scale)) for value in exact]


def drawn_once(made: Mechanism, exact: Sequence[int]) -> list[int]:
    (one,) = draw(made, [0])
    return [value + one for value in exact]


def unsaturated(made: Mechanism, exact: Sequence[int]) -> list[int]:
    return list(measurement(made)(list(exact)))


def wrapped(made: Mechanism, exact: Sequence[int]) -> list[int]:
    return draw(made, [(value + 2**63) % 2**64 - 2**63 for value in exact])


def cheap_map(made: Mechanism) -> Any:
    real = measurement(made)
    return SimpleNamespace(map=lambda distance: real.map(distance) / 2)


def half_price(made: Mechanism) -> Loss:
    return Loss(made.noise.measure, price(made).amount // 2)


def with_threshold(change: Callable[[Threshold], Threshold | None]) -> Patch:
    def broken(plan: Plan, groups: Any, vectors: Any) -> Noisy:
        return noisy(replace(plan, threshold=plan.threshold and change(plan.threshold)), groups, vectors)

    return lambda patch: patch.setattr(noise, "_noisy", broken)


def let_through(connection: object, path: Path) -> None:
    raise LockdownFailed("read_blob")


GAUSSIAN, LAPLACE, EXPONENTIAL, PERMUTED = (f"the distribution of {kind}" for kind in Noise)
EDGES, ANEW = "whole numbers at the edges of 64 bits", "noise drawn anew each time"
TAIL, LOCKED, ONCE = "the tail at a threshold", "DuckDB's lock-down", "noise on every answer, once"

FAULTS: dict[str, tuple[Patch, str]] = {
    "no noise": (with_draw(lambda made, exact: list(exact)), GAUSSIAN),
    "half the noise": (with_draw(scaled(0.5)), GAUSSIAN),
    "noise a fifth too small": (with_draw(scaled(0.8)), GAUSSIAN),
    "noise a quarter too large": (with_draw(scaled(1.25)), GAUSSIAN),
    "Gaussian noise for Laplace": (
        with_draw(lambda made, exact: draw(Mechanism(Noise.GAUSSIAN, made.scale, made.sensitivity), exact)),
        LAPLACE,
    ),
    "noise that is never negative": (with_draw(lambda made, exact: [abs(v) for v in draw(made, exact)]), GAUSSIAN),
    "noise in floats": (with_draw(lambda made, exact: [float(v) for v in draw(made, exact)]), GAUSSIAN),  # type: ignore[misc]
    "one number for a whole vector": (with_draw(drawn_once), GAUSSIAN),
    "noise cut off": (with_draw(lambda made, exact: [max(-2, min(2, v)) for v in draw(made, exact)]), GAUSSIAN),
    "a seed": (with_draw(seeded), ANEW),
    "no saturation": (with_draw(unsaturated), EDGES),
    "wrapping for saturation": (with_draw(wrapped), EDGES),
    "a scale of nothing": (
        lambda patch: patch.setattr(Mechanism, "__post_init__", lambda self: None),
        "no answer without noise",
    ),
    "a map that is half the price": (
        lambda patch: patch.setattr(mechanism, "measurement", cheap_map),
        "the price of noise",
    ),
    "half the price": (lambda patch: patch.setattr(mechanism, "price", half_price), "the price of noise"),
    "a smaller epsilon": (
        lambda patch: patch.setattr(
            conversion, "epsilon_of_rho", lambda rho, delta: epsilon_of_rho(rho, delta) * 0.999
        ),
        "rho as epsilon",
    ),
    "the strict tail": (lambda patch: patch.setattr(threshold, "tail", lambda made, k: tail(made, k + 1)), TAIL),
    "a threshold's price from its own place": (
        lambda patch: patch.setattr(threshold, "delta_steps", lambda made, groups, at: int(tail(made, at) * 10**18)),
        TAIL,
    ),
    "an open DuckDB": (lambda patch: patch.setattr(duck, "lock", lambda connection, limits: None), LOCKED),
    "a probe let through": (lambda patch: patch.setattr(duck, "probe", let_through), LOCKED),
    "an engine that cannot open": (lambda patch: patch.setattr("tempfile.tempdir", "/no/such/folder"), LOCKED),
    "exact answers": (lambda patch: patch.setattr(DrawnAhead, "draw", lambda _, made, exact: list(exact)), ONCE),
    "exact answers where keys are private": (
        lambda patch: patch.setattr(noise, "draw", lambda made, exact: list(exact)),
        ONCE,
    ),
    "noise drawn ahead that is read and stays": (
        lambda patch: patch.setattr(DrawnAhead, "_taken", lambda self, kind, most: self._drawn.get(kind, ())[:most]),
        "discrete_gaussian that is drawn ahead",
    ),
    "half of the noise that is drawn ahead": (
        lambda patch: patch.setattr(drawn_ahead, "draw", scaled(0.5)),
        "discrete_laplace that is drawn ahead",
    ),
    "an answer opened twice": (
        lambda patch: patch.setattr(noise, "_taken", lambda exact: exact._take.__self__[-1]),
        ONCE,
    ),
    "a threshold that leaves out its own place": (
        with_threshold(lambda threshold: replace(threshold, at=threshold.at + 1)),
        "groups at their threshold",
    ),
    "a threshold that lets one less through": (
        with_threshold(lambda threshold: replace(threshold, at=threshold.at - 1)),
        "groups at their threshold",
    ),
    "no threshold": (with_threshold(lambda threshold: None), "groups at their threshold"),
    "the best, always": (
        lambda patch: patch.setattr(selection, "select", lambda made, scores, k=1: [scores.index(max(scores))]),
        EXPONENTIAL,
    ),
    "the worst instead of the best": (
        lambda patch: patch.setattr(
            selection, "select", lambda made, scores, k=1: select(made, [-v for v in scores], k)
        ),
        PERMUTED,
    ),
    "selections of twice the price": (
        lambda patch: patch.setattr(
            selection,
            "select",
            lambda made, scores, k=1: select(Mechanism(made.noise, made.scale / 2, made.sensitivity), scores, k),
        ),
        PERMUTED,
    ),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with nothing in it."""
    made = tmp_path_factory.mktemp("self-test") / "home"
    Workspace.open(read_settings(home=made)).close()
    return made


def ready(app: FastAPI) -> httpx.Response:
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client:
            return await client.get("/health/ready")

    return asyncio.run(ask())


def never(address: str) -> None:
    raise AssertionError(f"served at {address}")


def test_a_sound_installation_passes(home: Path) -> None:
    app = app_of_home(read_settings(home=home))
    assert ready(app).json() == {"status": "ready"}
    assert failed_checks(app.state.workspace.store) == ()
    app.state.workspace.close()


@pytest.mark.parametrize("fault", list(FAULTS))
def test_with_a_broken_primitive_nothing_starts_and_nothing_is_ready(
    home: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaking, check = FAULTS[fault]
    workspace = Workspace.open(read_settings(home=home))
    breaking(monkeypatch)
    assert check in failed_checks(workspace.store)
    for start in (
        lambda: serve(read_settings(home=home, port=0), never),
        lambda: app_of_home(read_settings(home=home)),
    ):
        with pytest.raises(SelfTestFailed, match="nothing is served"):
            start()
    answer = ready(create_app(workspace))
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/unavailable")
    assert answer.json()["check"] in failed_in_process()
    monkeypatch.undo()
    assert ready(create_app(workspace)).status_code == 503  # a process does not get better
    workspace.close()


def test_every_check_is_broken_by_a_fault() -> None:
    from dpstats.engine import selftest

    assert {check.name for check in (*CHECKS, *selftest.CHECKS)} == {check for _, check in FAULTS.values()}


# -- the clock, which nothing here replaces: the ledger and its clock are real --------------------------------------


def ahead(home: Path, **span: float) -> None:
    """Opens a lineage, on a machine whose clock is ahead."""
    store = open_store(home, lambda: datetime.now(UTC) + timedelta(**span))
    store.ledger.open_lineage(
        "people",
        measure=Measure.PURE,
        conversion_delta=0,
        privacy_unit="person",
        cap=Loss(Measure.PURE, 1),
        epsilon=1,
        actor="stu",
    )
    store.close()


def test_a_clock_behind_the_ledger_ends_the_command_with_one_line(tmp_path: Path) -> None:
    ahead(tmp_path, hours=1)
    command = [sys.executable, "-c", "from dpstats.cli.main import main; main()", "--home", str(tmp_path)]
    for workers in ("1", "2"):
        ended = subprocess.run(
            [*command, "serve", "--port", "0", "--workers", workers],
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
        assert ended.stderr.startswith("dpstats: the self-test failed (the clock, which must tell UTC")


def test_a_clock_behind_the_ledger_by_less_than_a_minute_is_served(tmp_path: Path) -> None:
    ahead(tmp_path, seconds=50)
    app_of_home(read_settings(home=tmp_path)).state.workspace.close()


def test_a_service_whose_clock_falls_behind_is_not_ready_until_it_has_caught_up(tmp_path: Path) -> None:
    now = [datetime.now(UTC)]
    store = open_store(tmp_path, lambda: now[0])
    ahead(tmp_path, seconds=0)
    for seconds, right in ((0, True), (-120, False), (1, True)):
        now[0] = datetime.now(UTC) + timedelta(seconds=seconds)
        assert store.ledger.clock_is_right() is right
    store.close()


def test_a_clock_tells_utc_a_time_that_can_be_and_never_an_earlier_one() -> None:
    now = datetime.now(UTC)
    backwards = iter(now - timedelta(microseconds=i) for i in range(1000))
    assert is_right(lambda: now, None)
    assert is_right(lambda: now, now + timedelta(seconds=59))
    for clock in (
        lambda: now.replace(tzinfo=None),
        lambda: now.astimezone(timezone(timedelta(hours=1))),
        lambda: datetime(1970, 1, 1, tzinfo=UTC),
        lambda: next(backwards),
    ):
        assert not is_right(clock, None)
    assert not is_right(lambda: now, now + timedelta(seconds=61))


# -- the false-alarm rate --------------------------------------------------------------------------------------------


def test_the_bound_behind_the_false_alarm_rate_holds_by_enumeration() -> None:
    """Of n tosses of a coin of chance p, P(KL(share || p) >= t) <= 2 exp(-n t): every n, p and t tried."""
    from dpstats.privacy.selftest import _divergence

    for n in (20, 300):
        for p in (0.003, 0.2, 0.5, 0.97):
            chances = [math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]
            for t in (0.01, 0.03, 0.1, 0.3):
                beyond = math.fsum(c for k, c in enumerate(chances) if _divergence(k / n, p) >= t)
                assert beyond <= 2 * math.exp(-n * t)


def test_what_chance_does_is_below_the_alarm() -> None:
    """Ten looks at a distribution, none of which reaches the bound."""
    made = Mechanism(Noise.GAUSSIAN, 7.5, Sensitivity(1, 1))
    from dpstats.privacy.selftest import DRAWS, _divergence, _events

    worst = 0.0
    for _ in range(10):
        drawn = draw(made, [0] * DRAWS)
        worst = max(worst, *(_divergence(share, chance) for share, chance in _events(made.noise, made.scale, drawn)))
    assert worst * DRAWS < 25  # the alarm is at 28
