"""`dpstats bench query` measures what its bounds say it does; how fast it is is for people to read."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
from typer.testing import CliRunner

from dpstats.bench.query import AT_REST, PLAIN, QUERIES, make
from dpstats.cli.main import app


def test_every_work_is_measured() -> None:
    ended = CliRunner().invoke(app, ["bench", "query", "--rows", "2000", "--runs", "1", "--units", "50", "--json"])
    assert ended.exit_code == 0, ended.output
    found = json.loads(ended.stdout)
    assert (found["rows"], found["repeats"], found["units"]) == (2000, 1, 50)
    assert list(found["works"]) == [*PLAIN, *QUERIES, *(f"{AT_REST}{query}" for query in QUERIES)]
    assert sorted(found["kept"]) == sorted(QUERIES)
    assert all(work["seconds"] > 0 and work["peak_mib"] > 0 for work in found["works"].values())
    assert found["load_s"] > found["ordering_s"] > 0
    assert found["plain_load_s"] > 0
    assert found["writing_s"] > 0


def test_the_made_customers_are_skewed_and_touch_many_groups(tmp_path: Path) -> None:
    """Else bounding would have nothing to do, and would look fast."""
    file = make(tmp_path, 20_000, 2000)
    with duckdb.connect() as connection:
        rows, most, customers, pairs = connection.execute(
            "SELECT sum(n), max(n), count(*), sum(pairs) FROM (SELECT customer, count(*) AS n, "
            f"count(DISTINCT segment || region) AS pairs FROM '{file}' GROUP BY customer)"
        ).fetchall()[0]
    assert rows == 20_000
    assert customers <= 2000
    assert most > 20 * rows / customers
    assert pairs > 3 * customers
