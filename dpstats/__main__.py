"""The way in to `dpstats` and `python -m dpstats`: the command line, or what to install where only the client is."""

from __future__ import annotations

import sys
from importlib.util import find_spec

NEEDED = ("typer", "rich", "opendp", "duckdb", "pyarrow", "sqlglot", "pydantic", "sqlalchemy", "fastapi", "uvicorn")
"""Packages of the extra `server` that tell whether it is installed."""


def main() -> None:
    """Runs the command line; exits with 0, 1 or 2."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        sys.exit(
            f"dpstats: the command line and the service need more than the client ({missing[0]} is not installed): "
            "pip install 'dpstats[server]'"
        )
    from dpstats.cli.main import main as command_line

    command_line()


if __name__ == "__main__":
    main()
