"""dpstats: answers about people that expose none of them.

Importing this package loads nothing heavy; `dpstats.Client` is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dpstats.client import Client

__all__ = ["Client", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "Client":
        from dpstats.client import Client

        return Client
    raise AttributeError(f"module 'dpstats' has no attribute {name!r}")
