"""The job's notebook: one view, pulled free, with what is not to be relied on marked, and handed on."""

from __future__ import annotations

import pytest
from notebook_running import Run, Service, committed_notebook, executed

RENEWED = ["basket_value_by_income", "median_basket_by_income", "private_label_share_by_income"]
BANDS = ("Under 35K", "35-74K", "75-149K", "150K+")


@pytest.fixture(scope="module")
def job(renewed_service: Service) -> Run:
    """The notebook after a job ran all of it."""
    return executed(committed_notebook("personalization_job"), renewed_service, "job")


def test_every_cell_runs_without_a_warning(job: Run) -> None:
    assert [output for output in job.outputs() if output.output_type == "error"] == []
    assert "Warning" not in "".join(output.text for output in job.outputs() if output.output_type == "stream")


def test_the_view_was_paid_for_when_it_was_renewed_and_the_job_paid_nothing(job: Run) -> None:
    assert sorted(charge["query"] for charge in job.charges) == RENEWED
    assert "It cost **0**" in job.text("free")


def test_it_says_how_old_the_view_is_and_until_when_it_is_given(job: Run) -> None:
    assert "as it should be; given until it is **90 days** old" in job.text("age")


def test_its_table_has_a_row_a_segment_and_says_what_to_rely_on(job: Run) -> None:
    shown = job.text("table")
    assert all(band in shown for band in BANDS)
    assert {"True", "False"} & set(shown.split())


def test_its_chart_is_drawn(job: Run) -> None:
    assert len(job.images()) == 1


def test_what_stands_out_is_told_with_its_probability_or_nothing_is(job: Run) -> None:
    shown = job.text("signals")
    assert "real with" in shown or "nothing that the noise would let you tell" in shown


def test_customers_are_put_into_segments_by_the_rule_of_the_view(job: Run) -> None:
    words = job.text("customers").split()
    assert [words[words.index(name) + 1] for name in ("Ada", "Ben", "Cem")] == ["Under", "35-74K", "150K+"]


def test_a_refusal_keeps_the_last_table_and_the_second_run_gets_the_same_one(job: Run) -> None:
    assert "not-found" in job.text("refused")
    assert "The same table: **yes**" in job.text("free")
