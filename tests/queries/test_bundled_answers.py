"""The bundled queries on the real data: their answers have the right shape, and are worth their price."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime
from functools import cache
from typing import Any

import duckdb
import pytest
from bundle import FILES, Bundle

from dpstats.catalog.parameters import bind_parameters
from dpstats.catalog.query import DateParameter, EnumParameter, IntegerParameter
from dpstats.engine.noise import _open_groups, add_noise
from dpstats.plan.answer import json_value, measures, rows
from dpstats.plan.arithmetic import Average, Drawn

each_query = pytest.mark.parametrize("name", [path.stem for path in FILES])
Row = Mapping[str, Any]
Rows = Mapping[tuple[Any, ...], Row]


class Answers:
    """The exact answers of the queries as they are by default, by key: no door of dpstats gives them."""

    def __init__(self, bundle: Bundle, plain: duckdb.DuckDBPyConnection) -> None:
        self._bundle, self._plain = bundle, plain

    @cache  # noqa: B019
    def plain(self, name: str) -> Rows:
        """What the query's own SQL says in a plain DuckDB over the files, without bounds."""
        query, keys = self._bundle.queries[name], self._bundle.analyses[name].keys
        cursor = self._plain.execute(query.sql, bind_parameters(query, {}).values)
        columns = [column[0] for column in cursor.description]
        found = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
        return {tuple(_key(row[key.name]) for key in keys): row for row in found}

    @cache  # noqa: B019
    def bounded(self, name: str) -> Rows:
        """What the noise is added to, in each measure's own units; derived measures are left out."""
        plan = self._bundle.plan(name)
        groups, vectors = _open_groups(plan, self._bundle.engine.run(plan))
        one_a_group = [draw for draw in plan.draws if draw.quantiles is None]
        return {
            tuple(map(json_value, key)): {d.name: float(vectors[d.index][group] * d.grid) for d in one_a_group}
            for group, key in enumerate(groups)
        }


def _key(value: Any) -> Any:
    return json_value(value.date() if isinstance(value, datetime) else value) if isinstance(value, date) else value


@pytest.fixture(scope="module")
def answers(bundle: Bundle, plain: duckdb.DuckDBPyConnection) -> Answers:
    return Answers(bundle, plain)


@each_query
def test_an_answer_has_a_number_for_each_group_and_draw(bundle: Bundle, name: str) -> None:
    plan = bundle.plan(name)
    noisy = add_noise(plan, bundle.engine.run(plan))
    groups = len(noisy.groups)
    assert [len(vector) for vector in noisy.vectors] == [groups * draw.entries for draw in plan.draws]
    assert len(rows(plan, noisy)) == groups
    if not plan.private_keys:
        assert groups == (plan.groups if plan.top is None else plan.top.k)


@each_query
def test_a_query_runs_at_both_ends_of_each_parameter(bundle: Bundle, name: str) -> None:
    for parameter_name, parameter in bundle.queries[name].parameters.items():
        match parameter:
            case EnumParameter(values=values):
                ends: tuple[object, ...] = (values[0], values[-1])
            case DateParameter() if parameter_name == "since":
                ends = (parameter.min.isoformat(), parameter.max.isoformat())
            case DateParameter():
                ends = (parameter.max.isoformat(),)
            case IntegerParameter():
                ends = (parameter.min, parameter.max)
        for end in ends:
            plan = bundle.plan(name, **{parameter_name: end})
            assert len(add_noise(plan, bundle.engine.run(plan)).vectors) == len(plan.draws)


@each_query
def test_the_largest_group_of_each_measure_stands_out_of_its_noise(bundle: Bundle, answers: Answers, name: str) -> None:
    for measure, described in measures(bundle.plan(name)).items():
        if described["half_width_95"] is not None:
            largest = max(row[measure] for row in answers.plain(name).values())
            assert largest > 4 * described["half_width_95"]


@each_query
def test_bounds_and_kept_groups_take_little_of_any_measure(bundle: Bundle, answers: Answers, name: str) -> None:
    exact, bounded = answers.plain(name), answers.bounded(name)
    for output in bundle.plan(name).outputs:
        if isinstance(output.expression, Drawn):
            whole = math.fsum(float(row[output.name] or 0) for key, row in exact.items() if key in bounded)
            kept = math.fsum(row[output.name] for key, row in bounded.items() if key in exact)
            assert 0.85 * whole <= kept <= 1.001 * whole


def test_quartiles_of_baskets_are_near_what_they_are_without_bounds(bundle: Bundle, answers: Answers) -> None:
    (plain,) = answers.plain("basket_quartiles").values()
    plan = bundle.plan("basket_quartiles")
    (row,) = rows(plan, add_noise(plan, bundle.engine.run(plan)))
    for name, value in plain.items():
        assert row[name]["value"] == pytest.approx(value, rel=0.4)


def test_the_largest_departments_are_those_that_stand_out_without_bounds(bundle: Bundle, answers: Answers) -> None:
    plain = sorted(answers.plain("top_departments").values(), key=lambda row: -row["spend"])
    plan = bundle.plan("top_departments")
    found = {row["department"] for row in rows(plan, add_noise(plan, bundle.engine.run(plan)))}
    assert {row["department"] for row in plain[:3]} <= found


def test_categories_that_most_households_buy_are_found(bundle: Bundle) -> None:
    plan = bundle.plan("categories_bought")
    found = rows(plan, add_noise(plan, bundle.engine.run(plan)))
    assert 100 <= len(found) < 310
    assert max(row["households"]["value"] for row in found) > 1500


def test_an_average_basket_is_about_what_it_is_without_bounds(bundle: Bundle, answers: Answers) -> None:
    (output,) = bundle.plan("basket_value_by_income").outputs
    assert isinstance(output.expression, Average)
    for key, row in answers.bounded("basket_value_by_income").items():
        mean = output.expression.centre + row["basket_value.sum"] / row["basket_value.rows"]
        # Each household counts with at most 26 visits, so that frequent small baskets weigh less.
        assert mean == pytest.approx(answers.plain("basket_value_by_income")[key]["basket_value"], rel=0.15)


@pytest.mark.parametrize("name", ["weekly_active_households", "campaign_reach", "department_reach"])
def test_every_week_campaign_and_department_of_the_data_is_a_declared_key(answers: Answers, name: str) -> None:
    assert answers.plain(name).keys() <= answers.bounded(name).keys()
