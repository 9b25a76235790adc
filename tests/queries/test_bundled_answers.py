"""The bundled queries on the real data: their answers have the right shape, and are worth their price."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import duckdb
import pytest
from bundle import FILES, Bundle

from dpstats.catalog.parameters import bind_parameters
from dpstats.catalog.query import DateParameter, EnumParameter, IntegerParameter
from dpstats.engine.noise import _open, add_noise
from dpstats.plan.answer import json_value, measures, rows

each_query = pytest.mark.parametrize("name", [path.stem for path in FILES])
Rows = dict[tuple[Any, ...], Mapping[str, Any]]


def _plain_rows(plain: duckdb.DuckDBPyConnection, bundle: Bundle, name: str) -> Rows:
    """The answer of the query's own SQL over the files, by key."""
    query = bundle.queries[name]
    cursor = plain.execute(query.sql, bind_parameters(query, {}).values)
    columns = [column[0] for column in cursor.description]
    found = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
    return {tuple(_key(row[key.name]) for key in bundle.analyses[name].keys): row for row in found}


def _key(value: Any) -> Any:
    return json_value(value.date() if isinstance(value, datetime) else value) if isinstance(value, date) else value


def _bounded_rows(bundle: Bundle, name: str) -> Rows:
    """The exact bounded answer, by key: no door of dpstats gives it."""
    plan = bundle.plan(name)
    answer = rows(plan, _open(plan, bundle.engine.run(plan)))
    return {
        tuple(row[key.name] for key in plan.keys): {o.name: row[o.name]["value"] for o in plan.outputs}
        for row in answer
    }


@each_query
def test_an_answer_has_a_number_for_each_group_and_draw(bundle: Bundle, name: str) -> None:
    plan = bundle.plan(name)
    vectors = add_noise(plan, bundle.engine.run(plan))
    assert [len(vector) for vector in vectors] == [plan.groups] * len(plan.draws)
    assert len(rows(plan, vectors)) == plan.groups


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
            assert len(add_noise(plan, bundle.engine.run(plan))) == len(plan.draws)


@each_query
def test_the_largest_group_of_each_measure_stands_out_of_its_noise(
    bundle: Bundle, plain: duckdb.DuckDBPyConnection, name: str
) -> None:
    exact = _plain_rows(plain, bundle, name)
    for measure, described in measures(bundle.plan(name)).items():
        if described["half_width_95"] is not None:
            assert max(row[measure] for row in exact.values()) > 4 * described["half_width_95"]


@each_query
def test_bounds_and_kept_groups_take_little_of_any_measure(
    bundle: Bundle, plain: duckdb.DuckDBPyConnection, name: str
) -> None:
    exact, bounded = _plain_rows(plain, bundle, name), _bounded_rows(bundle, name)
    for draw in bundle.plan(name).draws:
        if draw.name in next(iter(bounded.values())):
            whole = math.fsum(float(row[draw.name] or 0) for key, row in exact.items() if key in bounded)
            kept = math.fsum(float(row[draw.name]) for row in bounded.values())
            assert 0.85 * whole <= kept <= 1.001 * whole


def test_an_average_basket_is_about_what_it_is_without_bounds(bundle: Bundle, plain: duckdb.DuckDBPyConnection) -> None:
    exact, bounded = (
        _plain_rows(plain, bundle, "basket_value_by_income"),
        _bounded_rows(bundle, "basket_value_by_income"),
    )
    assert exact.keys() == bounded.keys()
    for key, row in exact.items():
        # Each household counts with at most 26 visits, so that frequent small baskets weigh less.
        assert bounded[key]["basket_value"] == pytest.approx(row["basket_value"], rel=0.15)


def test_weeks_and_campaigns_of_the_data_are_all_declared(bundle: Bundle, plain: duckdb.DuckDBPyConnection) -> None:
    for name in ("weekly_active_households", "campaign_reach", "department_reach", "visits_by_day_part"):
        assert _plain_rows(plain, bundle, name).keys() <= _bounded_rows(bundle, name).keys()
