"""The notice tells what the dataset files say, and is another one when they say something else."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
import yaml

from dpstats.catalog.dataset import DatasetFile, load_dataset, parse_dataset
from dpstats.rights.notice import NOBODY_NAMED, Business, notice_of
from dpstats.rights.notice_text import kept_for, markdown
from dpstats.rights.transparency_text import data_lines
from dpstats.web.published import privacy_alone

GROCERIES = Path(__file__).parents[2] / "queries" / "complete_journey" / "dataset.yaml"
TODAY = date(2026, 11, 25)
CLINIC = """
dataset: clinic
privacy_unit: patient
budget: {epsilon: 1, delta: 1.0e-6}
purposes:
  care: {title: Care, consent: always, kind: service}
  ads: {title: "Adverts <b>elsewhere</b>", consent: opt_out, kind: cross_context_ads}
tables:
  visits:
    columns:
      patient: {type: bigint, category: identifiers, purposes: [care, ads], why: Joins visits., retention: 30d}
      card: {type: varchar, category: identifiers, purposes: [care], why: Bills., retention: 90d, never_disclose: true}
      illness: {type: varchar, category: sensitive, sensitive: health, purposes: [care], why: Finds the right ward.}
      note: {type: varchar}
"""


def clinic(text: str = CLINIC) -> DatasetFile:
    return parse_dataset(text, "clinic.yaml")


def version(text: str) -> str:
    return str(notice_of(NOBODY_NAMED, [clinic(text)])["version"])


def test_categories_are_the_statutes_with_why_what_for_and_how_long() -> None:
    (told,) = notice_of(NOBODY_NAMED, [clinic()])["datasets"]
    identifiers, sensitive, unsorted = told["categories"]
    assert identifiers["section"] == "1798.140(v)(1)(A)"
    assert identifiers["retention_days"] == 90
    assert identifiers["purposes"] == ["ads", "care"]
    assert [column["never_disclosed"] for column in identifiers["columns"]] == [False, True]
    assert (sensitive["sensitive"], sensitive["retention_days"]) == (["health"], None)
    assert unsorted["category"] == "unsaid"


def test_a_table_that_is_read_in_place_is_said_to_stay_at_its_owner() -> None:
    text = CLINIC.replace("  visits:\n", "  visits:\n    in_place: true\n") + "engine: {spark: 'local[2]'}\n"
    notice = notice_of(NOBODY_NAMED, [clinic(text)])
    said = "Read in place at their owners, of which we keep no copy: visits."
    assert said in markdown(notice, TODAY)
    assert said in list(data_lines(notice["datasets"][0]))
    assert said in privacy_alone(notice)
    before = notice_of(NOBODY_NAMED, [clinic()])
    assert "in_place" not in before["datasets"][0], "so notices of before keep their version"
    assert "Read in place" not in privacy_alone(before)


def test_sale_and_sharing_are_told() -> None:
    (told,) = notice_of(NOBODY_NAMED, [clinic()])["datasets"]
    assert told["sold_or_shared"]
    assert [purpose["sold_or_shared"] for purpose in told["purposes"]] == [False, True]
    (groceries,) = notice_of(NOBODY_NAMED, [load_dataset(GROCERIES)])["datasets"]
    assert not groceries["sold_or_shared"]


@pytest.mark.parametrize(
    ("said", "instead"),
    [
        ("why: Bills.", "why: Bills the insurer."),
        ("retention: 90d", "retention: 91d"),
        ("consent: opt_out", "consent: opt_in"),
        ("note: {type: varchar}", "remark: {type: varchar}"),
        ("sensitive: health", "sensitive: genetic"),
        (", never_disclose: true", ""),
    ],
)
def test_a_change_that_people_must_be_told_of_is_another_version(said: str, instead: str) -> None:
    assert said in CLINIC
    assert version(CLINIC) != version(CLINIC.replace(said, instead))


def test_what_people_need_not_be_told_of_is_the_same_version() -> None:
    loud = CLINIC.replace("epsilon: 1,", "epsilon: 2,")
    assert loud != CLINIC
    assert version(CLINIC) == version(loud)


def test_the_order_of_files_does_not_matter() -> None:
    both = [clinic(), load_dataset(GROCERIES)]
    assert notice_of(NOBODY_NAMED, both) == notice_of(NOBODY_NAMED, both[::-1])


def test_the_text_lets_nothing_of_a_file_through_as_markup() -> None:
    text = markdown(notice_of(Business("A *shop* <i>", "privacy@example.com"), [clinic()]), TODAY)
    assert "<b>" not in text
    assert "A \\*shop\\* &lt;i&gt;" in text
    assert "Write to privacy@example.com." in text
    assert "Last updated 2026-11-25." in text


def test_every_column_and_purpose_of_the_bundled_dataset_is_told() -> None:
    text = markdown(notice_of(NOBODY_NAMED, [load_dataset(GROCERIES)]), TODAY)
    said = yaml.safe_load(GROCERIES.read_text("utf-8"))
    for purpose in said["purposes"].values():
        assert purpose["title"] in text
    for table in said["tables"].values():
        for column in () if table.get("public") else table["columns"]:
            assert f"- {column.replace('_', ' ')}:" in text


def test_how_long_something_is_kept_is_told_in_words() -> None:
    assert kept_for(1) == "for at most 1 day"
    assert kept_for(30) == "for at most 30 days"
    assert kept_for(None) == "for as long as the purposes above need it"
