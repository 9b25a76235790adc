"""`dpstats doctor`: all well, or a line for each thing overdue or unsafe and exit status 1."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cli_running import QUERY, Ran, Run

from dpstats.ledger.asked import LOST
from dpstats.ledger.clock import stamp
from dpstats.release import Ask
from dpstats.settings import read_settings
from dpstats.workspace import Workspace
from dpstats.workspace.disk_encryption import SEEN, UNSEEN
from dpstats.workspace.doctor import LEFT_BEHIND_S


def found(ran: Ran) -> list[str]:
    assert ran.status == 1, ran.err
    return ran.out.splitlines()


def aged(file: Path) -> Path:
    """The file, as if it had been written before the doctor's patience began."""
    past = file.stat().st_mtime - LEFT_BEHIND_S - 60
    os.utime(file, (past, past))
    return file


def test_a_workspace_in_order_is_all_well(dpstats: Run, shop: Path) -> None:
    assert dpstats("doctor").done().out == "all well\n"
    told = json.loads(dpstats("doctor", "--json").done().out)
    assert told.pop("disk_encryption") in {SEEN, UNSEEN}
    assert told == {"ok": True, "findings": []}


def test_no_workspace_is_refused(anywhere: Run) -> None:
    anywhere("--home", "nowhere", "doctor").refused("no workspace")


def test_whoever_else_can_read_the_folder_or_a_key_is_a_line_each(dpstats: Run, shop: Path) -> None:
    home = shop / "home"
    home.chmod(0o755)
    (home / "ledger.key").chmod(0o640)
    (home / "bounding.key").chmod(0o604)
    lines = found(dpstats("doctor"))
    assert len(lines) == 3
    assert all(line.startswith("folder: ") and "than its owner: chmod" in line for line in lines)


def test_findings_are_json_as_well(dpstats: Run, shop: Path) -> None:
    (shop / "home").chmod(0o755)
    ran = dpstats("doctor", "--json")
    assert ran.status == 1
    assert json.loads(ran.out)["findings"] == [
        {"about": "folder", "what": f"{shop / 'home'} can be entered by others than its owner: chmod 700 it"}
    ]


def test_a_setting_that_is_misspelt_is_a_line(dpstats: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DPSTATS_TOKEN", "a client's own")
    monkeypatch.setenv("DPSTATS_LATENCY_STEP", "200")
    monkeypatch.setenv("DPSTATS_TYPO", "1")
    assert found(dpstats("doctor")) == [
        "settings: DPSTATS_LATENCY_STEP is no setting, and nothing reads it: is DPSTATS_LATENCY_STEP_MS meant?",
        "settings: DPSTATS_TYPO is no setting, and nothing reads it",
    ]


def test_copies_of_rows_and_keys_that_were_left_behind_are_lines(dpstats: Run, shop: Path) -> None:
    data = shop / "home" / "data"
    (data / "shop" / "dv_old.duckdb").write_bytes(b"rows")
    assert dpstats("doctor").done().out == "all well\n"  # it may be a load that still runs
    aged(data / "shop" / "dv_old.duckdb")
    (data / "shop" / ".loading-x").mkdir()
    (data / "shop" / ".loading-x" / "made").touch()
    aged(data / "shop" / ".loading-x" / "made")
    (shop / "home" / ".ledger.key.0123456789abcdef").touch()
    aged(shop / "home" / ".ledger.key.0123456789abcdef")
    lines = found(dpstats("doctor"))
    assert len(lines) == 3
    assert all("was left behind" in line for line in lines)


def test_a_frozen_dataset_is_a_line(dpstats: Run) -> None:
    dpstats("budget", "freeze", "shop").done()
    (line,) = found(dpstats("doctor"))
    assert line.startswith("dataset shop: it is frozen since ")
    dpstats("budget", "thaw", "shop").done()
    dpstats("doctor").done()


def test_data_that_are_gone_or_of_another_definition_are_a_line(dpstats: Run, shop: Path) -> None:
    for file in (shop / "home" / "data" / "shop").glob("*.duckdb"):
        file.unlink()
    (line,) = found(dpstats("doctor"))
    assert line.startswith("dataset shop: is not loaded")


def test_a_query_that_waits_for_approval_is_a_line_until_it_is_judged(dpstats: Run, shop: Path) -> None:
    (shop / "by_town.yaml").write_text(QUERY.replace("Customers and spend", "Customers, spend"), encoding="utf-8")
    dpstats("query", "submit", "by_town.yaml").done()
    (line,) = found(dpstats("doctor"))
    assert line.startswith("query by_town: it waits for approval since ")
    dpstats("query", "approve", "by_town").done()
    dpstats("doctor").done()
    dpstats("query", "revoke", "by_town").done()
    dpstats("doctor").done()


def test_a_budget_that_is_nearly_spent_is_a_line(dpstats: Run, shop: Path) -> None:
    cap = json.loads(dpstats("budget", "show", "shop", "--json").done().out)["rho"]
    text = QUERY.replace("query: by_town", "query: most").rpartition("cost:")[0] + f"cost: {{rho: {cap * 0.95:.6f}}}\n"
    (shop / "most.yaml").write_text(text, encoding="utf-8")
    dpstats("query", "approve", "most.yaml").done()
    dpstats("query", "run", "most").done()
    (line,) = found(dpstats("doctor"))
    assert line.startswith("dataset shop: less than 10 % of its budget is left")


def test_a_cap_that_is_nearly_used_up_is_a_line(dpstats: Run, shop: Path) -> None:
    price = json.loads(dpstats("query", "preview", "by_town", "--json").done().out)["cost"]["rho"]
    token = (
        dpstats("token", "create", "ana", "--role", "analyst", "--cap-rho", f"{price * 1.05:.6f}").done().out.strip()
    )
    workspace = Workspace.open(read_settings(home=shop / "home"))
    ana = workspace.store.tokens.authenticate(token)
    assert ana is not None
    workspace.releases.make(Ask(ana, "by_town", {}))
    workspace.close()
    dpstats("budget", "cap", "shop", "--role", "analyst", "--rho", f"{price * 1.05:.6f}", "--reason", "a share").done()
    dpstats("budget", "cap", "shop", "--role", "job", "--rho", "0", "--reason", "none for now").done()
    lines = found(dpstats("doctor"))
    assert len(lines) == 2
    assert lines[0].startswith("dataset shop: less than 10 % of the cap of role analyst is left")
    assert lines[1].startswith("token ana: less than 10 % of its own cap is left")


def test_a_proposal_that_soon_ends_undecided_is_a_line(dpstats: Run, shop: Path) -> None:
    dpstats("budget", "policy", "--grants-above", "0").done()
    dpstats("budget", "grant", "shop", "--epsilon", "1", "--reason", "more").done()
    dpstats("doctor").done()
    tomorrow = stamp(datetime.now(UTC) + timedelta(days=1))
    with closing(sqlite3.connect(shop / "home" / "ledger.db", isolation_level=None)) as raw:
        raw.execute("DROP TRIGGER proposals_no_update")
        raw.execute("UPDATE proposals SET expires_at = ?", (tomorrow,))
    (line,) = found(dpstats("doctor"))
    assert f"ends undecided on {tomorrow[:10]}: `dpstats budget confirm " in line


def test_consent_that_no_epoch_tells_of_is_a_line(dpstats: Run, shop: Path) -> None:
    purposes = "purposes: {measurement: {title: Reports, consent: notice}, offers: {title: Offers, consent: opt_in}}\n"
    text = (shop / "dataset.yaml").read_text(encoding="utf-8")
    (shop / "dataset.yaml").write_text(text.replace("tables:\n", f"{purposes}tables:\n", 1), encoding="utf-8")
    sources = [f"--source={table}={shop / table}.csv" for table in ("visits", "customers")]
    dpstats("dataset", "add", shop / "dataset.yaml", *sources).done()
    lines = found(dpstats("doctor"))
    assert lines[0].startswith(
        "dataset shop: no consent epoch was closed for its data, so it answers nothing for offers"
    )
    closed = dpstats("consent", "epoch").done().out
    assert closed.startswith("shop: dv_")
    assert "consent epoch" not in dpstats("doctor").out


def test_a_token_whose_secret_is_old_and_for_ever_is_a_line(dpstats: Run, shop: Path) -> None:
    dpstats("token", "create", "ana", "--role", "analyst").done()
    dpstats("doctor").done()
    with closing(sqlite3.connect(shop / "home" / "ledger.db", isolation_level=None)) as raw:
        raw.execute("UPDATE tokens SET created_at = '2025-01-01T00:00:00.000000+00:00'")
    (line,) = found(dpstats("doctor"))
    assert line.startswith("token ana: it never expires, and its secret is of 2025-01-01")
    dpstats("token", "revoke", "ana").done()
    dpstats("doctor").done()


def test_a_token_that_nobody_used_for_long_and_lines_that_were_let_go_are_lines(dpstats: Run, shop: Path) -> None:
    for name in ("ana", "bob"):
        dpstats("token", "create", name, "--role", "analyst", "--expires", "900d").done()
    tokens = {
        item["name"]: item["token_id"] for item in json.loads(dpstats("token", "list", "--json").done().out)["items"]
    }
    lines = [(200, tokens["ana"], ""), (200, tokens["bob"], ""), (1, tokens["bob"], ""), (200, "", LOST), (2, "", LOST)]
    with closing(sqlite3.connect(shop / "home" / "ledger.db", isolation_level=None)) as raw:
        raw.execute("UPDATE tokens SET created_at = '2025-01-01T00:00:00.000000+00:00'")
        for days, token, outcome in lines:
            at = stamp(datetime.now(UTC) - timedelta(days=days))
            values = (at, "req", "who", token, "analyst", "GET", "/v1/queries", "", "", 5, outcome)
            raw.execute(f"INSERT INTO asked VALUES (NULL, {', '.join('?' * len(values))})", values)
    unused, lost = found(dpstats("doctor"))
    assert unused.startswith("token ana: nobody used it for 90 days: `dpstats token revoke ana`")
    assert lost.startswith("log: 5 lines of who asked what were let go within 30 days")
    yesterday = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}"
    assert yesterday in dpstats("token", "list").done().out


@pytest.mark.parametrize("broken", ["UPDATE entries SET reason = 'x'", "DELETE FROM entries"])
def test_a_ledger_that_does_not_verify_is_a_line_and_the_rest_is_looked_at_too(
    dpstats: Run, shop: Path, broken: str
) -> None:
    dpstats("budget", "freeze", "shop").done()
    with closing(sqlite3.connect(shop / "home" / "ledger.db", isolation_level=None)) as raw:
        for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            raw.execute(f"DROP TRIGGER {name}")
        raw.execute("PRAGMA foreign_keys = OFF")
        raw.execute(broken)
    lines = found(dpstats("doctor"))
    assert any(line.startswith("ledger: it does not verify: ") for line in lines)
    assert any("it is frozen" in line for line in lines)
    assert not any("Traceback" in line for line in lines)


def test_a_changed_step_of_a_rights_request_is_found(dpstats: Run, shop: Path) -> None:
    dpstats("rights", "open", "limit", "shop", "1").done()
    assert dpstats("doctor").done().out == "all well\n"
    with closing(sqlite3.connect(shop / "home" / "consent.db")) as log:
        log.execute("UPDATE rights_steps SET content = replace(content, '\"limit\"', '\"opt_out\"')")
        log.commit()
    (line,) = found(dpstats("doctor"))
    assert line.startswith("rights: the log of requests does not verify")
