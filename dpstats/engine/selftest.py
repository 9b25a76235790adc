"""What a service asks of its engine before it answers.

DuckDB's lock-down is probed as for a real data version, on a tiny one that is made for it and removed again; exact
answers go through the noise and the threshold; noise that is drawn ahead is looked at as it comes out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from fractions import Fraction
from functools import partial
from pathlib import Path

import duckdb

from dpstats.engine.ahead import DrawnAhead
from dpstats.engine.duck import DuckEngine, open_engine
from dpstats.engine.locked import CONNECT_CONFIG
from dpstats.engine.meta import Meta, write_meta
from dpstats.engine.noise import Exact, add_noise
from dpstats.plan.plan import Draw, KeyColumn, Plan, Threshold
from dpstats.privacy.loss import Loss, Measure
from dpstats.privacy.mechanism import ADDED, Mechanism, Noise, Sensitivity
from dpstats.privacy.selftest import DRAWS, Check, looks_like

_FAR = 60
"""Noise of scale 1 is this large with a chance below 1e-700."""
_AHEAD_SCALE = 7.5
_FILLED_WITHIN_S = 30.0
_NOISE = Mechanism(Noise.GAUSSIAN, 1.0, Sensitivity(1, 1))


def is_locked_down() -> bool:
    """Whether a data version opens, which it does only if every probe of the lock-down is refused, and is read then."""
    with _tiny() as engine:
        plan = _plan("SELECT 0 AS g, SUM(n) AS d0 FROM rows")
        ((noisy,),) = add_noise(plan, engine.run(plan)).vectors
        return abs(noisy - 3000) < _FAR


def adds_noise_once() -> bool:
    """Whether exact answers come out with noise, one vector for one draw, and only once; with private keys too."""
    everything = Threshold(draw=0, at=-_FAR, max_groups=1, delta_steps=1)
    return all(_adds_noise_once(plan) for plan in (_plan(""), _plan("", everything)))


def _adds_noise_once(plan: Plan) -> bool:
    groups = 100
    exact = Exact(plan, [[0] * groups], [(place,) for place in range(groups)])
    (noisy,) = add_noise(plan, exact).vectors
    # By chance: all 100 without noise, 1e-39; one of them far off, 1e-700.
    return len(noisy) == groups and any(noisy) and max(map(abs, noisy)) < _FAR and _is_used_up(plan, exact)


def draws_ahead_by_its_distribution(noise: Noise) -> bool:
    """Whether noise that was drawn ahead looks like its distribution, and is gone once it was taken."""
    ahead, kind = DrawnAhead(), (noise, _AHEAD_SCALE)
    with ahead.filled():
        ahead.want({kind: DRAWS})
        if not ahead.wait_until_full(_FILLED_WITHIN_S) or not looks_like(noise, _AHEAD_SCALE, ahead.draw):
            return False
        ahead.wait_until_full(_FILLED_WITHIN_S)
        vector = Mechanism(noise, _AHEAD_SCALE, Sensitivity(1, 1)), [0] * 64
        return ahead.draw(*vector) != ahead.draw(*vector)  # alike by chance: below 1e-60


def names_what_reaches_the_threshold() -> bool:
    """Whether a group is named exactly when its noisy count is the threshold or more."""
    plan = _plan("", Threshold(draw=0, at=1000, max_groups=1, delta_steps=1))
    counts = [*range(1000 - 4, 1000 + 4)] * 40
    found = add_noise(plan, Exact(plan, [counts], [(str(place),) for place in range(len(counts))]))
    return bool(found.groups) and min(found.vectors[0]) == 1000  # 320 draws around it: missed with less than 1e-12


def _is_used_up(plan: Plan, exact: Exact) -> bool:
    try:
        add_noise(plan, exact)
    except ValueError:
        return True
    return False


@contextmanager
def _tiny() -> Iterator[DuckEngine]:
    with tempfile.TemporaryDirectory(prefix="dpstats-") as folder:
        path = Path(folder) / "selftest.duckdb"
        with duckdb.connect(path, config=CONNECT_CONFIG) as made:
            write_meta(made, "main", Meta("selftest", {}))
            made.execute("CREATE TABLE rows AS SELECT 1000 AS n FROM range(3)")
        with closing(open_engine(path, key=bytes(32), memory_limit_mb=256, threads=1, deadline_s=30)) as engine:
            yield engine


def _plan(sql: str, threshold: Threshold | None = None) -> Plan:
    return Plan(
        dataset="selftest",
        query="selftest",
        query_version="sha256:selftest",
        parameters={},
        parameter_values={},
        sql=sql,
        keys=() if threshold is None else (KeyColumn("k", "VARCHAR", (), private=True),),
        draws=(Draw(0, "n", "units", Fraction(1), _NOISE, "none"),),
        outputs=(),
        loss=Loss(Measure.ZCDP, 1),
        tables=("rows",),
        threshold=threshold,
    )


CHECKS: tuple[Check, ...] = (
    Check("DuckDB's lock-down", is_locked_down),
    Check("noise on every answer, once", adds_noise_once),
    Check("groups at their threshold", names_what_reaches_the_threshold),
    *(
        Check(f"{noise} that is drawn ahead", partial(draws_ahead_by_its_distribution, noise))
        for noise in ADDED.values()
    ),
)
