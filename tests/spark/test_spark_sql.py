"""What is written for Spark: everything bound, the key in every hash, and what has no handler refused."""

from __future__ import annotations

import pytest
from shop import DATASET, SHOP, planned
from test_neighbours import Q, public

from dpstats.catalog.dataset import parse_dataset
from dpstats.plan.spark.pieces import NotOnSpark
from dpstats.plan.spark.selects import SparkQuery, declared, translate


def _translated(sql: str, **parts: object) -> SparkQuery:
    return translate(planned(sql, public=public, **parts).sql, declared(SHOP))  # type: ignore[arg-type]


def test_no_text_of_a_query_or_a_key_stands_in_the_sql() -> None:
    made = _translated(
        "SELECT word, COUNT(*) AS n FROM visits WHERE word <> 'o''x\\' AND word LIKE 'a\\%' GROUP BY word",
        keys={"word": {"values": ["k'ey"]}},
        bounds={"n": [0, 3]},
        contribution={"max_groups": 1},
    )
    assert set(made.texts.values()) == {"o'x\\", "a\\%"}
    assert made.keys == {0}
    assert all(text not in made.sql for text in ("o'x", "a\\%", "k'ey"))


def test_no_name_of_a_query_can_end_before_its_end() -> None:
    alias = "v`.`uid` OR 1 = 1 OR 0 = `v"
    made = _translated(
        f'SELECT COUNT(DISTINCT v.uid) AS n FROM visits AS v JOIN people AS "{alias}" USING (uid) '
        f'WHERE "{alias}".age > 3'
    )
    assert alias.replace("`", "``") in made.sql
    assert alias not in made.sql


@pytest.mark.parametrize("name", ["by a public column and a month", "distinct values", "private keys", "a median"])
def test_every_choice_is_made_by_the_secret_key(name: str) -> None:
    sql, parts = Q[name]
    made = _translated(sql, **parts)
    assert "dp_key" in made.parameters
    assert made.sql.count("xxhash64(") == made.sql.count("xxhash64(CAST(:dp_key AS BIGINT), ") > 0


def test_whole_numbers_are_added_in_more_than_64_bits_and_never_wrap() -> None:
    made = _translated("SELECT SUM(big % 7) AS s FROM visits", bounds={"s": [-9, 9]})
    assert "sum(CAST(" in made.sql
    assert "AS DECIMAL(20, 0)))" in made.sql
    tried = _translated("SELECT SUM(LEAST(GREATEST(big * big + big, -1), 1)) AS s FROM visits", bounds={"s": [-9, 9]})
    assert "try_multiply" in tried.sql
    assert "try_add" in tried.sql


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("CAST(word AS BIGINT)", "CAST from VARCHAR to BIGINT"),
        ("LENGTH(CAST(paid AS VARCHAR))", "CAST from DOUBLE to VARCHAR"),
        ("CAST(paid AS DECIMAL(10, 2))", "CAST to DECIMAL"),
        ("LENGTH(SUBSTR(word, n))", "SUBSTR"),
        ("YEAR(day + INTERVAL 300000 YEAR)", "years"),
    ],
)
def test_what_spark_would_say_otherwise_is_refused_with_a_way_out(expression: str, said: str) -> None:
    with pytest.raises(NotOnSpark, match=said.replace("(", r"\(")) as refused:
        _translated(f"SELECT SUM(LEAST(GREATEST({expression}, 0), 1)) AS s FROM visits", bounds={"s": [0, 5]})
    assert refused.value.instead


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 0 AS g, count(*) AS d0 FROM nowhere",
        "SELECT 0 AS g, median(paid) AS d0 FROM visits",
        "SELECT 0 AS g, count(*) AS d0 FROM visits FULL JOIN people USING (uid)",
        "SELECT 0 AS g, sum(paid) AS d0 FROM visits",
        "SELECT 0 AS g, reverse(word) AS d0 FROM visits",
        "DELETE FROM visits",
        "SELECT FROM WHERE",
    ],
)
def test_what_has_no_handler_is_refused(sql: str) -> None:
    with pytest.raises(NotOnSpark):
        translate(sql, declared(SHOP))


def test_a_use_that_is_newer_than_some_data_is_translated() -> None:
    newer = DATASET.replace("consent: notice}", "consent: notice, needs_consent_since: 2026-03-01}")
    shop = parse_dataset(newer.replace("  visits:\n", "  visits:\n    retention_by: seen\n"), "dataset.yaml")
    plan = planned("SELECT COUNT(*) AS n FROM visits", shop=shop, bounds={"n": [0, 3]})
    sql = translate(plan.sql, declared(shop)).sql
    assert "2026-03-01" in sql
    assert "dp_agreed_measurement" in sql
    assert "`seen`" in sql
