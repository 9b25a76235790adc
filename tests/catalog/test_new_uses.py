"""A changed file that uses data for something further says what holds for those that are there."""

from __future__ import annotations

import pytest

from dpstats.catalog.dataset import DatasetFile, parse_dataset
from dpstats.catalog.new_uses import new_uses
from dpstats.errors import FileError

FILE = """
dataset: shop
privacy_unit: person
budget: {{epsilon: 1.0, delta: 1.0e-6}}
purposes:
  measurement: {{consent: notice}}
  offers: {{consent: opt_in{said}}}
tables:
  visits:
    columns:
      person: {{type: bigint, purposes: [measurement, offers]}}
      spent: {{type: double, bounds: [0, 100], purposes: [{spent}]}}
{more}"""


def file(spent: str = "measurement", said: str = "", more: str = "") -> DatasetFile:
    return parse_dataset(FILE.format(spent=spent, said=said and f", needs_consent_since: {said}", more=more), "d.yaml")


def test_a_column_more_for_a_purpose_that_people_opted_in_to_for_less_is_a_new_use() -> None:
    wider = "measurement, offers"
    assert new_uses([file()], file(wider)) == ("visits.spent may now be read for offers",)
    assert new_uses([file()], file(wider, "2026-03-01")) == new_uses([file()], file(wider, "compatible")) == ()


def test_a_column_or_a_table_that_was_not_loaded_and_a_use_that_ends_are_none() -> None:
    more = "      town: {type: varchar, purposes: [offers]}\n"
    more += "  calls:\n    columns: {person: {type: bigint, purposes: [offers]}}\n"
    assert new_uses([file()], file(more=more)) == ()
    assert new_uses([file("measurement, offers")], file()) == ()


def test_what_any_earlier_file_lacked_is_new() -> None:
    wider = "measurement, offers"
    assert new_uses([file(), file(wider, "compatible")], file(wider)) == ("visits.spent may now be read for offers",)


def test_another_column_of_time_would_make_old_rows_new() -> None:
    days = "      day: {type: date}\n      renewed: {type: date}\n"
    by_day = file("measurement, offers", "2026-03-01", days + "    retention_by: day\n")
    by_renewal = file("measurement, offers", "2026-03-01", days + "    retention_by: renewed\n")
    (found,) = new_uses([by_day], by_renewal)
    assert found == "visits.renewed instead of visits.day would say which rows are newer than offers"
    assert new_uses([by_day], file("measurement, offers", "2026-03-01", days)) == (), "then all rows are old"


def test_a_public_table_is_nobodys_data() -> None:
    public = "  towns:\n    public: true\n    columns: {{town: {{type: varchar, purposes: [{}]}}}}\n"
    before, after = (file(more=public.format(each)) for each in ("measurement", "measurement, offers"))
    assert new_uses([before], after) == ()


def offers(said: str) -> DatasetFile:
    text = FILE.format(spent="measurement", said="", more="")
    return parse_dataset(text.replace("offers: {consent: opt_in}", f"offers: {{{said}}}"), "d.yaml")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("kind: personalization_aggregate, consent: opt_in", "kind: sale, consent: opt_out"),
        ("kind: personalization_aggregate, consent: opt_in", "kind: sale, consent: opt_in"),
        ("consent: opt_out", "kind: sale, consent: opt_out"),
        ("consent: opt_in", "consent: opt_out"),
        ("consent: opt_out", "consent: notice"),
        ("kind: service, consent: notice", "kind: service, consent: always"),
    ],
)
def test_a_purpose_of_another_kind_or_with_a_weaker_consent_is_another_under_the_old_name(
    before: str, after: str
) -> None:
    assert new_uses([offers(before)], offers(after)) == ("visits.person may now be read for offers",)
    for said in ("2026-03-01", "compatible"):
        assert new_uses([offers(before)], offers(f"{after}, needs_consent_since: {said}")) == ()


def test_a_purpose_is_compared_with_what_it_was_at_first() -> None:
    notice, opt_in, opt_out = (offers(f"consent: {consent}") for consent in ("notice", "opt_in", "opt_out"))
    assert new_uses([notice, opt_in], notice) == ()  # more was asked for a while
    assert new_uses([opt_in, opt_out], notice) == ("visits.person may now be read for offers",)


@pytest.mark.parametrize(
    ("before", "after"),
    [("consent: notice", "consent: opt_in"), ("kind: sale, consent: opt_out", "kind: sale, consent: opt_in")],
)
def test_a_purpose_that_asks_for_more_is_no_new_use(before: str, after: str) -> None:
    assert new_uses([offers(before)], offers(after)) == ()


@pytest.mark.parametrize("day", ["soon", "2026-02-30", "20260301", "1", "true"])
def test_a_day_is_a_day_or_compatible(day: str) -> None:
    with pytest.raises(FileError, match="must be the day on which the use began, like 2026-03-01, or compatible"):
        file(said=day)
