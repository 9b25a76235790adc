"""The command line on a workspace whose ledger is on a PostgreSQL server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_running import Run
from postgres_server import PostgresServer

NOWHERE = "postgresql+psycopg://u:hunter2@127.0.0.1:1/d"


def test_everything_is_done_with_the_ledger_on_a_server(
    anywhere: Run, shop: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = postgres.new_database()
    monkeypatch.setenv("DPSTATS_LEDGER_URL", postgres.url(database))

    def dpstats(*args: object) -> str:
        return anywhere("--home", shop / "served", *args).done().out

    dpstats("init")
    sources = [f"--source={table}={shop / table}.csv" for table in ("visits", "customers")]
    dpstats("dataset", "add", shop / "dataset.yaml", *sources)
    dpstats("query", "approve", shop / "by_town.yaml")
    first, again = (json.loads(dpstats("query", "run", "by_town", "--format", "json")) for _ in range(2))
    assert (first["replayed"], again["replayed"]) == (False, True)
    assert first["rows"] == again["rows"]
    dpstats("token", "create", "ana", "--role", "analyst")
    assert dpstats("ledger", "verify")
    assert not (shop / "served" / "ledger.db").exists()
    assert (shop / "served" / "heads" / "shop.json").exists()
    for table, rows in (("entries", 2), ("releases", 1), ("datasets", 1), ("approvals", 1), ("tokens", 1)):
        assert postgres.execute(database, f"SELECT count(*) FROM {table}") == [(rows,)]


@pytest.mark.parametrize(
    ("url", "said"),
    [(NOWHERE, "the database cannot be used"), ("mysql://u:hunter2@h/d", "write postgresql+psycopg://")],
)
def test_a_ledger_that_cannot_be_used_is_one_line_without_its_password(
    dpstats: Run, monkeypatch: pytest.MonkeyPatch, url: str, said: str
) -> None:
    monkeypatch.setenv("DPSTATS_LEDGER_URL", url)
    for command in (("query", "list"), ("serve", "--port", "0")):
        ran = dpstats(*command)
        ran.refused("DPSTATS_LEDGER_URL", said)
        assert "hunter2" not in ran.err


def test_a_check_without_a_workspace_leaves_the_server_alone(
    anywhere: Run, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DPSTATS_LEDGER_URL", NOWHERE)
    anywhere("--home", shop / "nothing", "query", "check", shop / "by_town.yaml").done()
