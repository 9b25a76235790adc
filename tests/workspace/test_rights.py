"""Rights requests as they are opened, denied, refused and let go."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from rights_clinic import GONE, ME, Clinic

from dpstats.errors import Conflict, InvalidParameters, NotFound
from dpstats.rights.request_log import Asked
from dpstats.rights.requests import Kind


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


def test_a_request_that_expired_is_not_carried_out_any_more(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    request = clinic.request()
    clinic.workspace.rights.verify(ME, request, "reasonable", "two facts matched")
    monkeypatch.setattr(clinic.workspace.rights, "_now", lambda: datetime.now(UTC) + timedelta(days=95))
    clinic.workspace.rights.due()
    with pytest.raises(Conflict, match="expired"):
        clinic.workspace.rights.execute(ME, request)
    assert clinic.rows(GONE) == {"visits": 3, "people": 1}
