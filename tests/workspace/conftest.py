"""Workspaces: a shop and a gym, whose clock the test moves, and a clinic whose patients ask about their data."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from feature_gym import Gym
from rights_clinic import Clinic, opened_clinic
from workspace_shop import Shop, opened_shop


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with opened_shop(tmp_path) as shop:
        yield shop


@pytest.fixture
def gym(tmp_path: Path) -> Iterator[Gym]:
    made = Gym(tmp_path)
    yield made
    made.workspace.close()


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    with opened_clinic(tmp_path) as clinic:
        yield clinic
