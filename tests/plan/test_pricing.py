"""What a query costs: the price asked for is the price paid, shared among the draws, in either measure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shop import PURE, SHOP, analysed, planned

from dpstats.plan.answer import measures
from dpstats.plan.plan import Plan
from dpstats.plan.pricing import AMOUNT_MAX, amounts
from dpstats.privacy.accuracy import half_width_steps
from dpstats.privacy.conversion import epsilon_of_rho
from dpstats.privacy.loss import AMOUNT_STEPS, Loss, Measure, amount_down, no_loss
from dpstats.privacy.mechanism import Mechanism, Noise, Sensitivity, calibrate, price

SQL = (
    "SELECT p.band, COUNT(DISTINCT v.uid) AS people, COUNT(*) AS rows, SUM(v.paid) AS spend, AVG(v.paid) AS mean, "
    "SUM(v.paid) / COUNT(DISTINCT v.uid) AS each FROM visits v JOIN people p USING (uid) GROUP BY 1"
)
BOUNDS = {"rows": [0, 20], "spend": [0, 150]}


def plan(shop: Any = SHOP, **parts: Any) -> Plan:
    return planned(SQL, shop=shop, **({"bounds": BOUNDS} | parts))


def total(plan_: Plan) -> Loss:
    return sum((price(draw.mechanism) for draw in plan_.draws), start=no_loss(plan_.measure))


@settings(max_examples=15, deadline=None)
@given(st.decimals(Decimal("0.0001"), 9, places=6))
def test_a_price_in_rho_is_paid_in_full_and_never_exceeded(rho: Decimal) -> None:
    paid = plan(cost={"rho": float(rho)}).loss
    assert paid.measure is Measure.ZCDP
    assert paid.delta == 0
    assert amount_down(rho) * (1 - 1e-8) - 10 <= paid.amount <= amount_down(rho)


@settings(max_examples=8, deadline=None)
@given(st.decimals(Decimal("0.01"), 5, places=4))
def test_a_price_in_epsilon_buys_the_rho_whose_conversion_stays_within_it(epsilon: Decimal) -> None:
    paid = plan(cost={"epsilon": float(epsilon)}).loss
    alone = epsilon_of_rho(paid.amount, SHOP.conversion_delta)
    assert float(epsilon) * (1 - 1e-6) <= alone <= float(epsilon)


@settings(max_examples=8, deadline=None)
@given(st.decimals(Decimal("0.01"), 5, places=4))
def test_a_pure_dataset_pays_epsilon_itself(epsilon: Decimal) -> None:
    made = plan(PURE, cost={"epsilon": float(epsilon)})
    assert made.loss.measure is Measure.PURE
    assert all(draw.mechanism.noise is Noise.LAPLACE for draw in made.draws)
    assert amount_down(epsilon) * (1 - 1e-8) - 10 <= made.loss.amount <= amount_down(epsilon)


def _mechanism(event: Mapping[str, Any]) -> Mechanism:
    sensitivity = Sensitivity(event["per_cell"], event["cells"])
    return Mechanism(Noise(event["mechanism"]), float(event["scale"]), sensitivity)


@pytest.mark.parametrize("shop", [SHOP, PURE])
def test_the_plans_loss_is_the_sum_of_its_draws_and_so_are_its_events(shop: Any) -> None:
    made = plan(shop, cost={"epsilon": 1})
    assert made.loss == total(made)
    again = [price(_mechanism(event)) for event in made.events]
    assert sum(again, start=no_loss(made.measure)) == made.loss


def test_every_statistic_gets_the_same_share_and_a_mean_shares_its_own() -> None:
    made = plan(cost={"rho": 0.4})
    shares = {draw.name: price(draw.mechanism).amount / AMOUNT_STEPS for draw in made.draws}
    assert shares == pytest.approx(
        {"people": 0.1, "rows": 0.1, "spend": 0.1, "mean.sum": 0.05, "mean.rows": 0.05}, rel=1e-6
    )


def test_shares_add_up_to_the_step() -> None:
    analysis = analysed(SQL, bounds=BOUNDS, cost={"rho": 0.000_000_000_103})
    wanted = [(Noise.GAUSSIAN, Sensitivity(spec.per_cell, 1)) for spec in analysis.draws]
    assert sum(amounts(analysis, wanted)) == 103


def test_what_is_asked_twice_is_paid_once() -> None:
    one = planned("SELECT COUNT(DISTINCT uid) AS a FROM visits", cost={"rho": 0.1})
    two = planned("SELECT COUNT(DISTINCT uid) AS a, 2 * COUNT(DISTINCT uid) AS b FROM visits", cost={"rho": 0.1})
    assert len(one.draws) == len(two.draws) == 1
    assert one.draws[0].mechanism == two.draws[0].mechanism


@pytest.mark.parametrize("shop", [SHOP, PURE])
@pytest.mark.parametrize(("people", "spend"), [(20, 5000), (3, 200), (1000, 190.5)])
def test_an_accuracy_is_met_and_costs_no_more_than_it_must(shop: Any, people: float, spend: float) -> None:
    made = plan(shop, cost={"accuracy": {"people": people, "spend": spend}})
    stated = measures(made)
    assert stated["people"]["half_width_95"] <= people
    assert stated["spend"]["half_width_95"] <= spend
    assert stated["people"]["half_width_95"] > people * 0.9 - 1
    assert stated["spend"]["half_width_95"] > spend * 0.99
    dearest = max(price(made.draws[i].mechanism).amount for i in (0, 2))
    assert price(made.draws[1].mechanism).amount == pytest.approx(dearest, rel=1e-6)


@pytest.mark.parametrize("shop", [SHOP, PURE])
@pytest.mark.parametrize("target", [1, 2, 7, 20, 333, 4000])
def test_no_cheaper_price_reaches_an_accuracy(shop: Any, target: int) -> None:
    sql = "SELECT COUNT(*) AS n FROM visits"
    amount = planned(sql, shop=shop, bounds={"n": [0, 3]}, cost={"accuracy": {"n": target}}).loss.amount
    noise = Noise.LAPLACE if shop is PURE else Noise.GAUSSIAN
    assert half_width_steps(calibrate(noise, Sensitivity(3, 1), amount)) <= target
    assert half_width_steps(calibrate(noise, Sensitivity(3, 1), int(amount * (1 - 1e-6)) - 2)) > target


def test_two_measures_of_one_draw_get_the_better_accuracy() -> None:
    sql = "SELECT COUNT(DISTINCT uid) AS a, COUNT(DISTINCT uid) AS b FROM visits"
    for targets in ({"a": 5, "b": 50}, {"a": 50, "b": 5}):
        assert measures(planned(sql, cost={"accuracy": targets}))["a"]["half_width_95"] <= 5


def test_more_groups_of_a_unit_cost_more_noise_at_the_same_price() -> None:
    sql = "SELECT item, COUNT(DISTINCT uid) AS n FROM visits GROUP BY item"
    parts = {"keys": {"item": {"values": list(range(9))}}, "cost": {"epsilon": 1}}
    made = [
        planned(sql, shop=shop, contribution={"max_groups": k}, **parts)
        for shop in (SHOP, PURE)
        for k in (1, 4, 9, 100)
    ]
    scales = [plan_.draws[0].mechanism.scale for plan_ in made]
    gaussian, laplace = scales[:4], scales[4:]
    assert [scale / gaussian[0] for scale in gaussian] == pytest.approx([1, 2, 3, 3], rel=1e-9)
    assert [scale / laplace[0] for scale in laplace] == pytest.approx([1, 4, 9, 9], rel=1e-9)


def test_a_unit_touches_no_more_groups_than_there_are() -> None:
    made = planned("SELECT COUNT(DISTINCT uid) AS n FROM visits", contribution={"max_groups": 50})
    assert made.draws[0].mechanism.sensitivity == Sensitivity(1, 1)


def test_one_query_costs_at_most_ten_rho() -> None:
    assert plan(cost={"rho": 10}).loss.amount <= AMOUNT_MAX


def test_the_scale_that_is_stated_is_the_one_that_is_drawn() -> None:
    made = plan(cost={"rho": 0.1})
    spend = next(draw for draw in made.draws if draw.name == "spend")
    stated = measures(made)
    assert stated["spend"]["scale"] == pytest.approx(spend.mechanism.scale * float(spend.grid))
    assert stated["spend"]["half_width_95"] == pytest.approx(half_width_steps(spend.mechanism) * float(spend.grid))
    assert stated["spend"]["unit"] == "USD"
    assert stated["spend"]["bounding"] == "max_groups 1, clipped to [0, 150]"
    assert stated["people"] == {
        "mechanism": "discrete_gaussian",
        "scale": pytest.approx(made.draws[0].mechanism.scale),
        "half_width_95": half_width_steps(made.draws[0].mechanism),
        "least": 0,
        "bounding": "max_groups 1",
        "type": "integer",
    }
    assert stated["spend"]["least"] == 0
    assert stated["mean"]["least"] == 0
    assert (stated["mean"]["mechanism"], stated["mean"]["scale"]) == ("derived", None)
    assert stated["mean"]["bounding"] == "max_groups 1, max_rows 20, values clipped to [0, 100]"
    assert stated["each"]["half_width_95"] is None


def test_only_a_sum_that_cannot_be_negative_is_told_to_have_a_least() -> None:
    sql = "SELECT SUM(n) AS signed FROM visits"
    assert "least" not in measures(planned(sql, bounds={"signed": [-5, 50]}))["signed"]
    assert measures(planned(sql, bounds={"signed": [0, 50]}))["signed"]["least"] == 0
