"""The same question as a program asks it: text to copy, with the token left to be filled in."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Calls:
    """One question for a shell and for Python."""

    curl: str
    python: str


def calls_of(address: str, query: str, parameters: Mapping[str, object]) -> Calls:
    """How to ask a query of the service at `address`."""
    body = json.dumps({"parameters": dict(parameters)}, ensure_ascii=False)
    curl = (
        f"curl {address}/v1/queries/{query}/releases \\\n"
        f'  -H "Authorization: Bearer $DPSTATS_TOKEN" \\\n'
        f"  --json {shlex.quote(body)}"
    )
    python = (
        "import os\n\nfrom dpstats import Client\n\n"
        f'client = Client({json.dumps(address)}, os.environ["DPSTATS_TOKEN"])\n'
        f"release = client.run({', '.join([json.dumps(query), *_arguments(parameters)])})\n"
        "release.to_pandas()"
    )
    return Calls(curl, python)


def _arguments(parameters: Mapping[str, object]) -> list[str]:
    named = {name: value for name, value in parameters.items() if name.isidentifier()}
    return [f"{name}={value!r}" for name, value in named.items()]
