"""`smallest_group`: of groups whose noisy count of units is below it, nothing but the key is written."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from shop import KEY, PURE, SHOP, analysed, opened, planned, reasons, visit

from dpstats.catalog.dataset import DatasetFile
from dpstats.catalog.fields import frozen_mapping
from dpstats.engine.duck import _answer
from dpstats.engine.noise import add_noise
from dpstats.plan.advice import recommendations
from dpstats.plan.answer import rows
from dpstats.plan.consequences import consequences
from dpstats.plan.plan import Floor, Noisy, Plan
from dpstats.plan.withheld import told_of_floor
from dpstats.privacy.accuracy import half_width_steps

SQL = (
    "SELECT word, COUNT(DISTINCT uid) AS units, SUM(paid) AS spend, AVG(n) AS mean, "
    "COUNT(DISTINCT uid) FILTER (WHERE flag) AS some, SUM(paid) / COUNT(DISTINCT uid) AS each FROM visits GROUP BY word"
)
PARTS: dict[str, Any] = {
    "keys": {"word": {"values": ["a", "b", "c"]}},
    "bounds": {"spend": [0, 100]},
    "contribution": {"max_groups": 1, "max_rows": 1},
}
NOTHING = {"value": None, "low": None, "high": None, "display": "withheld (below 20)", "withheld": True}


def floored(shop: DatasetFile = SHOP, at: int | None = 20, **by_purpose: int) -> DatasetFile:
    """The shop with a floor, and floors of its purposes."""
    purposes = {
        name: purpose.model_copy(update={"smallest_group": by_purpose.get(name)})
        for name, purpose in shop.purposes.items()
    }
    return shop.model_copy(update={"smallest_group": at, "purposes": frozen_mapping(purposes)})


def drawn(plan: Plan, **by_name: list[int]) -> Noisy:
    """As if these had been drawn; 1000 steps where nothing is said."""
    groups = tuple(plan.declared_groups())
    found = {draw.name: by_name.get(draw.name, [1000] * len(groups)) for draw in plan.draws}
    return Noisy(groups, tuple(tuple(found[draw.name]) for draw in plan.draws))


def test_a_group_below_the_floor_keeps_its_key_and_tells_nothing_else() -> None:
    plan = planned(SQL, shop=floored(), **PARTS)
    a, b, c = rows(plan, drawn(plan, units=[19, 20, -3]))
    for row, key in ((a, "a"), (c, "c")):
        assert row == {"word": key, **dict.fromkeys(("units", "spend", "mean", "some", "each"), NOTHING)}
    assert b["units"]["value"] == 20
    assert all(b[name]["value"] is not None and "withheld" not in b[name] for name in ("spend", "mean", "each"))
    assert told_of_floor(plan, drawn(plan, units=[19, 20, -3])) == {
        "smallest_group": {"floor": 20, "counted_by": "units", "withheld": 2}
    }


def test_a_count_of_some_of_a_group_is_withheld_by_itself() -> None:
    plan = planned(SQL, shop=floored(), **PARTS)
    a, *_ = rows(plan, drawn(plan, units=[90, 90, 90], some=[3, 90, 90]))
    assert (a["some"], a["units"]["value"]) == (NOTHING, 90)
    assert a["each"]["value"] is not None
    assert told_of_floor(plan, drawn(plan, some=[3, 90, 90]))["smallest_group"]["withheld"] == 0


def test_what_is_withheld_is_a_function_of_the_noisy_numbers_alone() -> None:
    """The neighbours of a group's exact count tell apart nothing more than its noisy count, which is paid, does."""
    plan = planned(SQL, shop=floored(), **PARTS)
    noisy = drawn(plan, units=[19, 20, 21])
    assert [row["units"]["value"] for row in rows(plan, noisy)] == [None, 20, 21]
    without = rows(replace(plan, floor=None), noisy)
    assert [row["units"]["value"] for row in without] == [19, 20, 21]
    kept = [row for row, told in zip(rows(plan, noisy), without, strict=True) if row == told]
    assert [row["word"] for row in kept] == ["b", "c"]


def test_a_floor_changes_no_price_and_no_noise_where_units_are_counted() -> None:
    plain, held = planned(SQL, **PARTS), planned(SQL, shop=floored(), **PARTS)
    assert held.floor == Floor(0, 20)
    assert (held.loss, held.events, held.sql) == (plain.loss, plain.events, plain.sql)


@pytest.mark.parametrize("shop", [SHOP, PURE], ids=["zcdp", "pure"])
def test_where_units_are_not_counted_a_count_is_added_and_paid_out_of_the_same_cost(shop: DatasetFile) -> None:
    sql, cost = "SELECT word, SUM(paid) AS spend FROM visits GROUP BY word", {"epsilon": 1}
    plain = planned(sql, shop=shop, cost=cost, **PARTS)
    held = planned(sql, shop=floored(shop), cost=cost, **PARTS)
    assert [draw.name for draw in held.draws] == ["spend", "units"]
    assert held.loss == plain.loss
    assert list(rows(held, drawn(held, units=[1, 30, 30]))[0]) == ["word", "spend"]
    assert rows(held, drawn(held, units=[1, 30, 30]))[0]["spend"] == NOTHING


def test_the_count_that_is_told_to_decide_is_a_measure_and_no_namesake() -> None:
    named = {
        "SUM(age) AS units": None,
        "SUM(age) / COUNT(DISTINCT uid) AS each": None,
        "SUM(age) AS units, COUNT(DISTINCT uid) AS who": "who",
    }
    for measures, counted_by in named.items():
        plan = planned(f"SELECT Band AS band, {measures} FROM people GROUP BY Band", shop=floored())
        assert told_of_floor(plan, drawn(plan))["smallest_group"]["counted_by"] == counted_by


@pytest.mark.parametrize("shop", [SHOP, PURE], ids=["zcdp", "pure"])
def test_where_accuracy_is_asked_for_an_added_count_costs_what_the_floor_needs(shop: DatasetFile) -> None:
    sql, cost = "SELECT Band AS band, SUM(age) AS years FROM people GROUP BY Band", {"accuracy": {"years": 100}}
    plain, held = planned(sql, shop=shop, cost=cost), planned(sql, shop=floored(shop), cost=cost)
    assert held.draws[0] == plain.draws[0]
    assert plain.loss.amount < held.loss.amount < 2 * plain.loss.amount
    assert half_width_steps(held.draws[1].mechanism) <= 10
    (line,) = (line for line in held.proof if line.startswith("smallest group"))
    assert line.endswith("that count is drawn for this, and part of the charge")
    (line,) = (line for line in planned(SQL, shop=floored(), **PARTS).proof if line.startswith("smallest group"))
    assert line.endswith("it is drawn anyhow")


@pytest.mark.parametrize(
    "starved",
    [
        {"cost": {"rho": 0.00002}},
        {"weights": {"units": 0.001, "spend": 1000}},
        {"contribution": {"max_norm": {"units": 100_000, "spend": 100}}},
        {"cost": {"accuracy": {"units": 1000, "spend": 1000}}},
    ],
    ids=["cost", "weights", "max_norm", "accuracy"],
)
def test_a_floor_that_noise_alone_lifts_a_group_of_one_over_is_refused(starved: dict[str, Any]) -> None:
    sql = "SELECT word, COUNT(DISTINCT uid) AS units, SUM(paid) AS spend FROM visits GROUP BY word"
    parts = PARTS | {"contribution": {"max_groups": 1}, "cost": {"rho": 1}} | starved
    assert reasons(sql, **parts) == [], "without a floor it is answered"
    (refusal,) = reasons(sql, shop=floored(), **parts)
    assert refusal.what.startswith("smallest_group 20 is decided by a count of units that is right to ")
    assert "Spend more" in refusal.instead
    assert "raise smallest_group" in refusal.instead
    assert reasons(sql, shop=floored(at=10_000_000), **parts) == []


def test_a_threshold_makes_up_for_the_noise_of_its_count_so_private_keys_are_not_refused() -> None:
    parts = PARTS | {"keys": {"word": {"private": True}}, "cost": {"rho": 0.00002}}
    held = planned(SQL, shop=floored(), **parts)
    assert held.threshold is not None
    assert held.threshold.at > half_width_steps(held.draws[0].mechanism) > 20


@pytest.mark.parametrize(
    "measure",
    [
        "COUNT(*) FILTER (WHERE age = 44)",
        "COUNT(age)",
        "AVG(age) FILTER (WHERE age > 90)",
        "STDDEV_POP(age) FILTER (WHERE age > 90)",
        "SUM(age) FILTER (WHERE age > 90) / COUNT(*) FILTER (WHERE age > 90)",
    ],
)
def test_fewer_rows_than_the_floor_are_of_fewer_units(measure: str) -> None:
    sql = f"SELECT Band AS band, COUNT(DISTINCT uid) AS units, {measure} AS few FROM people GROUP BY Band"
    plan = planned(sql, shop=floored(), cost={"rho": 1})
    (counted,) = (draw.name for draw in plan.draws if draw.kind == "count")
    small, large, _ = rows(plan, drawn(plan, **{counted: [19, 20, 900]}))
    assert (small["few"], small["units"]["value"]) == (NOTHING, 1000)
    assert large["few"]["value"] is not None


def test_a_count_with_a_condition_does_not_decide_for_the_whole_group() -> None:
    sql = "SELECT word, COUNT(DISTINCT uid) FILTER (WHERE flag) AS some FROM visits GROUP BY word"
    plan = planned(sql, shop=floored(), **{key: part for key, part in PARTS.items() if key != "bounds"})
    assert plan.floor is not None
    assert [draw.name for draw in plan.draws] == ["some", "units"]
    assert plan.floor.draw == 1


def test_an_answer_without_keys_is_one_group() -> None:
    plan = planned("SELECT COUNT(DISTINCT uid) AS units FROM visits", shop=floored())
    assert rows(plan, drawn(plan, units=[3])) == [{"units": NOTHING}]


def test_under_max_norm_the_count_must_be_the_querys_own() -> None:
    parts = {"keys": PARTS["keys"], "bounds": {"spend": [0, 100]}, "contribution": {"max_norm": {"spend": 100}}}
    sql = "SELECT word, SUM(paid) AS spend FROM visits GROUP BY word"
    (refusal,) = reasons(sql, shop=floored(), **parts)
    assert "needs a count of each group's units" in str(refusal)
    assert "COUNT(DISTINCT uid) AS units" in str(refusal)
    counted = sql.replace("SUM(paid)", "COUNT(DISTINCT uid) AS units, SUM(paid)")
    parts["contribution"] = {"max_norm": {"spend": 100, "units": 1}}
    plan = planned(counted, shop=floored(), **parts)
    steps = int(1 / plan.draws[0].grid)  # a part of a unit is counted in steps of a grid
    a, b, _ = rows(plan, drawn(plan, units=[20 * steps - 1, 20 * steps, 99 * steps], spend=[1, 1, 1]))
    assert (a["spend"], b["units"]["value"]) == (NOTHING, 20)


def test_the_higher_of_the_datasets_and_the_purposes_floor_holds() -> None:
    floors = {5: {}, 9: {"measurement": 9}, 30: {"measurement": 9, "marketing": 50}}
    for at, by_purpose in floors.items():
        found = analysed(SQL, shop=floored(at=at, **by_purpose), **PARTS).floor
        assert found is not None
        assert found.at == max(at, by_purpose.get("measurement", 0))
    assert analysed(SQL, shop=floored(at=None, marketing=9), **PARTS).floor is None


def test_a_floor_is_part_of_a_querys_version_and_its_absence_is_not() -> None:
    plain = analysed(SQL, **PARTS).version
    assert analysed(SQL, shop=floored(at=None, marketing=9), **PARTS).version == plain
    versions = {analysed(SQL, shop=floored(at=at), **PARTS).version for at in (None, 20, 21)}
    assert len(versions) == 3
    assert plain in versions


def test_keys_found_in_the_data_are_held_to_it_by_their_threshold() -> None:
    parts = PARTS | {"keys": {"word": {"private": True}}, "cost": {"rho": 5}}
    held = planned(SQL, shop=floored(at=500), **parts)
    assert held.threshold is not None
    assert (held.threshold.at, held.threshold.draw) == (500, 0)


def test_a_real_answer_of_a_small_and_a_large_group() -> None:
    """With noise far below the distance of both groups from the floor: scale under 1, 10 and 60 units."""
    plan = planned(SQL, shop=floored(at=35), **(PARTS | {"cost": {"rho": 10}}))
    visits = [visit(unit, word="a" if unit < 10 else "b", paid=2.0, n=1, flag=True) for unit in range(70)]
    with opened({"visits": visits}) as connection:
        a, b, c = rows(plan, add_noise(plan, _answer(connection, plan, KEY)))
    assert a["units"] == a["spend"] == a["mean"] == NOTHING | {"display": "withheld (below 35)"}
    assert abs(b["units"]["value"] - 60) < 20
    assert c["units"]["withheld"] is True
    assert json.dumps(a).count("null") == 15


def test_its_sentences_tell_a_steward_what_it_does_and_where_one_is_missing() -> None:
    analysis, plan = analysed(SQL, shop=floored(), **PARTS), planned(SQL, shop=floored(), **PARTS)
    assert any(line.startswith("smallest_group 20: where") for line in consequences(analysis, plan))
    assert any("noisy count of units is below 20" in line for line in plan.proof)
    ads = PARTS | {"purpose": "marketing"}
    sql = "SELECT secret AS word, COUNT(DISTINCT uid) AS units FROM visits GROUP BY secret"
    every = SHOP.tables["visits"].columns["secret"].model_copy(update={"purposes": ("marketing",)})
    columns = {name: spec.model_copy(update={"purposes": every.purposes}) for name, spec in _columns().items()}
    visits = SHOP.tables["visits"].model_copy(update={"columns": frozen_mapping(columns)})
    shop = SHOP.model_copy(update={"tables": frozen_mapping(dict(SHOP.tables) | {"visits": visits})})
    parts = {key: part for key, part in ads.items() if key != "bounds"} | {"contribution": {"max_groups": 1}}
    advised = recommendations(analysed(sql, shop=shop, **parts), planned(sql, shop=shop, **parts))
    assert any("marketing: {smallest_group: 20}" in line for line in advised)
    quiet = floored(shop)
    assert not any("no smallest group" in line for line in recommendations(analysed(sql, shop=quiet, **parts), plan))
    assert not any("no smallest group" in line for line in recommendations(analysed(SQL, **PARTS), plan))


def _columns() -> dict[str, Any]:
    return dict(SHOP.tables["visits"].columns)
