"""Bad input gets one clear line and changes nothing: not the ledger, not the register, not the data, not the keys.

And odd input that is not bad (quotes, other scripts, ten thousand groups) is answered.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from desk import ME, Desk

from dpstats.errors import DpstatsError, FileError, Frozen, NotApproved, Unavailable
from dpstats.ledger.tokens import Identity, Role
from dpstats.settings import read_settings
from dpstats.workspace import Workspace

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


@pytest.fixture(scope="module")
def desk(new_desk: Callable[..., Desk]) -> Desk:
    desk = new_desk()
    desk.add(DATASET, visits=VISITS, areas=AREAS)
    desk.approve(QUERY)
    desk.submit(QUERY.replace("query: spend", "query: waiting"))
    desk.ask("spend")
    return desk


def _state(home: Path) -> dict[str, str]:
    """All that a workspace keeps: its files' bytes, and the rows of its database."""
    files = [path for path in home.rglob("*") if path.is_file() and not path.name.startswith("ledger.db")]
    state = {str(path.relative_to(home)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    with closing(sqlite3.connect(home / "ledger.db")) as ledger:
        return state | {"ledger.db": "\n".join(ledger.iterdump())}


def _refused(desk: Desk, deed: Deed, *, saying: str) -> None:
    """That a deed is refused in one clear line that says so much, and changes nothing."""
    before = _state(desk.home)
    with pytest.raises((DpstatsError, ValueError)) as refused:
        deed(desk)
    message = str(refused.value)
    assert isinstance(refused.value, DpstatsError) or type(refused.value) is ValueError
    assert re.search(saying, message, re.IGNORECASE), message
    assert message == message.strip()
    assert message.isprintable(), message
    assert len(message) < 1500
    assert _state(desk.home) == before


def _without(columns: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: cells for name, cells in columns.items() if name not in names}


def _add(text: str = DATASET, **tables: Any) -> Deed:
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
    "an unknown key": (_add(DATASET.replace("budget:", "bugdet:")), "bugdet"),
    "an unknown type": (_add(DATASET.replace("type: double", "type: money")), "money"),
    "no budget": (_add(re.sub("budget.*\n", "", DATASET)), "budget"),
    "bounds upside down": (_add(DATASET.replace("[0, 100]", "[100, 0]")), "bounds"),
    "a table without the unit": (_add(DATASET.replace("person: {type: bigint}", "x: {type: bigint}")), "person"),
    "a public table with it": (_add(DATASET.replace("columns: {area", "columns: {person")), "person"),
    "every table public": (_add(DATASET.replace("  visits:\n", "  visits:\n    public: true\n")), "public"),
    "a bigger budget": (_add(DATASET.replace("epsilon: 3.0", "epsilon: 4.0")), "budget|grant"),
    "another measure": (_add(DATASET.replace("delta: 1.0e-6", "delta: 0")), "measure|delta|lineage"),
    "another unit": (_add(DATASET.replace("person", "human"), visits={"human": [1, 2, 3]} | VISITS), "human|unit"),
    "another lineage": (_add(DATASET + "lineage: others\n"), "lineage"),
    "a table too many": (_add(elsewhere=AREAS), "elsewhere"),
    "no source for a new table": (_add(DATASET + "  more: {public: true, columns: {x: {type: bigint}}}\n"), "more"),
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


def _submit(text: str) -> Deed:
    return lambda desk: desk.submit(text)


def _query_file(name: str, text: str) -> Deed:
    return lambda desk: desk.workspace.review.submit(ME, desk.file(name, text))


def _sql(sql: str) -> Deed:
    return _submit(f"query: bad\ndataset: shop\nsql: {sql!r}\ncontribution: {{max_groups: 1}}\ncost: {{rho: 0.1}}\n")


QUERIES: dict[str, tuple[Deed, str]] = {
    "no such file": (lambda desk: desk.workspace.review.submit(ME, desk.folder / "nowhere.yaml"), "nowhere.yaml"),
    "another name than its file": (_query_file("other.yaml", QUERY), "other.yaml.*spend"),
    "no SQL": (_submit("query: bad\ndataset: shop\ncost: {rho: 1}\n"), "sql"),
    "a tag": (_query_file("bad.yaml", "query: !!python/object:os.system x\n"), "bad.yaml:1.*tag"),
    "an unknown key": (_submit(QUERY.replace("bounds:", "bonds:")), "bonds"),
    "an unknown dataset": (_submit(QUERY.replace("dataset: shop", "dataset: shops")), "shops"),
    "no price": (_submit(QUERY.replace("cost: {rho: 0.001}", "")), "cost"),
    "a price of nothing": (_submit(QUERY.replace("rho: 0.001", "rho: 0")), "rho"),
    "a price of minus one": (_submit(QUERY.replace("rho: 0.001", "rho: -1")), "rho"),
    "a price that is not a number": (_submit(QUERY.replace("rho: 0.001", "rho: .nan")), "rho"),
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
ALL = {
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


@pytest.mark.parametrize("what", ALL)
def test_bad_input_gets_one_line_that_says_what_is_wrong_and_changes_nothing(desk, what):
    deed, saying = ALL[what]
    _refused(desk, deed, saying=saying)


def test_after_all_that_the_same_release_is_given_as_before(desk):
    assert desk.ask("spend")["replayed"] is True
    assert desk.ask("spend", least=1)["replayed"] is False
    assert desk.workspace.budgets.verify(ME).ok


@pytest.mark.parametrize("role", [Role.ANALYST, Role.JOB, Role.COLLECTOR])
def test_a_role_that_may_not_changes_nothing(desk, role):
    somebody = Identity("tok_x", "somebody", role, (), None)
    workspace = desk.workspace
    deeds: list[Deed] = [
        lambda desk: workspace.datasets.add(somebody, desk.folder / "dataset.yaml", {}),
        lambda desk: workspace.datasets.load(somebody, "shop", {}),
        lambda desk: workspace.review.submit(somebody, desk.folder / "spend.yaml"),
        lambda desk: workspace.review.approve(somebody, "waiting"),
        lambda desk: workspace.review.revoke(somebody, "spend"),
        lambda desk: workspace.budgets.grant(somebody, "shop", rho=Decimal(1), reason="greed"),
        lambda desk: workspace.budgets.freeze(somebody, "shop", frozen=True),
        lambda desk: workspace.budgets.entries(somebody, "shop"),
        lambda desk: workspace.budgets.verify(somebody),
        lambda desk: workspace.tokens.create(somebody, "mine", "steward"),
        lambda desk: workspace.tokens.all(somebody),
    ]
    for deed in deeds:
        _refused(desk, deed, saying=f"role {role} may not")


def test_who_may_not_see_a_dataset_is_told_that_it_is_not_there(desk):
    stranger = Identity("tok_x", "stranger", Role.STEWARD, ("elsewhere",), None)
    _refused(desk, lambda desk: desk.ask("spend", identity=stranger), saying="no query named 'spend'")
    _refused(desk, lambda desk: desk.workspace.datasets.one(stranger, "shop"), saying="no dataset named 'shop'")
    _refused(desk, lambda desk: desk.workspace.review.one(stranger, "spend"), saying="no query named 'spend'")


def test_an_edited_query_is_refused_until_it_is_approved_and_its_old_answers_with_it(new_desk):
    desk = new_desk()
    desk.add(DATASET, visits=VISITS, areas=AREAS)
    desk.approve(QUERY)
    desk.ask("spend")
    desk.submit(QUERY.replace("bounds: {spend: [0, 100]}", "bounds: {spend: [0, 10]}"))
    _refused(desk, lambda desk: desk.ask("spend"), saying="spend is not approved")
    desk.workspace.review.approve(ME, "spend")
    assert desk.ask("spend")["replayed"] is False


def test_an_edited_dataset_file_whose_data_do_not_fit_is_refused_whole(desk):
    """The file and its data are taken together or not at all."""
    wider = DATASET.replace("day: {type: date}", "day: {type: date}\n      more: {type: bigint}")
    _refused(desk, _add(wider), saying="more")
    assert "more" not in desk.workspace.datasets.one(ME, "shop")["tables"]["visits"]["columns"]


def test_a_source_that_is_not_listed_is_never_loaded(desk):
    """Columns that dataset.yaml does not name leave no trace in the data version."""
    secret = "never-to-be-loaded-" + "x" * 20
    desk.load("shop", visits=VISITS | {"email": [secret] * 3})
    for path in desk.home.rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes()


def test_a_damaged_bounding_key_is_refused_when_the_workspace_opens(new_desk):
    desk = new_desk()
    (desk.home / "bounding.key").write_bytes(b"short")
    with pytest.raises(FileError, match=r"bounding\.key: must hold 32 bytes"):
        desk.reopen()


def test_workspaces_that_open_at_once_share_one_bounding_key(tmp_path):
    with ThreadPoolExecutor(8) as threads:
        opened = list(threads.map(lambda _: Workspace.open(read_settings(home=tmp_path / "home")), range(8)))
    keys = {workspace.datasets._key for workspace in opened}
    for workspace in opened:
        workspace.close()
    assert keys == {(tmp_path / "home" / "bounding.key").read_bytes()}
    assert (tmp_path / "home" / "bounding.key").stat().st_mode & 0o777 == 0o600


def test_a_load_that_does_not_come_to_be_known_leaves_no_data_behind(new_desk):
    desk = new_desk()
    desk.add(DATASET, visits=VISITS, areas=AREAS)
    before = list((desk.home / "data").rglob("*.duckdb"))

    def break_the_ledger(_what: str, done: float) -> None:
        if done == 1:
            with closing(sqlite3.connect(desk.home / "ledger.db")) as ledger:
                ledger.execute("DROP TABLE data_versions")

    with pytest.raises(Unavailable):
        desk.workspace.datasets.load(ME, "shop", desk.sources({"visits": VISITS}), progress=break_the_ledger)
    assert list((desk.home / "data").rglob("*.duckdb")) == before


# -- odd, but not bad ------------------------------------------------------------------------------------------------

ODD = [
    "it's",
    'qu"ote',
    "Z\u00fcrich",
    "\u6771\u4eac",
    "\U0001f600",
    "a\\b",
    "{x}",
    "$p_least",
    "%",
    "--",
    "; DROP TABLE visits",
    "",
]


ODD_QUERY = {
    "query": "odd",
    "dataset": "odd",
    "title": "It's \u201codd\u201d; --",
    "sql": "SELECT kind, COUNT(DISTINCT person) AS n FROM visits WHERE kind <> $but GROUP BY kind",
    "parameters": {"but": {"type": "enum", "values": [*ODD, "none of them"], "default": "none of them"}},
    "keys": {"kind": {"values": ODD}},
    "contribution": {"max_groups": 1},
    "cost": {"rho": 1},
}


def test_quotes_and_other_scripts_in_values_and_parameters_are_answered(new_desk):
    desk = new_desk()
    people = [name for name in ODD for _ in range(50)]
    desk.add(
        DATASET.replace("dataset: shop", "dataset: odd").replace("epsilon: 3.0", "epsilon: 900"),
        visits={
            "person": list(range(len(people))),
            "kind": people,
            "amount": [1.0] * len(people),
            "day": ["2024-01-01"] * len(people),
        },
        areas=AREAS,
    )
    desk.approve(ODD_QUERY)
    for but in ODD:
        plan = desk.plan("odd", but=but)
        counts = dict(zip(plan.keys[0].values, desk.truth(plan)[0], strict=True))
        assert counts == {name: 0 if name == but else 50 for name in ODD}
    release = desk.ask("odd", but="Zu\u0308rich")
    assert release["parameters"] == {"but": "Z\u00fcrich"}
    assert [row["kind"] for row in release["rows"]] == sorted(ODD)
    assert desk.ask("odd", but="Z\u00fcrich")["replayed"] is True


MANY = """
query: many
dataset: shop
sql: SELECT {select}, COUNT(DISTINCT person) AS n{more} FROM visits {joins} GROUP BY ALL
keys: {keys}
contribution: {{max_groups: 1}}
cost: {{rho: 0.01}}
"""


def test_ten_thousand_groups_take_a_few_seconds(new_desk):
    desk = new_desk()
    n = 10_000
    visits = {"person": list(range(n)), "kind": ["a"] * n, "amount": [1.0] * n, "day": ["2024-01-01"] * n}
    desk.add(DATASET, visits=visits, areas={"area": list(range(n))})
    joined = {"joins": "JOIN areas ON areas.area = LENGTH(kind)", "keys": "{area: {from: areas.area}}"}
    desk.approve(MANY.format(select="area", more=", AVG(amount) AS mean", **joined))
    start = time.monotonic()
    release = desk.ask("many")
    assert time.monotonic() - start < 60
    assert len(release["rows"]) == n


def test_more_than_a_million_groups_are_refused(new_desk):
    desk = new_desk()
    desk.add(DATASET, visits=VISITS, areas={"area": list(range(1001))})
    keys = "{a: {from: areas.area}, b: {from: areas.area}}"
    select = "CAST(visits.amount AS BIGINT) AS a, CAST(visits.amount * 2 AS BIGINT) AS b"
    many = MANY.format(select=select, more="", joins="", keys=keys)
    _refused(desk, _submit(many), saying="1002001 groups")
    joined = {"joins": "CROSS JOIN areas x CROSS JOIN areas y", "keys": keys}
    joined_many = MANY.format(select="x.area AS a, y.area AS b", more="", **joined)
    _refused(desk, _submit(joined_many), saying="one row may meet 1001 rows of x, 1001 rows of y")


def test_a_file_error_names_file_line_and_key(desk):
    with pytest.raises(FileError) as refused:
        desk.submit(QUERY.replace("  least: {type: integer, min: 0", "  least: {type: integer, min: zero"))
    assert refused.value.line == 10
    assert "spend.yaml:10: parameters.least.min" in str(refused.value)


def test_a_revoked_query_gives_nothing_not_even_replays(new_desk):
    desk = new_desk()
    desk.add(DATASET, visits=VISITS, areas=AREAS)
    desk.approve(QUERY)
    release = desk.ask("spend")
    desk.workspace.review.revoke(ME, "spend")
    for ask in (
        lambda desk: desk.ask("spend"),
        lambda desk: desk.workspace.releases.earlier(ME, release["release_id"]),
    ):
        with pytest.raises(NotApproved):
            ask(desk)


def test_a_frozen_dataset_tells_nothing_not_even_what_an_answer_would_cost(new_desk):
    desk = new_desk()
    desk.add(DATASET, visits=VISITS, areas=AREAS)
    desk.approve(QUERY)
    desk.workspace.budgets.freeze(ME, "shop", frozen=True)
    for ask in (lambda: desk.workspace.releases.preview(ME, "spend", {}), lambda: desk.ask("spend")):
        with pytest.raises(Frozen):
            ask()
    assert desk.spent("shop") == 0
