"""`dpstats ledger backup` and `restore`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
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


LOAD = ("dataset", "load", "shop", "--source", "visits=visits.csv", "--source", "customers=customers.csv")


def erased(dpstats: Run, unit: str = "1") -> None:
    request = json.loads(dpstats("rights", "open", "delete", "shop", unit, "--json").done().out)["id"]
    dpstats("rights", "verify", request, "--level", "reasonably_high", "--method", "signed declaration").done()
    dpstats("rights", "execute", request).done()


def held(dpstats: Run, unit: str = "1") -> int:
    """How many rows of a person are there, as a new request to erase it would say; it is refused where none are."""
    request = json.loads(dpstats("rights", "open", "delete", "shop", unit, "--json").done().out)["id"]
    dpstats("rights", "verify", request, "--level", "reasonably_high", "--method", "signed declaration").done()
    ran = dpstats("rights", "execute", request, "--json")
    if ran.status:
        ran.refused("nothing is held since")
        return 0
    return sum(json.loads(ran.out)["evidence"]["erased"][0]["rows_before"].values())


def test_who_was_erased_stays_out_of_a_workspace_that_was_restored(dpstats: Run, anywhere: Run, shop: Path) -> None:
    erased(dpstats)
    dpstats("ledger", "backup", "saved", "--keys").done()
    assert "known up to this backup" in anywhere("--home", "new", "ledger", "restore", "saved").done().err
    anywhere("--home", "new", *LOAD).done()
    new: Run = lambda *words: anywhere("--home", "new", *words)  # noqa: E731
    assert (held(new), held(new, "2") > 0) == (0, True)


def test_a_backup_from_before_takes_nobody_back_in(dpstats: Run, shop: Path) -> None:
    erased(dpstats, "2")
    dpstats("ledger", "backup", "saved").done()
    for file in (shop / "home").glob("consent.db*"):
        file.unlink()
    erased(dpstats)
    for file in (shop / "home").glob("ledger.db*"):
        file.unlink()
    dpstats("ledger", "restore", "saved").done()
    dpstats(*LOAD).done()
    assert (held(dpstats), held(dpstats, "2"), held(dpstats, "3") > 0) == (0, 0, True)


@pytest.mark.parametrize("command", [("query", "run", "by_town"), ("refresh",)], ids=" ".join)
def test_old_data_that_are_put_back_answer_a_command_without_who_was_erased(
    dpstats: Run, shop: Path, command: tuple[str, ...]
) -> None:
    dpstats("ledger", "backup", "saved").done()
    shutil.copytree(shop / "home" / "data", shop / "old")
    erased(dpstats)
    for file in (shop / "home").glob("ledger.db*"):
        file.unlink()
    dpstats("ledger", "restore", "saved").done()
    shutil.rmtree(shop / "home" / "data")
    shutil.copytree(shop / "old", shop / "home" / "data")
    assert "older than an erasure" in dpstats("doctor").out
    dpstats(*command).done()
    assert "older than an erasure" not in dpstats("doctor").out
    assert held(dpstats) == 0


def test_a_consent_database_without_its_key_is_refused(dpstats: Run, anywhere: Run, shop: Path) -> None:
    dpstats("ledger", "backup", "saved").done()
    keys = [(name, (shop / "home" / name).read_bytes()) for name in ("ledger.key", "bounding.key")]
    (shop / "new").mkdir(mode=0o700)
    for name, content in keys:
        (shop / "new" / name).write_bytes(content)
    anywhere("--home", "new", "ledger", "restore", "saved").refused("consent.key is missing, or another's")
    assert not list((shop / "new").glob("*.db"))
    shutil.copy(shop / "home" / "consent.key", shop / "new" / "consent.key")
    told = anywhere("--home", "new", "ledger", "restore", "saved").done().err
    assert "known up to this backup" in told
    assert "what stewards ended after the backup stands again" in told
