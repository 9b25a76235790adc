"""The whole road over a table in place: released, erased, opted out of, changed by its owner, and loaded again."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from both import ADDRESS, PATIENCE_S, exactly
from lakes import written
from typer.testing import CliRunner

from dpstats.access import operator
from dpstats.api.answers_people import Transparency
from dpstats.api.problems import problem_of
from dpstats.catalog.parameters import bind_parameters
from dpstats.catalog.query import parse_query
from dpstats.cli.exits import FAILED
from dpstats.cli.main import app
from dpstats.errors import Conflict, InPlaceChanged, InvalidParameters
from dpstats.plan.analysis import analyse
from dpstats.plan.build import build
from dpstats.plan.caps import nothing_counted
from dpstats.release import Ask
from dpstats.rights.intake import Wish
from dpstats.settings import read_settings
from dpstats.workspace import Workspace
from dpstats.workspace.correcting import Wanted
from dpstats.workspace.datasets import NOTHING_ERASED

ME = operator("stu")
DATASET = f"""
dataset: clinic
privacy_unit: patient
links: true
budget: {{epsilon: 100, delta: 1.0e-6}}
engine: {{spark: '{ADDRESS}'}}
purposes:
  planning: {{title: Planning, consent: notice}}
  ads: {{title: Ads, kind: cross_context_ads}}
tables:
  visits:
    in_place: true
    columns:
      patient: {{type: varchar, purposes: [planning, ads]}}
      paid: {{type: double, bounds: [0, 100], purposes: [planning, ads]}}
  people:
    one_row_per_unit: true
    columns:
      patient: {{type: varchar, purposes: [planning, ads]}}
      town: {{type: varchar, values: [a, b, c], purposes: [planning]}}
"""
QUERY = """
query: {name}
dataset: clinic
purpose: {purpose}
sql: SELECT COUNT(*) AS n FROM {table}
cost: {{rho: 0.5}}
"""
PEOPLE = [f"patient-{place:04d}" for place in range(200)]
GONE, PHONE, REFUSING, ASKING, LATER = PEOPLE[1], "phone-of-one", PEOPLE[3], PEOPLE[4], PEOPLE[5]
NEWER, CRASHED = "patient-of-a-newer-file", PEOPLE[7]
TOLD = "if the person was noted there, a message to the owner is queued (owner)"


class Clinic:
    """200 people with two visits each, in a folder of somebody else; one has a third under another id."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ids = ", ".join(f"('{each}', {place % 50}::DOUBLE)" for place, each in enumerate([*PEOPLE, *PEOPLE, PHONE]))
        rows = f"SELECT patient, paid, 'not declared' AS note, 1 AS part FROM (VALUES {ids}) AS t(patient, paid)"
        self.visits = written(rows, folder / "lake-of-somebody", "part")
        (folder / "people.csv").write_text("\n".join(["patient,town", *(f"{each},a" for each in PEOPLE)]))
        (folder / "links.csv").write_text(f"id,unit\n{PHONE},{GONE}\n")
        (folder / "dataset.yaml").write_text(DATASET)
        (folder / "key").write_text("k" * 32)
        hooks = {"recipients": [{"name": "owner", "url": "http://127.0.0.1:1/", "secret_file": "key",
                                 "datasets": ["clinic"], "told": ["in_place"]}]}  # fmt: skip
        (folder / "hooks.yaml").write_text(json.dumps(hooks))
        self.workspace = self.opened()
        links, people = folder / "links.csv", folder / "people.csv"
        self.workspace.datasets.add(
            ME, folder / "dataset.yaml", {"visits": self.visits, "people": people, "links": links}
        )
        for name, table, purpose in (("visits", "visits", "planning"), ("people", "people", "planning"),
                                     ("reached", "visits", "ads")):  # fmt: skip
            (folder / f"{name}.yaml").write_text(self.query(name, table, purpose))
            self.workspace.review.submit(ME, folder / f"{name}.yaml")
            self.workspace.review.approve(ME, name)

    @staticmethod
    def query(name: str, table: str, purpose: str) -> str:
        bounds = "" if table == "people" else "bounds: {n: [0, 9]}\n"
        return QUERY.format(name=name, table=table, purpose=purpose) + bounds

    def opened(self) -> Workspace:
        home, hooks = self.folder / "home", self.folder / "hooks.yaml"
        return Workspace.open(read_settings(home=home, memory_limit_mb=1024, deadline_s=PATIENCE_S, webhooks=hooks))

    def restarted(self) -> None:
        self.workspace.close()
        self.workspace = self.opened()
        self.workspace.open_data()

    @property
    def spent(self) -> float:
        return float(self.workspace.budgets.one(ME, "clinic")["rho_spent"])

    def ask(self, name: str) -> None:
        self.workspace.releases.make(Ask(ME, name, {}, fresh=True))

    def count(self, table: str, purpose: str = "planning") -> int:
        """What a release counts, before noise."""
        dataset = self.workspace._library.dataset(ME, "clinic")
        query = parse_query(self.query("q", table, purpose), "q.yaml")
        plan = build(analyse(query, dataset), bind_parameters(query, {}), lambda *_: (), nothing_counted)
        with self.workspace._road.data(dataset) as (_, engine):
            assert engine.changed([table]) == ()
            return sum(sum(cells[0]) for cells in exactly(plan, engine).values())

    def carried_out(self, kind: str, person: str, wanted: Wanted | None = None) -> dict[str, object]:
        rights = self.workspace.rights
        request = str(rights.open(ME, kind, "clinic", person)["id"])
        rights.verify(ME, request, "reasonably_high", "signed declaration")
        return rights.execute(ME, request, wanted=wanted)

    def told(self, person: str) -> tuple[Any, dict[str, str]]:
        """A request to know that is carried out, and the files of its package."""
        done: Any = self.carried_out("know", person)
        package = self.workspace.rights.package(ME, str(done["package"]["path"]).rpartition("/")[2])
        with zipfile.ZipFile(io.BytesIO(package)) as archive:
            return done, {name: archive.read(name).decode() for name in archive.namelist()}

    def waiting(self) -> list[dict[str, object]]:
        """The messages to the owner that nobody was sent yet."""
        found = []
        outbox = self.workspace.notifying._outbox
        while (message := outbox.take(self.workspace.notifying._now())) is not None:
            found.append(json.loads(message.body))
        return found


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    opened = Clinic(tmp_path_factory.mktemp("clinic"))
    yield opened
    opened.workspace.close()


def test_a_release_in_place_is_charged_and_no_row_is_copied(clinic: Clinic) -> None:
    before = clinic.spent
    clinic.ask("visits")
    assert clinic.spent > before
    assert clinic.count("visits") == 401
    for file in (clinic.folder / "home" / "data").rglob("*"):
        assert not (file.is_file() and b"not declared" in file.read_bytes())
    assert all("in place" not in finding.what for finding in clinic.workspace.doctor.findings(ME))


def test_a_load_report_tells_the_files_of_a_table_in_place_and_counts_no_row_of_it(clinic: Clinic) -> None:
    (file,) = clinic.visits.rglob("*.parquet")
    report = clinic.workspace.held_data.load_report(ME, "clinic")
    assert report["in_place"] == {"visits": {"files": 1, "bytes": file.stat().st_size, "version": ""}}
    assert list(report["tables"]) == ["people"]
    shown = CliRunner().invoke(app, ["--home", str(clinic.folder / "home"), "dataset", "report", "clinic"])
    assert shown.exit_code == 0
    assert f"{file.stat().st_size:,}" in shown.stdout


def test_who_opted_out_is_in_no_advertising_after_the_epoch(clinic: Clinic) -> None:
    clinic.workspace.epochs.close(ME)
    before = clinic.count("visits", "ads")
    clinic.workspace.consent.send(ME, [("clinic", Wish(REFUSING, "all_sale_share", "opt_out", "e1", "operator"))])
    clinic.workspace.epochs.close(ME)
    assert clinic.count("visits", "ads") == before - 2
    assert clinic.count("visits") == 401


def test_who_asks_is_told_what_their_rows_in_place_say(clinic: Clinic) -> None:
    done, told = clinic.told(ASKING)
    assert "not_read" not in done["evidence"]
    assert any(ASKING in text and "4.0" in text for name, text in told.items() if "visits" in name)
    assert all("not declared" not in text and str(clinic.visits) not in text for text in told.values())


def test_who_asks_is_told_all_the_rest_where_an_owner_s_files_cannot_be_read_now(clinic: Clinic) -> None:
    away = clinic.visits.rename(clinic.folder / "away")
    try:
        done, told = clinic.told(ASKING)
    finally:
        away.rename(clinic.visits)
        clinic.workspace.datasets.load(ME, "clinic", {"visits": clinic.visits})
    pieces = {each["table"]: each for each in json.loads(told["package.json"])["specific_pieces"]}
    assert pieces["people"]["rows"] == [{"patient": ASKING, "town": "a"}]
    assert (pieces["people"]["not_read_now"], pieces["visits"]["rows"]) == (None, [])
    assert "visits.csv" not in told
    for said in (pieces["visits"]["not_read_now"], told["package.html"], "\n".join(done["evidence"]["told"])):
        assert "We cannot read visits now" in said
    assert done["evidence"]["not_read"]["tables"] == ["visits"]
    assert done["state"] == "executing"  # its clocks run until everything is sent
    whole: Any = clinic.workspace.rights.execute(ME, done["id"])
    assert whole["state"] == "fulfilled"
    assert "not_read" not in whole["evidence"]
    assert "lake-of-somebody" not in json.dumps([done, told])


def test_an_erased_person_is_out_at_once_and_the_owner_is_told_which_ids(clinic: Clinic) -> None:
    done = clinic.carried_out("delete", GONE)
    assert clinic.count("visits") == 398
    (evidence,) = done["evidence"]["erased"]  # type: ignore[index]
    assert evidence["in_place"] == {"visits": f"{NOTHING_ERASED}; {TOLD}"}
    assert "visits" not in evidence["rows_before"]
    assert any("which we only read" in line for line in done["evidence"]["told"])  # type: ignore[index]
    (message,) = clinic.waiting()
    assert message["type"] == "table.holds_erased"
    assert message["data"] == {"dataset": "clinic", "table": "visits", "units": sorted([GONE, PHONE])}
    for file in (clinic.folder / "home" / "data").rglob("*"):
        assert not (file.is_file() and GONE.encode() in file.read_bytes())
    assert clinic.workspace.held_data.erased_in_place(ME, "clinic")["tables"] == {"visits": sorted([GONE, PHONE])}
    listing = ["--home", str(clinic.folder / "home"), "dataset", "erased-in-place", "clinic"]
    shown = CliRunner().invoke(app, listing)
    assert (shown.exit_code, GONE in shown.stdout) == (0, True)
    away = clinic.visits.rename(clinic.folder / "away")
    shown = CliRunner().invoke(app, listing)
    away.rename(clinic.visits)
    assert shown.exit_code == FAILED
    assert "table visits cannot be read now" in shown.stderr
    assert "nobody who was erased" not in shown.stderr


def test_loaded_again_they_are_out_still_and_the_same_is_not_told_twice(clinic: Clinic) -> None:
    clinic.workspace.datasets.load(ME, "clinic", {"visits": clinic.visits})
    assert clinic.count("visits") == 398
    assert clinic.waiting() == []
    assert clinic.carried_out("delete", LATER)
    assert [message["data"]["units"] for message in clinic.waiting()] == [[LATER]]  # type: ignore[index]
    assert clinic.count("visits") == 396


def test_a_deletion_that_is_gone_on_with_says_what_it_would_have_said_at_once(clinic: Clinic) -> None:
    datasets, erasing = clinic.workspace.datasets, clinic.workspace.rights._erasing
    erasing._suppressions.add("clinic", CRASHED, request="rr_0000000000000000", now=datetime.now(UTC))
    said = [datasets.erase(ME, "clinic", lambda text: text == CRASHED)["in_place"] for _ in range(2)]
    assert clinic.waiting()[0]["data"]["units"] == [CRASHED]  # type: ignore[index]
    assert said[0] == said[1] == {"visits": f"{NOTHING_ERASED}; {TOLD}"}


def test_who_is_in_a_newer_file_alone_is_deleted_as_they_are_shown_it(clinic: Clinic) -> None:
    clinic.carried_out("delete", NEWER)
    with pytest.raises(Conflict, match="nothing is held since"):
        clinic.carried_out("delete", NEWER)
    file = clinic.visits / "part=1" / "newer.parquet"
    with duckdb.connect() as connection:
        rows = f"SELECT '{NEWER}' AS patient, 1::DOUBLE AS paid, 'not declared' AS note"
        connection.execute(f"COPY ({rows}) TO '{file}' (FORMAT parquet)")
    try:
        assert clinic.carried_out("delete", NEWER)["state"] == "fulfilled"
        clinic.workspace.datasets.load(ME, "clinic", {"visits": clinic.visits})
        assert clinic.count("visits") == 394
    finally:
        file.unlink()
        clinic.workspace.datasets.load(ME, "clinic", {"visits": clinic.visits})


def test_a_correction_in_place_is_refused_with_a_way_out(clinic: Clinic) -> None:
    with pytest.raises(InvalidParameters, match="its owner corrects it there"):
        clinic.carried_out("correct", ASKING, Wanted("visits", {"paid": 1}, {"paid": 4}))


def test_a_changed_folder_answers_nothing_costs_nothing_and_stops_nothing_else(clinic: Clinic) -> None:
    (file,) = clinic.visits.rglob("*.parquet")
    os.utime(file, ns=(0, 0))
    before = clinic.spent
    with pytest.raises(InPlaceChanged) as refused:
        clinic.ask("visits")
    problem = problem_of(refused.value)
    assert problem is not None
    assert (problem.status, "lake" in str(refused.value)) == (503, False)
    assert clinic.spent == before
    clinic.ask("people")
    clinic.workspace.epochs.close(ME)
    clinic.carried_out("delete", PEOPLE[6])
    clinic.carried_out("correct", ASKING, Wanted("people", {"town": "b"}))
    clinic.workspace.datasets.load(ME, "clinic", {"people": clinic.folder / "people.csv"})
    clinic.restarted()
    findings = [finding.what for finding in clinic.workspace.doctor.findings(ME) if finding.about == "dataset clinic"]
    assert any("files of table visits" in what and "dataset load clinic" in what for what in findings)
    with pytest.raises(InPlaceChanged):
        clinic.ask("visits")
    assert clinic.count("people") == 196
    clinic.workspace.datasets.load(ME, "clinic", {"visits": clinic.visits})
    clinic.ask("visits")
    assert clinic.count("visits") == 392


def test_nobody_is_told_where_the_owner_s_files_are(clinic: Clinic) -> None:
    shown = json.dumps([clinic.workspace.datasets.one(ME, "clinic"), clinic.workspace.publishing.notice()])
    assert "lake-of-somebody" not in shown
    assert '"in_place": true' in shown
    assert '"in_place": ["visits"]' in shown
    (told,) = Transparency.model_validate(clinic.workspace.publishing.transparency()).datasets
    assert told.in_place == ("visits",)


def test_who_was_deleted_is_told_what_its_owner_holds_still(clinic: Clinic) -> None:
    person = PEOPLE[8]
    clinic.carried_out("delete", person)
    done, told = clinic.told(person)
    assert done["state"] == "fulfilled"
    assert person in told["visits.csv"]
    assert person not in told["people.csv"]
