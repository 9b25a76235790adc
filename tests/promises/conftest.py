"""Desks for the promises."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from desk import Desk


@pytest.fixture(scope="module")
def new_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Desk]]:
    """Sets a desk up, with settings by name; all are closed in the end."""
    desks: list[Desk] = []

    def make(**settings: object) -> Desk:
        desks.append(Desk(tmp_path_factory.mktemp("desk"), **settings))
        return desks[-1]

    yield make
    for desk in desks:
        desk.workspace.close()


@pytest.fixture
def desk(new_desk: Callable[..., Desk]) -> Desk:
    """A fresh desk."""
    return new_desk()
