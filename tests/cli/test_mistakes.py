"""What people get wrong first: each is one clear line, with what it is, where, and what to do."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_running import DATASET, QUERY, Run, run_here

SOURCES = ("--source", "visits=visits.csv", "--source", "customers=customers.csv")


def edited(name: str, text: str, old: str, new: str) -> Callable[[Path], None]:
    """Writes a file with a mistake in it."""
    assert old in text
    return lambda folder: (folder / name).write_text(text.replace(old, new), encoding="utf-8") and None


def nothing(folder: Path) -> None:
    """The mistake is in what is typed."""


@pytest.mark.parametrize(
    ("mistaken", "args", "words"),
    [
        (nothing, ["dataset", "add", "no.yaml", *SOURCES], ["no.yaml", "check the path"]),
        (nothing, ["dataset", "add", "dataset.yaml", "--source", "visits=no.csv"], ["no.csv", "check the path"]),
        (nothing, ["dataset", "add", "dataset.yaml", "--source", "visit=visits.csv"], ["visit", "visits, customers"]),
        (nothing, ["dataset", "load", "shop", "--source", "visits=customers.csv"], ["customers.csv", "spent"]),
        (nothing, ["dataset", "load", "shop", "--source", "visits=dataset.yaml"], ["dataset.yaml"]),
        (
            edited("dataset.yaml", DATASET, "privacy_unit", "privacy_units"),
            ["dataset", "add", "dataset.yaml", *SOURCES],
            ["dataset.yaml:1", "privacy_unit: this key is missing", "line 3", "check its spelling (privacy_unit?)"],
        ),
        (
            edited("dataset.yaml", DATASET, "spent", "paid"),
            ["dataset", "add", "dataset.yaml", *SOURCES],
            ["visits.csv", "paid"],
        ),
        (
            edited("dataset.yaml", DATASET, "epsilon: 3.0", "epsilon: 9.0"),
            ["dataset", "add", "dataset.yaml", *SOURCES],
            ["lineage shop", "dpstats budget grant"],
        ),
        (
            edited("by_town.yaml", QUERY, "v.spent", "v.spend"),
            ["query", "check", "by_town.yaml"],
            ["line 1, column", "of the SQL: there is no column v.spend", "The columns are"],
        ),
        (
            edited("by_town.yaml", QUERY, "dataset: shop", "dataset: shopp"),
            ["query", "check", "by_town.yaml"],
            ["by_town.yaml", "there is no dataset shopp", "is of shop"],
        ),
        (
            edited("by_town.yaml", QUERY, "rho: 0.01", "rho: some"),
            ["query", "check", "by_town.yaml"],
            ["by_town.yaml", "cost.rho", "must be a number"],
        ),
        (
            edited("other.yaml", QUERY, "by_town", "by_city"),
            ["query", "check", "other.yaml"],
            ["other.yaml", "by_city.yaml"],
        ),
        (nothing, ["query", "run", "by_twon"], ["by_twon", "dpstats query list", "GET /v1/queries"]),
        (nothing, ["query", "run", "by_town", "-p", "sinse=2025-02-01"], ["sinse", "this query has since"]),
        (nothing, ["query", "run", "by_town", "-p", "since=2024-12-31"], ["since", "2025-01-01 to 2025-12-31"]),
        (nothing, ["query", "run", "by_town", "-p", "since=2025-02-30"], ["since", "YYYY-MM-DD"]),
        (nothing, ["query", "run", "by_town", "--out", "no/where.csv"], ["no/where.csv", "--out"]),
        (nothing, ["budget", "show", "shoop"], ["shoop", "dpstats dataset list"]),
        (nothing, ["token", "create", "x", "--role", "analyst", "--dataset", "shoop"], ["shoop", "dataset list"]),
        (nothing, ["features", "get", "by_town"], ["by_town", "dpstats features list"]),
        (nothing, ["ledger", "verify", "--export", "no.json"], ["no.json", "check the path"]),
        (nothing, ["consent", "import", "no.csv", "--dataset", "shop"], ["no.csv", "check the path"]),
        (nothing, ["consent", "import", "visits.csv", "--dataset", "shop"], ["visits.csv", "purpose, decision"]),
        (nothing, ["plan", "no"], ["no: there is no such folder"]),
        (nothing, ["release", "withdraw", "no", "--reason", "x"], ["no release named 'no'"]),
    ],
)
def test_a_mistake_is_one_line_that_says_what_where_and_what_to_do(
    mistaken: Callable[[Path], None], args: list[str], words: list[str], shop: Path, dpstats: Run
) -> None:
    mistaken(shop)
    dpstats(*args).refused(*words)


def test_a_column_that_is_misspelt_is_one_reason_and_not_two(shop: Path, dpstats: Run) -> None:
    (shop / "by_town.yaml").write_text(QUERY.replace("v.spent", "v.spend"), encoding="utf-8")
    assert "reasons" not in dpstats("query", "check", "by_town.yaml").err


def test_a_demo_whose_port_is_taken_says_so_before_it_loads_or_charges_anything(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        run_here("--home", tmp_path / "home", "demo", "--port", port).refused(f"port {port}", "choose another")
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("THREADS", "0", "must be greater than or equal to 1"),
        ("LOG_FORMAT", "xml", "must be 'text' or 'json'"),
        ("TOKEN_EXPIRES", "soon", "must have the form '^(never|"),
        ("OIDC_ISSUER", "https://issuer.test", "goes with DPSTATS_OIDC_ISSUER"),
    ],
)
def test_a_wrong_setting_is_named_and_told_in_our_words(
    dpstats: Run, monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    monkeypatch.setenv(f"DPSTATS_{name}", value)
    ran = dpstats("query", "list")
    ran.refused("settings: DPSTATS_", says)
    assert "Input" not in ran.err
    assert "Value error" not in ran.err
