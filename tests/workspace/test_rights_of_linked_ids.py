"""A deletion takes all of a person: what is kept under every linked id, in every dataset of the same people."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dpstats.access import operator
from dpstats.catalog.dataset import parse_dataset
from dpstats.engine.erasure import held
from dpstats.errors import Conflict, NotFound, Unavailable
from dpstats.rights.intake import Wish
from dpstats.settings import read_settings
from dpstats.workspace import Workspace
from dpstats.workspace.correcting import Wanted

ME = operator("stu")
PERSON, PHONE, CARD, OTHER = "person-of-the-links", "phone-of-the-person", "card-of-the-phone", "another-person"
CLINIC = """
dataset: clinic
privacy_unit: patient
links: true
budget: {epsilon: 100, delta: 1.0e-6}
tables:
  people:
    columns: {patient: {type: varchar}, town: {type: varchar}, got_by: {type: varchar}}
"""
BILLS = """
dataset: bills
lineage: clinic
privacy_unit: patient
budget: {epsilon: 100, delta: 1.0e-6}
tables:
  cards:
    columns: {patient: {type: varchar, never_disclose: true}, number: {type: varchar, never_disclose: true}}
"""
"""Of the same people, without links, and made anew before the dataset that has them."""


class Clinic:
    """Two datasets of the same people, of which one links a person's phone, and the phone's card, to the person."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "home"
        self.workspace = Workspace.open(read_settings(home=self.home))
        self.written("people", "patient,town,got_by", *(f"{each},Ojai,{each}" for each in (PERSON, PHONE, OTHER)))
        self.written("cards", "patient,number", *(f"{each},4111" for each in (PERSON, CARD, OTHER)))
        self.written("links", "id,unit", f"{PHONE},{PERSON}", f"{CARD},{PERSON}")
        for name, definition, *tables in (("clinic", CLINIC, "people", "links"), ("bills", BILLS, "cards")):
            (folder / f"{name}.yaml").write_text(definition)
            self.workspace.datasets.add(ME, folder / f"{name}.yaml", self.sources(*tables))

    def written(self, name: str, *lines: str) -> None:
        (self.folder / f"{name}.csv").write_text("".join(f"{line}\n" for line in lines))

    def sources(self, *names: str) -> Mapping[str, Path]:
        return {name: self.folder / f"{name}.csv" for name in names}

    def reopen(self) -> None:
        self.workspace.close()
        self.workspace = Workspace.open(read_settings(home=self.home))

    def load(self) -> None:
        self.workspace.datasets.load(ME, "clinic", self.sources("people", "links"))
        self.workspace.datasets.load(ME, "bills", self.sources("cards"))

    def load_while_bills_are_broken(self) -> None:
        """Loads the dataset with the links, while the other cannot be made anew."""
        file = self.home / "data" / self.workspace.store.registry.data_version("bills").file
        whole = file.read_bytes()
        file.write_bytes(b"broken")
        self.workspace.datasets.load(ME, "clinic", self.sources("people", "links"))
        file.write_bytes(whole)

    def verified(self, kind: str, unit: str) -> str:
        request = str(self.workspace.rights.open(ME, kind, "clinic", unit)["id"])
        self.workspace.rights.verify(ME, request, "reasonably_high", "signed declaration")
        return request

    def deleted(self, unit: str) -> dict[str, Any]:
        return self.workspace.rights.execute(ME, self.verified("delete", unit))

    def packed(self, unit: str) -> str:
        """The secret of a package to know that nobody fetched yet."""
        done = self.workspace.rights.execute(ME, self.verified("know", unit))
        return str(done["package"]["path"].rpartition("/")[2])

    def mark_minor(self, unit: str) -> None:
        day = (datetime.now(UTC).date() + timedelta(days=900)).isoformat()
        wish = Wish(unit, "known_minor", "opt_out", f"mark-{unit}", "operator", turns_16_on=day)
        self.workspace.consent.send(ME, [("clinic", wish)])

    def has_birthday(self, unit: str) -> bool:
        rights = self.workspace.rights
        decided = rights._disclosing._consent_log.of_person("clinic", rights._pseudonyms.of("clinic", unit))
        assert decided, "the mark itself stays"
        return any(each.until is not None for each in decided)

    def leave_traces(self, unit: str) -> str:
        """Whatever is kept of an id beside the data; gives the secret of its package."""
        rights = self.workspace.rights
        self.mark_minor(unit)
        wanted = Wanted("people", {"town": "Weed"}, where={"got_by": unit})
        rights.execute(ME, self.verified("correct", unit), wanted=wanted)
        return self.packed(unit)

    def units(self, name: str) -> set[str]:
        registry = self.workspace.store.registry
        definition, version = registry.dataset(name).definition, registry.data_version(name)
        return set(held(parse_dataset(definition, name), self.home / "data" / version.file, lambda _: True).ids)

    def is_served(self, name: str) -> bool:
        """Whether a new release could be made of a dataset now."""
        with suppress(Unavailable), self.workspace._road.data(self.workspace._library.dataset(ME, name)):
            return True
        return False

    def assert_gone(self, *secrets: str) -> None:
        assert self.units("clinic") == self.units("bills") == {OTHER}
        for secret in secrets:
            with pytest.raises(NotFound):
                self.workspace.rights.package(ME, secret)
        assert not any(map(self.has_birthday, (PERSON, PHONE)))
        assert self.workspace.rights._corrections.standing("clinic", "clinic") == ()


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    opened = Clinic(tmp_path)
    yield opened
    opened.workspace.close()


@pytest.mark.parametrize("asked", [PERSON, PHONE, CARD])
def test_a_deletion_by_any_id_takes_what_is_kept_of_all_of_them_and_of_nobody_else(clinic: Clinic, asked: str) -> None:
    theirs, phones, others = clinic.leave_traces(PERSON), clinic.leave_traces(PHONE), clinic.packed(OTHER)
    clinic.mark_minor(OTHER)
    done = clinic.deleted(asked)
    assert done["state"] == "fulfilled"
    counted = {each["dataset"]: (each["rows_before"], each["rows_after"]) for each in done["evidence"]["erased"]}
    assert counted == {"bills": ({"cards": 2}, {"cards": 0}), "clinic": ({"people": 2}, {"people": 0})}
    clinic.assert_gone(theirs, phones)
    assert clinic.workspace.rights.package(ME, others)
    assert clinic.has_birthday(OTHER)
    clinic.load()
    clinic.assert_gone()


KILLED = """
import os, signal, sys
from dpstats.access import operator
from dpstats.settings import read_settings
from dpstats.workspace import Workspace

home, request, point, times = sys.argv[1:5]
workspace, left = Workspace.open(read_settings(home=home)), int(times)

def watch(frame, event, _):
    global left
    if event == "return" and frame.f_code.co_qualname == point:
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

sys.setprofile(watch)
workspace.rights.execute(operator("stu"), request)
"""
POINTS = [
    ("Suppressions.add", 1, True),
    ("Suppressions.add", 2, False),
    ("People.linked_out", 1, False),
    ("Datasets._enter", 2, False),
    ("Datasets.erase", 2, True),
]
"""Where a deletion is killed: as a function ended for so many times; from the second dataset on the links are gone.

And whether the sources are loaded again before the next try.
"""


@pytest.mark.parametrize(("point", "times", "is_loaded"), POINTS)
def test_a_deletion_that_is_killed_still_takes_the_linked_ids(
    clinic: Clinic, point: str, times: int, is_loaded: bool
) -> None:
    secrets = [clinic.leave_traces(PERSON), clinic.leave_traces(PHONE)]
    request = clinic.verified("delete", PERSON)
    clinic.workspace.close()
    command = [sys.executable, "-c", KILLED, str(clinic.home), request, point, str(times)]
    assert subprocess.run(command, check=False, timeout=120).returncode == -signal.SIGKILL
    clinic.reopen()
    if is_loaded:
        clinic.load()
    assert clinic.workspace.rights.execute(ME, request)["state"] == "fulfilled"
    clinic.assert_gone(*secrets)


def test_an_id_that_is_linked_to_a_deleted_person_later_is_forgotten_as_it_is_loaded(clinic: Clinic) -> None:
    clinic.deleted(PERSON)
    clinic.mark_minor("tablet")
    secret = clinic.packed("tablet")
    clinic.written("links", "id,unit", f"tablet,{PERSON}")
    clinic.load()
    assert not clinic.has_birthday("tablet")
    with pytest.raises(NotFound):
        clinic.workspace.rights.package(ME, secret)


def test_a_dataset_that_is_refused_suppresses_nobody_whom_its_links_name(clinic: Clinic) -> None:
    clinic.deleted(PERSON)
    clinic.written("links", "id,unit", f"tablet,{PERSON}")
    text = (clinic.folder / "clinic.yaml").read_text().replace("epsilon: 100", "epsilon: 700")
    (clinic.folder / "wrong.yaml").write_text(text)
    with pytest.raises(Conflict, match="raising is a grant"):
        clinic.workspace.datasets.add(ME, clinic.folder / "wrong.yaml", clinic.sources("people", "links"))
    assert clinic.workspace.rights._erasing._suppressions.since("clinic", "tablet") is None


def test_other_data_are_made_anew_without_an_id_that_a_load_links_to_a_deleted_person(clinic: Clinic) -> None:
    clinic.written("cards", "patient,number", *(f"{each},4111" for each in ("tablet", OTHER)))
    clinic.deleted(PERSON)
    clinic.workspace.datasets.load(ME, "bills", clinic.sources("cards"))
    clinic.workspace.datasets.load(ME, "clinic", clinic.sources("people"))
    before = clinic.workspace.store.registry.data_version("bills")
    assert clinic.units("bills") == {"tablet", OTHER}
    clinic.written("links", "id,unit", f"tablet,{PERSON}")
    clinic.workspace.datasets.load(ME, "clinic", clinic.sources("links"))
    assert clinic.units("bills") == {OTHER}
    after = clinic.workspace.store.registry.data_version("bills")
    assert after.as_of == before.as_of
    assert all(map(clinic.is_served, ("bills", "clinic")))
    clinic.load()
    assert clinic.workspace.store.registry.data_version("bills").data_version != after.data_version
    made = [clinic.workspace.store.registry.data_version(name) for name in ("bills", "clinic")]
    clinic.workspace.datasets.load(ME, "clinic", clinic.sources("links"))
    assert clinic.workspace.store.registry.data_version("bills") == made[0], "known by now: nothing is made anew"
    assert all(map(clinic.is_served, ("bills", "clinic")))


def test_other_data_that_cannot_be_made_anew_answer_nobody_until_they_are(clinic: Clinic) -> None:
    clinic.written("cards", "patient,number", *(f"{each},4111" for each in ("tablet", OTHER)))
    clinic.deleted(PERSON)
    clinic.workspace.datasets.load(ME, "bills", clinic.sources("cards"))
    clinic.written("links", "id,unit", f"tablet,{PERSON}")
    clinic.load_while_bills_are_broken()
    assert (clinic.is_served("clinic"), clinic.is_served("bills")) == (True, False)
    assert any("older than an erasure" in each.what for each in clinic.workspace.doctor.findings(ME))
    clinic.reopen()
    assert not clinic.is_served("bills")
    clinic.workspace.open_data()
    assert clinic.is_served("bills")
    assert clinic.units("bills") == {OTHER}


def test_a_deleted_person_of_whom_something_came_since_is_deleted_again(clinic: Clinic) -> None:
    clinic.deleted(PERSON)
    for unit in (PERSON, PHONE, CARD):
        with pytest.raises(Conflict, match="nothing is held since"):
            clinic.deleted(unit)
    for unit in (PERSON, PHONE):
        clinic.mark_minor(unit)
        assert clinic.deleted(unit)["state"] == "fulfilled"
        assert not clinic.has_birthday(unit)
    secret = clinic.packed(PHONE)
    assert clinic.deleted(PHONE)["state"] == "fulfilled"
    clinic.assert_gone(secret)


def test_rows_that_may_not_be_told_are_held_and_deleted_again(clinic: Clinic) -> None:
    clinic.workspace.rights._erasing._suppressions.add("clinic", CARD, request="rr_0", now=datetime.now(UTC))
    clinic.load_while_bills_are_broken()
    assert clinic.units("clinic") == {OTHER}
    assert clinic.units("bills") == {PERSON, CARD, OTHER}
    assert clinic.deleted(CARD)["evidence"]["erased"][0]["rows_before"] == {"cards": 1}
    assert clinic.units("bills") == {OTHER}


def test_an_answer_that_says_what_is_held_and_never_disclosed_is_one_in_full(clinic: Clinic) -> None:
    request = str(clinic.workspace.rights.open(ME, "know", "bills", PERSON)["id"])
    clinic.workspace.rights.verify(ME, request, "reasonably_high", "signed declaration")
    done = clinic.workspace.rights.execute(ME, request)
    assert (done["state"], done["status"]) == ("fulfilled", {"status": "fulfilled"})
    content = clinic.workspace.rights.package(ME, done["package"]["path"].rpartition("/")[2])
    (cards,) = json.loads(zipfile.ZipFile(io.BytesIO(content)).read("package.json"))["specific_pieces"]
    assert (cards["held_but_not_sent"], cards["rows"]) == (["patient", "number"], [])
