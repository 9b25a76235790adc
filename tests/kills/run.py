"""The long campaign: kills workers at every named point, and checks every promise of the ledger after each.

    python tests/kills/run.py --back-end sqlite --kills 1000
    python tests/kills/run.py --back-end postgresql --kills 1000     starts a server of its own

Prints how often it killed at each point; ends with a traceback at the first promise that does not hold.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

for folder in (Path(__file__).parent, Path(__file__).parents[1]):
    sys.path.insert(0, str(folder))

from kill_campaign import Campaign  # noqa: E402
from kill_worlds import BackEnd, Postgres, Sqlite  # noqa: E402
from postgres_server import MISSING, PostgresServer, binaries  # noqa: E402

SAID_EVERY = 50


def main() -> None:
    """Runs what the command line asks for."""
    options = _options()
    began = time.monotonic()
    with back_end_of(options.back_end) as back_end, tempfile.TemporaryDirectory(prefix="dpstats-kills-") as folder:
        campaign = Campaign(Path(folder), back_end)
        for number, _ in enumerate(campaign.run(options.kills), start=1):
            if number % SAID_EVERY == 0:
                _say(f"{sum(campaign.kills.values())} kills in {time.monotonic() - began:.0f} s")
        campaign.close()
    for name, times in campaign.kills.items():
        _say(f"{times:6}  {name}")
    _say(
        f"{sum(campaign.kills.values())} kills at {len(campaign.kills)} points on {options.back_end} in "
        f"{time.monotonic() - began:.0f} s; every promise held after each. "
        f"{campaign.exhausted} budgets exhausted to the last step, {campaign.damaged} damaged ledgers refused."
    )


@contextmanager
def back_end_of(name: str) -> Iterator[BackEnd]:
    """Where ledgers are kept; a server lives as long as the `with`."""
    if name == Sqlite.name:
        yield Sqlite()
        return
    folder = binaries()
    if folder is None:
        sys.exit(MISSING)
    server = PostgresServer(folder)
    try:
        yield Postgres(server)
    finally:
        server.close()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--back-end", choices=[Sqlite.name, Postgres.name], default=Sqlite.name)
    parser.add_argument("--kills", metavar="N", type=int, default=1000)
    return parser.parse_args()


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
