"""The built-in cases, through the whole path: passed as it is, failed by noise, bounds and thresholds that are broken.

A sound case fails once in 1e7, this file less than once in 1e5; the faults escape less than once in 1e6.
"""

from __future__ import annotations

from fractions import Fraction

import pytest

from dpstats.audit.canaries import GROUPS, ROWS, audit_canaries, visits
from dpstats.audit.findings import DeltaFinding, EpsilonFinding, Finding
from dpstats.plan import build

RUNS = GROUPS // 2


def audited(runs: int = RUNS) -> dict[str, Finding]:
    """Every built-in case by its name; one round of parallel groups."""
    return {finding.case: finding for finding in audit_canaries(runs, lambda step, fraction: None)}


def test_every_case_keeps_its_claim_and_comes_near_it() -> None:
    found = audited()
    assert not any(finding.exceeds for finding in found.values())
    tight = [f for name, f in found.items() if isinstance(f, EpsilonFinding) and "whole" not in name]
    assert [f.case for f in tight] == [
        f"{n}, {c}" for n in ("Gaussian", "Laplace") for c in ("units", "rows", "sum", "norm")
    ]
    for finding in tight:
        assert finding.share > 0.6, finding.case
        assert finding.tally.runs_in + finding.tally.runs_out == 2 * RUNS
        assert finding.claim.amount == (2.0 if finding.claim.pure else 1.0)
    keys = found["keys found in the data"]
    assert isinstance(keys, DeltaFinding)
    assert 0.002 < keys.claim.delta <= 0.005


@pytest.mark.usefixtures("half_the_noise")
def test_half_the_noise_is_noticed_in_every_case() -> None:
    for name, finding in audited().items():
        assert finding.exceeds or "whole" in name or isinstance(finding, DeltaFinding), name


def test_a_threshold_that_is_charged_too_little_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the second accountant, before anything is released: the ledger takes no charge below what its events cost."""
    honest = build.threshold

    def low(units: object, max_groups: int, delta: Fraction, floor: int) -> int:
        return honest(units, max_groups, 30 * delta, floor)  # type: ignore[arg-type]

    monkeypatch.setattr(build, "threshold", low)
    charged = build.delta_steps
    monkeypatch.setattr(build, "delta_steps", lambda *args: charged(*args) // 30)
    with pytest.raises(ValueError, match="no less than what its events come to"):
        audited()


def test_a_bound_that_does_not_hold_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SQL clips at 250; noise and charge are for a canary of 100."""
    from dpstats.privacy.mechanism import Sensitivity

    real = build.calibrate

    def smaller(noise: object, sensitivity: Sensitivity, amount: int) -> object:
        return real(noise, Sensitivity(max(1, 2 * sensitivity.per_cell // 5), sensitivity.cells), amount)  # type: ignore[arg-type]

    monkeypatch.setattr(build, "calibrate", smaller)
    found = audited()
    assert found["Gaussian, sum"].exceeds
    assert found["Laplace, rows"].exceeds


def test_canaries_touch_one_cell_each_and_everybody_else_is_always_in() -> None:
    tables = visits((True, False))["visits"]
    rows = list(zip(tables["person"], tables["cell"], strict=True))
    assert sorted(rows) == sorted([(1, 0), (2, 0), (4, 1), (5, 1)] + [(0, 0)] * ROWS)
