"""What all tests share."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

from postgres_server import MISSING, PostgresServer, binaries


def pytest_configure() -> None:
    """Whoever runs the tests may have settings of their own; the tests have none. No test is timed."""
    settings.register_profile("untimed", deadline=None)
    settings.load_profile("untimed")
    for name in [name for name in os.environ if name.startswith("DPSTATS_")]:
        del os.environ[name]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server, started once. In CI its absence is a failure; elsewhere the tests on it are skipped."""
    folder = binaries()
    if folder is None:
        pytest.fail(MISSING) if os.environ.get("CI") else pytest.skip(MISSING)
    server = PostgresServer(folder)
    yield server
    server.close()
