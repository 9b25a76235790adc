"""A real service over the real data, which nobody has asked anything yet, and a way to run notebooks against it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from notebook_running import Run, Service, committed_notebook, executed, make_workspace, renew, serving

Loaded = tuple[Path, dict[str, str]]
"""A workspace that is only ever copied, and its tokens."""


@pytest.fixture(scope="session")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    """The Complete Journey, with the bundled queries."""
    home = tmp_path_factory.mktemp("loaded") / "home"
    return home, make_workspace(home)


@pytest.fixture(scope="session")
def service(loaded: Loaded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The Complete Journey, served with the bundled queries."""
    with _served(loaded, tmp_path_factory.mktemp("notebooks")) as service:
        yield service


@pytest.fixture(scope="module")
def own_service(loaded: Loaded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The same for one file of tests, which may spend what it likes."""
    with _served(loaded, tmp_path_factory.mktemp("notebooks")) as service:
        yield service


@pytest.fixture(scope="module")
def renewed_service(loaded: Loaded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The same, with the view of the job's notebook renewed."""
    with _served(loaded, tmp_path_factory.mktemp("notebooks"), view="income_profile") as service:
        yield service


@contextmanager
def _served(loaded: Loaded, folder: Path, view: str | None = None) -> Iterator[Service]:
    home, tokens = loaded
    shutil.copytree(home, folder / "home")
    if view is not None:
        assert renew(folder / "home", view) == "renewed"
    with serving(folder, tokens) as service:
        yield service


@pytest.fixture(scope="session")
def committed() -> nbformat.NotebookNode:
    """The notebook as it is in the repository."""
    return committed_notebook("analyst")


@pytest.fixture(scope="session")
def first(service: Service, committed: nbformat.NotebookNode) -> Run:
    """The notebook after its first reader ran all of it."""
    return executed(committed, service)


@pytest.fixture(scope="session")
def second(service: Service, committed: nbformat.NotebookNode, first: Run) -> Run:
    """The notebook after another reader ran all of it, too."""
    return executed(committed, service)
