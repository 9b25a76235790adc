"""What the file says of a measure that is made of several aggregates would be a guess: each is to be a measure too."""

from __future__ import annotations

import pytest
from shop import SHOP, query

from dpstats.errors import QueryRefused
from dpstats.plan.analysis import analyse

MEAN = "SUM(paid) / COUNT(*) AS m"


def test_each_aggregate_is_told_how_to_become_a_measure_of_its_own() -> None:
    for bounds in ({}, {"m": [0, 2000]}):
        with pytest.raises(QueryRefused) as refused:
            analyse(query(f"SELECT {MEAN} FROM visits", bounds=bounds), SHOP)
        total, rows = (reason.instead for reason in refused.value.reasons)
        assert total.startswith(
            "Select SUM(paid) AS m_1 too, as m has several aggregates. Write bounds: {m_1: [0, 2000]}"
        )
        assert rows.startswith("Select COUNT(*) AS m_2 too, as m has several aggregates. Write bounds: {m_2: [0, 20]}")


def test_what_is_told_is_answered() -> None:
    sql = f"SELECT {MEAN}, SUM(paid) AS m_1, COUNT(*) AS m_2 FROM visits"
    found = analyse(query(sql, bounds={"m_1": [0, 2000], "m_2": [0, 20]}), SHOP)
    assert [draw.kind for draw in found.draws] == ["sum", "count"], "the ratio is free"
