"""What all tests share."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))


def pytest_configure() -> None:
    """Whoever runs the tests may have settings of their own; the tests have none."""
    for name in [name for name in os.environ if name.startswith("DPSTATS_")]:
        del os.environ[name]
