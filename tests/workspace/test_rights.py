"""Rights requests carried out on a real workspace: a person goes, stays out, and the ledger is as it was."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import uuid
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dpstats.access import operator
from dpstats.errors import Conflict, FileError, InvalidParameters, NotFound, Unavailable
from dpstats.release import Ask
from dpstats.rights.deliveries import Deliveries
from dpstats.rights.request_log import Asked
from dpstats.rights.requests import Kind
from dpstats.settings import read_settings
from dpstats.workspace import Workspace

ME = operator("stu")
DATASET = """
dataset: clinic
privacy_unit: patient
budget: {epsilon: 100, delta: 1.0e-6}
tables:
  visits:
    columns: {patient: {type: uuid}, paid: {type: double, bounds: [0, 100]}}
  people:
    one_row_per_unit: true
    columns: {patient: {type: uuid}, age: {type: integer, bounds: [0, 120]}}
"""
QUERY = """
query: visits
dataset: clinic
sql: SELECT COUNT(*) AS n FROM visits
bounds: {n: [0, 20]}
contribution: {max_groups: 1}
cost: {rho: 2}
"""
PATIENTS = [str(uuid.UUID(int=(7919 * place) << 64 | place)) for place in range(1, 2001)]
GONE = PATIENTS[1000]
NOBODY = str(uuid.UUID(int=0))


class Clinic:
    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "home"
        self.sources = {"visits": folder / "visits.csv", "people": folder / "people.csv"}
        self.workspace = Workspace.open(read_settings(home=self.home))

    def close(self) -> None:
        self.workspace.close()

    def reopen(self) -> None:
        self.close()
        self.workspace = Workspace.open(read_settings(home=self.home))

    def load(self) -> str:
        return self.workspace.datasets.load(ME, "clinic", self.sources)

    def rows(self, patient: str) -> dict[str, int]:
        from dpstats.catalog.dataset import parse_dataset
        from dpstats.engine.erasure import held

        dataset = parse_dataset(DATASET, "clinic")
        version = self.workspace.store.registry.data_version("clinic")
        return dict(held(dataset, self.home / "data" / version.file, lambda text: text == patient).rows)

    def request(self, kind: str = "delete", unit: str = GONE) -> str:
        opened = self.workspace.rights.open(ME, kind, "clinic", unit)
        return str(opened["id"])

    def erased(self, unit: str = GONE) -> dict[str, object]:
        request = self.request(unit=unit)
        self.workspace.rights.verify(ME, request, "reasonably_high", "signed declaration")
        return self.workspace.rights.execute(ME, request)


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    for name, head, cell in (("visits", "paid", "5"), ("people", "age", "40")):
        with (tmp_path / f"{name}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["patient", head])
            writer.writerows([patient, cell] for patient in PATIENTS for _ in range(3 if name == "visits" else 1))
    (tmp_path / "dataset.yaml").write_text(DATASET)
    (tmp_path / "visits.yaml").write_text(QUERY)
    opened = Clinic(tmp_path)
    opened.workspace.datasets.add(ME, tmp_path / "dataset.yaml", opened.sources)
    opened.workspace.review.submit(ME, tmp_path / "visits.yaml")
    opened.workspace.review.approve(ME, "visits")
    yield opened
    opened.close()


def test_an_erased_person_is_in_no_table_and_no_file(clinic: Clinic) -> None:
    assert clinic.rows(GONE) == {"visits": 3, "people": 1}
    (evidence,) = clinic.erased()["evidence"]["erased"]  # type: ignore[index]
    assert evidence["rows_before"] == {"visits": 3, "people": 1}
    assert evidence["rows_after"] == {"visits": 0, "people": 0} == clinic.rows(GONE)
    assert clinic.rows(PATIENTS[0]) == {"visits": 3, "people": 1}
    assert evidence["scan"]["found_before"], "the positive control"
    assert evidence["scan"]["found_after"] == []
    assert "were seen before, and are in no file after" in evidence["scan"]["says"]
    stored = (uuid.UUID(GONE).int ^ (1 << 127)).to_bytes(16, "little")
    held = [path for path in (clinic.home / "data").rglob("*") if path.is_file() and stored in path.read_bytes()]
    assert held == []


def test_a_stale_file_loaded_again_keeps_the_person_out(clinic: Clinic) -> None:
    clinic.erased()
    clinic.load()
    assert clinic.rows(GONE) == {"visits": 0, "people": 0}
    clinic.workspace.datasets.load(ME, "clinic", {"visits": clinic.sources["visits"]}, append=True)
    assert clinic.rows(GONE)["visits"] == 0
    assert clinic.rows(PATIENTS[0])["visits"] == 6


def test_what_other_systems_keep_is_said_and_nothing_of_it_stays_here(clinic: Clinic) -> None:
    request = clinic.request()
    clinic.workspace.rights.verify(ME, request, "reasonably_high", "signed declaration")
    for wrong in ({"bills": "because"}, {" ": "1798.105(d)(8)"}):
        with pytest.raises(Conflict, match="why: one of"):
            clinic.workspace.rights.execute(ME, request, exceptions=wrong)
    done = clinic.workspace.rights.execute(ME, request, exceptions={"bills": "1798.105(d)(8)"})
    assert done["evidence"]["exceptions"] == {"bills": "1798.105(d)(8)"}
    assert "We keep bills outside these data, because the law obliges us" in done["evidence"]["told"][-2]
    assert "You can say no to the sale and sharing of what is kept" in done["evidence"]["told"][-1]
    assert done["state"] == "partially_fulfilled"
    assert done["status"] == {"status": "fulfilled", "processing_details": "in part: all but bills (1798.105(d)(8))"}
    assert clinic.rows(GONE) == {"visits": 0, "people": 0}
    with pytest.raises(Conflict, match="exceptions"):
        clinic.workspace.rights.execute(ME, clinic.request("opt_out"), exceptions={"bills": "1798.105(d)(8)"})


@pytest.mark.parametrize("spelling", [str.upper, lambda each: each.replace("-", ""), lambda each: f"{{{each}}}"])
def test_an_id_that_the_data_would_read_alike_is_the_same_person(
    clinic: Clinic, spelling: Callable[[str], str]
) -> None:
    clinic.erased(spelling(GONE))
    assert clinic.rows(GONE) == {"visits": 0, "people": 0}


def test_a_package_that_nobody_fetched_goes_with_the_person(clinic: Clinic) -> None:
    asked = []
    for unit in (GONE, PATIENTS[0]):
        request = clinic.request("know", unit)
        clinic.workspace.rights.verify(ME, request, "reasonably_high", "signed declaration")
        asked.append(clinic.workspace.rights.execute(ME, request)["package"]["path"].rpartition("/")[2])
    clinic.erased()
    with pytest.raises(NotFound):
        clinic.workspace.rights.package(ME, asked[0])
    assert clinic.workspace.rights.package(ME, asked[1])


def test_a_package_that_is_being_made_while_its_person_is_deleted_is_never_given(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    rights, request, put = clinic.workspace.rights, clinic.request("know"), Deliveries.put
    rights.verify(ME, request, "reasonably_high", "signed declaration")
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(Deliveries, "put", lambda *said, **about: (clinic.erased(), put(*said, **about))[1])
        with pytest.raises(Conflict, match="a deletion of the person was begun meanwhile"):
            rights.execute(ME, request)
    assert list((clinic.home / "packages").iterdir()) == []
    done = rights.execute(ME, request)
    package = zipfile.ZipFile(io.BytesIO(rights.package(ME, done["package"]["path"].rpartition("/")[2])))
    assert [each["rows"] for each in json.loads(package.read("package.json"))["specific_pieces"]] == [[], []]


def test_a_request_that_was_closed_24_months_ago_goes_when_the_clocks_are_looked_at(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = clinic.request()
    clinic.workspace.rights.deny(ME, request, "no_match")
    clinic.workspace.rights.due()
    assert clinic.workspace.rights.one(ME, request)["state"] == "denied"
    monkeypatch.setattr(clinic.workspace.rights, "_now", lambda: datetime.now(UTC) + timedelta(days=800))
    clinic.workspace.rights.due()
    with pytest.raises(NotFound):
        clinic.workspace.rights.one(ME, request)


def test_a_package_whose_time_is_over_goes_though_nobody_asks_for_another(clinic: Clinic) -> None:
    request = clinic.request("know")
    clinic.workspace.rights.verify(ME, request, "reasonably_high", "signed declaration")
    clinic.workspace.rights.execute(ME, request)
    (package,) = (clinic.home / "packages").iterdir()
    clinic.reopen()
    assert package.exists()
    os.utime(package, (0, 0))
    clinic.reopen()
    assert not package.exists()


def test_the_ledger_and_earlier_releases_are_as_they_were(clinic: Clinic) -> None:
    ask = Ask(ME, "visits", {})
    before, _ = clinic.workspace.releases.make(ask)
    budget = clinic.workspace.budgets.one(ME, "clinic")
    clinic.erased()
    again, made_now = clinic.workspace.releases.make(ask)
    assert (again["rows"], made_now) == (before["rows"], False)
    assert clinic.workspace.budgets.one(ME, "clinic") == budget
    assert clinic.workspace.budgets.verify(ME).ok


def test_what_a_killed_load_left_goes_with_an_erasure(clinic: Clinic) -> None:
    folder = clinic.home / "data" / "clinic"
    (folder / "dv_left_behind.duckdb").write_bytes(GONE.encode())
    (folder / ".loading-left").mkdir()
    (folder / ".loading-left" / "spill").write_bytes(GONE.encode())
    clinic.erased()
    assert all(GONE.encode() not in path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert len(list(folder.iterdir())) == 1


KILLED = """
import os, signal, sys
from dpstats.access import operator
from dpstats.settings import read_settings
from dpstats.workspace import Workspace

home, request, point, moment = sys.argv[1:5]
workspace = Workspace.open(read_settings(home=home))

def watch(frame, event, _):
    if event == moment and frame.f_code.co_qualname == point:
        os.kill(os.getpid(), signal.SIGKILL)

sys.setprofile(watch)
workspace.rights.execute(operator("stu"), request)
"""
POINTS = [
    ("Suppressions.add", "call"),
    ("Suppressions.add", "return"),
    ("Sifting.leave_out", "return"),
    ("_Loader.finish", "return"),
    ("_publish", "call"),
    ("_publish", "return"),
    ("Datasets._enter", "return"),
    ("Datasets._forget_old", "return"),
    ("sweep", "return"),
    ("Erasing.carried_out", "return"),
]
"""Where an erasure is killed: as a function begins, or just after it ended."""


@pytest.mark.parametrize(("point", "moment"), POINTS)
def test_an_erasure_that_is_killed_is_gone_on_with_and_ends_the_same(clinic: Clinic, point: str, moment: str) -> None:
    request = clinic.request()
    clinic.workspace.rights.verify(ME, request, "reasonable", "two facts matched")
    clinic.close()
    command = [sys.executable, "-c", KILLED, str(clinic.home), request, point, moment]
    assert subprocess.run(command, check=False, timeout=120).returncode == -signal.SIGKILL
    clinic.reopen()
    assert clinic.workspace.rights.one(ME, request)["state"] == "executing"
    if point != "Suppressions.add" or moment == "return":
        clinic.load()
        assert clinic.rows(GONE) == {"visits": 0, "people": 0}, "a load between the kill and the next try"
    done = clinic.workspace.rights.execute(ME, request)
    assert done["state"] == "fulfilled"
    assert done["evidence"]["erased"][0]["rows_after"] == {"visits": 0, "people": 0}
    assert len(list((clinic.home / "data" / "clinic").iterdir())) == 1
    assert clinic.workspace.releases.make(Ask(ME, "visits", {}))[1]


def test_nobody_is_erased_before_it_is_known_who_asks(clinic: Clinic) -> None:
    request = clinic.request()
    with pytest.raises(Conflict, match="verify who asks"):
        clinic.workspace.rights.execute(ME, request)
    clinic.workspace.rights.verify(ME, request, "none", "nothing matched")
    with pytest.raises(Conflict, match="verify who asks"):
        clinic.workspace.rights.execute(ME, request)
    assert clinic.rows(GONE) == {"visits": 3, "people": 1}


def test_sensitive_data_are_erased_for_who_is_known_with_a_high_certainty(clinic: Clinic) -> None:
    sensitive = DATASET.replace("age: {type: integer,", "age: {type: integer, sensitive: health,")
    clinic.workspace.datasets.register(ME, sensitive, "dataset.yaml")
    request = clinic.request()
    clinic.workspace.rights.verify(ME, request, "reasonable", "two facts matched")
    with pytest.raises(Conflict, match="verify it as reasonably_high first"):
        clinic.workspace.rights.execute(ME, request)
    assert clinic.rows(GONE) == {"visits": 3, "people": 1}
    clinic.workspace.rights.verify(ME, request, "reasonably_high", "signed declaration")
    clinic.workspace.rights.execute(ME, request)
    assert clinic.rows(GONE) == {"visits": 0, "people": 0}


def test_a_person_who_is_deleted_is_not_deleted_again_and_an_unknown_one_is_kept_out(clinic: Clinic) -> None:
    clinic.erased()
    version = clinic.workspace.store.registry.data_version("clinic")
    for spelling in (GONE, GONE.upper()):
        with pytest.raises(Conflict, match=r"was deleted on .*, and nothing is held since: deny it as no_match"):
            clinic.erased(spelling)
    assert clinic.workspace.store.registry.data_version("clinic") == version
    again = next(each for each in clinic.workspace.rights.all(ME) if each["state"] == "verified")
    assert clinic.workspace.rights.deny(ME, again["id"], "no_match")["state"] == "denied"
    (unknown,) = clinic.erased(str(uuid.uuid4()))["evidence"]["erased"]  # type: ignore[index]
    assert unknown["rows_before"] == {"visits": 0, "people": 0}


def test_a_deleted_person_whom_an_old_data_version_brought_back_is_deleted_again(clinic: Clinic) -> None:
    clinic.erased()
    clinic.workspace.rights._erasing._suppressions.add(
        "clinic", PATIENTS[3], request="rr_0000000000000000", now=datetime.now(UTC)
    )
    assert clinic.rows(PATIENTS[3]) == {"visits": 3, "people": 1}
    clinic.erased(PATIENTS[3])
    assert clinic.rows(PATIENTS[3]) == {"visits": 0, "people": 0}


def test_opening_a_request_says_the_same_of_a_known_and_an_unknown_person(clinic: Clinic) -> None:
    opened = [clinic.workspace.rights.open(ME, "delete", "clinic", unit) for unit in (GONE, str(uuid.uuid4()))]
    told = [{key: value for key, value in each.items() if key not in {"id", "received_at"}} for each in opened]
    assert told[0] == told[1]


def test_an_opt_out_needs_nobodys_identity(clinic: Clinic) -> None:
    done = clinic.workspace.rights.execute(ME, clinic.request("opt_out"))
    assert (done["state"], done["evidence"]["decision"]) == ("fulfilled", "all_sale_share")
    limited = clinic.workspace.rights.execute(ME, clinic.request("limit"))
    assert limited["evidence"]["decision"] == "limit_spi"


@pytest.mark.parametrize("kind", ["opt_out", "limit", "know"])
@pytest.mark.parametrize("unit", ["7\x01", "\u202e7", "\u0958" * 200])
def test_an_id_that_no_decision_is_kept_of_opens_no_request(clinic: Clinic, kind: str, unit: str) -> None:
    with pytest.raises(InvalidParameters, match="must be an id of 1 to 256 characters"):
        clinic.request(kind, unit)
    assert clinic.workspace.rights.all(ME) == []


def test_a_refusal_that_would_not_be_kept_is_not_begun(clinic: Clinic) -> None:
    rights = clinic.workspace.rights
    asked = Asked(Kind.OPT_OUT, "clinic", "clinic", "of an older release")
    request = rights._log.open(asked, "7\x01", actor="stu", now=datetime.now(UTC)).request_id
    with pytest.raises(InvalidParameters, match="must be an id"):
        rights.execute(ME, request)
    assert rights.deny(ME, request, "it is no id")["state"] == "denied"


def test_who_is_denied_a_deletion_is_offered_to_opt_out(clinic: Clinic) -> None:
    request = clinic.request()
    clinic.workspace.rights.deny(ME, request, "insufficient_verification")
    assert "You can say no" in clinic.workspace.rights.one(ME, request)["evidence"]["told"][0]


def test_a_denial_keeps_its_reason_and_closes(clinic: Clinic) -> None:
    request = clinic.request()
    assert clinic.workspace.rights.deny(ME, request, "no_match")["status"] == {"status": "denied", "reason": "no_match"}
    with pytest.raises(Conflict, match="denied already"):
        clinic.workspace.rights.verify(ME, request, "reasonable", "late")


def test_what_is_asked_wrongly_is_told_by_field(clinic: Clinic) -> None:
    with pytest.raises(InvalidParameters) as caught:
        clinic.workspace.rights.open(ME, "forget", "clinic", " ")
    assert set(caught.value.problems) == {"type", "unit"}
    with pytest.raises(NotFound):
        clinic.workspace.rights.one(ME, "rr_0000000000000000")


def test_who_is_known_well_gets_the_pieces_but_none_that_are_never_disclosed(clinic: Clinic) -> None:
    secret = DATASET.replace("paid: {type: double, bounds: [0, 100]}", "paid: {type: double, never_disclose: true}")
    (clinic.folder / "dataset.yaml").write_text(secret)
    clinic.workspace.datasets.add(ME, clinic.folder / "dataset.yaml", clinic.sources)
    clinic.workspace.rights.execute(ME, clinic.request("opt_out"))
    package = fetched(clinic, "reasonably_high")
    told = json.loads(package.read("package.json"))
    pieces = {each["table"]: each for each in told["specific_pieces"]}
    assert pieces["people"]["rows"] == [{"patient": GONE, "age": "40"}]
    assert pieces["visits"]["held_but_not_sent"] == ["paid"]
    assert pieces["visits"]["rows"] == [{"patient": GONE}] * 3
    assert [event["decision"] for event in told["consent"]] == ["opt_out"]
    assert set(package.namelist()) == {"package.json", "package.html", "visits.csv", "people.csv"}
    assert not any(other.encode() in package.read(name) for name in package.namelist() for other in PATIENTS[:5])


def test_a_piece_that_may_not_be_told_is_refused_with_its_reason_and_the_others_are_told(clinic: Clinic) -> None:
    rights, request = clinic.workspace.rights, clinic.request("know")
    refused = {"people.age": "1798.145(a)"}
    rights.verify(ME, request, "reasonable", "two facts matched")
    with pytest.raises(Conflict, match="no pieces are told at this level"):
        rights.execute(ME, request, exceptions=refused)
    rights.verify(ME, request, "reasonably_high", "signed declaration")
    for wrong in ("people.height", "age", "people.patient"):
        with pytest.raises(InvalidParameters, match="is no column that would be told"):
            rights.execute(ME, request, exceptions={wrong: "1798.145(a)"})
    with pytest.raises(Conflict, match="why: one of 1798"):
        rights.execute(ME, request, exceptions={"people.age": "1798.105(d)(8)"})
    done = rights.execute(ME, request, exceptions=refused)
    assert (done["state"], done["evidence"]["exceptions"]) == ("partially_fulfilled", refused)
    assert done["status"]["processing_details"] == "in part: all but people.age (1798.145(a))"
    why = "We hold people.age and do not tell it, because a law, a court or an inquiry keeps us from it (1798.145(a))."
    assert done["evidence"]["told"] == [f"{why} All the rest is told."]
    package = zipfile.ZipFile(io.BytesIO(rights.package(ME, done["package"]["path"].rpartition("/")[2])))
    pieces = {each["table"]: each for each in json.loads(package.read("package.json"))["specific_pieces"]}
    assert pieces["people"]["rows"] == [{"patient": GONE}]
    assert [each["column"] for each in pieces["people"]["refused"]] == ["age"]
    assert pieces["visits"]["rows"] == [{"patient": GONE, "paid": "5.0"}] * 3
    assert why in package.read("package.html").decode()
    assert package.read("people.csv").decode().splitlines() == ["patient", GONE]


def test_who_is_not_there_and_who_was_erased_are_told_the_same(clinic: Clinic) -> None:
    clinic.erased()
    told = [json.loads(fetched(clinic, "reasonably_high", unit).read("package.json")) for unit in (GONE, NOBODY)]
    for package in told:
        assert [table["rows"] for table in package["specific_pieces"]] == [[], []]
        del package["request"], package["made_at"]
    assert told[0] == told[1]


def test_somebody_who_could_not_be_verified_is_told_of_the_notice_alone(clinic: Clinic) -> None:
    request = clinic.request("know")
    with pytest.raises(Conflict, match="verify who asks"):
        clinic.workspace.rights.execute(ME, request)
    assert clinic.workspace.rights.verify(ME, request, "none", "nothing matched")["next"] == "execute"
    done = clinic.workspace.rights.execute(ME, request)
    assert (done["state"], done["evidence"]["disclosed"]) == ("fulfilled", "policy_only")
    assert "package" not in done
    assert not (clinic.home / "packages").exists()


def test_a_request_that_expired_is_not_carried_out_any_more(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    request = clinic.request()
    clinic.workspace.rights.verify(ME, request, "reasonable", "two facts matched")
    monkeypatch.setattr(clinic.workspace.rights, "_now", lambda: datetime.now(UTC) + timedelta(days=95))
    clinic.workspace.rights.due()
    with pytest.raises(Conflict, match="expired"):
        clinic.workspace.rights.execute(ME, request)
    assert clinic.rows(GONE) == {"visits": 3, "people": 1}


def test_who_is_known_less_well_gets_categories_alone(clinic: Clinic) -> None:
    package = fetched(clinic, "reasonable")
    told = json.loads(package.read("package.json"))
    assert told["specific_pieces"] is None
    assert told["dataset"]["categories"]
    assert package.namelist() == ["package.json", "package.html"]


def test_published_statistics_are_told_with_their_noise_and_what_they_give_away_at_most(clinic: Clinic) -> None:
    release, _ = clinic.workspace.releases.make(Ask(ME, "visits", {}))
    told = json.loads(fetched(clinic, "reasonable").read("package.json"))
    (statistic,) = told["statistics"]["items"]
    assert statistic["purpose"] == "measurement"
    assert statistic["rows"] == release["rows"]
    assert told["privacy_loss"]["epsilon_at_most"] == clinic.workspace.budgets.one(ME, "clinic")["epsilon_spent"] > 0


def test_a_package_is_fetched_once(clinic: Clinic) -> None:
    request = clinic.request("know")
    clinic.workspace.rights.verify(ME, request, "reasonable", "two facts matched")
    done = clinic.workspace.rights.execute(ME, request)
    assert "package" not in clinic.workspace.rights.one(ME, request)
    secret = done["package"]["path"].rpartition("/")[2]
    content = clinic.workspace.rights.package(ME, secret)
    assert done["evidence"]["package_sha256"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
    with pytest.raises(NotFound):
        clinic.workspace.rights.package(ME, secret)
    assert list((clinic.home / "packages").iterdir()) == []


def test_a_package_that_waits_to_be_fetched_shows_nothing_of_its_person_on_disk(clinic: Clinic) -> None:
    request = clinic.request("know")
    clinic.workspace.rights.verify(ME, request, "reasonably_high", "signed declaration")
    secret = clinic.workspace.rights.execute(ME, request)["package"]["path"].rpartition("/")[2]
    (waiting,) = (clinic.home / "packages").iterdir()
    assert not zipfile.is_zipfile(waiting)
    assert GONE.encode() not in waiting.read_bytes()
    content = clinic.workspace.rights.package(ME, secret)
    assert GONE.encode() in zipfile.ZipFile(io.BytesIO(content)).read("people.csv"), "the positive control"


def fetched(clinic: Clinic, level: str, unit: str = GONE) -> zipfile.ZipFile:
    request = clinic.request("know", unit)
    clinic.workspace.rights.verify(ME, request, level, "as the test says")
    secret = clinic.workspace.rights.execute(ME, request)["package"]["path"].rpartition("/")[2]
    return zipfile.ZipFile(io.BytesIO(clinic.workspace.rights.package(ME, secret)))


def test_nobody_is_told_to_have_been_counted_where_that_is_not_known(clinic: Clinic) -> None:
    clinic.workspace.releases.make(Ask(ME, "visits", {}))
    for unit in (GONE, NOBODY):
        told = json.loads(fetched(clinic, "reasonably_high", unit).read("package.json"))["statistics"]
        assert len(told["items"]) == 1
        assert "in any of them, or in none" in told["says"]


def test_data_from_before_an_erasure_are_made_anew_before_they_are_served(clinic: Clinic) -> None:
    clinic.close()
    copies = clinic.folder / "copies"
    shutil.copytree(clinic.home, copies, ignore=shutil.ignore_patterns("consent.*"))
    clinic.workspace = Workspace.open(read_settings(home=clinic.home))
    clinic.erased()
    clinic.close()
    for old in ("data", "ledger.db"):  # an old copy of all but what people said and asked
        target = clinic.home / old
        shutil.rmtree(target) if target.is_dir() else target.unlink()
        shutil.move(copies / old, target)
    clinic.workspace = Workspace.open(read_settings(home=clinic.home))
    assert clinic.rows(GONE) == {"visits": 3, "people": 1}
    assert any("older than an erasure" in each.what for each in clinic.workspace.doctor.findings(ME))
    clinic.workspace.open_data()
    assert clinic.rows(GONE) == {"visits": 0, "people": 0}
    assert not any("older than an erasure" in each.what for each in clinic.workspace.doctor.findings(ME))


@contextmanager
def full_disk() -> Iterator[None]:
    """Files grow to a size that a database's log needs, and a data version goes beyond."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_data_that_cannot_be_made_anew_after_an_erasure_answer_nobody_until_they_are(clinic: Clinic) -> None:
    def ask() -> bool:
        return clinic.workspace.releases.make(Ask(ME, "visits", {}, fresh=True))[1]

    assert ask()
    request = clinic.request()
    clinic.workspace.rights.verify(ME, request, "reasonable", "two facts matched")
    with full_disk(), pytest.raises(FileError):
        clinic.workspace.rights.execute(ME, request)
    spent = clinic.workspace.budgets.one(ME, "clinic")
    for restarted in (False, True):
        if restarted:
            clinic.reopen()
            with full_disk():
                clinic.workspace.open_data()
        assert clinic.rows(GONE)["visits"] == 3
        with pytest.raises(Unavailable):
            ask()
        assert clinic.workspace.budgets.one(ME, "clinic") == spent, "nothing is charged"
    assert [each.what[:36] for each in clinic.workspace.doctor.findings(ME) if each.about == "dataset clinic"] == [
        "its data are older than an erasure: "
    ]
    assert clinic.workspace.rights.execute(ME, request)["state"] == "fulfilled"
    assert ask()


def test_only_data_of_the_people_among_whom_somebody_was_erased_answer_nobody(clinic: Clinic) -> None:
    other = clinic.folder / "other.yaml"
    other.write_text(DATASET.replace("dataset: clinic", "dataset: other"))
    clinic.workspace.datasets.add(ME, other, clinic.sources)
    request = clinic.request()
    clinic.workspace.rights.verify(ME, request, "reasonable", "two facts matched")
    with full_disk(), pytest.raises(FileError):
        clinic.workspace.rights.execute(ME, request)
    road, library = clinic.workspace._road, clinic.workspace._library
    with road.data(library.dataset(ME, "other")):
        pass
    with pytest.raises(Unavailable), road.data(library.dataset(ME, "clinic")):
        pass


def test_an_erasure_that_is_killed_as_it_waits_for_a_load_is_not_forgotten(clinic: Clinic) -> None:
    request, suppressed = clinic.request(), Path(clinic.folder / "suppressed")
    clinic.workspace.rights.verify(ME, request, "reasonable", "two facts matched")
    killed: list[int] = []

    def halfway(step: str, _: float) -> None:
        if step != "finishing":
            return
        command = [sys.executable, "-c", WAITING, str(clinic.home), request, str(suppressed)]
        with subprocess.Popen(command) as erasing:
            while not suppressed.exists() and erasing.poll() is None:
                threading.Event().wait(0.01)
            erasing.kill()
        killed.append(erasing.returncode)

    clinic.workspace.datasets.load(ME, "clinic", clinic.sources, progress=halfway)
    assert (killed, clinic.rows(GONE)["visits"]) == ([-signal.SIGKILL], 3), "the load knew nothing of it"
    with pytest.raises(Unavailable):
        clinic.workspace.releases.make(Ask(ME, "visits", {}))
    clinic.reopen()
    assert any("older than an erasure" in each.what for each in clinic.workspace.doctor.findings(ME))
    clinic.workspace.open_data()
    assert clinic.rows(GONE) == {"visits": 0, "people": 0}
    assert clinic.workspace.releases.make(Ask(ME, "visits", {}))[1]
    assert not any("older than an erasure" in each.what for each in clinic.workspace.doctor.findings(ME))


WAITING = """
import sys
from pathlib import Path
from dpstats.access import operator
from dpstats.settings import read_settings
from dpstats.workspace import Workspace

home, request, suppressed = sys.argv[1:]
workspace = Workspace.open(read_settings(home=Path(home)))

def watch(frame, event, arg):
    if (frame.f_code.co_qualname, event) == ("Suppressions.add", "return"):
        Path(suppressed).touch()

sys.setprofile(watch)
workspace.rights.execute(operator("stu"), request)
"""
