"""A large release leaves in pieces, the same every time, in whatever form it is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from api_town import ME, Town

from dpstats.ledger.packed import PIECE, is_packed

QUERY = """
query: by_cell
dataset: town
sql: SELECT note, COUNT(*) AS n, SUM(value) AS spend FROM sales GROUP BY note
keys: {{note: {{values: {values}}}}}
bounds: {{n: [0, 2], spend: [0, 1000]}}
contribution: {{max_groups: 2}}
cost: {{rho: 0.01}}
"""
GROUPS = 8000


@pytest.fixture
def with_cells(town: Town, tmp_path: Path) -> Town:
    (tmp_path / "by_cell.yaml").write_text(QUERY.format(values=[f"note {place}" for place in range(GROUPS)]))
    workspace = town.workspace
    workspace.review.approve(ME, "by_cell", workspace.review.submit(ME, tmp_path / "by_cell.yaml")[1])
    return town


def test_it_is_stored_deflated_sent_whole_and_given_again_as_it_is(with_cells: Town) -> None:
    first, again = with_cells.run("by_cell"), with_cells.run("by_cell")
    assert (first.status_code, again.status_code) == (201, 200)
    body = first.json()
    assert len(first.content) > PIECE
    assert len(body["rows"]) == GROUPS
    assert again.json()["rows"] == body["rows"]
    stored = with_cells.workspace.store.ledger.release(body["release_id"])
    assert is_packed(stored.body)
    earlier = with_cells.ask("GET", f"/v1/releases/{body['release_id']}", role="analyst")
    assert earlier.json()["rows"] == body["rows"]
    as_csv = with_cells.ask("GET", f"/v1/releases/{body['release_id']}", role="analyst", headers={"Accept": "text/csv"})
    assert len(as_csv.text.splitlines()) == GROUPS + 1
    (listed,) = [
        r for r in with_cells.ask("GET", "/v1/releases", role="analyst").json()["items"] if r["query"] == "by_cell"
    ]
    assert listed["release_id"] == body["release_id"]
