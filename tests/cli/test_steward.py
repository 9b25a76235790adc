"""Datasets, budgets, the ledger and tokens."""

from __future__ import annotations

import json
import os
import pwd
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cli_running import Run

from dpstats.cli.tokens import RoleName
from dpstats.ledger.tokens import Role


def shown(dpstats: Run, *args: str) -> Any:
    return json.loads(dpstats(*args, "--json").done().out)


# -- datasets --------------------------------------------------------------------------------------------------


def test_a_dataset_is_added_and_its_data_version_stands_alone_on_stdout(anywhere: Run) -> None:
    sources = ("--source", "visits=visits.csv", "customers=customers.csv")
    ran = anywhere("--home", "new", "dataset", "add", "dataset.yaml", *sources).done()
    listed = shown(anywhere, "--home", "new", "dataset", "list")["items"]
    assert ran.out == f"{listed[0]['data_version']}\n"


def test_a_load_makes_a_new_data_version(dpstats: Run) -> None:
    before = shown(dpstats, "dataset", "list")["items"][0]["data_version"]
    after = dpstats("dataset", "load", "shop", "--source", "visits=visits.csv", "--append").done().out.strip()
    assert after != before
    assert after in dpstats("dataset", "list").done().out


def test_a_load_says_what_it_kept_and_dropped(dpstats: Run, shop: Path) -> None:
    Path("more.csv").write_text("customer_id,spent,day\n1,5,2025-01-01\n,5,2025-01-01\n2,lots,2025-01-01\n3,101,\n")
    version = dpstats("dataset", "load", "shop", "--source", "visits=more.csv").done().out.strip()
    told = shown(dpstats, "dataset", "report", "shop")
    assert told["data_version"] == version
    visits, customers = told["tables"]["visits"], told["tables"]["customers"]
    assert {name: count for name, count in visits["rows"].items() if count} == {"read": 4, "kept": 3, "nobodys": 1}
    assert {name: count for name, count in customers["rows"].items() if count} == {"carried_over": 400, "kept": 400}
    assert (visits["emptied"]["spent"], visits["out_of_bounds"]) == (1, {"spent": 1})
    ran = dpstats("dataset", "report", "shop").done()
    assert [line.split() for line in ran.out.splitlines()[1:4]] == [
        ["table", "read", "carried", "over", "kept", "nobody's"],
        ["visits", "4", "0", "3", "1"],
        ["customers", "0", "400", "400", "0"],
    ]
    assert "Keep them on this host" in ran.err


def test_approved_queries_are_prepared_once_and_answer_as_before(dpstats: Run) -> None:
    first = dpstats("dataset", "prepare", "shop").done().out
    assert "by_town" in first
    assert "made now" in first
    lines = shown(dpstats, "dataset", "prepare", "shop")["items"]
    assert {line["query"]: line["bytes"] for line in lines}["by_town"] is None, "it was there"
    assert all(line["kept"] or line["why"] for line in lines)
    assert dpstats("query", "run", "by_town").done().out
    dpstats("dataset", "prepare", "nothing").refused("nothing")


def test_there_is_no_report_of_what_was_never_loaded(dpstats: Run) -> None:
    dpstats("dataset", "report", "nope").refused("no dataset named 'nope'")


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (["add", "nope.yaml"], "no such file"),
        (["add", "visits.csv"], "visits.csv"),
        (["add", "dataset.yaml", "--source", "visits=nope.csv"], "nope.csv"),
        (["add", "dataset.yaml", "--source", "nope=visits.csv"], "no such table"),
        (["load", "nope", "--source", "visits=visits.csv"], "no dataset named 'nope'"),
        (["load", "shop", "--source", "visits=by_town.yaml"], "by_town.yaml"),
        (["load", "shop", "--source", "visits=customers.csv"], "customers.csv"),
    ],
)
def test_data_that_cannot_be_loaded_change_nothing(dpstats: Run, args: list[str], word: str) -> None:
    before = shown(dpstats, "dataset", "list")
    dpstats("dataset", *args).refused(word)
    assert shown(dpstats, "dataset", "list") == before


def test_an_empty_workspace_says_what_to_do_next(anywhere: Run) -> None:
    anywhere("--home", "new", "init").done()
    for what, hint in (("dataset", "dataset add"), ("query", "query approve"), ("token", "token create")):
        ran = anywhere("--home", "new", what, "list").done()
        assert ran.out == ""
        assert hint in ran.err
        assert shown(anywhere, "--home", "new", what, "list") == {"items": [], "next": None}


# -- budgets ---------------------------------------------------------------------------------------------------


def test_a_budget_is_shown_in_both_currencies(dpstats: Run) -> None:
    dpstats("query", "run", "by_town").done()
    out = dpstats("budget", "show", "shop").done().out
    assert "epsilon 0.643 of 3 spent, 2.357 left" in out
    assert "rho 0.01 of 0.175749908689 spent, 0.165749908689 left" in out
    assert shown(dpstats, "budget", "show", "shop")["rho_remaining"] == 0.165749908689


@pytest.mark.parametrize(("option", "measure", "added"), [("--rho", "rho", 0.1), ("--epsilon", "epsilon", 1.5)])
def test_a_grant_raises_the_budget_and_is_written_down(dpstats: Run, option: str, measure: str, added: float) -> None:
    before = shown(dpstats, "budget", "show", "shop")[measure]
    dpstats("budget", "grant", "shop", option, str(added), "--reason", "a new year").done()
    assert shown(dpstats, "budget", "show", "shop")[measure] == pytest.approx(before + added)
    assert "a new year" in dpstats("ledger", "list", "shop").done().out


def test_the_ledger_says_which_user_of_the_host_did_it_whatever_the_environment_says(
    dpstats: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("USER", "LOGNAME", "SUDO_USER"):
        monkeypatch.setenv(name, "somebody")
    dpstats("budget", "grant", "shop", "--epsilon", "1", "--reason", "more").done()
    entries = shown(dpstats, "ledger", "list", "shop")["entries"]
    assert entries[-1]["actor"] == f"cli:{pwd.getpwuid(os.geteuid()).pw_name}"


@pytest.mark.parametrize("args", [["--rho", "0"], ["--epsilon", "5000"], ["--epsilon", "0"]])
def test_a_grant_of_nothing_or_too_much_is_refused(dpstats: Run, args: list[str]) -> None:
    dpstats("budget", "grant", "shop", *args, "--reason", "x").refused("must be more than 0")
    assert len(shown(dpstats, "ledger", "list", "shop")["entries"]) == 1


def test_a_frozen_dataset_gives_nothing_until_it_is_thawed(dpstats: Run) -> None:
    dpstats("query", "run", "by_town").done()
    dpstats("budget", "freeze", "shop").done()
    dpstats("query", "run", "by_town").refused("frozen", "dpstats budget thaw shop")
    assert "frozen" in dpstats("budget", "show", "shop").done().out
    dpstats("budget", "thaw", "shop").done()
    dpstats("query", "run", "by_town").done()


# -- the ledger ------------------------------------------------------------------------------------------------


def test_the_ledger_lists_grants_and_charges_in_order(dpstats: Run) -> None:
    dpstats("query", "run", "by_town").done()
    rows = [line.split() for line in dpstats("ledger", "list", "shop").done().out.splitlines()[1:]]
    assert [(row[0], row[3]) for row in rows] == [("1", "grant"), ("2", "charge")]
    assert [entry["seq"] for entry in shown(dpstats, "ledger", "list", "shop", "--after", "1")["entries"]] == [2]


def test_the_whole_ledger_is_exported(dpstats: Run) -> None:
    dpstats("query", "run", "by_town").done()
    whole = json.loads(dpstats("ledger", "export", "shop").done().out)
    key = whole.pop("public_key")
    assert whole == {"dataset": "shop"} | shown(dpstats, "ledger", "list", "shop")
    assert len(bytes.fromhex(key.removeprefix("ed25519:"))) == 32
    assert whole["head"]["hash"] == whole["entries"][-1]["hash"]
    assert dpstats("ledger", "export", "shop", "--out", "ledger.json").done().out == ""
    assert json.loads(Path("ledger.json").read_text(encoding="utf-8")) == whole | {"public_key": key}


def test_a_sound_ledger_verifies(dpstats: Run) -> None:
    dpstats("query", "run", "by_town").done()
    for args in ([], ["shop"]):
        assert "the ledger verifies: 2 entries of shop" in dpstats("ledger", "verify", *args).done().out
    assert shown(dpstats, "ledger", "verify") == {"ok": True, "lineages": ["shop"], "entries": 2, "findings": []}
    dpstats("ledger", "verify", "nope").refused("no dataset named 'nope'")


def test_each_thing_that_is_wrong_with_the_ledger_has_a_line(dpstats: Run, shop: Path) -> None:
    dpstats("query", "run", "by_town").done()
    with closing(sqlite3.connect(shop / "home" / "ledger.db")) as connection:
        triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in triggers:
            connection.execute(f'DROP TRIGGER "{name}"')
        connection.execute("UPDATE entries SET amount = 1 WHERE seq = 2")
        connection.commit()
    ran = dpstats("ledger", "verify")
    assert (ran.status, ran.out) == (1, "")
    summary, *findings = ran.err.splitlines()
    assert summary.startswith("dpstats: the ledger does not verify: ")
    assert any("entry 2 was changed" in finding for finding in findings)


def test_a_ledger_that_is_gone_is_a_finding(dpstats: Run, shop: Path) -> None:
    (shop / "home" / "ledger.db").unlink()
    ran = dpstats("ledger", "verify")
    assert ran.status == 1
    assert "a tail was cut" in ran.err
    dpstats("query", "list").refused("dpstats ledger verify")


# -- tokens ----------------------------------------------------------------------------------------------------


def test_a_token_stands_alone_on_stdout_and_is_never_shown_again(dpstats: Run) -> None:
    ran = dpstats("token", "create", "ann", "--role", "analyst", "--dataset", "shop", "--cap-rho", "0.05").done()
    token = ran.out.strip()
    assert ran.out == f"{token}\n"
    assert token.startswith("dps_")
    assert token not in ran.err
    listed = dpstats("token", "list").done().out
    assert token not in listed
    assert token not in dpstats("token", "list", "--json").done().out
    assert "0.05" in listed
    assert "live" in listed


def test_a_revoked_token_is_over(dpstats: Run) -> None:
    dpstats("token", "create", "ann", "--role", "job").done()
    dpstats("token", "create", "ann", "--role", "job").refused("a token named ann is live")
    dpstats("token", "revoke", "ann").done()
    dpstats("token", "revoke", "ann").refused("no live token named 'ann'", "dpstats token list")
    assert "revoked" in dpstats("token", "list").done().out


def test_a_token_s_end_is_said_or_set_and_shown(dpstats: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    dpstats("token", "create", "ann", "--role", "job", "--expires", "90d").done()
    dpstats("token", "create", "bob", "--role", "job").done()
    monkeypatch.setenv("DPSTATS_TOKEN_EXPIRES", "12h")
    dpstats("token", "create", "cid", "--role", "job").done()
    dpstats("token", "create", "dot", "--role", "job", "--expires", "never").done()
    tokens = {item["name"]: item for item in shown(dpstats, "token", "list")["items"]}
    spans = {
        name: datetime.fromisoformat(item["expires_at"]) - datetime.fromisoformat(item["created_at"])
        for name, item in tokens.items()
        if item["expires_at"]
    }
    assert spans == {"ann": timedelta(days=90), "cid": timedelta(hours=12)}
    assert f"live until {tokens['ann']['expires_at'][:10]}" in dpstats("token", "list").done().out
    monkeypatch.setenv("DPSTATS_TOKEN_EXPIRES", "soon")
    dpstats("token", "create", "eve", "--role", "job").refused("DPSTATS_TOKEN_EXPIRES")
    dpstats("token", "create", "eve", "--role", "job", "--expires", "0d").wrong_usage("a time like 30d")


def test_a_new_secret_stands_alone_on_stdout_and_the_old_one_is_over(dpstats: Run) -> None:
    old = dpstats("token", "create", "ann", "--role", "job").done().out.strip()
    ran = dpstats("token", "rotate", "ann", "--expires", "90d").done()
    new = ran.out.strip()
    assert ran.out == f"{new}\n"
    assert new != old
    assert new not in ran.err
    (item,) = shown(dpstats, "token", "list")["items"]
    assert (item["prefix"], item["state"], item["earlier_until"]) == (new[:8], "live", None)
    dpstats("token", "rotate", "ann", "--grace", "1h").done()
    assert "the old secret until" in dpstats("token", "list").done().out
    dpstats("token", "rotate", "nobody").refused("no live token named 'nobody'")


def test_a_token_for_a_dataset_that_is_not_there_is_refused(dpstats: Run) -> None:
    dpstats("token", "create", "ann", "--role", "job", "--dataset", "nope").refused("no dataset named 'nope'")


def test_the_roles_are_those_of_the_ledger() -> None:
    assert {role.value for role in RoleName} == {role.value for role in Role}


# -- releases --------------------------------------------------------------------------------------------------


def test_a_withdrawn_release_is_not_given_again_and_the_next_one_is_charged(dpstats: Run) -> None:
    first = json.loads(dpstats("query", "run", "by_town", "--format", "json").done().out)
    assert "is withdrawn" in dpstats("release", "withdraw", first["release_id"], "--reason", "a wrong file").done().out
    second = json.loads(dpstats("query", "run", "by_town", "--format", "json").done().out)
    assert second["replayed"] is False
    assert (second["release_id"] != first["release_id"], second["budget"]["rho_spent"]) == (True, 0.02)
    dpstats("release", "withdraw", first["release_id"], "--reason", "again").refused("no release named")
    dpstats("release", "withdraw", second["release_id"], "--reason", " ").wrong_usage("say why")
