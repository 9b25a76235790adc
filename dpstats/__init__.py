"""dpstats: answers about people that expose none of them.

Importing this package loads nothing heavy; `dpstats.Client` and `AsyncClient` are imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dpstats.client import AsyncClient, Client

__all__ = ["AsyncClient", "Client", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in ("AsyncClient", "Client"):
        from dpstats import client

        return getattr(client, name)
    raise AttributeError(f"module 'dpstats' has no attribute {name!r}")
