"""The steward's notebook: it shows what was spent, checks the ledger by itself, and leaves everything as it was."""

from __future__ import annotations

import pytest
from notebook_running import Run, Service, committed_notebook, executed

from dpstats.cli.demo import DATASET
from dpstats.client import Client

ASKED = ("spend_by_income", "spend_tiers")


@pytest.fixture(scope="module")
def steward(own_service: Service) -> Run:
    """The notebook after a steward ran all of it, when an analyst had asked two questions."""
    with Client(own_service.address, own_service.tokens["analyst"]) as client:
        for query in ASKED:
            client.run(query)
    return executed(committed_notebook("steward"), own_service, "steward")


def test_every_cell_runs_without_a_warning(steward: Run) -> None:
    assert [output for output in steward.outputs() if output.output_type == "error"] == []
    assert "Warning" not in "".join(output.text for output in steward.outputs() if output.output_type == "stream")


def test_it_charges_nothing_and_leaves_the_dataset_thawed(steward: Run, own_service: Service) -> None:
    assert [charge["query"] for charge in steward.charges] == list(ASKED)
    with Client(own_service.address, own_service.tokens["analyst"]) as client:
        assert client.run(ASKED[0]).replayed
        assert client.budget(DATASET)["epsilon"] == 6


def test_it_finds_the_ledger_whole_by_its_own_sums(steward: Run) -> None:
    said = steward.text("chain")
    assert "3 entries. Unchanged: **True**. Chained: **True**" in said
    assert "The signed head is of entry 3: **True**" in said


def test_it_says_who_spent_what_and_draws_it(steward: Run) -> None:
    assert all(query in steward.text("charges") for query in ASKED)
    assert len(steward.images()) == 2


def test_its_refusals_are_in_words(steward: Run) -> None:
    assert "stands in version" in steward.text("wrong-version")
    assert "frozen" in steward.text("frozen")
