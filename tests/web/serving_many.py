"""Serves a workspace as `serving.py` does, to browsers that sign in from one address as often as tests must."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "api"))

from serving import main

from dpstats.web import signing_in

signing_in.TRIES = 10_000  # tests of the limit itself have a service of their own


if __name__ == "__main__":  # worker processes import this file too
    main()
