"""A deletion in part: named columns are kept sealed, for stewards alone, and nothing else ever reads them."""

from __future__ import annotations

import io
import json
import shutil
import signal
import sqlite3
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from killing import executed

from dpstats.access import operator
from dpstats.catalog.dataset import parse_dataset
from dpstats.engine.erasure import held
from dpstats.errors import Conflict, FileError, Forbidden, InvalidParameters, NotFound
from dpstats.ledger.tokens import Identity, Role
from dpstats.rights.consent_backup import back_up_consent, restore_consent
from dpstats.settings import read_settings
from dpstats.workspace import Workspace

ME = operator("stu")
DATASET = """
dataset: clinic
privacy_unit: patient
links: true
budget: {epsilon: 100, delta: 1.0e-6}
tables:
  visits:
    columns: {patient: {type: varchar}, paid: {type: double, bounds: [0, 100]}, bill: {type: varchar}}
  people:
    one_row_per_unit: true
    columns: {patient: {type: varchar}, tax_id: {type: varchar, never_disclose: true}, town: {type: varchar}}
"""
PERSON, PHONE, OTHER = "person-of-the-clinic", "phone-of-the-person", "another-person"
BILL, TAX_ID, TOWN = "canary of a bill", "canary of a tax id", "canary of a town"
BY_LAW = "1798.105(d)(8)"


class Clinic:
    """A person with a phone of its own, of whom three canaries are held, and another person."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "home"
        self.written("visits", "patient,paid,bill", f"{PERSON},5,{BILL}", f"{PHONE},7,", f"{OTHER},9,none")
        self.written("people", "patient,tax_id,town", f"{PERSON},{TAX_ID},{TOWN}", f"{OTHER},0,Ojai")
        self.written("links", "id,unit", f"{PHONE},{PERSON}")
        (folder / "dataset.yaml").write_text(DATASET)
        self.workspace = Workspace.open(read_settings(home=self.home))
        self.workspace.datasets.add(ME, folder / "dataset.yaml", self.sources)

    @property
    def sources(self) -> Mapping[str, Path]:
        return {name: self.folder / f"{name}.csv" for name in ("visits", "people", "links")}

    def written(self, name: str, *lines: str) -> None:
        (self.folder / f"{name}.csv").write_text("".join(f"{line}\n" for line in lines))

    def reopen(self) -> None:
        self.workspace.close()
        self.workspace = Workspace.open(read_settings(home=self.home))

    def verified(self, kind: str = "delete", unit: str = PERSON) -> str:
        request = str(self.workspace.rights.open(ME, kind, "clinic", unit)["id"])
        self.workspace.rights.verify(ME, request, "reasonably_high", "signed declaration")
        return request

    def deleted(self, *columns: str, unit: str = PERSON) -> dict[str, Any]:
        return self.workspace.rights.execute(ME, self.verified(unit=unit), exceptions=dict.fromkeys(columns, BY_LAW))

    def told(self, unit: str = PERSON) -> tuple[dict[str, Any], str]:
        done = self.workspace.rights.execute(ME, self.verified("know", unit))
        secret = done["package"]["path"].rpartition("/")[2]
        package = zipfile.ZipFile(io.BytesIO(self.workspace.rights.package(ME, secret)))
        return json.loads(package.read("package.json")), package.read("package.html").decode()

    def units(self) -> set[str]:
        version = self.workspace.store.registry.data_version("clinic")
        file = self.home / "data" / version.file
        return set(held(parse_dataset(DATASET, "clinic"), file, lambda _: True).ids)

    def holding(self, cell: str) -> list[str]:
        """The files of the workspace in whose bytes a cell stands."""
        found = (path for path in self.home.rglob("*") if path.is_file() and cell.encode() in path.read_bytes())
        return sorted(path.name for path in found)

    def steps(self, request: str) -> list[tuple[str, str]]:
        return [(each["step"], each["said"]) for each in self.workspace.rights.one(ME, request)["steps"]]


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    made = Clinic(tmp_path)
    yield made
    made.workspace.close()


def test_named_columns_are_kept_sealed_and_all_the_rest_is_erased(clinic: Clinic) -> None:
    assert clinic.holding(BILL), "the positive control"
    done = clinic.deleted("visits.bill", "people.tax_id")
    assert (done["state"], clinic.units()) == ("partially_fulfilled", {OTHER})
    for cell in (BILL, TAX_ID, TOWN):
        assert clinic.holding(cell) == []
    tables = clinic.workspace.keeping.read(ME, done["id"])["tables"]
    assert tables["people"] == {"columns": ["privacy_unit", "tax_id"], "rows": [[PERSON, TAX_ID]]}
    assert tables["visits"]["rows"] == [[PERSON, BILL]], "each row with its unit, but for those with nothing in it"


def test_the_evidence_and_the_answer_tell_what_is_kept_and_by_which_exception(clinic: Clinic) -> None:
    done = clinic.workspace.rights.execute(
        ME, clinic.verified(), exceptions={"people.tax_id": BY_LAW, "the mail room": "1798.105(d)(2)"}
    )
    evidence, told = done["evidence"], "\n".join(done["evidence"]["told"])
    (column,) = evidence["kept_back"]["columns"]
    assert (column["column"], column["code"], column["cells"]) == ("people.tax_id", BY_LAW, 1)
    assert "kept sealed in consent.db" in evidence["kept_back"]["says"]
    assert sum(evidence["erased"][0]["rows_after"].values()) == 0
    assert evidence["erased"][0]["scan"]["found_after"] == []
    assert "all but what we say below" in told.splitlines()[0]
    assert f"We keep people.tax_id, because the law obliges us ({BY_LAW})." in told
    assert "it is used for nothing else" in told
    assert "We keep the mail room outside these data" in told
    assert "people.tax_id outside" not in told
    assert "/opt-out" in told.splitlines()[-1]
    assert TAX_ID not in json.dumps(clinic.workspace.rights.one(ME, done["id"]))
    whole = clinic.deleted(unit=OTHER)["evidence"]
    assert whole["told"][0] == "The data about you were erased from every version that is kept."
    assert "kept_back" not in whole


@pytest.mark.parametrize("unit", [PERSON, PHONE])
def test_who_asks_to_know_is_told_which_columns_are_kept_and_that_an_opt_out_is_open(clinic: Clinic, unit: str) -> None:
    clinic.deleted("people.tax_id")
    told, page = clinic.told(unit)
    (kept,) = told["kept_back"]
    assert (kept["column"], kept["code"]) == ("people.tax_id", BY_LAW)
    assert [table["rows"] for table in told["specific_pieces"]] == [[], []]
    assert "We keep people.tax_id, because the law obliges us" in page
    assert "/opt-out" in page
    assert TAX_ID not in page
    assert clinic.told(OTHER)[0]["kept_back"] == []


def test_what_is_kept_stays_out_of_all_data_whatever_is_loaded(clinic: Clinic) -> None:
    clinic.deleted("visits.bill", "people.tax_id")
    clinic.workspace.datasets.load(ME, "clinic", clinic.sources)
    assert clinic.units() == {OTHER}
    clinic.workspace.epochs.close(ME)
    clinic.reopen()
    clinic.workspace.open_data()
    assert clinic.units() == {OTHER}
    assert clinic.holding(TAX_ID) == []
    assert len(clinic.workspace.keeping.all(ME)) == 2


def test_what_is_named_must_be_a_column_in_which_the_person_has_something(clinic: Clinic) -> None:
    rights, request = clinic.workspace.rights, clinic.verified()
    meant = ("people.taxid", "nowhere.tax_id", "clinic.people.tax_id", "people.Tax_ID", "people. tax_id", " TAX_ID")
    for wrong in (*meant, "people.patient"):
        with pytest.raises(InvalidParameters, match="is no column that can be kept"):
            rights.execute(ME, request, exceptions={wrong: BY_LAW})
    with pytest.raises(Conflict, match="why: one of"):
        rights.execute(ME, request, exceptions={"people.tax_id": "because"})
    clinic.written("people", "patient,tax_id,town", f"{PERSON},,{TOWN}")
    clinic.workspace.datasets.load(ME, "clinic", clinic.sources)
    with pytest.raises(Conflict, match=r"nothing is held of the person in people\.tax_id"):
        rights.execute(ME, request, exceptions={"people.tax_id": BY_LAW})
    assert rights.one(ME, request)["state"] == "verified"
    assert clinic.units() == {PERSON, OTHER}


def test_each_look_at_what_is_kept_is_noted_and_stewards_alone_may_look(clinic: Clinic) -> None:
    request, keeping = clinic.deleted("people.tax_id")["id"], clinic.workspace.keeping
    (kept,) = keeping.all(ME)
    assert (kept["request"], kept["column"]) == (request, "people.tax_id")
    assert "kept_seen" not in dict(clinic.steps(request)), "a list shows no cell"
    keeping.read(ME, request)
    assert clinic.steps(request)[-1] == ("kept_seen", "people.tax_id")
    assert clinic.workspace.rights.log_verifies()
    for role in set(Role) - {Role.STEWARD}:
        for look in (keeping.all, lambda who: keeping.read(who, request), lambda who: keeping.end(who, request, "no")):
            with pytest.raises(Forbidden):
                look(Identity("tok_x", "ann", role, (), None))
    elsewhere = Identity("tok_x", "sue", Role.STEWARD, ("another",), None)
    assert keeping.all(elsewhere) == []
    with pytest.raises(NotFound):
        keeping.read(elsewhere, request)


def test_whoever_looks_is_told_which_columns_are_never_sent_along(clinic: Clinic) -> None:
    request = clinic.deleted("people.tax_id", "people.town")["id"]
    read = clinic.workspace.keeping.read
    assert {each["column"]: each["never_disclose"] for each in read(ME, request)["columns"]} == {
        "people.tax_id": True,
        "people.town": False,
    }
    clinic.workspace.datasets.register(ME, DATASET.replace(", town: {type: varchar}", ""), "dataset.yaml")
    assert all(each["never_disclose"] for each in read(ME, request)["columns"]), "nor is one that is not named any more"


def test_what_is_ended_is_gone_with_its_bytes_and_that_is_noted(clinic: Clinic) -> None:
    request, keeping = clinic.deleted("people.tax_id", "visits.bill")["id"], clinic.workspace.keeping
    with closing(sqlite3.connect(clinic.home / "consent.db")) as raw:
        sealed = [row[0] for row in raw.execute("SELECT sealed FROM kept_columns")]
    assert all(clinic.holding(each) for each in sealed), "the positive control"
    keeping.end(ME, request, "the order was paid")
    assert [clinic.holding(each) for each in sealed] == [[], []]
    assert keeping.all(ME) == []
    assert clinic.steps(request)[-1] == ("kept_ended", "people.tax_id, visits.bill: the order was paid")
    for late in (keeping.read, lambda who, name: keeping.end(who, name, "again")):
        with pytest.raises(NotFound):
            late(ME, request)
    assert clinic.told()[0]["kept_back"] == []


@pytest.mark.parametrize("unit", [PERSON, PHONE])
def test_who_asks_again_without_exceptions_ends_what_was_kept(clinic: Clinic, unit: str) -> None:
    request = clinic.deleted("people.tax_id", "visits.bill")["id"]
    again = clinic.deleted(unit=unit)
    assert again["state"] == "fulfilled"
    assert clinic.workspace.keeping.all(ME) == []
    said = f"people.tax_id, visits.bill: its person asked again, by {again['id']}"
    assert clinic.steps(request)[-1] == ("kept_ended", said)
    with pytest.raises(Conflict, match="nothing is held since: deny it as no_match"):
        clinic.deleted(unit=unit)


def test_what_is_kept_is_found_by_an_id_that_is_linked_to_its_person_later(clinic: Clinic) -> None:
    clinic.deleted("people.tax_id")
    clinic.written("links", "id,unit", f"tablet,{PHONE}", f"watch,{OTHER}")
    clinic.workspace.datasets.load(ME, "clinic", clinic.sources)
    assert [each["column"] for each in clinic.told("tablet")[0]["kept_back"]] == ["people.tax_id"]
    assert clinic.told("watch")[0]["kept_back"] == []
    clinic.deleted(unit="tablet")
    assert clinic.workspace.keeping.all(ME) == []


def test_who_asks_again_with_fewer_exceptions_keeps_those_alone(clinic: Clinic) -> None:
    clinic.deleted("people.tax_id", "visits.bill")
    again = clinic.deleted("people.tax_id")
    assert [each["column"] for each in clinic.workspace.keeping.all(ME)] == ["people.tax_id"]
    assert again["state"] == "partially_fulfilled"
    assert [each["column"] for each in again["evidence"]["kept_back"]["columns"]] == ["people.tax_id"]


def test_a_request_of_which_something_is_kept_is_not_purged_until_that_ends(clinic: Clinic) -> None:
    request, rights = clinic.deleted("people.tax_id")["id"], clinic.workspace.rights
    rights._now = lambda: datetime.now(UTC) + timedelta(days=800)
    rights.tidy()
    clinic.workspace.keeping.end(ME, request, "the tax office has it")
    assert rights.one(ME, request)["state"] == "partially_fulfilled"
    rights.tidy()
    with pytest.raises(NotFound):
        rights.one(ME, request)


KEPT = {"people.tax_id": "1798.105(d)(8)"}
POINTS = [
    ("Suppressions.add", "call"),
    ("KeptBack.put", "call"),
    ("KeptBack.put", "return"),
    ("Suppressions.add", "return"),
    ("Datasets._enter", "call"),
    ("Datasets._enter", "return"),
    ("Erasing.carried_out", "return"),
]
"""Where a deletion in part is killed: as a function begins, or just after it ended."""


@pytest.mark.parametrize(("point", "moment"), POINTS)
@pytest.mark.parametrize("loads", [False, True])
def test_a_deletion_in_part_that_is_killed_is_gone_on_with_and_keeps_what_it_must(
    clinic: Clinic, point: str, moment: str, loads: bool
) -> None:
    request = clinic.verified()
    clinic.workspace.close()
    assert executed(clinic.home, request, KEPT, point, moment) == -signal.SIGKILL
    clinic.reopen()
    assert clinic.workspace.rights.one(ME, request)["state"] == "executing"
    if loads:
        clinic.workspace.datasets.load(ME, "clinic", clinic.sources)
        is_begun = bool(clinic.workspace.keeping.all(ME))
        assert clinic.units() == ({OTHER} if is_begun else {PERSON, OTHER}), "kept out and kept back, or neither"
    done = clinic.workspace.rights.execute(ME, request)
    assert done["state"] == "partially_fulfilled"
    assert clinic.units() == {OTHER}
    assert clinic.workspace.keeping.read(ME, request)["tables"]["people"]["rows"] == [[PERSON, TAX_ID]]
    assert len(clinic.workspace.keeping.all(ME)) == 1


def test_once_a_deletion_is_begun_nothing_more_is_kept_of_it_nor_ended(clinic: Clinic) -> None:
    request = clinic.verified()
    clinic.workspace.close()
    assert executed(clinic.home, request, KEPT, "Suppressions.add", "return") == -signal.SIGKILL
    clinic.reopen()
    with pytest.raises(Conflict, match="execute it without saying more"):
        clinic.workspace.rights.execute(ME, request, exceptions={"people.town": BY_LAW})
    with pytest.raises(Conflict, match="to its end first"):
        clinic.workspace.keeping.end(ME, request, "too soon: it would be kept anew")
    assert clinic.workspace.rights.execute(ME, request)["state"] == "partially_fulfilled"


def test_a_column_that_was_to_be_kept_and_is_gone_is_not_erased_for_good(clinic: Clinic) -> None:
    request = clinic.verified()
    clinic.workspace.close()
    assert executed(clinic.home, request, KEPT, "Erasing._begin", "call") == -signal.SIGKILL
    clinic.reopen()
    for name in ("ssn", "tax_id"):
        clinic.written("people", f"patient,{name},town", f"{PERSON},{TAX_ID},{TOWN}", f"{OTHER},0,Ojai")
        (clinic.folder / "dataset.yaml").write_text(DATASET.replace("tax_id", name))
        clinic.workspace.datasets.add(ME, clinic.folder / "dataset.yaml", clinic.sources)
        if name == "ssn":
            with pytest.raises(Conflict, match="was to be kept and is no column any more"):
                clinic.workspace.rights.execute(ME, request)
            assert clinic.units() == {PERSON, OTHER}
    assert clinic.workspace.rights.execute(ME, request)["state"] == "partially_fulfilled"
    assert clinic.workspace.keeping.read(ME, request)["tables"]["people"]["rows"] == [[PERSON, TAX_ID]]


def test_ids_that_are_one_in_whole_numbers_alone_are_two_people_where_they_are_text(clinic: Clinic) -> None:
    clinic.written("visits", "patient,paid,bill", "007,5,a", "7,7,b")
    clinic.written("people", "patient,tax_id,town", f"007,{TAX_ID},{TOWN}", "7,0,Ojai")
    clinic.written("links", "id,unit", "phone,007")
    clinic.workspace.datasets.load(ME, "clinic", clinic.sources)
    bills = "dataset: bills\nprivacy_unit: patient\nlineage: clinic\nbudget: {epsilon: 100, delta: 1.0e-6}\ntables:\n"
    bills += "  bills: {columns: {patient: {type: bigint}, due: {type: double, bounds: [0, 9]}}}\n"
    (clinic.folder / "bills").mkdir()
    (clinic.folder / "bills" / "dataset.yaml").write_text(bills)
    clinic.written("bills/bills", "patient,due", "9,1")
    clinic.workspace.datasets.add(
        ME, clinic.folder / "bills" / "dataset.yaml", {"bills": clinic.folder / "bills" / "bills.csv"}
    )
    request = clinic.deleted("people.tax_id", unit="007")["id"]
    assert clinic.told("7")[0]["kept_back"] == []
    assert clinic.deleted(unit="7")["state"] == "fulfilled"
    assert clinic.workspace.keeping.read(ME, request)["tables"]["people"]["rows"] == [["007", TAX_ID]]
    assert [each["column"] for each in clinic.told("007")[0]["kept_back"]] == ["people.tax_id"]


def test_a_backup_brings_back_what_is_kept_only_where_no_consent_is(clinic: Clinic) -> None:
    request, backup = clinic.deleted("people.tax_id")["id"], clinic.folder / "backup"
    back_up_consent(clinic.home, backup)
    assert TAX_ID.encode() not in backup.read_bytes()
    clinic.workspace.keeping.end(ME, request, "the order was paid")
    restore_consent(clinic.home, backup)
    assert clinic.workspace.keeping.all(ME) == [], "what was ended stays ended"
    clinic.workspace.close()
    for file in clinic.home.glob("consent.db*"):
        file.unlink()
    assert restore_consent(clinic.home, backup).is_whole
    clinic.workspace = Workspace.open(read_settings(home=clinic.home))
    assert clinic.workspace.keeping.read(ME, request)["tables"]["people"]["rows"] == [[PERSON, TAX_ID]]


def test_a_copy_of_the_database_without_its_key_opens_nothing_that_is_kept(clinic: Clinic) -> None:
    request = clinic.deleted("people.tax_id")["id"]
    clinic.workspace.close()
    shutil.move(clinic.home / "consent.key", clinic.folder / "consent.key")
    clinic.workspace = Workspace.open(read_settings(home=clinic.home))
    with pytest.raises(FileError, match="does not open what is sealed"):
        clinic.workspace.keeping.read(ME, request)
