"""One town made for all tests, copied for each that changes it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from api_town import Town, build, opened, write_files


@pytest.fixture(scope="session")
def town_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The CSV and YAML files."""
    files = tmp_path_factory.mktemp("town") / "files"
    write_files(files)
    return files


@pytest.fixture(scope="session")
def town_home(tmp_path_factory: pytest.TempPathFactory, town_files: Path) -> Path:
    """A workspace that is only ever copied."""
    home = tmp_path_factory.mktemp("town") / "home"
    build(home, town_files)
    return home


@pytest.fixture
def home(tmp_path: Path, town_home: Path) -> Path:
    """A workspace folder of this test's own."""
    return Path(shutil.copytree(town_home, tmp_path / "home"))


@pytest.fixture
def town(home: Path, town_files: Path) -> Iterator[Town]:
    """The town, of this test's own."""
    with opened(home, town_files) as town:
        yield town


@pytest.fixture(scope="module")
def quiet_town(tmp_path_factory: pytest.TempPathFactory, town_home: Path, town_files: Path) -> Iterator[Town]:
    """A town that the tests of one file share, for what changes nothing that another test looks at."""
    home = Path(shutil.copytree(town_home, tmp_path_factory.mktemp("quiet") / "home"))
    with opened(home, town_files) as town:
        yield town
