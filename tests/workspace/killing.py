"""Requests that are executed in a process of their own, which is killed on the way."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

DEADLINE_S = 300
_EXECUTED = """
import json, os, signal, sys
from dpstats.access import operator
from dpstats.settings import read_settings
from dpstats.workspace import Workspace

home, request, exceptions, point, moment = sys.argv[1:6]
workspace = Workspace.open(read_settings(home=home))

def watch(frame, event, _):
    if event == moment and frame.f_code.co_qualname == point:
        os.kill(os.getpid(), signal.SIGKILL)

sys.setprofile(watch)
workspace.rights.execute(operator("stu"), request, exceptions=json.loads(exceptions))
"""


def executed(home: Path, request: str, exceptions: Mapping[str, str], point: str, moment: str) -> int:
    """The return code of a process that executes a request, and is killed at a moment of a function.

    Args:
      point: the function, by its qualified name. moment: `call` or `return`.
    """
    command = [sys.executable, "-c", _EXECUTED, str(home), request, json.dumps(dict(exceptions)), point, moment]
    return subprocess.run(command, check=False, timeout=DEADLINE_S).returncode
