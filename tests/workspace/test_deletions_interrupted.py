"""Deletions that are killed, find the disk full, or meet data of an older copy: gone on with, and never forgotten."""

from __future__ import annotations

import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from killing import executed
from rights_clinic import DATASET, GONE, ME, Clinic

from dpstats.errors import FileError, Unavailable
from dpstats.release import Ask
from dpstats.settings import read_settings
from dpstats.workspace import Workspace

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
    assert executed(clinic.home, request, {}, point, moment) == -signal.SIGKILL
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


def test_what_a_killed_load_left_goes_with_an_erasure(clinic: Clinic) -> None:
    folder = clinic.home / "data" / "clinic"
    (folder / "dv_left_behind.duckdb").write_bytes(GONE.encode())
    (folder / ".loading-left").mkdir()
    (folder / ".loading-left" / "spill").write_bytes(GONE.encode())
    clinic.erased()
    assert all(GONE.encode() not in path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert len(list(folder.iterdir())) == 1


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
