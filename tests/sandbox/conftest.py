"""The town of the HTTP tests, and a sandbox made of what stands in its register."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal

sys.path.insert(0, str(Path(__file__).parents[1] / "api"))

from api_town import InMemory, Town, build, write_files

from dpstats.api import create_app
from dpstats.sandbox.made import Sandbox, sandbox
from dpstats.sandbox.texts import of_workspace
from dpstats.settings import read_settings
from dpstats.workspace import Workspace


@pytest.fixture(scope="session")
def real_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The town's workspace, which no test changes."""
    folder = tmp_path_factory.mktemp("town")
    write_files(folder / "files")
    build(folder / "home", folder / "files")
    return folder / "home"


@pytest.fixture(scope="session")
def box(real_home: Path) -> Iterator[Sandbox]:
    """A sandbox of the town."""
    with sandbox(read_settings(home=real_home), of_workspace(real_home, "")) as made:
        yield made


@pytest.fixture(scope="module")
def sandbox_town(box: Sandbox, real_home: Path) -> Iterator[Town]:
    """The sandbox, served in memory; its tokens are those that it was made with."""
    workspace = Workspace.open(box.settings, served=True)
    app = create_app(workspace)
    with start_blocking_portal() as portal:
        tokens = {(role, ()): token for role, token in box.tokens.items()}
        yield Town(workspace, app, InMemory(app, portal), real_home.parent / "files", tokens)
    workspace.close()
