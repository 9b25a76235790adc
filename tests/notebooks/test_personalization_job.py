"""The job's notebook: one table of features, paid for once, with what is not to be relied on marked."""

from __future__ import annotations

import pytest
from notebook_running import Run, Service, committed_notebook, executed

PULLED = ["basket_value_by_income", "median_basket_by_income", "private_label_share_by_income"]


@pytest.fixture(scope="module")
def job(own_service: Service) -> Run:
    """The notebook after a job ran all of it."""
    return executed(committed_notebook("personalization_job"), own_service, "job")


def test_every_cell_runs_without_a_warning(job: Run) -> None:
    assert [output for output in job.outputs() if output.output_type == "error"] == []
    assert "Warning" not in "".join(output.text for output in job.outputs() if output.output_type == "stream")


def test_each_feature_is_charged_once_though_all_are_pulled_twice(job: Run) -> None:
    assert sorted(charge["query"] for charge in job.charges) == PULLED


def test_its_table_has_a_row_a_segment_and_says_what_to_rely_on(job: Run) -> None:
    shown = job.text("table")
    for segment in ("Under 35K", "35-74K", "75-149K", "150K+"):
        assert segment in shown
    assert {"True", "False"} & set(shown.split())


def test_its_chart_is_drawn(job: Run) -> None:
    assert len(job.images()) == 1


def test_a_refusal_keeps_the_last_answer_and_the_second_run_is_free(job: Run) -> None:
    assert "not-found" in job.text("refused")
    assert "The same numbers: **yes**. Free: **yes**" in job.text("free")
