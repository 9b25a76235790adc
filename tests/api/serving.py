"""Serves a workspace: `serving.py HOME WORKERS`. Prints the address, and `ended` when it is told to stop."""

from __future__ import annotations

import sys
from pathlib import Path

from dpstats.api.server import serve
from dpstats.settings import read_settings


def main() -> None:
    home, workers = sys.argv[1:]
    serve(read_settings(home=Path(home), port=0, workers=int(workers)), lambda address: print(address, flush=True))
    print("ended", flush=True)


if __name__ == "__main__":  # worker processes import this file too
    main()
