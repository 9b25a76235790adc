"""`dpstats bench ledger` measures a real ledger; how fast it is is for people to read."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

from typer.testing import CliRunner

from dpstats.bench import ledger
from dpstats.cli.main import app
from dpstats.ledger.records import Charged
from dpstats.ledger.store import open_store


def test_a_long_ledger_is_made_of_true_entries(tmp_path: Path) -> None:
    with closing(open_store(tmp_path)) as store:
        ledger._prepare(store)
        store.ledger.charge(ledger._request())
        for entries in (3, 40):
            ledger.lengthen(store, tmp_path, entries)
        report = store.ledger.verify()
        assert (report.findings, report.entries) == ((), 45)
        assert store.ledger.budget(ledger.LINEAGE).spent.amount == 44
    with closing(open_store(tmp_path)) as again:
        assert isinstance(again.ledger.charge(ledger._request()), Charged)


def test_charges_bare_commits_and_ledgers_of_two_lengths_are_measured() -> None:
    options = ["--callers", "4", "--seconds", "0.2", "--entries", "1200", "--json"]
    ended = CliRunner().invoke(app, ["bench", "ledger", *options])
    assert ended.exit_code == 0, ended.output
    found = json.loads(ended.stdout)
    assert (found.pop("callers"), found.pop("seconds"), found.pop("entries")) == (4, 0.2, 1200)
    costs = [found.pop("short"), found.pop("long")]
    assert all(set(cost) == {"open_ms", "charge_ms", "budget_ms"} for cost in costs)
    assert set(found) == {"bare_per_s", "charges_per_s", "p50_ms", "p99_ms"}
    assert all(value > 0 for part in (*costs, found) for value in part.values())
