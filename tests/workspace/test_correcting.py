"""Corrections on a real workspace: what was wrong is right from then on, whatever is loaded, and its bytes are gone."""

from __future__ import annotations

import csv
import io
import json
import signal
import subprocess
import sys
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dpstats.access import operator
from dpstats.errors import Conflict, InvalidParameters
from dpstats.rights.corrections import Corrections
from dpstats.settings import read_settings
from dpstats.workspace import Workspace
from dpstats.workspace.correcting import Wanted

ME = operator("stu")
DATASET = """
dataset: hotel
privacy_unit: guest
budget: {epsilon: 100, delta: 1.0e-6}
links: %s
tables:
  stays:
    columns: {guest: {type: uuid}, night: {type: date}, paid: {type: double, bounds: [0, 100]}}
  guests:
    one_row_per_unit: true
    columns: {guest: {type: uuid}, passport: {type: uuid}, age: {type: integer, bounds: [0, 120]}}
"""
GUESTS = [str(uuid.UUID(int=(7919 * place) << 64 | place)) for place in range(1, 1001)]
ASKS = GUESTS[500]
PASSPORTS = {guest: str(uuid.uuid5(uuid.NAMESPACE_OID, guest)) for guest in GUESTS}
WRONG, RIGHT = PASSPORTS[ASKS], str(uuid.uuid5(uuid.NAMESPACE_OID, "right"))
NIGHTS = ("2026-01-01", "2026-01-02", "2026-01-03")
PASSPORT = Wanted("guests", {"passport": RIGHT})


class Hotel:
    def __init__(self, folder: Path, *, links: bool = False) -> None:
        self.folder, self.home, self.links = folder, folder / "home", links
        self.write()
        (folder / "dataset.yaml").write_text(DATASET % str(links).lower())
        self.workspace = Workspace.open(read_settings(home=self.home))
        self.workspace.datasets.add(ME, folder / "dataset.yaml", self.sources)

    @property
    def sources(self) -> Mapping[str, Path]:
        names = ("stays", "guests", *(["links"] if self.links else []))
        return {name: self.folder / f"{name}.csv" for name in names}

    def write(self, passport: str = WRONG) -> None:
        """The source's files, in which the person who asks has this passport."""
        guests = [(guest, passport if guest == ASKS else PASSPORTS[guest], 40) for guest in GUESTS]
        self._written("guests", "guest,passport,age", guests)
        self._written("stays", "guest,night,paid", [(guest, night, 5) for guest in GUESTS for night in NIGHTS])
        self._written("links", "id,unit", [("phone-of-one", ASKS)])

    def _written(self, name: str, head: str, rows: list[tuple[object, ...]]) -> None:
        with (self.folder / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([head.split(","), *rows])

    def load(self, *tables: str, append: bool = False) -> None:
        sources = {name: self.sources[name] for name in tables} if tables else self.sources
        self.workspace.datasets.load(ME, "hotel", sources, append=append)

    def reopen(self) -> None:
        self.workspace.close()
        self.workspace = Workspace.open(read_settings(home=self.home))

    def request(self, kind: str = "correct", unit: str = ASKS, *, verified: bool = True) -> str:
        request = str(self.workspace.rights.open(ME, kind, "hotel", unit)["id"])
        if verified:
            self.workspace.rights.verify(ME, request, "reasonably_high", "signed declaration")
        return request

    def known(self, unit: str = ASKS) -> dict[str, Any]:
        """What a package to know tells."""
        done = self.workspace.rights.execute(ME, self.request("know", unit))
        content = self.workspace.rights.package(ME, done["package"]["path"].rpartition("/")[2])
        told: dict[str, Any] = json.loads(zipfile.ZipFile(io.BytesIO(content)).read("package.json"))
        return told

    def corrected(self, wanted: Wanted = PASSPORT, unit: str = ASKS) -> dict[str, Any]:
        return self.workspace.rights.execute(ME, self.request(unit=unit), wanted)

    def cells(self, columns: str, guest: str = ASKS) -> list[tuple[Any, ...]]:
        file = self.home / "data" / self.workspace.store.registry.data_version("hotel").file
        table = "stays" if "paid" in columns else "guests"
        with duckdb.connect(str(file), read_only=True) as connection:
            sql = f"SELECT {columns} FROM {table} WHERE guest = ? ORDER BY ALL"
            return connection.execute(sql, [guest]).fetchall()

    def passport(self, guest: str = ASKS) -> str:
        ((found,),) = self.cells("passport", guest)
        return str(found)

    def holding(self, passport: str) -> list[Path]:
        """Files of the workspace in which a passport stands, as DuckDB stores it or as text."""
        forms = ((uuid.UUID(passport).int ^ (1 << 127)).to_bytes(16, "little"), passport.encode())
        files = [path for path in self.home.rglob("*") if path.is_file()]
        return [path for path in files if any(form in path.read_bytes() for form in forms)]


@pytest.fixture
def hotel(tmp_path: Path) -> Iterator[Hotel]:
    opened = Hotel(tmp_path)
    yield opened
    opened.workspace.close()


def test_the_new_value_is_there_and_the_old_ones_bytes_are_nowhere(hotel: Hotel) -> None:
    assert hotel.holding(WRONG), "the positive control"
    done = hotel.corrected()
    evidence = done["evidence"]["corrected"]
    assert done["state"] == "fulfilled"
    assert hotel.passport() == RIGHT
    assert (evidence["table"], evidence["columns"]) == ("guests", ["passport"])
    assert (evidence["rows_before"], evidence["rows_after"]) == ({"guests": 1}, {"guests": 0})
    assert evidence["scan"]["found_before"]
    assert evidence["scan"]["found_after"] == []
    assert hotel.holding(WRONG) == []
    assert hotel.passport(GUESTS[0]) == PASSPORTS[GUESTS[0]]
    assert hotel.cells("age") == [(40,)]


def test_what_is_corrected_stands_in_no_file_but_the_datas(hotel: Hotel) -> None:
    request = hotel.corrected()["id"]
    assert {path.suffix for path in hotel.holding(RIGHT)} == {".duckdb"}
    said = json.dumps(hotel.workspace.rights.one(ME, request))
    assert RIGHT not in said
    assert WRONG not in said


def test_a_stale_file_gets_the_corrected_value_until_the_source_says_it_too(hotel: Hotel) -> None:
    request = hotel.corrected()["id"]
    for tables in ((), ("guests",), ("stays",)):
        hotel.load(*tables)
        assert hotel.passport() == RIGHT
    assert hotel.holding(WRONG) == []
    assert hotel.workspace.rights.one(ME, request)["correction"]["confirmed_at"] is None
    hotel.write(RIGHT)
    hotel.load()
    assert hotel.workspace.rights.one(ME, request)["correction"]["confirmed_at"]
    later = str(uuid.uuid4())
    hotel.write(later)
    hotel.load()
    assert hotel.passport() == later, "the source is believed again"


def test_which_of_several_rows_is_said_by_their_cells(hotel: Hotel) -> None:
    hotel.corrected(Wanted("stays", {"paid": "7.5"}, {"night": NIGHTS[1]}))
    assert [paid for (paid,) in hotel.cells("paid")] == [5, 5, 7.5]
    hotel.corrected(Wanted("stays", {"paid": 9}, {"paid": "7.5"}))
    hotel.load()
    assert hotel.cells("night::text, paid") == [(NIGHTS[0], 5), (NIGHTS[1], 9), (NIGHTS[2], 5)]
    hotel.load("stays", append=True)
    assert [paid for (paid,) in hotel.cells("paid")] == [5, 5, 5, 5, 9, 9]


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (Wanted("rooms", {"paid": 1}), {"table"}),
        (Wanted("guests", {}), {"set"}),
        (Wanted("guests", {"guest": str(uuid.uuid4())}), {"set.guest"}),
        (Wanted("guests", {"shoe": 1, "age": "old"}), {"set.shoe", "set.age"}),
        (Wanted("stays", {"paid": 1}), {"where"}),
        (Wanted("stays", {"paid": 1}, {"night": "soon"}), {"where.night"}),
    ],
)
def test_what_cannot_be_corrected_is_told_by_field_and_nothing_is_begun(
    hotel: Hotel, wanted: Wanted, told: set[str]
) -> None:
    request = hotel.request()
    with pytest.raises(InvalidParameters) as caught:
        hotel.workspace.rights.execute(ME, request, wanted)
    assert set(caught.value.problems) == told
    assert hotel.workspace.rights.one(ME, request)["state"] == "verified"


def test_a_correction_of_no_row_and_one_that_says_nothing_change_nothing(hotel: Hotel) -> None:
    version = hotel.workspace.store.registry.data_version("hotel")
    request = hotel.request()
    with pytest.raises(Conflict, match="no row"):
        hotel.workspace.rights.execute(ME, request, Wanted("stays", {"paid": 1}, {"night": "1999-01-01"}))
    with pytest.raises(Conflict, match="no row"):
        hotel.corrected(unit=str(uuid.uuid4()))
    with pytest.raises(InvalidParameters, match="correction"):
        hotel.workspace.rights.execute(ME, request)
    with pytest.raises(InvalidParameters, match="correction"):
        hotel.workspace.rights.execute(ME, hotel.request("delete"), PASSPORT)
    assert hotel.workspace.store.registry.data_version("hotel") == version


def test_a_later_correction_of_the_same_cells_takes_the_place_of_the_earlier(hotel: Hotel) -> None:
    hotel.corrected()
    again = str(uuid.uuid4())
    hotel.corrected(Wanted("guests", {"passport": again}))
    hotel.load()
    assert hotel.passport() == again
    assert hotel.holding(RIGHT) == []


def test_a_correction_is_in_the_package_to_know_and_goes_with_its_person(hotel: Hotel) -> None:
    request = hotel.corrected()["id"]
    (correction,) = hotel.known()["corrections"]
    assert (correction["table"], correction["set"]) == ("guests", {"passport": RIGHT})
    hotel.workspace.rights.execute(ME, hotel.request("delete"))
    assert hotel.holding(RIGHT) == []
    assert hotel.workspace.rights.one(ME, request)["correction"] is None
    hotel.load()
    assert hotel.cells("age") == []


def test_a_correction_by_a_linked_id_is_its_persons(tmp_path: Path) -> None:
    hotel = Hotel(tmp_path, links=True)
    try:
        hotel.corrected(unit="phone-of-one")
        hotel.load()
        assert hotel.passport() == RIGHT
        hotel.load("guests")
        assert hotel.passport() == RIGHT
        hotel.workspace.rights.execute(ME, hotel.request("opt_out", verified=False))
        told = hotel.known("phone-of-one")
        assert told["linked_ids"] == [ASKS, "phone-of-one"]
        assert told["corrections"][0]["set"] == {"passport": RIGHT}
        assert [event["decision"] for event in told["consent"]] == ["opt_out"]
        assert next(each for each in told["specific_pieces"] if each["table"] == "guests")["rows"]
        hotel.workspace.rights.execute(ME, hotel.request("delete"))
        assert hotel.workspace.rights.all(ME)[0]["state"] == "fulfilled"
        assert hotel.holding(RIGHT) == []
    finally:
        hotel.workspace.close()


def test_the_ledger_is_as_it_was(hotel: Hotel) -> None:
    budget = hotel.workspace.budgets.one(ME, "hotel")
    hotel.corrected()
    assert hotel.workspace.budgets.one(ME, "hotel") == budget


KILLED = """
import os, signal, sys
from dpstats.access import operator
from dpstats.settings import read_settings
from dpstats.workspace import Workspace
from dpstats.workspace.correcting import Wanted

home, request, right, point, moment = sys.argv[1:6]
workspace = Workspace.open(read_settings(home=home))

def watch(frame, event, _):
    if event == moment and frame.f_code.co_qualname == point:
        os.kill(os.getpid(), signal.SIGKILL)

sys.setprofile(watch)
workspace.rights.execute(operator("stu"), request, Wanted("guests", {"passport": right}))
"""
POINTS = [
    ("Corrections.add", "call"),
    ("Corrections.add", "return"),
    ("Sifting.correct", "return"),
    ("_Loader.finish", "return"),
    ("_publish", "return"),
    ("Datasets._enter", "return"),
    ("sweep", "return"),
    ("Correcting.carried_out", "return"),
]
"""Where a correction is killed: as a function begins, or just after it ended."""


def killed(hotel: Hotel, point: str, moment: str) -> str:
    """A request whose correction is killed there."""
    request = hotel.request()
    hotel.workspace.close()
    command = [sys.executable, "-c", KILLED, str(hotel.home), request, RIGHT, point, moment]
    assert subprocess.run(command, check=False, timeout=120).returncode == -signal.SIGKILL
    hotel.reopen()
    return request


@pytest.mark.parametrize(("point", "moment"), POINTS)
def test_a_correction_that_is_killed_is_gone_on_with_and_ends_the_same(hotel: Hotel, point: str, moment: str) -> None:
    request = killed(hotel, point, moment)
    assert hotel.workspace.rights.one(ME, request)["state"] == "executing"
    is_kept = (point, moment) != ("Corrections.add", "call")
    hotel.load()
    assert hotel.passport() == (RIGHT if is_kept else WRONG), "a load between the kill and the next try"
    done = hotel.workspace.rights.execute(ME, request, None if is_kept else PASSPORT)
    assert done["state"] == "fulfilled"
    assert done["evidence"]["corrected"]["rows_after"] == {"guests": 0}
    assert hotel.passport() == RIGHT
    assert hotel.holding(WRONG) == []
    assert len(list((hotel.home / "data" / "hotel").iterdir())) == 1


def test_a_correction_that_was_killed_ends_where_its_person_is_deleted_before_the_next_try(hotel: Hotel) -> None:
    request = killed(hotel, "Corrections.add", "return")
    rights = hotel.workspace.rights
    with pytest.raises(Conflict, match="being executed"):
        rights.deny(ME, request, "no_match")
    rights.execute(ME, hotel.request("delete"))
    done = rights.execute(ME, request)
    assert (done["state"], done["status"]) == ("denied", {"status": "denied", "reason": "no_match"})
    assert (
        done["steps"][-1]["said"] == "The data about you were deleted since you asked, so there is nothing to correct."
    )
    assert done["correction"] is None


def test_a_correction_that_is_said_while_its_person_is_deleted_is_kept_nowhere(
    hotel: Hotel, monkeypatch: pytest.MonkeyPatch
) -> None:
    rights, request, add = hotel.workspace.rights, hotel.request(), Corrections.add
    delete = hotel.request("delete")
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(Corrections, "add", lambda *said: (rights.execute(ME, delete), add(*said))[1])
        assert rights.execute(ME, request, PASSPORT)["state"] == "denied"
    assert rights.one(ME, request)["correction"] is None
