"""What the audit's tests share: noise that is smaller than what is claimed, in this process only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from dpstats.engine import ahead, noise
from dpstats.privacy.mechanism import SCALE_MIN, Mechanism, draw

Draw = Callable[[Mechanism, Sequence[int]], list[int]]


def _smaller(by: float) -> Draw:
    return lambda mechanism, exact: draw(replace(mechanism, scale=max(SCALE_MIN, mechanism.scale / by)), exact)


def _weaken(monkeypatch: pytest.MonkeyPatch, by: float) -> None:
    for drawing in (noise, ahead):
        monkeypatch.setattr(drawing, "draw", _smaller(by))


@pytest.fixture
def half_the_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build whose noise has half the scale that is charged for: the fault that the audit is tried on."""
    _weaken(monkeypatch, 2)


@pytest.fixture
def an_eighth_of_the_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same with an eighth, for audits of few runs."""
    _weaken(monkeypatch, 8)
