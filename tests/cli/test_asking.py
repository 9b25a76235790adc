"""Previews and releases."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from cli_running import QUERY, Ran, Run
from pyarrow import parquet

from dpstats.cli.asking import Shape
from dpstats.formats import Format


def release_of(ran: Ran) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(ran.done().out)
    return body


def test_a_preview_tells_cost_and_error_and_charges_nothing(dpstats: Run) -> None:
    before = dpstats("ledger", "list", "shop").done().out
    out = dpstats("query", "preview", "by_town").done().out
    for part in ("rho 0.01", "epsilon 0.643", "enough for about 17 more", "customers: ± 20", "spend: ± 9,800 USD"):
        assert part in out
    assert "already" not in out
    assert dpstats("ledger", "list", "shop").done().out == before


def test_a_preview_says_when_the_answer_is_free(dpstats: Run) -> None:
    dpstats("query", "run", "by_town").done()
    assert "free" in dpstats("query", "preview", "by_town").done().out
    assert json.loads(dpstats("query", "preview", "by_town", "--json").done().out)["free_replay"] is True


def test_a_preview_tells_other_costs_and_what_bounds_do_beyond_the_noise(dpstats: Run) -> None:
    out = dpstats("query", "preview", "by_town").done().out
    table = out.partition("95 % errors at other costs\n")[2].splitlines()
    assert [line.split()[0] for line in table] == ["rho", "0.0025", "0.005", "0.01", "0.02", "0.04"]
    assert "± 20" in table[3]
    assert "spend: a customer's total in one group counts as 500 USD if it is above that" in out
    body = json.loads(dpstats("query", "preview", "by_town", "--json").done().out)
    assert [cost["measures"]["customers"] for cost in body["costs"]][2] == body["measures"]["customers"][
        "half_width_95"
    ]
    assert all(note in out for note in body["notes"])


def test_a_preview_holds_its_noise_against_what_was_released_of_the_same_version(dpstats: Run) -> None:
    """What has been declared since may withhold what an older version told."""

    def notes() -> str:
        return " ".join(json.loads(dpstats("query", "preview", "by_town", "--json").done().out)["notes"])

    assert "release" not in notes()
    first = release_of(dpstats("query", "run", "by_town", "--format", "json"))
    assert f"customers: release {first['release_id']} of " in notes()
    Path("by_town.yaml").write_text(QUERY.replace("rho: 0.01", "rho: 0.02"), encoding="utf-8")
    dpstats("query", "approve", "by_town.yaml").done()
    assert "release" not in notes()
    second = release_of(dpstats("query", "run", "by_town", "--format", "json"))
    assert second["release_id"] in notes()
    assert first["release_id"] not in notes()


def test_an_average_is_told_beforehand_for_groups_of_a_size(dpstats: Run) -> None:
    text = QUERY.replace("SUM(v.spent) AS spend", "AVG(v.spent) AS spend").replace("[0, 500]", "[0, 100]")
    Path("by_town.yaml").write_text(text.replace("rho: 0.01", "rho: 1"), encoding="utf-8")
    dpstats("query", "approve", "by_town.yaml").done()
    out = dpstats("query", "preview", "by_town").done().out
    assert re.search(r"spend: ± [0-9.]+ USD at 1,000 rows; max_groups 1", out)
    assert "spend (USD) at 1,000 rows" in out


def test_an_answer_is_a_table_with_intervals_bounds_cost_and_what_is_left(dpstats: Run) -> None:
    out = dpstats("query", "run", "by_town", "-p", "since=2025-02-01").done().out
    assert out.startswith("Customers and spend by town\nby_town(since=2025-02-01) of shop, as of ")
    rows = [line for line in out.splitlines() if line.startswith(("Ash", "O'Hara", "Ørsted"))]
    assert len(rows) == 3
    assert all("(" in row or "too noisy to tell" in row for row in rows)
    for part in (
        "spend (USD)",
        "clipped to [0, 500]",
        "new and cost rho 0.01 (epsilon 0.643 alone)",
        "epsilon 0.643 of 3",
    ):
        assert part in out


def test_the_same_question_again_is_free_and_says_so(dpstats: Run) -> None:
    first = release_of(dpstats("query", "run", "by_town", "--format", "json"))
    again = release_of(dpstats("query", "run", "by_town", "--format", "json"))
    assert again == first | {"replayed": True}
    assert "already released on " in dpstats("query", "run", "by_town").done().out
    assert "(just now); showing it again is free." in dpstats("query", "run", "by_town").done().out


def test_a_fresh_answer_is_drawn_anew_and_paid(dpstats: Run) -> None:
    first = release_of(dpstats("query", "run", "by_town", "--format", "json"))
    fresh = release_of(dpstats("query", "run", "by_town", "--fresh", "--format", "json"))
    assert fresh["release_id"] != first["release_id"]
    assert fresh["budget"]["rho_spent"] == 0.02


def test_parameters_may_stand_without_their_option(dpstats: Run) -> None:
    body = release_of(dpstats("query", "run", "by_town", "since=2025-03-01", "--format", "json"))
    assert body["parameters"] == {"since": "2025-03-01"}


@pytest.mark.parametrize(
    ("given", "word"),
    [("since=yesterday", "YYYY-MM-DD"), ("since=2024-12-31", "2025-01-01"), ("nope=1", "no such parameter")],
)
def test_a_wrong_parameter_is_refused_and_charges_nothing(dpstats: Run, given: str, word: str) -> None:
    dpstats("query", "run", "by_town", "-p", given).refused(word)
    dpstats("query", "preview", "by_town", "-p", given).refused(word)
    assert json.loads(dpstats("budget", "show", "shop", "--json").done().out)["rho_spent"] == 0


def test_every_format_holds_the_same_numbers(dpstats: Run) -> None:
    release = release_of(dpstats("query", "run", "by_town", "--format", "json"))
    dpstats("query", "run", "by_town", "--format", "parquet", "--out", "a.parquet").done()
    tables = [
        parquet.read_table("a.parquet").to_pylist(),
        pa.ipc.open_stream(dpstats("query", "run", "by_town", "--format", "arrow").done().content)
        .read_all()
        .to_pylist(),
        list(csv.DictReader(io.StringIO(dpstats("query", "run", "by_town", "--format", "csv").done().out))),
    ]
    for rows in tables:
        assert [row["town"] for row in rows] == ["Ash", "O'Hara", "Ørsted"]
        for row, made in zip(rows, release["rows"], strict=True):
            assert int(row["customers"]) == made["customers"]["value"]
            assert float(row["spend_high"]) == made["spend"]["high"]


def test_the_formats_are_those_of_the_service_and_the_table() -> None:
    assert {shape.value for shape in Shape} == {form.value for form in Format} | {"table"}


def test_a_table_can_be_written_to_a_file(dpstats: Run) -> None:
    shown = dpstats("query", "run", "by_town").done()
    ran = dpstats("query", "run", "by_town", "--out", "answer.txt").done()
    assert ran.out == ""
    assert "wrote release" in ran.err
    assert Path("answer.txt").read_text(encoding="utf-8").splitlines()[:6] == shown.out.splitlines()[:6]


def test_a_file_that_cannot_be_written_is_told_before_anything_is_charged(dpstats: Run) -> None:
    dpstats("query", "run", "by_town", "--out", "missing/answer.txt").refused("--out")
    assert json.loads(dpstats("budget", "show", "shop", "--json").done().out)["rho_spent"] == 0


def test_an_exhausted_budget_refuses_what_is_new_and_still_shows_what_is_not(dpstats: Run) -> None:
    dpstats("query", "run", "by_town").done()
    for month in range(1, 13):
        dpstats("query", "run", "by_town", f"since=2025-{month:02d}-10").done()
    for day in range(11, 15):
        dpstats("query", "run", "by_town", f"since=2025-01-{day}").done()
    dpstats("query", "run", "by_town", "since=2025-01-20").refused("rho 0.01", "dpstats budget grant")
    assert "not enough for another answer like this" in dpstats("query", "run", "by_town").done().out


def test_an_answer_tells_as_many_more_as_a_preview_where_a_cap_leaves_fewer_than_the_budget(dpstats: Run) -> None:
    dpstats("budget", "cap", "shop", "--purpose", "measurement", "--rho", "0.03", "--reason", "a share").done()
    told = "enough for about 2 more answers like this"
    assert told in dpstats("query", "run", "by_town").done().out
    dpstats("query", "run", "by_town", "--out", "answer.txt").done()
    assert told in Path("answer.txt").read_text(encoding="utf-8")
    assert told in dpstats("query", "preview", "by_town").done().out
    dpstats("budget", "cap", "shop", "--purpose", "measurement", "--rho", "0.015", "--reason", "less").done()
    out = dpstats("query", "preview", "by_town", "since=2025-01-20").done().out
    assert "The cap of purpose measurement is not enough for another answer like this. A steward can raise it." in out


def test_what_commands_ask_is_in_the_log_with_its_outcome_and_without_parameters(dpstats: Run) -> None:
    dpstats("query", "preview", "by_town").done()
    dpstats("query", "run", "by_town", "--format", "json").done()
    dpstats("query", "run", "no_such_query").refused("no_such_query")
    dpstats("refresh").done()
    dpstats("query", "list").done()  # asks for no answer
    items = json.loads(dpstats("log", "list", "--json").done().out)["items"]
    assert [(line["route"], line["query"], line["status"], line["outcome"]) for line in items] == [
        ("dpstats query preview", "by_town", 0, ""),
        ("dpstats query run", "by_town", 0, ""),
        ("dpstats query run", "no_such_query", 1, "not-found"),
        ("dpstats refresh", "", 0, ""),
    ]
    assert {(line["method"], line["role"], line["token_id"]) for line in items} == {("cli", "steward", "")}
    assert all(line["actor"].startswith("cli:") for line in items)
