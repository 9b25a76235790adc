"""Retention on a real workspace: as time goes on, rows, cells and their bytes go; the ledger is as it was."""

from __future__ import annotations

import csv
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from workspace_shop import DATASET as SHOP
from workspace_shop import Shop

from dpstats.access import operator
from dpstats.settings import read_settings
from dpstats.workspace import Workspace

ME = operator("stu")
DATASET = """
dataset: baths
privacy_unit: bather
budget: {epsilon: 100, delta: 1.0e-6}
tables:
  visits:
    retention_by: day
    columns:
      bather: {type: uuid, retention: 400d}
      day: {type: date}
      locker: {type: uuid, retention: 30d}
      paid: {type: double, bounds: [0, 100]}
  people:
    one_row_per_unit: true
    columns:
      bather: {type: uuid}
      card: {type: uuid, retention: 90d}
"""
BATHERS = [str(uuid.uuid5(uuid.NAMESPACE_OID, f"bather {place}")) for place in range(300)]
LOCKERS = [str(uuid.uuid5(uuid.NAMESPACE_OID, f"locker {place}")) for place in range(300)]
CARDS = [str(uuid.uuid5(uuid.NAMESPACE_OID, f"card {place}")) for place in range(300)]
OLD = 100
"""Bathers whose visits are 380 days before the others'."""


class Baths:
    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "home"
        today = datetime.now(UTC).date()
        days = [today - timedelta(days=381 if place < OLD else 1) for place in range(len(BATHERS))]
        self._written("visits", "bather,day,locker,paid", list(zip(BATHERS, days, LOCKERS, [5] * 300, strict=True)))
        self._written("people", "bather,card", list(zip(BATHERS, CARDS, strict=True))[OLD:])
        (folder / "dataset.yaml").write_text(DATASET)
        self.workspace = Workspace.open(read_settings(home=self.home))
        self.workspace.datasets.add(ME, folder / "dataset.yaml", self.sources)

    @property
    def sources(self) -> dict[str, Path]:
        return {name: self.folder / f"{name}.csv" for name in ("visits", "people")}

    def _written(self, name: str, head: str, rows: list[tuple[object, ...]]) -> None:
        with (self.folder / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([head.split(","), *rows])

    def days_on(self, days: int) -> None:
        self.workspace.datasets._now = lambda: datetime.now(UTC) + timedelta(days=days)

    def counted(self, sql: str) -> tuple[int, ...]:
        file = self.home / "data" / self.workspace.store.registry.data_version("baths").file
        with duckdb.connect(str(file), read_only=True) as connection:
            (row,) = connection.execute(f"SELECT {sql}").fetchall()
            return tuple(row)

    def stands(self, each: str) -> bool:
        """Whether a UUID stands in any file of the workspace, as DuckDB stores it or as text."""
        forms = ((uuid.UUID(each).int ^ (1 << 127)).to_bytes(16, "little"), each.encode())
        files = [path for path in self.home.rglob("*") if path.is_file()]
        return any(form in path.read_bytes() for path in files for form in forms)


@pytest.fixture
def baths(tmp_path: Path) -> Iterator[Baths]:
    opened = Baths(tmp_path)
    yield opened
    opened.workspace.close()


VISITS = "count(*), count(locker) FROM visits"
CARDS_HELD = "count(*), count(card) FROM people"


def test_what_is_past_its_time_is_not_even_loaded(baths: Baths) -> None:
    assert baths.counted(VISITS) == (300, 200)
    assert not baths.stands(LOCKERS[0])
    assert baths.stands(LOCKERS[-1])


def test_data_that_lose_rows_are_as_of_the_load_that_brought_them(baths: Baths) -> None:
    registry = baths.workspace.store.registry
    loaded = registry.data_version("baths")
    baths.days_on(31)
    baths.workspace.retaining.sweep(ME)
    swept = registry.data_version("baths")
    baths.workspace.datasets.erase(ME, "baths", lambda each: each == BATHERS[-1])
    erased = registry.data_version("baths")
    assert len({each.data_version for each in (loaded, swept, erased)}) == 3
    assert {each.as_of for each in (loaded, swept, erased)} == {loaded.as_of}
    baths.workspace.datasets.load(ME, "baths", baths.sources)
    assert registry.data_version("baths").as_of > loaded.as_of


def test_rows_and_bytes_go_as_time_goes_on_and_the_ledger_is_as_it_was(baths: Baths) -> None:
    assert baths.stands(BATHERS[0]), "the positive control"
    assert baths.stands(LOCKERS[-1]), "the positive control"
    budget = baths.workspace.budgets.one(ME, "baths")
    baths.days_on(31)
    (evidence,) = baths.workspace.retaining.sweep(ME)
    assert evidence["rows_before"] == {"visits": 300, "people": 0}
    assert evidence["rows_after"] == {"visits": 0, "people": 0}
    assert evidence["scan"]["found_before"]
    assert evidence["scan"]["found_after"] == []
    assert baths.counted(VISITS) == (200, 0)
    assert not any(baths.stands(each) for each in (BATHERS[0], LOCKERS[0], LOCKERS[-1]))
    assert baths.stands(BATHERS[-1])
    assert baths.workspace.budgets.one(ME, "baths") == budget
    assert baths.workspace.budgets.verify(ME).ok


def test_a_table_without_times_is_as_old_as_the_load_that_brought_it(baths: Baths) -> None:
    baths.days_on(89)
    baths.workspace.retaining.sweep(ME)
    assert baths.counted(CARDS_HELD) == (200, 200)
    baths.days_on(91)
    baths.workspace.retaining.sweep(ME, "baths")
    assert baths.counted(CARDS_HELD) == (0, 0), "nothing was left of a row but whose it is"
    assert not baths.stands(CARDS[-1])


def test_an_old_file_brings_nothing_back(baths: Baths) -> None:
    baths.days_on(31)
    baths.workspace.retaining.sweep(ME)
    baths.workspace.datasets.load(ME, "baths", {"visits": baths.sources["visits"]})
    assert baths.counted(VISITS) == (200, 0)
    assert baths.workspace.held_data.load_report(ME, "baths")["tables"]["visits"]["rows"]["past_retention"] == 100


def test_a_sweep_gives_a_new_data_version_whether_or_not_anything_changed(baths: Baths) -> None:
    before = baths.workspace.store.registry.data_version("baths").data_version
    (evidence,) = baths.workspace.retaining.sweep(ME)
    assert evidence["data_version"] != before
    assert evidence["rows_before"] == {"visits": 0, "people": 0}


def test_the_service_sweeps_by_the_timetable_and_the_doctor_says_when_nobody_does(baths: Baths) -> None:
    now = datetime.now(UTC)
    assert baths.workspace.retaining.sweep_if_due(ME, now) == ()
    assert baths.workspace.retaining.sweep_if_due(ME, now + timedelta(days=1))
    (dataset,) = baths.workspace._library.datasets(ME)
    assert not baths.workspace.retaining.overdue(dataset, now + timedelta(days=1))
    assert baths.workspace.retaining.overdue(dataset, now + timedelta(days=3))
    assert not any("retention" in each.what for each in baths.workspace.doctor.findings(ME))


def test_what_waits_for_an_epoch_and_for_a_sweep_is_one_line_of_the_doctor(shop: Shop) -> None:
    """The shop's ledger is of March: its data are old, whatever else is true of them."""
    file = shop.folder / "dataset.yaml"
    for consent, told in (
        ("notice", "`dpstats retention sweep`"),
        ("opt_in", "`dpstats consent epoch` closes one, and"),
    ):
        text = SHOP.format(name="shop", most=100).replace("Offers, consent: notice", f"Offers, consent: {consent}")
        file.write_text(text.replace("spent: {type", "spent: {retention: 395d, type"))
        shop.workspace.datasets.add(ME, file, {"visits": shop.folder / "visits.csv"})
        lines = [each.what for each in shop.workspace.doctor.findings(ME) if "retention" in each.what]
        assert len(lines) == 1
        assert told in lines[0]
    shop.workspace.epochs.close(ME)
    (line,) = (each.what for each in shop.workspace.doctor.findings(ME) if "retention" in each.what)
    assert line.endswith("`dpstats retention sweep`")
