"""The review of queries."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_running import DATASET, QUERY, Run


def version_of(dpstats: Run, name: str = "by_town") -> str:
    return str(json.loads(dpstats("query", "show", name, "--json").done().out)["query_version"])


def test_a_check_tells_price_error_sensitivity_and_the_chain_to_the_charge(dpstats: Run) -> None:
    out = dpstats("query", "check", "by_town.yaml").done().out
    for part in ("can be answered", "rho 0.01 (epsilon 0.643 alone)", "3 groups", "± 20", "by at most", "500"):
        assert part in out
    chain = [line.strip().split(":")[0] for line in out.partition("Why it is safe\n")[2].splitlines()]
    assert chain == ["unit", "rows", "groups", "customers", "spend", "charge"]


def test_a_check_explains_bounds_and_advises_from_released_numbers(dpstats: Run) -> None:
    first = dpstats("query", "check", "by_town.yaml").done().out
    assert "What the bounds do beyond the noise" in first
    assert "Advice" not in first
    release = json.loads(dpstats("query", "run", "by_town", "--format", "json").done().out)
    Path("by_town.yaml").write_text(QUERY.replace("[0, 500]", "[0, 40000]"), encoding="utf-8")
    body = json.loads(dpstats("query", "check", "by_town.yaml", "--json").done().out)
    assert len(body["costs"]) == 5
    assert any(f"customers: release {release['release_id']}" in note for note in body["notes"])
    (line,) = body["advice"]
    assert line.startswith(f"spend: release {release['release_id']}")
    assert "a customer in a group on average" in line
    assert "which is wide" in line


def test_a_check_quotes_nothing_of_a_frozen_dataset(dpstats: Run) -> None:
    dpstats("query", "run", "by_town").done()
    assert "release" in dpstats("query", "check", "by_town.yaml").done().out
    dpstats("budget", "freeze", "shop").done()
    assert "release" not in dpstats("query", "check", "by_town.yaml").done().out


def test_a_check_warns_of_a_price_that_no_budget_covers(dpstats: Run) -> None:
    assert "Warning" not in dpstats("query", "check", "by_town.yaml").done().out
    Path("by_town.yaml").write_text(QUERY.replace("{rho: 0.01}", "{epsilon: 3.1}"), encoding="utf-8")
    out = dpstats("query", "check", "by_town.yaml").done().out
    assert "costs more than the whole budget that dataset.yaml states (epsilon 3)" in " ".join(out.split())


@pytest.mark.parametrize("command", ["approve", "submit"])
def test_who_takes_a_file_in_is_warned_as_a_check_warns(dpstats: Run, command: str) -> None:
    assert dpstats("query", command, "by_town.yaml").done().err == ""
    Path("by_town.yaml").write_text(QUERY.replace("{rho: 0.01}", "{epsilon: 3.1}"), encoding="utf-8")
    ran = dpstats("query", command, "by_town.yaml").done()
    assert ran.err.startswith("Warning: one answer costs more than the whole budget that dataset.yaml states")
    assert "Warning" not in ran.out


def test_a_check_warns_of_a_price_that_no_block_covers(dpstats: Run, tmp_path: Path) -> None:
    blocks = "blocks: {column: visits.day, every: month, budget: {epsilon: 0.5, delta: 1.0e-7}}\ntables:"
    (tmp_path / "dataset.yaml").write_text(
        DATASET.replace("shop\n", "mall\n", 1).replace("tables:", blocks), encoding="utf-8"
    )
    query = tmp_path / "by_town.yaml"
    query.write_text(QUERY.replace("shop\n", "mall\n", 1), encoding="utf-8")
    out = " ".join(dpstats("query", "check", str(query)).done().out.split())
    assert "costs more than the whole budget of a block (epsilon 0.5), which nobody can raise" in out
    assert "dataset.yaml states" not in out


def test_a_check_as_json_has_the_same(dpstats: Run) -> None:
    body = json.loads(dpstats("query", "check", "by_town.yaml", "--json").done().out)
    assert body["answerable"] is True
    assert body["cost"] == {"rho": 0.01, "delta": 0.0, "epsilon": 0.643}
    assert body["measures"]["customers"]["half_width_95"] == 20
    assert body["query_version"] == version_of(dpstats)


def test_a_check_lists_every_reason_one_a_line(dpstats: Run) -> None:
    ran = dpstats("query", "check", "refused.yaml")
    assert (ran.status, ran.out) == (1, "")
    summary, *reasons = ran.err.splitlines()
    assert summary.startswith("dpstats: query refused cannot be answered")
    assert f"for {len(reasons)} reasons" in summary
    assert [word for word in ("v.day", "COUNT(*)", "v.nothing") if any(word in line for line in reasons)]
    assert all(line.startswith(("  line ", "  no bound on the groups")) for line in reasons)
    as_json = dpstats("query", "check", "refused.yaml", "--json")
    assert as_json.status == 1
    assert json.loads(as_json.out) == {"answerable": False, "reasons": [line.strip() for line in reasons]}


def test_a_check_lists_every_problem_of_a_file(dpstats: Run) -> None:
    Path("odd.yaml").write_text("query: odd\ndataset: shop\ncolour: red\nsql: 5\n", encoding="utf-8")
    ran = dpstats("query", "check", "odd.yaml")
    assert ran.status == 1
    assert "odd.yaml cannot be used" in ran.err
    assert any("line 3" in line and "colour" in line for line in ran.err.splitlines())


def test_a_check_of_a_missing_file_is_one_line(dpstats: Run) -> None:
    dpstats("query", "check", "no such.yaml").refused("no such.yaml", "no such file")


def test_a_check_needs_no_workspace_and_makes_none(anywhere: Run) -> None:
    assert "can be answered" in anywhere("query", "check", "by_town.yaml").done().out
    assert not Path("dpstats-home").exists()


def test_what_is_submitted_answers_nothing_until_it_is_approved(dpstats: Run) -> None:
    Path("by_town.yaml").write_text(QUERY.replace("rho: 0.01", "rho: 0.02"), encoding="utf-8")
    assert "is submitted in version sha256:" in dpstats("query", "submit", "by_town.yaml").done().out
    dpstats("query", "run", "by_town").refused("not approved")
    assert "is approved" in dpstats("query", "approve", "by_town").done().out
    dpstats("query", "run", "by_town").done()


def test_a_file_is_submitted_and_approved_in_one_step(dpstats: Run) -> None:
    before = version_of(dpstats)
    Path("by_town.yaml").write_text(QUERY.replace("rho: 0.01", "rho: 0.02"), encoding="utf-8")
    assert "is approved" in dpstats("query", "approve", "by_town.yaml").done().out
    assert version_of(dpstats) != before
    dpstats("query", "run", "by_town").done()


def test_only_the_version_that_was_reviewed_is_approved(dpstats: Run) -> None:
    reviewed = version_of(dpstats)
    dpstats("query", "approve", "by_town", "--version", reviewed).done()
    dpstats("query", "approve", "by_town.yaml", "--version", reviewed).done()
    Path("by_town.yaml").write_text(QUERY.replace("rho: 0.01", "rho: 0.02"), encoding="utf-8")
    dpstats("query", "approve", "by_town.yaml", "--version", reviewed).refused(reviewed)
    assert version_of(dpstats) == reviewed
    dpstats("query", "approve", "by_town", "--version", "sha256:0").refused("stands in version")


def test_a_query_that_cannot_be_answered_is_not_submitted(dpstats: Run) -> None:
    for command in ("submit", "approve"):
        dpstats("query", command, "refused.yaml").refused("`dpstats query check refused.yaml` lists them")
    assert "refused" not in dpstats("query", "list").done().out


def test_a_file_that_is_not_there_is_not_taken_for_a_name(dpstats: Run) -> None:
    dpstats("query", "approve", "nope.yaml").refused("no such file")
    dpstats("query", "approve", "nope").refused("no query named 'nope'", "dpstats query list")


def test_a_revoked_query_answers_nothing_not_even_what_it_did(dpstats: Run) -> None:
    dpstats("query", "run", "by_town").done()
    assert "answers nothing" in dpstats("query", "revoke", "by_town").done().out
    dpstats("query", "run", "by_town").refused("not approved")
    assert "no approval" in dpstats("query", "revoke", "by_town").done().out
    assert "revoked" in dpstats("query", "list").done().out


def test_queries_are_listed(dpstats: Run) -> None:
    head, row = dpstats("query", "list").done().out.splitlines()
    assert head.split() == ["query", "dataset", "state", "parameters", "title"]
    assert row.split()[:4] == ["by_town", "shop", "approved", "since"]
    body = json.loads(dpstats("query", "list", "--json").done().out)
    assert [item["query"] for item in body["items"]] == ["by_town"]
    assert body["next"] is None


def test_a_query_is_shown_with_what_a_steward_reviews(dpstats: Run) -> None:
    out = dpstats("query", "show", "by_town").done().out
    for part in ("rho 0.01", "date from 2025-01-01", "Bounds of spend: [0, 500]", "GROUP BY c.town", "by cli"):
        assert part in out


def test_names_that_nothing_bears_are_refused(dpstats: Run) -> None:
    for name in ("../../etc/passwd", "x'; DROP TABLE queries;--", "Ørsted", "by_town "):
        dpstats("query", "show", name).refused("no query named")
