"""Approved queries made ready: made once, of nothing but the current data, and gone with their reason."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dpstats.access import Role, operator
from dpstats.api.preparing import prepare_due
from dpstats.catalog.parameters import bind_parameters
from dpstats.engine.noise import _open
from dpstats.errors import FileError, Forbidden, NotLoaded
from dpstats.ledger.tokens import Identity
from dpstats.release import Ask
from dpstats.settings import read_settings
from dpstats.workspace import Workspace
from dpstats.workspace.review import defaults_of

ME = operator("stu")
ANALYST = Identity("t1", "ann", Role.ANALYST, (), None)
DATASET = """
dataset: till
privacy_unit: customer
budget: {epsilon: 100, delta: 1.0e-6}
tables:
  visits:
    columns:
      customer: {type: bigint}
      shop: {type: varchar, values: [north, south]}
      day: {type: date}
      spent: {type: double, bounds: [0, 100]}
"""
QUERIES = {
    "fixed": "sql: SELECT shop, SUM(spent) AS m FROM visits GROUP BY shop\n",
    "windowed": """sql: >
  SELECT shop, SUM(spent) AS m FROM visits WHERE day >= $since AND day < $until GROUP BY shop
parameters:
  since: {type: date, min: 2026-01-01, max: 2026-12-31}
  until: {type: date, min: 2026-01-02, max: 2027-01-01}
""",
    "tangled": """sql: SELECT shop, SUM(CASE WHEN day < $until THEN spent END) AS m FROM visits GROUP BY shop
parameters:
  until: {type: date, min: 2026-01-02, max: 2027-01-01}
""",
}
TAIL = """bounds: {m: [0, 120]}
contribution: {max_groups: 1}
cost: {rho: 0.001}
"""
MAY = {"since": "2026-05-01", "until": "2026-06-01"}


class Till:
    """A workspace with one dataset of 60 customers and three approved queries."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workspace = Workspace.open(read_settings(home=folder / "home"))
        (folder / "dataset.yaml").write_text(DATASET)
        self.write(range(60))
        self.workspace.datasets.add(ME, folder / "dataset.yaml", {"visits": folder / "visits.csv"})
        for name, text in QUERIES.items():
            (folder / f"{name}.yaml").write_text(f"query: {name}\ndataset: till\n{text}{TAIL}")
            version = self.workspace.review.submit(ME, folder / f"{name}.yaml")[1]
            self.workspace.review.approve(ME, name, version)

    def write(self, customers: range) -> None:
        rows = [
            f"{customer},{'north' if (customer + visit) % 3 else 'south'},2026-{1 + visit:02}-15,{30 + visit}.25"
            for customer in customers
            for visit in range(1 + customer % 12)
        ]
        (self.folder / "visits.csv").write_text("\n".join(["customer,shop,day,spent", *rows]))

    def load(self, customers: range) -> None:
        self.write(customers)
        self.workspace.datasets.load(ME, "till", {"visits": self.folder / "visits.csv"})

    @property
    def files(self) -> set[str]:
        return {path.name for path in (self.folder / "home" / "data" / "till").iterdir()}

    def exact(self, name: str, **parameters: Any) -> Any:
        """What the engine finds now, before noise."""
        road = self.workspace._road
        known, analysis = self.workspace._library.runnable(ME, name)
        bound = bind_parameters(known.query, parameters) if parameters else defaults_of(analysis)
        with road.data(known.dataset) as (version, engine):
            plan = road.plan_on(version, engine, analysis, bound)
            return _open(plan, engine.run(plan))


@pytest.fixture
def till(tmp_path: Path) -> Iterator[Till]:
    made = Till(tmp_path)
    yield made
    made.workspace.close()


def test_what_can_be_kept_is_made_once_and_answers_stay_the_same(till):
    before = till.exact("fixed"), till.exact("windowed", **MAY), till.exact("tangled", until="2026-06-01")
    said = []
    made = till.workspace.preparing.prepare(ME, "till", lambda what, done: said.append((what, done)))
    assert [(each.query, each.key is not None, each.made is not None) for each in made] == [
        ("fixed", True, True),
        ("tangled", False, False),
        ("windowed", True, True),
    ]
    assert "a parameter decides more" in made[1].why
    assert said == [("fixed", 0), ("windowed", 2 / 3)]
    assert len(till.files) == 3
    assert (till.exact("fixed"), till.exact("windowed", **MAY), till.exact("tangled", until="2026-06-01")) == before
    again = till.workspace.preparing.prepare(ME, "till")
    assert [each.made for each in again] == [None, None, None]
    assert [each.key for each in again] == [each.key for each in made]


def test_a_new_load_answers_from_the_new_rows_and_takes_what_was_kept_along(till):
    till.workspace.preparing.prepare(ME, "till")
    old, kept = till.exact("windowed", **MAY), till.files
    till.load(range(200))
    assert len(till.files) == 1
    assert not till.files & kept
    new = till.exact("windowed", **MAY)
    assert new != old
    till.workspace.preparing.prepare(ME, "till")
    assert till.exact("windowed", **MAY) == new
    till.workspace.datasets.renew(ME, "till")
    assert len(till.files) == 1


def test_an_erasure_removes_every_copy_and_says_so(till):
    till.workspace.preparing.prepare(ME, "till")
    kept = till.files
    evidence = till.workspace.datasets.erase(ME, "till", lambda each: each == "59")
    assert kept <= set(evidence["files_removed"])
    assert len(till.files) == 1
    assert not till.files & kept


def test_what_no_approved_query_needs_is_removed(till):
    till.workspace.preparing.prepare(ME, "till")
    version = till.workspace._library.known(ME, "windowed").version
    till.workspace.review.revoke(ME, "windowed", version)
    till.workspace.preparing.prepare(ME, "till")
    assert len(till.files) == 2


def test_two_queries_that_need_the_same_share_it(till):
    text = (till.folder / "windowed.yaml").read_text().replace("query: windowed", "query: dearer")
    (till.folder / "dearer.yaml").write_text(text.replace("rho: 0.001", "rho: 0.002"))
    version = till.workspace.review.submit(ME, till.folder / "dearer.yaml")[1]
    till.workspace.review.approve(ME, "dearer", version)
    made = {each.query: each for each in till.workspace.preparing.prepare(ME, "till")}
    assert made["dearer"].key == made["windowed"].key
    assert (made["dearer"].made is None) != (made["windowed"].made is None)


def test_only_stewards_prepare_and_only_what_is_loaded(till):
    with pytest.raises(Forbidden):
        till.workspace.preparing.prepare(ANALYST, "till")
    with pytest.raises(Forbidden):
        till.workspace.preparing.state(ANALYST, "till")
    (till.folder / "dataset.yaml").write_text(DATASET.replace("spent: {type: double", "spent: {type: bigint"))
    till.workspace.datasets.register(ME, (till.folder / "dataset.yaml").read_text(), "dataset.yaml")
    with pytest.raises(NotLoaded):
        till.workspace.preparing.prepare(ME, "till")
    assert till.workspace.preparing.state(ME, "till") == ""


def test_a_service_prepares_after_a_load_and_after_an_approval_and_not_between(till, monkeypatch, caplog):
    calls = []
    prepare = till.workspace.preparing.prepare
    monkeypatch.setattr(
        till.workspace.preparing, "prepare", lambda *args, **said: calls.append(args[1]) or prepare(*args, **said)
    )
    seen: dict[str, str] = {}

    def look() -> int:
        calls.clear()
        prepare_due(till.workspace, seen, threading.Event())
        return len(calls)

    assert [look(), look()] == [1, 0]
    assert len(till.files) == 3
    till.load(range(70))
    assert [look(), look()] == [1, 0]
    version = till.workspace._library.known(ME, "windowed").version
    till.workspace.review.revoke(ME, "windowed", version)
    assert [look(), look()] == [1, 0]
    assert len(till.files) == 2
    till.load(range(71))
    monkeypatch.setattr("dpstats.workspace.preparing.keep", _no_room)
    assert [look(), look()] == [1, 0]
    assert "dataset till not prepared" in caplog.text
    assert till.workspace._road.release(Ask(ME, "fixed", {})).made_now


def _no_room(*_: object, **__: object) -> None:
    raise FileError("somewhere", "cannot be made: too little memory or disk, or no permission")
