"""`dpstats ledger backup` and `restore`."""

from __future__ import annotations

import json
from pathlib import Path

from cli_running import Run


def test_a_lost_ledger_is_restored_and_goes_on(dpstats: Run, shop: Path) -> None:
    made = json.loads(dpstats("query", "run", "by_town", "--format", "json").done().out)
    assert dpstats("ledger", "backup", "saved").done().out == "saved 2 entries to saved, without the keys\n"
    dpstats("ledger", "restore", "saved").refused("ledger.db is there already")
    for file in (shop / "home").glob("ledger.db*"):
        file.unlink()
    ran = dpstats("ledger", "restore", "saved").done()
    assert ran.out == f"restored 2 entries in {shop / 'home'}\n"
    assert "no newer head" not in ran.err
    dpstats("ledger", "verify").done()
    again = json.loads(dpstats("query", "run", "by_town", "--format", "json").done().out)
    assert (again["release_id"], again["rows"], again["replayed"]) == (made["release_id"], made["rows"], True)


def test_a_backup_that_would_give_budget_back_is_refused_in_one_line(dpstats: Run, anywhere: Run, shop: Path) -> None:
    dpstats("ledger", "backup", "saved", "--keys").done()
    dpstats("query", "run", "by_town").done()
    dpstats("ledger", "export", "shop", "--out", "export.json").done()
    for file in (shop / "home").glob("ledger.db*"):
        file.unlink()
    dpstats("ledger", "restore", "saved").refused("older backup", "nothing was restored")
    anywhere("--home", "new", "ledger", "restore", "saved", "--head", "export.json").refused("older backup")
    ran = anywhere("--home", "new", "ledger", "restore", "saved").done()
    assert "shop: no newer head is known" in ran.err
    assert "is not loaded" in anywhere("--home", "new", "doctor").out
