"""A known minor is counted for what was opted in to, until the first epoch that closes on or after turning 16."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dpstats.catalog.consented import consent_columns
from dpstats.catalog.dataset import parse_dataset
from dpstats.rights.consent_log import ConsentLog
from dpstats.rights.consent_schema import ConsentDatabase
from dpstats.rights.intake import Intake, Wish
from dpstats.rights.pseudonyms import Pseudonyms
from dpstats.rights.roll import roll_of

SHOP = parse_dataset(
    """
dataset: shop
privacy_unit: person
budget: {epsilon: 1, delta: 1.0e-6}
purposes:
  ads: {title: Adverts, kind: cross_context_ads}
tables:
  visits: {columns: {person: {type: bigint, purposes: [ads]}}}
""",
    "shop",
)
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
NAMES = Pseudonyms(b"k" * 32)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[ConsentDatabase]:
    found = ConsentDatabase(tmp_path / "consent.db")
    yield found
    found.close()


def mark(**said: str) -> Wish:
    return Wish(7, "known_minor", "opt_out", "mark", **said)


def counted(log: ConsentLog, moment: datetime) -> bool:
    """Whether the person may be counted for ads, of an epoch that closes at a moment."""
    log.close_epoch(moment)
    roll = roll_of(SHOP, log, NAMES)
    assert roll is not None
    return dict(zip(consent_columns(SHOP), roll.truths(["7"]), strict=True))["dp_opt_out_ads"]


def test_the_mark_ends_by_itself_with_the_first_epoch_of_the_day_in_california(database: ConsentDatabase) -> None:
    log, intake = ConsentLog(database), Intake(SHOP, NAMES, NOW)
    wish = mark(turns_16_on="2027-03-05")
    assert intake.problems(wish) == {}
    log.add([intake.received(wish)])
    assert not counted(log, datetime(2027, 3, 5, 3, tzinfo=UTC))  # the evening before, in Los Angeles
    assert counted(log, datetime(2027, 3, 6, 3, tzinfo=UTC))


def test_a_refusal_outlasts_the_birthday(database: ConsentDatabase) -> None:
    log, intake = ConsentLog(database), Intake(SHOP, NAMES, NOW)
    log.add([intake.received(mark(turns_16_on="2027-03-05")), intake.received(Wish(7, "ads", "opt_out", "no"))])
    assert not counted(log, datetime(2027, 4, 1, tzinfo=UTC))


def test_what_is_known_of_an_age_goes_with_the_person_and_the_mark_stays(database: ConsentDatabase) -> None:
    log, intake = ConsentLog(database), Intake(SHOP, NAMES, NOW)
    log.add([intake.received(mark(turns_16_on="2027-03-05"))])
    log.forget_birthdays("shop", NAMES.of("shop", "7"))
    assert not counted(log, datetime(2027, 4, 1, tzinfo=UTC))
    assert [event.until for event in log.of_person("shop", NAMES.of("shop", "7"))] == [None]


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        (mark(turns_16_on="2026-11-26"), "a day to come"),
        (mark(turns_16_on="2020-01-01"), "a day to come"),
        (mark(turns_16_on="2043-01-01"), "within 16 years"),
        (mark(turns_16_on="soon"), "a day like"),
        (Wish(7, "known_minor", "withdraw", "x", turns_16_on="2027-03-05"), "alone"),
        (Wish(7, "ads", "opt_out", "x", turns_16_on="2027-03-05"), "alone"),
    ],
)
def test_a_day_that_cannot_be_is_refused_by_its_field(wish: Wish, told: str) -> None:
    problems = Intake(SHOP, NAMES, NOW).problems(wish)
    assert set(problems) == {"turns_16_on"}
    assert told in problems["turns_16_on"]
