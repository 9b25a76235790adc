"""A steward in a process of their own: `steward_beside.py HOME`. Does what each line of JSON says, and says `done`.

A line is `["part.method", [arguments], {named}]`: `workspace.part.method` is called as the operator.
"""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from operator import attrgetter
from pathlib import Path

from dpstats.access import operator
from dpstats.release import Ask
from dpstats.settings import read_settings
from dpstats.workspace import Workspace


def main() -> None:
    me = operator("beside")
    workspace = Workspace.open(read_settings(home=Path(sys.argv[1])))
    print("ready", flush=True)
    for line in sys.stdin:
        method, arguments, named = json.loads(line, parse_float=Decimal)
        if method == "releases.make":
            workspace.releases.make(Ask(me, *arguments, **named))
        else:
            attrgetter(method)(workspace)(me, *arguments, **named)
        print("done", flush=True)
    workspace.close()


if __name__ == "__main__":
    main()
