"""Libraries that only some of the client needs: what to install is said where one is missing."""

from __future__ import annotations

from importlib.util import find_spec


def needed(module: str, extra: str) -> None:
    """Makes sure that a library is there.

    Raises:
      ModuleNotFoundError: it is not; says which extra of dpstats brings it.
    """
    if find_spec(module) is None:
        raise ModuleNotFoundError(f"this needs {module}: pip install 'dpstats[{extra}]'", name=module)
