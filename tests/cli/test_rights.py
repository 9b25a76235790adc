"""`dpstats rights` from opening to evidence, and what a wrong step is told."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from cli_running import Run


def opened(dpstats: Run, kind: str = "delete") -> str:
    return str(json.loads(dpstats("rights", "open", kind, "shop", "1", "--json").done().out)["id"])


def verified(dpstats: Run, request: str) -> None:
    dpstats("rights", "verify", request, "--level", "reasonably_high", "--method", "signed declaration").done()


def test_each_step_says_the_next_command(dpstats: Run) -> None:
    request = opened(dpstats)
    shown = dpstats("rights", "show", request).done().out
    assert f"next: dpstats rights verify {request} --level LEVEL --method HOW" in shown
    assert "received, to be confirmed by" in shown
    verified(dpstats, request)
    shown = dpstats("rights", "show", request).done().out
    assert f"next: dpstats rights execute {request}" in shown
    assert "to be confirmed" not in shown, "who verifies confirms"
    done = dpstats("rights", "execute", request).done().out
    assert "fulfilled" in done
    assert "tell the person: No budget is given back for it" in done
    (evidence,) = json.loads(dpstats("rights", "show", request, "--json").done().out)["evidence"]["erased"]
    assert sum(evidence["rows_after"].values()) == 0 < sum(evidence["rows_before"].values())


def test_who_asked_how_it_was_verified_and_why_it_was_denied_are_shown(dpstats: Run) -> None:
    command = ("rights", "open", "delete", "shop", "1", "--agent", "Agent Co", "--permission", "letter 7", "--json")
    request = json.loads(dpstats(*command).done().out)["id"]
    dpstats("rights", "verify", request, "--level", "reasonable", "--method", "two facts matched").done()
    dpstats("rights", "deny", request, "--reason", "The order is not paid for.").done()
    lines = dpstats("rights", "show", request).done().out.splitlines()
    received, verified_, denied = (line for line in lines if line.startswith("  2"))
    assert received.endswith(": by an agent: Agent Co; permission: letter 7")
    assert verified_.endswith(": reasonable: two facts matched")
    assert denied.endswith(": The order is not paid for.")


def test_a_scan_without_a_positive_control_says_that_it_shows_nothing(dpstats: Run) -> None:
    request = opened(dpstats)
    verified(dpstats, request)
    done = json.loads(dpstats("rights", "execute", request, "--json").done().out)
    scan = done["evidence"]["erased"][0]["scan"]
    assert (scan["found_before"], scan["found_after"]) == ([], []), "an id of one digit cannot be looked for"
    assert "the scan shows nothing" in scan["says"]


def test_a_step_out_of_order_is_one_line(dpstats: Run) -> None:
    dpstats("rights", "execute", opened(dpstats)).refused("verify who asks first")
    dpstats("rights", "execute", opened(dpstats, "correct")).refused("verify who asks first")
    dpstats("rights", "open", "forget", "shop", "1").refused("type: must be one of know, delete")
    dpstats("rights", "show", "rr_unknown").refused("no rights request named")


def test_a_package_is_written_to_a_file(dpstats: Run, shop: Path) -> None:
    request = opened(dpstats, "know")
    verified(dpstats, request)
    dpstats("rights", "execute", request, "--out", "package.zip").done()
    with zipfile.ZipFile(shop / "package.zip") as package:
        assert json.loads(package.read("package.json"))["specific_pieces"]
    assert list((shop / "home" / "packages").iterdir()) == []


def test_a_request_to_know_says_before_it_is_carried_out_that_its_level_gives_no_pieces(dpstats: Run) -> None:
    request = opened(dpstats, "know")
    assert "the categories alone" not in dpstats("rights", "show", request).done().out
    verify = ("rights", "verify", request, "--method", "two facts matched", "--level")
    assert "it gives the categories alone: the pieces take" in dpstats(*verify, "reasonable").done().out
    assert "the categories alone" not in dpstats(*verify, "reasonably_high").done().out
    dpstats("rights", "execute", request, "--out", "package.zip").done()
    with zipfile.ZipFile("package.zip") as package:
        assert json.loads(package.read("package.json"))["specific_pieces"]


def test_a_package_without_a_file_to_write_it_to_says_where_it_is_fetched(dpstats: Run) -> None:
    request = opened(dpstats, "know")
    verified(dpstats, request)
    said = dpstats("rights", "execute", request).done().out
    assert "with a steward's token: /v1/rights/packages/" in said


def test_a_request_that_the_person_took_back_ends_and_is_not_carried_out(dpstats: Run) -> None:
    request = opened(dpstats)
    verified(dpstats, request)
    assert f"{request}: delete of shop: revoked" in dpstats("rights", "revoke", request).done().out
    dpstats("rights", "execute", request).refused("revoked already")
    dpstats("rights", "revoke", request).refused("revoked already")
    assert json.loads(dpstats("rights", "show", request, "--json").done().out)["status"] == {"status": "revoked"}


def test_what_is_kept_of_a_deletion_is_listed_shown_and_ended(dpstats: Run) -> None:
    request = opened(dpstats)
    verified(dpstats, request)
    execute = ("rights", "execute", request, "--except")
    dpstats(*execute, "visits.nothing=1798.105(d)(8)").refused("is no column that can be kept")
    done = dpstats(*execute, "visits.spent=1798.105(d)(8)").done().out
    assert "tell the person: We keep visits.spent, because the law obliges us (1798.105(d)(8))" in done
    (kept,) = json.loads(dpstats("rights", "kept", "--json").done().out)["items"]
    assert (kept["request"], kept["column"]) == (request, "visits.spent")
    assert request in dpstats("rights", "kept").done().out
    shown = dpstats("rights", "kept", request).done().out
    assert "visits.spent of shop is kept since" in shown
    assert "never disclosed" not in shown
    tables = json.loads(dpstats("rights", "kept", request, "--json").done().out)["tables"]
    assert tables["visits"]["columns"] == ["privacy_unit", "spent"]
    assert {row[0] for row in tables["visits"]["rows"]} == {"1"}
    assert dpstats("rights", "show", request).done().out.count(": visits.spent\n") == 2, "each look is noted"
    never = Path("dataset.yaml").read_text().replace("unit: USD}", "unit: USD, never_disclose: true}")
    Path("dataset.yaml").write_text(never)
    sources = (f"--source={table}={table}.csv" for table in ("visits", "customers"))
    dpstats("dataset", "add", "dataset.yaml", *sources).done()
    assert "is never disclosed: do not send it along" in dpstats("rights", "kept", request).done().out
    dpstats("rights", "kept", request, "--end").wrong_usage("--reason")
    dpstats("rights", "kept", "--end", "--reason", "paid").wrong_usage("ID")
    ended = dpstats("rights", "kept", request, "--end", "--reason", "paid").done().out
    assert "nothing of it is kept any more" in ended
    dpstats("rights", "kept", request).refused("no request of which something is kept named")
    assert json.loads(dpstats("rights", "kept", "--json").done().out) == {"items": []}


def test_requests_and_clocks_are_listed(dpstats: Run) -> None:
    dpstats("rights", "deny", opened(dpstats), "--reason", "We hold nothing under this id.").done()
    dpstats("rights", "extend", opened(dpstats), "--reason", "many files").done()
    states = [item["state"] for item in json.loads(dpstats("rights", "list", "--json").done().out)["items"]]
    assert states == ["denied", "received"]
    assert json.loads(dpstats("rights", "list", "--due", "--json").done().out)["items"] == []


def test_a_correction_says_the_table_the_columns_and_the_rows(dpstats: Run) -> None:
    request = opened(dpstats, "correct")
    verified(dpstats, request)
    dpstats("rights", "execute", request).refused("must say the table")
    dpstats("rights", "execute", request, "--set", "region=west").wrong_usage("--table")
    dpstats("rights", "execute", request, "--table", "elsewhere", "--set", "region=west").refused("table: must be one")


def test_a_third_request_to_know_is_denied_at_once_and_a_year_is_told_in_numbers(dpstats: Run) -> None:
    opened(dpstats, "know")
    opened(dpstats, "know")
    assert "--waive" in dpstats("rights", "open", "know", "shop", "1").done().out
    assert "received" in dpstats("rights", "open", "know", "shop", "1", "--waive").done().out
    received = json.loads(dpstats("rights", "open", "opt_out", "shop", "1", "--json").done().out)["received_at"]
    year = received[:4]
    of = json.loads(dpstats("rights", "metrics", "--year", year, "--json").done().out)["requests"]
    assert (of["know"]["received"], of["know"]["denied"], of["opt_out"]["open"]) == (4, 1, 1)
    assert dpstats("rights", "metrics", "--year", year).done().out.startswith("type")
