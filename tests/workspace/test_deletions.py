"""Deletions carried out: a person goes, stays out, and the ledger is as it was."""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from rights_clinic import DATASET, GONE, ME, PATIENTS, Clinic

from dpstats.errors import Conflict, NotFound
from dpstats.release import Ask
from dpstats.rights.deliveries import Deliveries


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


def test_the_ledger_and_earlier_releases_are_as_they_were(clinic: Clinic) -> None:
    ask = Ask(ME, "visits", {})
    before, _ = clinic.workspace.releases.make(ask)
    budget = clinic.workspace.budgets.one(ME, "clinic")
    clinic.erased()
    again, made_now = clinic.workspace.releases.make(ask)
    assert (again["rows"], made_now) == (before["rows"], False)
    assert clinic.workspace.budgets.one(ME, "clinic") == budget
    assert clinic.workspace.budgets.verify(ME).ok


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
