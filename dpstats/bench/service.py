"""The service that is measured, in a process of its own: `python -m dpstats.bench.service HOME WORKERS`."""

from __future__ import annotations

import sys
from pathlib import Path

from dpstats.api.server import serve
from dpstats.settings import read_settings


def main() -> None:
    """Serves until it is told to stop; says its address when it is ready. Without a grid: what is measured is work."""
    home, workers = sys.argv[1:]
    settings = read_settings(home=Path(home), ledger_url="", port=0, workers=int(workers), latency_step_ms=0)
    serve(settings, _ready)


def _ready(address: str) -> None:
    sys.stdout.write(f"{address}\n")
    sys.stdout.flush()


if __name__ == "__main__":  # worker processes import this file too
    main()
