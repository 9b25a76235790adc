"""One unit with all its rows and what it decided moves no vector by more than its price says, however it decides.

The queries are those of `test_neighbours`, each for a purpose that counts only some people.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

import duckdb
import pytest
from neighbours import _within, shop_rows, shuffled, without
from shop import DATASET, Rows, cells, fill, opened, planned
from test_neighbours import Q, public

from dpstats.catalog.consented import CONSENT, UNIT, consent_columns
from dpstats.catalog.dataset import parse_dataset
from dpstats.plan.plan import Plan

NOTICE = "{title: Reporting, consent: notice}"
SHOPS = {
    "opt_in": parse_dataset(DATASET.replace(NOTICE, "{consent: opt_in}"), "d"),
    "opt_out": parse_dataset(DATASET.replace(NOTICE, "{consent: opt_out}"), "d"),
    "opt_in, sensitive": parse_dataset(
        DATASET.replace(NOTICE, "{consent: opt_in}").replace(
            "uid: {type: bigint}", "uid: {type: bigint, sensitive: true}"
        ),
        "d",
    ),
}
UNITS = 9
Truths = Mapping[int, bool]
"""Whether each unit may be counted; a unit that is not there is in no consent table."""


def consenting(rows: Rows, truths: Truths, *, threads: int = 1) -> duckdb.DuckDBPyConnection:
    """The rows, and what each unit decided."""
    connection = opened(rows, threads=threads)
    columns = consent_columns(SHOPS["opt_in"])
    declared = ", ".join(f"{column} BOOLEAN" for column in columns)
    connection.execute(f"CREATE TABLE {CONSENT} ({UNIT} BIGINT, {declared})")
    kinds = ["BIGINT", *["BOOLEAN"] * len(columns)]
    fill(connection, CONSENT, kinds, [(unit, *[truth] * len(columns)) for unit, truth in truths.items()])
    return connection


@pytest.fixture(scope="module", params=[3, 8])
def made(request: pytest.FixtureRequest) -> tuple[list[duckdb.DuckDBPyConnection], int]:
    """For each of some units: with it counted, left out, in no consent table, and without it and its rows."""
    choice = random.Random(request.param)
    rows = shop_rows(choice, UNITS)
    truths = {unit: choice.random() < 0.7 for unit in range(UNITS)}
    found = [consenting(rows, truths), consenting(shuffled(choice, rows), truths, threads=4)]
    for unit in (0, 4):
        others = {u: truth for u, truth in truths.items() if u != unit}
        found += [
            consenting(rows, others | {unit: True}),
            consenting(rows, others | {unit: False}),
            consenting(rows, others),
            consenting(without(rows, unit), others),
        ]
    return found, 4


@pytest.mark.parametrize("consent", SHOPS)
@pytest.mark.parametrize("name", Q)
def test_a_unit_with_its_consent_is_within_the_price(
    made: tuple[list[duckdb.DuckDBPyConnection], int], name: str, consent: str
) -> None:
    connections, states = made
    sql, parts = Q[name]
    plan = planned(sql, shop=SHOPS[consent], public=public, **parts)
    first, again, *neighbours = [cells(connection, plan) for connection in connections]
    assert first == again  # the order of rows means nothing
    for start in range(0, len(neighbours), states):
        counted, *others = neighbours[start : start + states]
        for other in others:
            _within(plan, counted, other)
        # Left out, in no table and gone are one and the same.
        assert others[0] == others[1] == others[2]


def test_who_is_left_out_was_there_to_be_left_out() -> None:
    """The claim above is not empty, and nobody else is touched: the answer is that of the others' rows alone."""
    choice = random.Random(5)
    rows = shop_rows(choice, UNITS)
    moved = 0
    for name, (sql, parts) in Q.items():
        plan: Plan = planned(sql, shop=SHOPS["opt_in"], public=public, **parts)
        open_to_all = planned(sql, public=public, **parts)
        everybody = cells(consenting(rows, dict.fromkeys(range(UNITS), True)), plan)
        assert everybody == cells(opened(rows), open_to_all), name
        one_less = cells(consenting(rows, {unit: unit != 2 for unit in range(UNITS)}), plan)
        assert one_less == cells(opened(without(rows, 2)), open_to_all), name
        moved += everybody != one_less
    assert moved > len(Q) / 2


def test_the_filter_is_in_every_personal_table_that_is_read_and_before_any_cap() -> None:
    sql = "SELECT COUNT(*) AS n FROM visits a JOIN visits b USING (uid) JOIN calls c ON c.uid = b.uid"
    plan = planned(sql, shop=SHOPS["opt_out"], bounds={"n": [0, 9]})
    condition = '"uid" IN (SELECT "dp_unit" FROM "dp_consent" WHERE "dp_opt_out_measurement")'
    for table in ("visits", "calls"):
        assert f'FROM "{table}" WHERE dp_rank <= 100 AND {condition}' in plan.sql
    assert "dp_unlimited" not in plan.sql
    assert (
        '"dp_opt_in_measurement" AND "dp_unlimited"'
        in planned(sql, shop=SHOPS["opt_in, sensitive"], bounds={"n": [0, 9]}).sql
    )
    assert "dp_consent" not in planned(sql, bounds={"n": [0, 9]}).sql
