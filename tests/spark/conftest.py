"""What the tests of Spark share: datasets on both engines, and their bounded answers. Java is at JAVA_HOME or found."""

from __future__ import annotations

import sys
from pathlib import Path

for room in ("plan", "queries", "spark"):
    sys.path.insert(0, str(Path(__file__).parents[1] / room))
