"""A Spark that starts, or cannot, says nothing of its own where a command's one line belongs."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from both import ADDRESS

START = f"""
from dpstats.engine.spark.session import open_session
from dpstats.errors import EngineFailed
try:
    print(open_session({ADDRESS!r}, memory_mb=512, threads=1).sql("SELECT 1 AS n").collect())
except EngineFailed as error:
    print(error)
"""


@pytest.mark.parametrize(("changed", "said"), [({}, "[Row(n=1)]"), ({"JAVA_HOME": "/nowhere"}, "Java 17 is missing")])
def test_java_says_nothing_on_the_terminal(changed: dict[str, str], said: str) -> None:
    command = [sys.executable, "-c", START]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **changed})
    assert ended.stderr == ""
    assert said in ended.stdout
    assert len(ended.stdout.splitlines()) == 1
