"""The long campaign: three services over one PostgreSQL ledger, of which one is harmed at a time, while callers ask.

    python tests/replicas/run.py --harms 60

Starts a server of its own. Prints what callers were told; ends with a traceback at the first promise that is broken.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import closing
from pathlib import Path

for folder in (Path(__file__).parent, Path(__file__).parents[1]):
    sys.path.insert(0, str(folder))

from postgres_server import MISSING, PostgresServer, binaries  # noqa: E402
from replica_campaign import ReplicaCampaign  # noqa: E402


def main() -> None:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--harms", type=int, default=60, metavar="N", help="how often a replica is harmed")
    parser.add_argument("--seconds", type=float, default=4, metavar="S", help="how long each time")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of which replica is harmed when")
    options = parser.parse_args()
    found = binaries()
    if found is None:
        sys.exit(MISSING)
    with closing(PostgresServer(found)) as server, tempfile.TemporaryDirectory(prefix="dpstats-replicas-") as place:
        campaign = ReplicaCampaign(Path(place), server, options.seed)
        try:
            campaign.run(options.harms, each_s=options.seconds)
        finally:
            campaign.close()
        campaign.check()
    for what, times in (campaign.harmed + campaign.told.ended).most_common():
        sys.stdout.write(f"{times:6}  {what}\n")
    sys.stdout.write(f"{len(campaign.told.releases)} releases; every promise held\n")


if __name__ == "__main__":
    main()
