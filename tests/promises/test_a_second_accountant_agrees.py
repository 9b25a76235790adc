"""What the ledger charges is what Google's dp-accounting makes of the same draws, composed one by one, or more."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import dp_accounting
import pytest
from desk import ME, Desk
from dp_accounting.rdp import RdpAccountant, compute_epsilon

from dpstats.privacy.loss import AMOUNT_STEPS, DELTA_STEPS

PEOPLE = 60
VISITS = {
    "person": [i for i in range(PEOPLE) for _ in range(3)],
    "amount": [7 * i % 100 for i in range(3 * PEOPLE)],
    "area": ["north", "south", "east"] * PEOPLE,
}
DATASET = """
dataset: shop
privacy_unit: person
budget: {{epsilon: 30.0, delta: {delta}}}
tables:
  visits:
    columns:
      person: {{type: bigint}}
      amount: {{type: bigint, bounds: [0, 100]}}
      area: {{type: varchar, values: [north, south, east]}}
"""
MEASURES = {
    "people": ("COUNT(DISTINCT person) AS m", {}),
    "rows": ("COUNT(*) AS m", {"m": [0, 5]}),
    "spend": ("SUM(amount) AS m", {"m": [0, 200]}),
    "mean": ("AVG(amount) AS m", {}),
    "spread": ("VAR_POP(amount) AS m", {}),
    "median": ("MEDIAN(amount) AS m", {}),
    "quantiles": ("QUANTILE_CONT(amount, 0.25) AS a, QUANTILE_CONT(amount, 0.75) AS b", {}),
    "top": ("SUM(amount) AS m", {"m": [0, 200]}),
    "all": ("COUNT(DISTINCT person) AS a, COUNT(*) AS b, SUM(amount) AS c", {"b": [0, 5], "c": [0, 200]}),
}
CONTRIBUTIONS: dict[str, dict[str, Any]] = {
    "dropped": {"max_groups": 2, "max_rows": 4},
    "clipped": {"max_norm": {"m": 30}},
}
COSTS = {"zcdp": [{"rho": 0.013}, {"epsilon": 0.37}], "pure": [{"epsilon": 0.37}, {"epsilon": 0.113}]}
DELTA = 1e-6
ORDERS = [1 + x / 10 for x in range(1, 100)] + [*range(11, 2000, 10)]
HUGE_ORDER = 1e13
"""Renyi divergence of this order is the largest log-ratio, that is pure epsilon, to within 1e-11."""
AGREE = 1e-9


def queries(kind: str) -> list[dict[str, Any]]:
    made = []
    grid = itertools.product(MEASURES.items(), CONTRIBUTIONS.items(), COSTS[kind])
    for number, ((measure, (sql, bounds)), (how, contribution), cost) in enumerate(grid):
        if how == "clipped" and measure != "spend":
            continue
        made.append(
            {
                "query": f"{measure}_{how}_{number}",
                "dataset": "shop",
                "sql": f"SELECT area, {sql} FROM visits GROUP BY area{' ORDER BY m DESC LIMIT 2' * (measure == 'top')}",
                "keys": {"area": {"values": ["north", "south", "east"]}},
                "bounds": bounds,
                "contribution": contribution,
                "cost": cost,
            }
        )
    return made


def set_up(desk: Desk, kind: str) -> Desk:
    desk.add(DATASET.format(delta="1.0e-6" if kind == "zcdp" else "0"), visits=VISITS)
    return desk


@pytest.fixture(scope="module", params=["zcdp", "pure"])
def ledger(request: pytest.FixtureRequest, new_desk: Callable[..., Desk]) -> tuple[str, Desk]:
    """A desk whose ledger has a charge for every kind of measure, bounding and cost."""
    desk = set_up(new_desk(), request.param)
    for query in queries(request.param):
        desk.approve(query)
        desk.ask(query["query"])
    return request.param, desk


def moved(event: dict[str, Any]) -> float:
    """How far one unit moves the draw: in L2 for Gaussian noise, in L1 for Laplace."""
    cells, norm = event["cells"], math.inf if event["norm"] is None else event["norm"]
    shape = math.sqrt(cells) if event["mechanism"] == "discrete_gaussian" else cells
    return min(event["per_cell"] * shape, norm)


def as_theirs(event: dict[str, Any]) -> list[dp_accounting.DpEvent]:
    """The event as dp-accounting knows it. Selections, which it does not: as noise of the same rho or epsilon, one by
    one, with rho = epsilon^2 / 8 (exponential mechanism)."""
    if event["mechanism"] == "exponential":
        return [dp_accounting.GaussianDpEvent(2 * float(event["scale"]) / event["per_cell"])] * event["cells"]
    if event["mechanism"] == "permute_and_flip":
        return [dp_accounting.LaplaceDpEvent(float(event["scale"]) / event["per_cell"])] * event["cells"]
    multiplier = float(event["scale"]) / moved(event)
    if event["mechanism"] == "discrete_gaussian":
        return [dp_accounting.GaussianDpEvent(multiplier)]
    return [dp_accounting.LaplaceDpEvent(multiplier)]


def theirs(events: Sequence[dict[str, Any]]) -> float:
    """The epsilon that dp-accounting finds for the draws, composed one by one."""
    zcdp = events[0]["mechanism"] in {"discrete_gaussian", "exponential"}
    accountant = RdpAccountant(ORDERS if zcdp else [HUGE_ORDER])
    for event in events:
        for each in as_theirs(event):
            accountant.compose(each)
    return float(accountant.get_epsilon(DELTA))


def ours(kind: str, steps: int) -> float:
    """The epsilon of the ledger's amount by the same conversion, so that only the amounts are compared."""
    amount = steps / AMOUNT_STEPS
    if kind == "pure":
        return amount
    return float(compute_epsilon(ORDERS, [amount * order for order in ORDERS], DELTA)[0])


def agree(ours: float, theirs: float) -> bool:
    """Equal to a billionth, or ours is larger, but by no more than rounding to steps explains."""
    return theirs * (1 - AGREE) <= ours <= theirs * (1 + 1e-7)


def test_every_charge_is_what_another_accountant_finds(ledger: tuple[str, Desk]) -> None:
    kind, desk = ledger
    charges = desk.charges("shop")
    assert len(charges) >= 16
    used = {event["mechanism"] for charge in charges for event in charge["events"]}
    assert used == (
        {"discrete_gaussian", "exponential"} if kind == "zcdp" else {"discrete_laplace", "permute_and_flip"}
    )
    for charge in charges:
        assert agree(ours(kind, charge["content"]["amount"]), theirs(charge["events"])), charge["query"]


def test_the_total_is_what_another_accountant_finds_for_every_draw_composed_one_by_one(
    ledger: tuple[str, Desk],
) -> None:
    kind, desk = ledger
    events = [event for charge in desk.charges("shop") for event in charge["events"]]
    assert agree(ours(kind, desk.spent("shop")), theirs(events))
    assert desk.workspace.budgets.verify(ME).findings == ()


@pytest.mark.parametrize("kind", ["zcdp", "pure"])
def test_n_releases_of_one_query_cost_n_times_one_by_both_accountants(kind: str, new_desk: Callable[..., Desk]) -> None:
    desk = set_up(new_desk(), kind)
    query = queries(kind)[0]
    desk.approve(query)
    times = 40
    for _ in range(times):
        desk.ask(query["query"], fresh=True)
    charges = desk.charges("shop")
    one = charges[0]["content"]["amount"]
    assert desk.spent("shop") == times * one
    assert {charge["content"]["amount"] for charge in charges} == {one}
    events = [event for charge in charges for event in charge["events"]]
    assert agree(ours(kind, times * one), theirs(events))
    if kind == "pure":
        assert theirs(events) == pytest.approx(times * theirs(charges[0]["events"]), rel=1e-9)


def test_the_delta_of_private_keys_covers_what_the_continuous_tail_says(new_desk: Callable[..., Desk]) -> None:
    """dp-accounting has no thresholds; the strict tail is below the charge, and the charge is near it."""
    desk = set_up(new_desk(), "zcdp")
    for number, delta in enumerate((1e-7, 1e-9, 1e-12)):
        desk.approve(
            queries("zcdp")[0] | {"query": f"found_{number}", "keys": {"area": {"private": True, "delta": delta}}}
        )
        desk.ask(f"found_{number}")
    for charge in desk.charges("shop"):
        *drawn, last = charge["events"]
        sigma, at = float(drawn[last["place"]]["scale"]), last["at"]
        strict = last["cells"] * math.erfc((at - 1 + 0.5) / sigma / math.sqrt(2)) / 2
        whole = last["cells"] * math.erfc((at - 1 - 0.5) / sigma / math.sqrt(2)) / 2
        charged = float(Fraction(charge["content"]["delta"], DELTA_STEPS))
        assert strict < charged < whole * 1.05 + 1e-18
        assert agree(ours("zcdp", charge["content"]["amount"]), theirs(drawn))
    assert desk.workspace.budgets.verify(ME).findings == ()
