"""What is wrong in every way that we could think of, and what must be said of it."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from desk import ME, Desk

from dpstats.errors import DpstatsError

DATASET = """
dataset: shop
privacy_unit: person
budget: {epsilon: 3.0, delta: 1.0e-6}
tables:
  visits:
    columns:
      person: {type: bigint}
      kind: {type: varchar}
      amount: {type: double, bounds: [0, 100]}
      day: {type: date}
  areas: {public: true, columns: {area: {type: bigint}}}
"""
QUERY = """
query: spend
dataset: shop
sql: |
  SELECT kind, SUM(amount) AS spend FROM visits
  WHERE day >= $since AND day < $until AND amount > $least AND kind <> $not_kind GROUP BY kind
parameters:
  since: {type: date, min: 2024-01-01, max: 2024-12-31, default: 2024-01-01}
  until: {type: date, min: 2024-01-01, max: 2024-12-31, default: 2024-12-31}
  least: {type: integer, min: 0, max: 50, default: 0}
  not_kind: {type: enum, values: [none, a], default: none}
keys: {kind: {values: [a, b]}}
bounds: {spend: [0, 100]}
contribution: {max_groups: 1}
cost: {rho: 0.001}
"""
VISITS: dict[str, Any] = {
    "person": [1, 2, 3],
    "kind": ["a", "b", "a"],
    "amount": [1.0, 2.0, 300.0],
    "day": pa.array(["2024-01-05", "2024-02-05", None]).cast(pa.date32()),
}
AREAS = {"area": [1, 2]}
Deed = Callable[[Desk], object]


def _state(home: Path) -> dict[str, str]:
    """All that a workspace keeps: its files' bytes, and the rows of its database."""
    files = [path for path in home.rglob("*") if path.is_file() and not path.name.startswith("ledger.db")]
    state = {str(path.relative_to(home)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    with closing(sqlite3.connect(home / "ledger.db")) as ledger:
        return state | {"ledger.db": "\n".join(ledger.iterdump())}


def refused(desk: Desk, deed: Deed, *, saying: str) -> None:
    """That a deed is refused in one clear line that says so much, and changes nothing."""
    before = _state(desk.home)
    with pytest.raises((DpstatsError, ValueError)) as told:
        deed(desk)
    message = str(told.value)
    assert isinstance(told.value, DpstatsError) or type(told.value) is ValueError
    assert re.search(saying, message, re.IGNORECASE), message
    assert message == message.strip()
    assert message.isprintable(), message
    assert len(message) < 1500
    assert _state(desk.home) == before


def _without(columns: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: cells for name, cells in columns.items() if name not in names}


def add(text: str = DATASET, **tables: Any) -> Deed:
    """Hands a dataset in; its tables as they are, unless given."""
    return lambda desk: desk.add(text, **({"visits": VISITS, "areas": AREAS} | tables))


def _load(**tables: Any) -> Deed:
    return lambda desk: desk.load("shop", **tables)


def _file(name: str, content: bytes, table: str = "visits") -> Deed:
    def deed(desk: Desk) -> object:
        path = desk.folder / name
        path.write_bytes(content)
        return desk.workspace.datasets.load(ME, "shop", {table: path})

    return deed


def _path(path: str, table: str = "visits") -> Deed:
    return lambda desk: desk.workspace.datasets.load(ME, "shop", {table: desk.folder / path})


def _dataset_file(content: bytes) -> Deed:
    def deed(desk: Desk) -> object:
        path = desk.folder / "other" / "dataset.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return desk.workspace.datasets.add(ME, path, {})

    return deed


DATASETS: dict[str, tuple[Deed, str]] = {
    "no such file": (lambda desk: desk.workspace.datasets.add(ME, desk.folder / "nowhere.yaml", {}), "nowhere.yaml"),
    "not YAML": (_dataset_file(b"dataset: [shop"), "dataset.yaml"),
    "not text": (_dataset_file(b"\xff\xfe\x00dataset"), "dataset.yaml"),
    "an empty file": (_dataset_file(b""), "dataset.yaml"),
    "a bomb": (_dataset_file(b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"), "dataset.yaml:.*(anchor|alias)"),
    "an unknown key": (add(DATASET.replace("budget:", "bugdet:")), "bugdet"),
    "an unknown type": (add(DATASET.replace("type: double", "type: money")), "money"),
    "no budget": (add(re.sub("budget.*\n", "", DATASET)), "budget"),
    "bounds upside down": (add(DATASET.replace("[0, 100]", "[100, 0]")), "bounds"),
    "a table without the unit": (add(DATASET.replace("person: {type: bigint}", "x: {type: bigint}")), "person"),
    "a public table with it": (add(DATASET.replace("columns: {area", "columns: {person")), "person"),
    "every table public": (add(DATASET.replace("  visits:\n", "  visits:\n    public: true\n")), "public"),
    "a bigger budget": (add(DATASET.replace("epsilon: 3.0", "epsilon: 4.0")), "budget|grant"),
    "another measure": (add(DATASET.replace("delta: 1.0e-6", "delta: 0")), "measure|delta|lineage"),
    "another unit": (add(DATASET.replace("person", "human"), visits={"human": [1, 2, 3]} | VISITS), "human|unit"),
    "another lineage": (add(DATASET + "lineage: others\n"), "lineage"),
    "a table too many": (add(elsewhere=AREAS), "elsewhere"),
    "no source for a new table": (add(DATASET + "  more: {public: true, columns: {x: {type: bigint}}}\n"), "more"),
}
SOURCES: dict[str, tuple[Deed, str]] = {
    "no such file": (_path("nowhere.parquet"), "nowhere.parquet"),
    "a folder": (_path("."), "folder"),
    "another kind of file": (_file("visits.xlsx", b"PK"), "xlsx.*neither"),
    "an empty Parquet file": (_file("v.parquet", b""), "Parquet"),
    "a broken Parquet file": (_file("v.parquet", b"PAR1" + b"\x00" * 100 + b"PAR1"), "Parquet"),
    "Parquet that is CSV": (_file("v.parquet", b"person,kind\n1,a\n"), "Parquet"),
    "an empty CSV file": (_file("v.csv", b""), "empty"),
    "a CSV header alone": (_load(visits="person,kind,amount,day\n"), "no rows"),
    "CSV not in UTF-8": (_file("v.csv", b"person,kind,amount,day\n1,\xff,1,2024-01-01\n"), "UTF-8"),
    "a CSV row too short": (_load(visits="person,kind,amount,day\n1,a,1,2024-01-01\n1,a\n"), "CSV"),
    "CSV with semicolons": (_load(visits="person;kind;amount;day\n1;a;1;2024-01-01\n"), "column"),
    "a table without rows": (_load(visits=pa.table(VISITS).slice(0, 0)), "no rows"),
    "a column missing": (_load(visits=_without(VISITS, "amount")), "amount"),
    "the unit's column missing": (_load(visits=_without(VISITS, "person")), "person"),
    "the unit's column empty": (_load(visits=VISITS | {"person": pa.nulls(3, pa.int64())}), "person"),
    "a wrong type": (_load(visits=VISITS | {"amount": ["x", "y", "z"]}), "amount.*varchar.*double"),
    "a nested type": (_load(visits=VISITS | {"kind": [["a"], ["b"], []]}), "kind"),
    "units of a wrong type": (_load(visits=VISITS | {"person": ["x", "y", "z"]}), "person"),
    "an unknown table": (_load(visitors=VISITS), "visitors"),
    "an unknown dataset": (lambda desk: desk.load("shops", visits=VISITS), "shops"),
    "appending other columns": (
        lambda desk: desk.workspace.datasets.load(
            ME, "shop", desk.sources({"visits": _without(VISITS, "day")}), append=True
        ),
        "day",
    ),
}


def submit(text: str) -> Deed:
    return lambda desk: desk.submit(text)


def _query_file(name: str, text: str) -> Deed:
    return lambda desk: desk.workspace.review.submit(ME, desk.file(name, text))


def _sql(sql: str) -> Deed:
    return submit(f"query: bad\ndataset: shop\nsql: {sql!r}\ncontribution: {{max_groups: 1}}\ncost: {{rho: 0.1}}\n")


QUERIES: dict[str, tuple[Deed, str]] = {
    "no such file": (lambda desk: desk.workspace.review.submit(ME, desk.folder / "nowhere.yaml"), "nowhere.yaml"),
    "another name than its file": (_query_file("other.yaml", QUERY), "other.yaml.*spend"),
    "no SQL": (submit("query: bad\ndataset: shop\ncost: {rho: 1}\n"), "sql"),
    "a tag": (_query_file("bad.yaml", "query: !!python/object:os.system x\n"), "bad.yaml:1.*tag"),
    "an unknown key": (submit(QUERY.replace("bounds:", "bonds:")), "bonds"),
    "an unknown dataset": (submit(QUERY.replace("dataset: shop", "dataset: shops")), "shops"),
    "no price": (submit(QUERY.replace("cost: {rho: 0.001}", "")), "cost"),
    "a price of nothing": (submit(QUERY.replace("rho: 0.001", "rho: 0")), "rho"),
    "a price of minus one": (submit(QUERY.replace("rho: 0.001", "rho: -1")), "rho"),
    "a price that is not a number": (submit(QUERY.replace("rho: 0.001", "rho: .nan")), "rho"),
    "a column that is not there": (_sql("SELECT COUNT(DISTINCT person) AS n FROM visits WHERE colour = 1"), "colour"),
    "a table that is not there": (_sql("SELECT COUNT(DISTINCT person) AS n FROM visitors"), "visitors"),
    "the database's own tables": (_sql("SELECT COUNT(*) AS n FROM dp_meta"), "dp_meta"),
    "a file as a table": (_sql("SELECT COUNT(*) AS n FROM '/etc/passwd'"), "table"),
    "two statements": (_sql("SELECT COUNT(DISTINCT person) AS n FROM visits; DROP TABLE visits"), "statement"),
    "something else than SELECT": (_sql("DELETE FROM visits"), "DELETE"),
    "nonsense": (_sql("SELEC * FRM"), "SELECT|parse"),
    "half a string": (_sql("SELECT COUNT(*) AS n FROM visits WHERE kind = 'x"), "parse|token"),
    "no bound": (_sql("SELECT SUM(amount) AS n FROM visits"), "bound"),
    "no values for a key": (_sql("SELECT kind, COUNT(DISTINCT person) AS n FROM visits GROUP BY kind"), "kind"),
    "rows themselves": (_sql("SELECT person, amount FROM visits"), "person|measure"),
}
REQUESTS: dict[str, tuple[Deed, str]] = {
    "too small": (lambda desk: desk.ask("spend", least=-1), "least.*0 to 50"),
    "too large": (lambda desk: desk.ask("spend", least=51), "least.*0 to 50"),
    "far too large": (lambda desk: desk.ask("spend", least=10**40), "least"),
    "not a whole number": (lambda desk: desk.ask("spend", least=1.0), "least"),
    "a truth": (lambda desk: desk.ask("spend", least=True), "least"),
    "text for a number": (lambda desk: desk.ask("spend", least="1 OR 1=1"), "least"),
    "a list": (lambda desk: desk.ask("spend", least=[1]), "least"),
    "nothing": (lambda desk: desk.ask("spend", least=None), "least"),
    "out of the list": (lambda desk: desk.ask("spend", not_kind="b"), "not_kind.*none"),
    "quotes": (lambda desk: desk.ask("spend", not_kind="a'; DROP TABLE visits; --\n"), "not_kind"),
    "a day before": (lambda desk: desk.ask("spend", since="2023-12-31"), "since.*2024-01-01"),
    "no such day": (lambda desk: desk.ask("spend", since="2024-02-30"), "since"),
    "a day of another kind": (lambda desk: desk.ask("spend", since="05/01/2024"), "since"),
    "a span of nothing": (lambda desk: desk.ask("spend", since="2024-05-01", until="2024-05-01"), "since.*until"),
    "a parameter too many": (lambda desk: desk.ask("spend", colour="x"), "colour.*no such parameter"),
    "many wrong parameters": (lambda desk: desk.ask("spend", **{f"x{i}\n": "\n" for i in range(1000)}), "no such"),
    "a long wrong value": (lambda desk: desk.ask("spend", not_kind="x" * 10**6), "not_kind"),
    "a query that is not there": (lambda desk: desk.ask("nothing"), "nothing"),
    "a query that is not approved": (lambda desk: desk.ask("waiting"), "waiting is not approved"),
    "a preview of one": (lambda desk: desk.workspace.releases.preview(ME, "waiting", {}), "waiting is not approved"),
    "a wrong preview": (lambda desk: desk.workspace.releases.preview(ME, "spend", {"least": -1}), "least"),
    "a release that is not there": (lambda desk: desk.workspace.releases.earlier(ME, "0" * 32), "release"),
    "a dataset that is not there": (lambda desk: desk.workspace.datasets.one(ME, "shops"), "shops"),
}
DEEDS: dict[str, tuple[Deed, str]] = {
    "approving nothing": (lambda desk: desk.workspace.review.approve(ME, "nothing"), "nothing"),
    "approving what was not read": (
        lambda desk: desk.workspace.review.approve(ME, "waiting", "sha256:0"),
        "waiting stands in version",
    ),
    "granting nothing": (lambda desk: desk.workspace.budgets.grant(ME, "shop", reason="why"), "rho or epsilon"),
    "granting both": (
        lambda desk: desk.workspace.budgets.grant(ME, "shop", rho=Decimal(1), epsilon=Decimal(1), reason="why"),
        "rho or epsilon",
    ),
    "granting less than nothing": (
        lambda desk: desk.workspace.budgets.grant(ME, "shop", rho=Decimal(-1), reason="why"),
        "rho",
    ),
    "granting more than there is": (
        lambda desk: desk.workspace.budgets.grant(ME, "shop", epsilon=Decimal(10**6), reason="why"),
        "epsilon",
    ),
    "granting without a reason": (
        lambda desk: desk.workspace.budgets.grant(ME, "shop", rho=Decimal("0.1"), reason=" "),
        "reason",
    ),
    "freezing nothing": (lambda desk: desk.workspace.budgets.freeze(ME, "shops", frozen=True), "shops"),
    "a token for a role that is none": (lambda desk: desk.workspace.tokens.create(ME, "t", "king"), "king|role"),
    "a token for a dataset that is none": (
        lambda desk: desk.workspace.tokens.create(ME, "t", "analyst", datasets=("shops",)),
        "shops",
    ),
    "ending a token that is none": (lambda desk: desk.workspace.tokens.revoke(ME, "t"), "token"),
}
CASES = {
    f"{kind}: {what}": case
    for kind, cases in {
        "dataset": DATASETS,
        "source": SOURCES,
        "query": QUERIES,
        "request": REQUESTS,
        "deed": DEEDS,
    }.items()
    for what, case in cases.items()
}
