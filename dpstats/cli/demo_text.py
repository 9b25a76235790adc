"""What the demo leaves a reader with: tokens, and lines to paste."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

_NEXT = """\
Ask from another terminal:
  TOKEN={token}
  curl -s -H "Authorization: Bearer $TOKEN" {address}/v1/queries
  curl -s -X POST -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\
    -d '{{"parameters": {{"until": "2017-07-01"}}}}' \\
    {address}/v1/queries/spend_by_income/releases

Ask from Python:
  from dpstats import Client
  client = Client("{address}", "{token}")
  print(client.run("spend_by_income", until="2017-07-01").to_pandas())

Ask on this machine, without a token:
  dpstats --home {home} query list
  dpstats --home {home} query run spend_by_income -p until=2017-07-01
  dpstats --home {home} ledger list complete_journey
"""


def tokens_text(tokens: Mapping[str, str]) -> str:
    """The tokens by role. They are made anew each time, because they are stored only as hashes."""
    lines = (f"  {role:8} {token}" for role, token in tokens.items())
    return "\n".join(["Tokens (those of an earlier demo have ended):", *lines, ""])


def start_text(home: Path, port: int | None) -> str:
    """How to start the service, on the port that was asked for."""
    at = "" if port is None else f" --port {port}"
    return f"Start the service:\n  dpstats --home {shlex.quote(str(home))} serve{at}\n"


def next_text(home: Path, address: str, token: str) -> str:
    """Lines to paste where the service is at `address`."""
    return _NEXT.format(home=shlex.quote(str(home)), address=address, token=token)
