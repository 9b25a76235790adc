"""Requests to know: what the package of a person holds by how sure the caller is, and that it is fetched once."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile

import pytest
from rights_clinic import DATASET, GONE, ME, NOBODY, PATIENTS, Clinic, fetched

from dpstats.errors import Conflict, InvalidParameters, NotFound
from dpstats.release import Ask


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


def test_nobody_is_told_to_have_been_counted_where_that_is_not_known(clinic: Clinic) -> None:
    clinic.workspace.releases.make(Ask(ME, "visits", {}))
    for unit in (GONE, NOBODY):
        told = json.loads(fetched(clinic, "reasonably_high", unit).read("package.json"))["statistics"]
        assert len(told["items"]) == 1
        assert "in any of them, or in none" in told["says"]
