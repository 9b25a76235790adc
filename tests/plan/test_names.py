"""Names and texts are data: whatever they hold, a query means the same."""

from __future__ import annotations

import duckdb
import pytest
from shop import answer, opened, planned
from tame import TAME

NAMES = [
    'x"; DROP TABLE visits; --', "x' OR 1=1", "u", "g", "k0", "x0", "v0", "d0", "n0", "select", "ünï", "u\u0308", "a.b",
    'a"."b', "$dp_key", "{i}", "x{i}", "İ", " ", "VISITS", "uid", "paid", "%", "_", "\\",
]  # fmt: skip
FORMS = {
    "of a table": "SELECT COUNT(*) AS n FROM visits AS {0} WHERE {0}.paid > 50 AND {0}.word <> 'a'",
    "of a column": "SELECT COUNT(*) AS n FROM (SELECT uid AS zz, paid AS {0}, word AS w FROM visits) AS s "
    "WHERE s.{0} > 50 AND w <> 'a'",
    "of a subquery": "SELECT SUM({0}.c) AS n FROM (SELECT uid, paid AS p, word AS w, COUNT(*) AS c FROM visits "
    "GROUP BY ALL) AS {0} WHERE {0}.p > 50 AND {0}.w <> 'a'",
    "of a table and its column": "SELECT COUNT(*) AS n FROM (SELECT {0}.uid AS zz, {0}.paid AS {0}, {0}.word AS w "
    "FROM visits {0}) AS s WHERE s.{0} > 50 AND w <> 'a'",
    "of an aggregate": "SELECT COUNT(*) AS n FROM (SELECT uid AS zz, paid AS p, MAX(word) AS {0} FROM visits "
    "GROUP BY uid, paid, word) AS s WHERE p > 50 AND {0} <> 'a'",
}


@pytest.fixture(scope="module")
def shop() -> duckdb.DuckDBPyConnection:
    return opened(TAME)


@pytest.mark.parametrize("name", NAMES)
def test_no_name_changes_what_a_query_means(shop: duckdb.DuckDBPyConnection, name: str) -> None:
    written = '"' + name.replace('"', '""') + '"'
    expected = shop.execute("SELECT count(*) FROM visits WHERE paid > 50 AND word <> 'a'").fetchall()[0][0]
    assert expected > 10
    for form, sql in FORMS.items():
        assert answer(shop, planned(sql.format(written), bounds={"n": [0, 99]})) == [[expected]], form


@pytest.mark.parametrize("name", NAMES)
def test_a_cte_may_have_any_name_but_a_tables(shop: duckdb.DuckDBPyConnection, name: str) -> None:
    written = '"' + name.replace('"', '""') + '"'
    if name == "VISITS":
        return
    sql = f"WITH {written} AS (SELECT uid FROM people WHERE age > 23) SELECT COUNT(*) AS n FROM {written}"
    expected = shop.execute("SELECT count(*) FROM people WHERE age > 23").fetchall()[0][0]
    assert answer(shop, planned(sql)) == [[expected]]


@pytest.mark.parametrize("text", [*NAMES, "Apple", "o'x"])
def test_a_text_is_only_that_text(shop: duckdb.DuckDBPyConnection, text: str) -> None:
    written = "'" + text.replace("'", "''") + "'"
    plan = planned(
        f"SELECT word AS k, COUNT(*) AS n FROM visits WHERE word = {written} OR word LIKE {written} GROUP BY 1",
        keys={"k": {"values": [text, "12"]}},
        bounds={"n": [0, 99]},
        contribution={"max_groups": 2},
    )
    expected = [
        shop.execute(
            "SELECT count(*) FROM visits WHERE word = ? AND (word = ? OR word LIKE ?)", [key, text, text]
        ).fetchall()
        for key in plan.keys[0].values
    ]
    assert answer(shop, plan) == [[count for ((count,),) in expected]]


@pytest.mark.parametrize("name", NAMES)
def test_a_key_and_a_measure_may_have_any_name(name: str) -> None:
    written = '"' + name.replace('"', '""') + '"'
    plan = planned(f"SELECT Band AS k, COUNT(DISTINCT uid) AS {written} FROM people GROUP BY 1")
    assert [output.name for output in plan.outputs] == [name]
    plan = planned(f"SELECT Band AS {written}, COUNT(DISTINCT uid) AS m FROM people GROUP BY 1")
    assert [key.name for key in plan.keys] == [name]


@pytest.mark.parametrize("name", ["dp_rows", "dp_t_visits", "DP_0_x", "dp_a0"])
def test_names_of_the_generated_sql_are_taken(name: str) -> None:
    for sql in (
        f"SELECT COUNT(*) AS n FROM people AS {name}",
        f"WITH {name} AS (SELECT uid FROM people) SELECT COUNT(*) AS n FROM {name}",
        f"SELECT COUNT(*) AS n FROM (SELECT uid, age AS {name} FROM people) AS s",
        f"SELECT COUNT(*) AS n FROM (SELECT uid FROM people) AS {name}",
    ):
        with pytest.raises(Exception, match=r"dp_|of its own|new name"):
            planned(sql)
