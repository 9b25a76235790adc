"""`dpstats audit`: what it prints, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from cli_running import Run

from dpstats.engine import ahead, noise
from dpstats.privacy.mechanism import SCALE_MIN, Mechanism, draw


def _weakened(mechanism: Mechanism, exact: Sequence[int]) -> list[int]:
    return draw(replace(mechanism, scale=max(SCALE_MIN, mechanism.scale / 2)), exact)


def test_the_built_in_cases_are_printed_with_claim_bound_share_and_bar(anywhere: Run) -> None:
    ran = anywhere("audit", "--runs", "200").done()
    lines = ran.out.splitlines()
    assert lines[0].split() == ["case", "charged", "epsilon", "claimed", "exact", "measured", "share", "verdict"]
    assert [line for line in lines if line.startswith("Gaussian, sum ") and "rho 1" in line and "7.961" in line]
    assert [line for line in lines if line.startswith("Laplace, sum ") and "epsilon 2" in line]
    assert sum("│" in line and "█" in line for line in lines) >= 8
    assert "EXCEEDS" not in ran.out
    assert ran.err == ""


def test_noise_that_is_too_small_ends_it_with_one_line(anywhere: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for drawing in (noise, ahead):
        monkeypatch.setattr(drawing, "draw", _weakened)
    ran = anywhere("audit", "--runs", "500", "--json")
    assert ran.status == 1
    ran.one_line("the audit measured more than is claimed", "Gaussian, sum: epsilon is at least", "7.487 is paid for")
    body = json.loads(ran.out)
    assert body["passed"] is False
    assert {f["exceeds"] for f in body["findings"] if "whole" not in f["case"] and "rates" in f} == {True}


def test_a_query_of_the_workspace_is_audited_elsewhere_and_nothing_is_charged_here(dpstats: Run) -> None:
    spent = json.loads(dpstats("budget", "show", "shop", "--json").done().out)["rho_spent"]
    body = json.loads(dpstats("audit", "by_town", "--runs", "10", "--json").done().out)
    (found,) = body["findings"]
    assert (found["case"], found["claimed"]["rho"], found["exceeds"]) == ("by_town", 1.0, False)
    assert found["runs"]["in"] + found["runs"]["out"] == 20
    assert body["passed"] is True
    assert json.loads(dpstats("budget", "show", "shop", "--json").done().out)["rho_spent"] == spent


def test_a_file_is_audited_without_a_workspace(anywhere: Run) -> None:
    out = anywhere("audit", "by_town.yaml", "--runs", "10").done().out
    assert "by_town" in out
    assert "the worst that was found" in out
    assert not Path("dpstats-home").exists()


def test_what_cannot_be_audited_is_refused_on_one_line(dpstats: Run, anywhere: Run) -> None:
    dpstats("audit", "nobody").refused("no query named 'nobody'")
    anywhere("audit", "no such.yaml").refused("no such.yaml", "no such file")
    anywhere("audit", "refused.yaml").refused("query refused cannot be answered")
    anywhere("audit", "--runs", "0").wrong_usage("--runs")
