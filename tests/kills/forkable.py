"""Keeps polars, which OpenDP imports where it is installed, out of a process that forks.

Polars has threads from its import on, and a lock that one of them holds at a fork is held in the child for ever.
Whoever forks imports this module before OpenDP.
"""

from __future__ import annotations

import sys

sys.modules["polars"] = None  # type: ignore[assignment]
