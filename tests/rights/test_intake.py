"""What a wish may say, and what is kept of it: no raw id, and the same answer for everybody."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dpstats.catalog.dataset import parse_dataset
from dpstats.catalog.ids import id_text
from dpstats.catalog.types import ColumnType
from dpstats.errors import FileError
from dpstats.rights.consent_log import ConsentLog
from dpstats.rights.consent_schema import ConsentDatabase
from dpstats.rights.intake import Intake, Wish
from dpstats.rights.pseudonyms import Pseudonyms

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SHOP = parse_dataset(
    """
dataset: shop
lineage: customers
privacy_unit: uid
budget: {epsilon: 1, delta: 0}
purposes: {ads: {kind: sale}, offers: {consent: opt_in}}
tables: {visits: {columns: {uid: {type: bigint, purposes: [ads]}}}}
""",
    "shop",
)
HASHES = Pseudonyms(bytes(32))
OPT_OUT = Wish(7, "ads", "opt_out", "e1")
OPT_IN = Wish(7, "ads", "opt_in", "e2")


def intake(now: datetime = NOW) -> Intake:
    return Intake(SHOP, HASHES, now)


@pytest.fixture
def log(tmp_path: Path) -> ConsentLog:
    return ConsentLog(ConsentDatabase(tmp_path / "home" / "consent.db"))


@pytest.mark.parametrize(
    ("wish", "field", "told"),
    [
        (replace(OPT_OUT, purpose="*"), "purpose", "there is no purpose '*': use one of ads, offers, all_sale_share"),
        (replace(OPT_IN, purpose="all_sale_share"), "decision", "takes opt_out alone"),
        (replace(OPT_IN, purpose="limit_spi", decision="withdraw"), "decision", "which end it"),
        (replace(OPT_IN, purpose="known_minor"), "decision", "opt_out (is one)"),
        (replace(OPT_OUT, decision="OPT_OUT"), "decision", "one of opt_in, opt_out, withdraw, confirm"),
        (replace(OPT_OUT, unit=" "), "unit", "1 to 256"),
        (replace(OPT_OUT, unit="x" * 257), "unit", "1 to 256"),
        (replace(OPT_OUT, unit="a\nb\x00"), "unit", "1 to 256"),
        (replace(OPT_OUT, event_id=""), "event_id", "1 to 128"),
        (replace(OPT_OUT, source="guess"), "source", "one of api, form"),
        (replace(OPT_OUT, observed_at="yesterday"), "observed_at", "a moment like"),
        (replace(OPT_IN, observed_at="2026-03-01T12:06:00Z"), "observed_at", "in the future"),
        (replace(OPT_OUT, nonce="x"), "nonce", "for a `confirm` alone"),
        (replace(OPT_OUT, confirms="x"), "confirms", "for a `confirm` alone"),
        (Wish(7, "ads", "confirm", "e3", confirms="e2", nonce="0" * 32), "nonce", "must be what the opt-in"),
    ],
)
def test_a_wrong_wish_is_told_by_its_field(wish: Wish, field: str, told: str) -> None:
    problems = intake().problems(wish)
    assert list(problems) == [field]
    assert told in problems[field]


def test_a_confirmation_takes_the_nonce_of_its_own_opt_in() -> None:
    nonce = intake().nonce(OPT_IN, "e2")
    confirmation = Wish(7, "ads", "confirm", "e3", confirms="e2", nonce=nonce)
    assert intake().problems(confirmation) == {}
    assert intake().received(confirmation).event.confirms == intake().received(OPT_IN).event.event
    for other in (replace(confirmation, unit=8), replace(confirmation, purpose="offers")):
        assert list(intake().problems(other)) == ["nonce"]
    assert list(Intake(SHOP, Pseudonyms(bytes([1] * 32)), NOW).problems(confirmation)) == ["nonce"]


def test_a_refusal_is_not_refused_for_its_clock() -> None:
    wish = replace(OPT_OUT, observed_at="2027-01-01T00:00:00Z")
    assert intake().problems(wish) == {}
    assert intake().received(wish).event.observed_at == NOW


@pytest.mark.parametrize("text", ["2026-03-01T12:00:00+00:00", "2026-03-01T04:00:00-08:00", "2026-03-01 12:00:00", ""])
def test_a_moment_is_in_utc(text: str) -> None:
    assert intake().received(replace(OPT_OUT, observed_at=text)).event.observed_at == NOW


@pytest.mark.parametrize(
    ("kind", "raw", "text"),
    [
        ("bigint", 7, "7"),
        ("bigint", "007", "7"),
        ("bigint", " 7 ", "7"),
        ("bigint", "7.0", "7"),
        ("bigint", "Device-9", "Device-9"),
        ("bigint", "nan", "nan"),
        ("bigint", "1e999999", "1e999999"),
        ("bigint", "1e9999999", "1e9999999"),
        ("bigint", "-1e9999999", "-1e9999999"),
        ("varchar", "e\u0301", "\u00e9"),
        ("varchar", " a", " a"),
        ("uuid", "AAAAAAAA-0000-4000-8000-000000000000", "aaaaaaaa-0000-4000-8000-000000000000"),
    ],
)
def test_one_id_has_one_spelling(kind: str, raw: object, text: str) -> None:
    assert id_text(ColumnType.parse(kind), raw) == text


def test_an_event_that_comes_again_changes_nothing(log: ConsentLog) -> None:
    first = intake().received(replace(OPT_OUT, observed_at="2026-03-01T10:00:00Z"))
    log.add([first, first])
    log.add([intake(NOW + timedelta(hours=1)).received(replace(OPT_OUT, observed_at="2026-03-01T11:00:00Z"))])
    ((unit, events),) = log.decided("customers", log.close_epoch(NOW)).items()
    assert (unit, events) == (first.unit, (first.event,))


def test_one_event_id_of_two_people_loses_neither(log: ConsentLog) -> None:
    log.add([intake().received(OPT_OUT), intake().received(replace(OPT_OUT, unit=8))])
    assert len(log.decided("customers", log.close_epoch(NOW))) == 2


def test_an_epoch_holds_what_came_before_its_close(log: ConsentLog) -> None:
    assert log.last_epoch() is None
    log.add([intake().received(OPT_OUT)])
    first = log.close_epoch(NOW)
    log.add([intake().received(replace(OPT_OUT, unit=8))])
    second = log.close_epoch(NOW + timedelta(days=1))
    assert log.last_epoch() == second
    assert [len(log.decided("customers", epoch)) for epoch in (first, second)] == [1, 2]
    assert log.decided("others", second) == {}


def test_no_raw_id_is_in_the_database(log: ConsentLog, tmp_path: Path) -> None:
    marker = "zq-person-40417"
    log.add([intake().received(Wish(marker, "ads", "opt_out", f"event of {marker}"))])
    files = list((tmp_path / "home").iterdir())
    assert {file.stat().st_mode & 0o077 for file in files} == {0}
    content = b"".join(file.read_bytes() for file in files)
    assert b"opt_out" in content
    assert marker.encode() not in content


def test_another_key_or_another_database_is_refused(tmp_path: Path) -> None:
    made = Pseudonyms.open(tmp_path / "key")
    assert made.of("a", "1") == Pseudonyms.open(tmp_path / "key").of("a", "1")
    assert len({made.of("a", "11"), made.of("a1", "1"), made.of("a", "1"), HASHES.of("a", "1")}) == 4
    (tmp_path / "key").write_bytes(b"short")
    with pytest.raises(FileError, match="must hold 32 bytes"):
        Pseudonyms.open(tmp_path / "key")
    (tmp_path / "consent.db").write_bytes(b"not a database, but long enough to be looked at as one" * 30)
    with pytest.raises(FileError, match="restore it"):
        ConsentLog(ConsentDatabase(tmp_path / "consent.db")).last_epoch()
