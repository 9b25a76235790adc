"""What `/metrics` counts, and that it tells nothing that was asked for."""

from __future__ import annotations

import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from api_town import MARKER, ME, Town
from prometheus_client.parser import text_string_to_metric_families

from dpstats.api.metrics import DURATION_BOUNDS_S, forget_dead, rounded_up_s


def samples(town: Town) -> dict[tuple[str, tuple[str, ...]], float]:
    """Each sample by its name and the values of its labels."""
    answer = town.ask("GET", "/metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_every_name_begins_with_dpstats_and_labels_are_these_alone(town: Town) -> None:
    town.run()
    text = town.ask("GET", "/metrics").text
    names = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    assert names == {
        "dpstats_requests_total",
        "dpstats_request_duration_seconds",
        "dpstats_requests_in_flight",
        "dpstats_charges_total",
        "dpstats_budget_remaining_rho",
        "dpstats_budget_remaining_epsilon",
        "dpstats_budget_remaining_delta",
        "dpstats_budget_remaining_ratio",
        "dpstats_ledger_readable",
        "dpstats_rights_due",
        "dpstats_rights_overdue",
        "dpstats_refusals_total",
    }
    labels = set(re.findall(r'(\w+)="', text))
    assert labels == {"method", "route", "status", "le", "dataset"}


def test_charges_and_budgets_are_the_ledger_s(town: Town) -> None:
    assert samples(town)["dpstats_charges_total", ("town",)] == 0
    town.run()
    town.run()
    town.run(json={"reuse": "never"})
    town.run("boats")
    town.workspace.budgets.grant(ME, "town", rho=Decimal("0.01"), reason="more")
    found = samples(town)
    budget = town.budget()
    assert found["dpstats_charges_total", ("town",)] == town.charges() == 2
    assert found["dpstats_charges_total", ("harbour",)] == 1
    assert found["dpstats_budget_remaining_rho", ("town",)] == budget["rho_remaining"]
    assert found["dpstats_budget_remaining_delta", ("town",)] == budget["delta_remaining"]
    assert found["dpstats_budget_remaining_ratio", ("town",)] == pytest.approx(
        budget["rho_remaining"] / budget["rho"], rel=1e-9
    )
    assert found["dpstats_budget_remaining_epsilon", ("harbour",)] == 0.9
    assert ("dpstats_budget_remaining_rho", ("harbour",)) not in found
    assert found["dpstats_ledger_readable", ()] == 1


def test_requests_are_counted_by_route_and_refusals_by_problem(town: Town) -> None:
    before = samples(town)
    town.run()
    town.run()
    town.run("nope")
    town.run(json={"parameters": {"since": MARKER}})
    town.ask("GET", "/v1/datasets")
    town.ask("GET", f"/v1/{MARKER}", role="analyst")
    town.ask("BREW", f"/{MARKER}?{MARKER}={MARKER}")
    after = samples(town)

    def more(name: str, *labels: str) -> float:
        return after.get((name, labels), 0) - before.get((name, labels), 0)

    release = "/v1/queries/{query}/releases"
    assert more("dpstats_requests_total", "POST", release, "201") == 1
    assert more("dpstats_requests_total", "POST", release, "200") == 1
    assert more("dpstats_requests_total", "POST", release, "404") == 1
    assert more("dpstats_requests_total", "POST", release, "422") == 1
    assert more("dpstats_request_duration_seconds_count", "POST", release) == 4
    assert more("dpstats_requests_total", "other", "other", "401") == 1
    assert more("dpstats_requests_total", "other", "other", "404") == 2
    assert {slug: more("dpstats_refusals_total", slug) for slug in ("not-found", "invalid-parameters")} == {
        "not-found": 3,
        "invalid-parameters": 1,
    }
    assert more("dpstats_refusals_total", "unauthorized") == 1


@pytest.mark.parametrize(
    ("method", "path", "role"),
    [
        ("GET", "/v1/rights/requests", "steward"),
        ("GET", "/v1/rights/requests", None),
        ("POST", "/v1/rights/requests", "steward"),
        ("POST", "/v1/consent/events", "collector"),
        ("POST", "/v1/consent/signals", "analyst"),
        ("GET", "/v1/consent", "steward"),
        ("GET", "/rights", None),
        ("POST", "/consent/close", None),
        ("GET", "/opt-out", None),
        ("POST", "/opt-out", None),
        ("GET", "/opt-out/no_receipt", None),
    ],
)
def test_no_number_shows_that_somebody_asked_for_themselves(
    town: Town, method: str, path: str, role: str | None
) -> None:
    if role:
        town.token(role)
    samples(town)
    before = samples(town)
    town.ask(method, path, role=role)
    after = samples(town)
    assert {each for each in after if after[each] != before.get(each) and "/metrics" not in each[1]} == set()


def test_no_parameter_name_or_token_is_shown(town: Town) -> None:
    town.run(json={"parameters": {"since": "2017-01-09"}})
    town.ask("GET", f"/v1/releases?cursor={MARKER}", role="analyst")
    town.ask(MARKER.upper(), f"/{MARKER}")
    text = town.ask("GET", "/metrics").text
    for secret in (MARKER, MARKER.upper()[:8], "2017-01-09", "spend_by_band", "analyst", town.token()):
        assert secret not in text


def test_nothing_is_in_flight_but_the_scrape_itself(town: Town) -> None:
    town.run()
    assert samples(town)["dpstats_requests_in_flight", ()] == 1


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.0, 0.005), (0.005, 0.005), (0.0051, 0.01), (59.0, 60.0), (60.5, 120.0), (121.0, 180.0)]
)
def test_a_duration_is_rounded_up_to_a_bound(seconds: float, shown: float) -> None:
    assert rounded_up_s(seconds) == shown


def test_the_sum_of_durations_is_one_of_bounds(town: Town) -> None:
    town.ask("GET", "/health/live")
    total = samples(town)["dpstats_request_duration_seconds_sum", ("GET", "/health/live")]
    assert total in DURATION_BOUNDS_S


def test_what_cannot_be_read_is_said_and_the_rest_is_shown(town: Town) -> None:
    town.run()
    (town.workspace.home / "ledger.db").rename(town.workspace.home / "elsewhere.db")
    town.workspace.store.close()
    found = samples(town)
    assert found["dpstats_ledger_readable", ()] == 0
    assert found["dpstats_requests_total", ("POST", "/v1/queries/{query}/releases", "201")] == 1


def test_what_was_in_flight_in_a_worker_that_is_gone_is_forgotten_and_what_it_counted_is_not(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    alive = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    for pid in (gone.pid, alive.pid):
        for name in ("gauge_livesum", "counter", "histogram"):
            (tmp_path / f"{name}_{pid}.db").touch()
    forget_dead(tmp_path)
    alive.communicate()
    assert {file.name for file in tmp_path.iterdir()} == {
        f"counter_{gone.pid}.db",
        f"histogram_{gone.pid}.db",
        f"counter_{alive.pid}.db",
        f"histogram_{alive.pid}.db",
        f"gauge_livesum_{alive.pid}.db",
    }
