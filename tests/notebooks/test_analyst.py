"""The analyst's notebook: it runs as it is printed, shows what it says, and pays for each question once."""

from __future__ import annotations

import re

from nbformat import NotebookNode
from notebook_running import Run, Service

QUESTIONS = ["spend_by_income", "private_label_share_by_income", "weekly_active_households", "spend_tiers"]
"""What it asks, in this order."""


def test_every_cell_runs_without_a_warning(first: Run) -> None:
    assert [output for output in first.outputs() if output.output_type == "error"] == []
    said = "".join(output.text for output in first.outputs() if output.output_type == "stream")
    assert "Warning" not in said


def test_its_charts_are_drawn(first: Run) -> None:
    images = first.images()
    assert len(images) == 3
    assert all(image.startswith(b"\x89PNG") for image in images)
    widths = [int.from_bytes(image[16:20], "big") for image in images]
    assert all(width > 1000 for width in widths)


def test_each_question_is_charged_once_though_one_is_asked_twice(first: Run, committed: NotebookNode) -> None:
    asked = re.findall(r'client\.run\("(\w+)"', "\n".join(cell.source for cell in committed.cells))
    assert sorted(asked) == sorted([*QUESTIONS, QUESTIONS[0]])
    assert [charge["query"] for charge in first.charges] == QUESTIONS


def test_the_replay_has_the_same_release_and_leaves_the_budget_alone(first: Run) -> None:
    once, again = re.findall(r"the first time(.*)again(.*)", first.text("replay"), flags=re.S)[0]
    release_id, price, _percent, left = once.split()
    assert float(price) > 0
    assert again.split() == [release_id, "free", left]
    assert release_id == first.charges[0]["release_id"]


def test_it_says_what_is_left(first: Run, service: Service) -> None:
    spent = sum(charge["rho"] for charge in first.charges)
    left = 1 - spent / service.budget()["rho"]
    assert f"{100 * left:.0f} % of the budget is left" in first.text("budget")


def test_a_reader_who_runs_it_after_another_pays_nothing_and_is_told_so(first: Run, second: Run) -> None:
    assert second.charges == first.charges
    assert first.text("left").split().count("new") == len(QUESTIONS) + 1  # the head says "price when new"
    assert second.text("left").split().count("new") == 1
    assert "so it is free" in second.text("preview")
    assert "so it is free" not in first.text("preview")


def test_both_readers_see_the_same_numbers(first: Run, second: Run) -> None:
    for cell in ("table", "comparison", "weekly-words", "clipped"):
        assert first.text(cell) == second.text(cell)
    assert first.images() == second.images()
