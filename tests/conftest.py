"""What all tests share."""

from __future__ import annotations

import os


def pytest_configure() -> None:
    """Whoever runs the tests may have settings of their own; the tests have none."""
    for name in [name for name in os.environ if name.startswith("DPSTATS_")]:
        del os.environ[name]
