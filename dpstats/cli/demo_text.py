"""What the demo leaves a reader with: tokens, and lines to paste."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

_NEXT = """\
From another terminal:
  curl -s -H "Authorization: Bearer {token}" {address}/v1/queries
  curl -s -X POST -H "Authorization: Bearer {token}" -H "Content-Type: application/json" \\
    -d '{{"parameters": {{"until": "2017-07-01"}}}}' {address}/v1/queries/spend_by_income/releases
From Python:
  from dpstats import Client
  client = Client("{address}", "{token}")
  print(client.run("spend_by_income", until="2017-07-01").to_pandas())
On this machine, without a token:
  dpstats --home {home} query list
  dpstats --home {home} query run spend_by_income -p until=2017-07-01
  dpstats --home {home} ledger list complete_journey"""


def tokens_text(tokens: Mapping[str, str]) -> str:
    """The tokens by role; they are made anew each time, because they are stored only as hashes."""
    return "\n".join(["Tokens (those of an earlier demo have ended):", *(f"  {r:8} {t}" for r, t in tokens.items())])


def going_on(home: Path, address: str, token: str, *, serving: bool) -> str:
    """Lines to paste; `serving` is whether the service runs at `address` now."""
    lines = _NEXT.format(home=shlex.quote(str(home)), address=address, token=token)
    start = "" if serving else f"Start the service:\n  dpstats --home {shlex.quote(str(home))} serve\n"
    return start + lines
