"""The whole road with Spark as the engine: load, charge, release, replay, erase; and what fails says nothing."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from both import ADDRESS, PATIENCE_S
from pyspark import SparkContext

from dpstats.access import operator
from dpstats.catalog.dataset import parse_dataset
from dpstats.catalog.parameters import bind_parameters
from dpstats.catalog.query import parse_query
from dpstats.engine.spark.engine import SparkEngine, open_spark
from dpstats.errors import EngineFailed, FileError, NotLoaded, Unavailable
from dpstats.plan.analysis import analyse
from dpstats.plan.build import build
from dpstats.plan.caps import nothing_counted
from dpstats.plan.plan import Plan
from dpstats.release import Ask
from dpstats.settings import read_settings
from dpstats.workspace import Workspace

ME = operator("stu")
DATASET = f"""
dataset: clinic
privacy_unit: patient
budget: {{epsilon: 100, delta: 1.0e-6}}
engine: {{spark: '{ADDRESS}'}}
tables:
  visits:
    columns: {{patient: {{type: uuid}}, paid: {{type: double, bounds: [0, 100]}}, day: {{type: date}}}}
  people:
    one_row_per_unit: true
    columns: {{patient: {{type: uuid}}, age: {{type: integer}}, band: {{type: varchar, values: [a, b]}}}}
"""
QUERY = """
query: visits
dataset: clinic
sql: |
  SELECT p.band, COUNT(*) AS n, AVG(v.paid) AS mean FROM visits v JOIN people p USING (patient)
  WHERE v.day >= $since GROUP BY p.band
parameters: {since: {type: date, min: 2017-01-01, max: 2018-01-01, default: 2017-01-01}}
bounds: {n: [0, 20]}
cost: {rho: 9}
"""
PATIENTS = [str(uuid.UUID(int=(7919 * place) << 64 | place)) for place in range(1, 401)]
GONE = PATIENTS[100]


class Clinic:
    def __init__(self, folder: Path) -> None:
        self.folder, self.data = folder, folder / "home" / "data" / "clinic"
        self.sources = {"visits": folder / "visits.csv", "people": folder / "people.csv"}
        self.workspace = Workspace.open(
            read_settings(home=folder / "home", memory_limit_mb=1024, deadline_s=PATIENCE_S)
        )

    def ask(self, *, fresh: bool = False) -> dict[str, float]:
        made, _ = self.workspace.releases.make(Ask(ME, "visits", {}, fresh=fresh))
        return {row["band"]: row["n"]["value"] for row in made["rows"]}

    @property
    def spent(self) -> float:
        return float(self.workspace.budgets.one(ME, "clinic")["rho_spent"])

    @property
    def file(self) -> Path:
        return self.data.parent / self.workspace.store.registry.data_version("clinic").file


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    folder = tmp_path_factory.mktemp("clinic")
    visits = [f"{patient},{place % 50},2017-03-0{place % 9 + 1}" for place, patient in enumerate(PATIENTS)] * 3
    (folder / "visits.csv").write_text("\n".join(["patient,paid,day", *visits]))
    people = [f"{patient},40,{'ab'[place % 2]}" for place, patient in enumerate(PATIENTS)]
    (folder / "people.csv").write_text("\n".join(["patient,age,band", *people]))
    (folder / "dataset.yaml").write_text(DATASET)
    (folder / "visits.yaml").write_text(QUERY)
    opened = Clinic(folder)
    opened.workspace.datasets.add(ME, folder / "dataset.yaml", opened.sources)
    opened.workspace.review.submit(ME, folder / "visits.yaml")
    opened.workspace.review.approve(ME, "visits")
    yield opened
    opened.workspace.close()


def test_a_release_comes_from_spark_is_charged_once_and_given_again(clinic: Clinic) -> None:
    before = clinic.spent
    made = clinic.ask()
    assert made == pytest.approx({"a": 600, "b": 600}, abs=100)
    charged = clinic.spent
    assert charged > before
    assert clinic.ask() == made
    assert clinic.spent == charged


def test_a_load_switches_to_tables_of_its_own_and_removes_the_old(clinic: Clinic) -> None:
    old = clinic.file.with_suffix(".spark")
    assert old.stat().st_mode & 0o777 == 0o700
    clinic.workspace.datasets.load(ME, "clinic", clinic.sources)
    assert not old.exists()
    assert [path.name for path in clinic.data.glob("*.spark")] == [clinic.file.with_suffix(".spark").name]
    assert clinic.ask(fresh=True) == pytest.approx({"a": 600, "b": 600}, abs=100)


def test_an_erased_person_is_in_no_file_of_spark_either(clinic: Clinic) -> None:
    def holding() -> list[str]:
        files = [path for path in clinic.data.rglob("*") if path.is_file()]
        return [path.name for path in files if GONE.encode() in path.read_bytes()]

    assert any(name.endswith(".parquet") for name in holding()), "the positive control"
    request = str(clinic.workspace.rights.open(ME, "delete", "clinic", GONE)["id"])
    clinic.workspace.rights.verify(ME, request, "reasonably_high", "signed declaration")
    clinic.workspace.rights.execute(ME, request)
    assert holding() == []
    assert len(list(clinic.data.glob("*.spark"))) == 1
    assert clinic.ask(fresh=True) == pytest.approx({"a": 600, "b": 600}, abs=100)


@pytest.fixture
def engine(clinic: Clinic) -> Iterator[SparkEngine]:
    opened = open_spark(clinic.file, address=ADDRESS, key=bytes(32), memory_limit_mb=1024, deadline_s=2)
    yield opened
    opened.close()


@pytest.fixture
def plan() -> Plan:
    query = parse_query(QUERY, "visits.yaml")
    analysis = analyse(query, parse_dataset(DATASET, "dataset.yaml"))
    return build(analysis, bind_parameters(query, {}), lambda *_: (), nothing_counted)


def test_what_fails_or_takes_too_long_says_nothing(engine: SparkEngine, plan: Plan) -> None:
    rows = "visits AS a JOIN visits AS b ON TRUE JOIN visits AS c ON TRUE JOIN visits AS d ON TRUE"
    for sql in (
        "SELECT nothing FROM visits",
        f"SELECT 0 AS g, count(*) AS d0, count(*) AS d1, count(a.paid < d.paid) AS d2 FROM {rows}",  # 2e12 rows
    ):
        with pytest.raises(Unavailable) as failed:
            engine.run(replace(plan, sql=sql))
        assert failed.value.__cause__ is None
        assert failed.value.__context__ is None


def test_a_spark_whose_process_died_is_started_again_before_anything_is_charged(clinic: Clinic) -> None:
    clinic.ask()
    gateway = SparkContext._gateway
    assert gateway is not None
    before = clinic.spent
    with clinic.workspace._road.data(clinic.workspace._library.dataset(ME, "clinic")) as (_, busy):
        gateway.proc.kill()
        gateway.proc.wait()
        assert not busy.is_answering
        asked = clinic.ask(fresh=True)
        assert clinic.spent > before
    assert asked == pytest.approx({"a": 600, "b": 600}, abs=100)
    assert clinic.ask() == asked


def test_a_spark_that_nobody_can_use_costs_nothing(clinic: Clinic) -> None:
    before, elsewhere = clinic.spent, DATASET.replace(ADDRESS, "spark://127.0.0.1:1")
    try:
        clinic.workspace.datasets.register(ME, elsewhere, "dataset.yaml")
        with pytest.raises(EngineFailed, match="another master") as failed:
            clinic.ask(fresh=True)
        assert failed.value.dataset == "clinic"
        assert clinic.spent == before
    finally:
        clinic.workspace.datasets.register(ME, DATASET, "dataset.yaml")


def test_a_dataset_that_was_loaded_for_duckdb_is_loaded_again_first(clinic: Clinic) -> None:
    plain = DATASET.replace(f"engine: {{spark: '{ADDRESS}'}}\n", "")
    try:
        clinic.workspace.datasets.register(ME, plain, "dataset.yaml")
        with pytest.raises(NotLoaded):
            clinic.ask(fresh=True)
    finally:
        clinic.workspace.datasets.register(ME, DATASET, "dataset.yaml")


@pytest.mark.parametrize("address", ["local", "yarn", "http://a:1", "spark://a", "sc://a:15002/;token=secret"])
def test_an_address_is_a_master_s_or_a_server_s_and_holds_no_token(address: str) -> None:
    with pytest.raises(FileError, match="engine"):
        parse_dataset(DATASET.replace(ADDRESS, address), "dataset.yaml")
