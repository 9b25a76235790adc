"""The town of the HTTP tests, asked with the Python client."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "api"))

from api_town import Town, build, opened, write_files

from dpstats.client import Client


@pytest.fixture(scope="session")
def client_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that is only ever copied, with its files beside it."""
    folder = tmp_path_factory.mktemp("client")
    write_files(folder / "files")
    build(folder / "home", folder / "files")
    return folder


@pytest.fixture
def town(tmp_path: Path, client_home: Path) -> Iterator[Town]:
    """The town, of this test's own."""
    home = Path(shutil.copytree(client_home / "home", tmp_path / "home"))
    with opened(home, client_home / "files") as town:
        yield town


@pytest.fixture
def client_of(town: Town) -> Iterator[Callable[[str], Client]]:
    """A client with a token of the role."""
    made: list[Client] = []

    def client(role: str) -> Client:
        made.append(Client("http://town", town.token(role), transport=town.transport))
        return made[-1]

    yield client
    for one in made:
        one.close()


@pytest.fixture
def analyst(client_of: Callable[[str], Client]) -> Client:
    """A client of an analyst."""
    return client_of("analyst")


@pytest.fixture
def steward(client_of: Callable[[str], Client]) -> Client:
    """A client of a steward."""
    return client_of("steward")
