"""The first query that a process reads is read as well as any other, whoever else is reading at that moment."""

from __future__ import annotations

import subprocess
import sys

FIRST_USE = """
import sys, threading
import dpstats.plan.analysis
import sqlglot
from sqlglot.dialects.dialect import Dialect

SQL = "SELECT quantile_cont(x, 0.5) FROM t WHERE a // 2 = 1"
half, seen = threading.Event(), threading.Event()

def stop_halfway(frame, event, arg):
    if event == "call" and not (frame.f_code.co_name == "__new__" and "clsname" in frame.f_code.co_varnames):
        return stop_halfway
    if frame.f_locals.get("clsname") == "DuckDB" and "duckdb" in Dialect._classes and not half.is_set():
        half.set()
        seen.wait(20)
    return stop_halfway

def read_first():
    sys.settrace(stop_halfway)
    sqlglot.parse(SQL, read="duckdb")
    half.set()

first = threading.Thread(target=read_first)
first.start()
half.wait(20)
try:
    sqlglot.parse(SQL, read="duckdb")
    print("read")
except sqlglot.ParseError:
    print("refused")
seen.set()
first.join()
"""


def test_a_query_is_read_whole_while_another_thread_reads_the_first_one() -> None:
    """The other thread is stopped in the middle of making the dialect; without the import this one refuses good SQL."""
    made = subprocess.run(
        [sys.executable, "-c", FIRST_USE],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert made.stdout.strip() == "read"
