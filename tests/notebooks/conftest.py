"""A real service over the real data, which nobody has asked anything yet, and a way to run notebooks against it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from notebook_running import ANALYST, Run, Service, executed, make_workspace, serving


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The Complete Journey, served with the bundled queries."""
    folder = tmp_path_factory.mktemp("notebooks")
    with serving(folder, make_workspace(folder / "home")) as service:
        yield service


@pytest.fixture(scope="session")
def committed() -> nbformat.NotebookNode:
    """The notebook as it is in the repository."""
    notebook: nbformat.NotebookNode = nbformat.read(ANALYST, as_version=4)  # type: ignore[no-untyped-call]
    return notebook


@pytest.fixture(scope="session")
def first(service: Service, committed: nbformat.NotebookNode) -> Run:
    """The notebook after its first reader ran all of it."""
    return executed(committed, service)


@pytest.fixture(scope="session")
def second(service: Service, committed: nbformat.NotebookNode, first: Run) -> Run:
    """The notebook after another reader ran all of it, too."""
    return executed(committed, service)
