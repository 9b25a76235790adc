"""Whatever cannot be proven is refused: by name, at its place in the SQL, with what to write instead."""

from __future__ import annotations

from typing import Any

import pytest
from refused import only
from shop import SHOP, planned, reasons

from dpstats.errors import QueryRefused, Refusal

FINE: dict[str, Any] = {"bounds": {"n": [0, 5]}}
MEAN = "SELECT AVG({}) AS a FROM visits"


# (SQL, what is wrong, where it stands, what to write instead)
STATEMENTS = [
    ("DELETE FROM visits", "DELETE instead of SELECT", "", "Write one SELECT"),
    ("SELECT COUNT(*) AS n FROM visits UNION SELECT 1", "UNION instead of SELECT", "", "UNION, INTERSECT and EXCEPT"),
    ("SELECT COUNT(*) AS n FROM visits EXCEPT SELECT 1", "EXCEPT instead of SELECT", "", "Write one SELECT"),
    ("SELECT COUNT(*) AS n FROM visits; SELECT 1", "2 statements", "", "Write one SELECT"),
    ("SELECT (((", "cannot be parsed", "", "Check its syntax"),
    ("SELECT 'a", "cannot be parsed", "", "Check its syntax"),
    ("COPY visits TO 'x'", "COPY instead of SELECT", "", "Write one SELECT"),
    ("ATTACH 'x' AS y", "ATTACH instead of SELECT", "", "Write one SELECT"),
    ("PIVOT visits ON n USING sum(paid)", "PIVOT instead of SELECT", "", "Write one SELECT"),
    ("SET memory_limit = '1GB'", "SET instead of SELECT", "", "Write one SELECT"),
    ("SELECT COUNT(*) AS n", "a SELECT without FROM", "1:8", "Name the table"),
    ("SELECT COUNT(DISTINCT item) AS n FROM items", "it reads no personal table", "", "needs no differential privacy"),
]
CLAUSES = [
    ("SELECT DISTINCT COUNT(*) AS n FROM visits", "SELECT DISTINCT", "", "Group by"),
    (
        "SELECT COUNT(*) AS n FROM visits LIMIT 3",
        "LIMIT without ORDER BY",
        "1:40",
        "Write ORDER BY measure DESC LIMIT k",
    ),
    ("SELECT COUNT(*) AS n FROM visits LIMIT 3 OFFSET 1", "OFFSET", "1:49", "Remove it"),
    ("SELECT COUNT(*) AS n FROM visits ORDER BY 1", "ORDER BY", "1:43", "sorted by key"),
    ("SELECT COUNT(*) AS n FROM visits HAVING COUNT(*) > 5", "HAVING on exact values", "1:41", "outer WHERE"),
    (
        "SELECT COUNT(*) AS n FROM visits QUALIFY row_number() OVER () = 1",
        "QUALIFY (a window function)",
        "1:42",
        "subquery grouped by the privacy unit",
    ),
    ("SELECT COUNT(*) AS n FROM visits USING SAMPLE 10", "SAMPLE", "1:47", "noise already protects"),
    ("SELECT COUNT(*) AS n FROM visits WINDOW w AS ()", "the clause WINDOWS", "1:8", "Remove it"),
    ("SELECT COUNT(*) AS n INTO x FROM visits", "the clause INTO", "1:27", "Remove it"),
    ("SELECT COUNT(*) AS n FROM visits GROUP BY ROLLUP (n)", "ROLLUP", "1:51", "each grouping"),
    ("SELECT COUNT(*) AS n FROM visits GROUP BY GROUPING SETS ((n))", "GROUPING SETS", "1:59", "each grouping"),
    ("SELECT COUNT(*) AS n FROM visits GROUP BY 3", "GROUP BY of a column number that is not there", "1:43", "Name"),
    ("WITH RECURSIVE x AS (SELECT uid FROM visits) SELECT COUNT(*) AS n FROM x", "WITH RECURSIVE", "1:16", "plain"),
]
SOURCES = [
    ("SELECT COUNT(*) AS n FROM nowhere", "there is no table nowhere", "1:27", "The tables are: visits, people"),
    ("SELECT COUNT(*) AS n FROM read_csv('/etc/passwd')", "not named plainly", "1:27", "FROM table AS name"),
    ("SELECT COUNT(*) AS n FROM '/etc/passwd'", "there is no table /etc/passwd", "1:27", "The tables are"),
    ("SELECT COUNT(*) AS n FROM main.visits", "not named plainly", "1:27", "FROM table"),
    ("SELECT COUNT(*) AS n FROM visits TABLESAMPLE 5%", "not named plainly", "1:27", "FROM table"),
    ("SELECT COUNT(*) AS n FROM visits PIVOT (sum(n) FOR n IN (1))", "not named plainly", "1:27", "FROM table"),
    ("SELECT COUNT(*) AS n FROM range(5)", "not named plainly", "1:27", "FROM table"),
    ("SELECT COUNT(*) AS n FROM (VALUES (1)) AS t(a)", "renames columns", "1:36", "AS name"),
    ("SELECT COUNT(*) AS n FROM visits, unnest([1]) AS u", "not a table or a SELECT", "1:43", "Read a table"),
    ("SELECT COUNT(*) AS n FROM visits, LATERAL (SELECT visits.n) AS u", "not a table or a SELECT", "1:51", "Read"),
    ("SELECT COUNT(*) AS n FROM (SELECT uid FROM visits)", "a subquery without a name", "1:35", "AS name"),
    ("SELECT COUNT(*) AS n FROM (SELECT uid, n FROM visits) AS s(n, uid)", "renames columns", "1:35", "AS name"),
    ("SELECT COUNT(*) AS n FROM visits AS v(a, b)", "renames columns", "1:27", "AS name"),
    ("SELECT COUNT(*) AS n FROM visits AS dp_rows", "starts with dp_", "1:27", "AS name"),
    ("SELECT COUNT(*) AS n FROM visits ASOF JOIN calls USING (uid)", "a kind of join", "1:44", "Use JOIN or LEFT JOIN"),
    ("SELECT COUNT(*) AS n FROM visits POSITIONAL JOIN calls", "a kind of join", "1:50", "Use JOIN or LEFT JOIN"),
    ("SELECT COUNT(*) AS n FROM visits NATURAL JOIN calls", "a kind of join", "1:47", "Use JOIN or LEFT JOIN"),
    ("SELECT COUNT(*) AS n FROM visits FULL JOIN calls USING (uid)", "a kind of join", "1:44", "Use JOIN or LEFT JOIN"),
    ("SELECT COUNT(*) AS n FROM visits RIGHT JOIN calls USING (uid)", "a kind of join", "1:45", "Use JOIN or LEFT"),
    ("SELECT COUNT(*) AS n FROM visits SEMI JOIN calls USING (uid)", "a kind of join", "1:44", "Use JOIN or LEFT"),
    ("SELECT COUNT(*) AS n FROM visits JOIN visits USING (uid)", "a name used twice", "1:39", "name of its own"),
    ("SELECT COUNT(*) AS n FROM visits v JOIN calls V USING (uid)", "a name used twice", "1:41", "name of its own"),
    (
        "SELECT COUNT(*) AS n FROM items LEFT JOIN visits USING (item)",
        "keeps public rows",
        "1:43",
        "personal table first",
    ),
    (
        "WITH visits AS (SELECT uid FROM calls) SELECT COUNT(*) AS n FROM visits",
        "a CTE that is not",
        "1:6",
        "AS (SELECT",
    ),
    ("WITH x AS (DELETE FROM visits RETURNING *) SELECT COUNT(*) AS n FROM visits", "a CTE that is not", "1:6", "AS ("),
    ("WITH x(a) AS (SELECT uid FROM calls) SELECT COUNT(*) AS n FROM x", "a CTE that is not", "1:6", "AS (SELECT"),
    ("WITH dp_rows AS (SELECT uid FROM calls) SELECT COUNT(*) AS n FROM visits", "a CTE that is not", "1:6", "AS ("),
    (
        "SELECT COUNT(*) AS n FROM (WITH x AS (SELECT uid FROM calls) SELECT uid FROM x) AS s",
        "WITH inside a subquery",
        "1:33",
        "front of the query",
    ),
]
UNITS = [
    ("SELECT COUNT(*) AS n FROM visits v JOIN calls c ON v.item = c.minutes", "not on the privacy unit", "1:41", "uid"),
    ("SELECT COUNT(*) AS n FROM visits v, calls c", "not on the privacy unit", "1:37", "ON a.uid = b.uid"),
    ("SELECT COUNT(*) AS n FROM visits v CROSS JOIN calls c", "not on the privacy unit", "1:47", "USING (uid)"),
    (
        "SELECT COUNT(*) AS n FROM visits v JOIN calls c ON c.uid = c.uid",
        "not on the privacy unit",
        "1:41",
        "USING (uid)",
    ),
    ("SELECT COUNT(*) AS n FROM visits v JOIN calls c ON v.uid < c.uid", "not on the privacy unit", "1:41", "USING"),
    ("SELECT COUNT(*) AS n FROM visits v JOIN calls c ON v.uid = c.uid OR TRUE", "not on the privacy", "1:41", "USING"),
    (
        "SELECT COUNT(*) AS n FROM visits WHERE uid = 5",
        "the privacy unit's id is used as a value",
        "1:40",
        "COUNT(DISTINCT",
    ),
    ("SELECT COUNT(*) AS n FROM visits WHERE uid IS NULL", "id is used as a value", "1:40", "join tables"),
    ("SELECT COUNT(*) AS n FROM visits WHERE (uid) IN (5)", "id is used as a value", "1:41", "join tables"),
    ("SELECT COUNT(uid) AS n FROM visits", "id is used as a value", "1:14", "COUNT(DISTINCT"),
    ("SELECT COUNT(*) FILTER (WHERE uid > 3) AS n FROM visits", "id is used as a value", "1:31", "COUNT(DISTINCT"),
    ("SELECT COUNT(*) AS n FROM visits JOIN items i ON visits.uid = i.item", "id is used as a value", "1:50", "join"),
    (
        "SELECT COUNT(*) AS n FROM (SELECT uid, MAX(uid) AS m FROM visits GROUP BY uid) AS s",
        "as a value",
        "1:44",
        "join",
    ),
    (
        "SELECT COUNT(*) AS n FROM (SELECT uid, CAST(uid AS VARCHAR) AS m FROM visits) AS s",
        "as a value",
        "1:45",
        "join",
    ),
    ("SELECT COUNT(*) AS n FROM (SELECT uid, COALESCE(uid, 0) AS m FROM visits) AS s", "as a value", "1:49", "join"),
    (
        "SELECT COUNT(*) AS n FROM (SELECT uid, CASE WHEN flag THEN uid END AS m FROM visits) AS s",
        "as a value",
        "1:60",
        "join",
    ),
    ("SELECT COUNT(*) AS n FROM (SELECT uid AS m FROM visits) AS s WHERE m > 3", "as a value", "1:68", "join"),
    (
        "SELECT COUNT(*) AS n FROM (SELECT item, COUNT(*) AS c FROM visits GROUP BY item) AS s",
        "not grouped by the privacy unit",
        "1:35",
        "Add uid to its GROUP BY",
    ),
    (
        "SELECT COUNT(*) AS n FROM (SELECT item FROM visits) AS s",
        "does not pass the privacy unit on",
        "1:35",
        "Select uid",
    ),
    ("SELECT COUNT(*) AS n FROM (SELECT SUM(n) AS s FROM visits) AS s", "not grouped by", "1:35", "Add uid"),
]
EXPRESSIONS = [
    ("(SELECT 1)", "a subquery inside an expression", "1:20", "Join a subquery"),
    ("n) FILTER (WHERE EXISTS (SELECT 1 FROM calls)", "EXISTS", "1:44", "Join the other table"),
    ("n) FILTER (WHERE n IN (SELECT item FROM items)", "IN with a subquery", "1:29", "List the values"),
    ("n) FILTER (WHERE n = ANY (SELECT item FROM items)", "ANY is not on the list", "1:45", "Known: ABS"),
    ("SUM(n) OVER ()", "a window function", "1:12", "subquery grouped by the privacy unit"),
    ("first(n)", "FIRST depends on the order of rows", "1:12", "Use MIN or MAX"),
    ("last(n)", "LAST depends on the order of rows", "1:12", "Use MIN or MAX"),
    ("any_value(n)", "ANY_VALUE depends on the order of rows", "1:22", "Use MIN or MAX"),
    ("list(n)", "LIST depends on the order of rows", "1:12", "Use COUNT"),
    ("array_agg(n)", "LIST depends on the order of rows", "1:12", "Use COUNT"),
    ("string_agg(word, ',')", "STRING_AGG depends on the order of rows", "1:23", "Use COUNT"),
    ("arg_max(n, paid)", "ARG_MAX depends on the order of rows", "1:20", "Use MAX"),
    ("arg_min(n, paid)", "ARG_MIN depends on the order of rows", "1:20", "Use MIN"),
    ("random()", "a volatile function", "1:12", "the data and the parameters only"),
    ("CURRENT_DATE", "a volatile function", "", "as a parameter"),
    ("now()", "NOW is a volatile function", "1:12", "as a parameter"),
    ("uuid()", "a volatile function", "1:12", "as a parameter"),
    ("nextval('s')", "NEXTVAL is a volatile function", "1:12", "as a parameter"),
    ("getenv('HOME')", "GETENV is not on the list", "1:12", "Known: ABS"),
    ("read_text('/etc/passwd')", "is not on the list", "1:12", "Known: ABS"),
    ("strlen(word)", "STRLEN is not on the list", "1:12", "LENGTH"),
    ("paid ** 2", "POW is not on the list", "1:12", "arithmetic"),
    ("COLUMNS('p.*')", "COLUMNS is not on the list", "1:12", "Known"),
    ("[x FOR x IN [1, 2]][1]", "is not on the list", "1:13", "Known"),
    ("list_sum(list_transform([n], lambda x: x))", "LIST_SUM is not on the list", "1:12", "Known"),
    ("list_sum(list_transform([n], x -> x))", "LIST_SUM is not on the list", "1:12", "Known"),
    ("#1", "is not on the list", "", "Known"),
    ("*", "*", "1:12", "Name the columns"),
    ("visits.*", "a column that is not understood", "1:12", "table.column"),
    ("main.visits.n", "a column that is not understood", "1:12", "table.column"),
    ("nothing", "there is no column nothing here", "1:12", "The columns are: big, code"),
    ("rowid", "there is no column rowid here", "1:12", "The columns are"),
    ("visits.n.x", "a column that is not understood", "1:12", "table.column"),
    ("SUM(n)", "an aggregate where a row's value is expected", "1:12", "Aggregate in the SELECT list"),
    ("$nothing", "$nothing is not a declared parameter", "", "Declare it under `parameters`"),
    ("?", "is not a declared parameter", "", "Declare it"),
    ("1e999", "a number out of range", "1:12", "smaller"),
    ("CAST(n AS BLOB)", "CAST to a type that is not understood", "1:17", "Use one of BIGINT"),
    ("CAST(n AS DECIMAL(10, (SELECT 1)))", "CAST to a type that is not understood", "1:17", "Use one of"),
    ("CAST(n AS DECIMAL(10, getenv('HOME')))", "CAST to a type that is not understood", "1:17", "Use one of"),
    ("CAST(n AS DECIMAL(99, 2))", "CAST to a type that is not understood", "1:17", "Use one of"),
    ("CAST(n AS INTEGER[])", "CAST to a type that is not understood", "1:17", "Use one of"),
    ("CAST(seen AS TIMESTAMP(3))", "CAST to a type that is not understood", "1:17", "Use one of"),
    ("YEAR(CAST('x' AS DATE))", "not a valid date", "1:22", "Write 2017-03-01"),
    ("CAST(code AS BIGINT)", "CAST of UUID", "1:17", "another way"),
    ("n AND flag", "AND of values that are not true or false", "1:12", "Compare"),
    ("n) FILTER (WHERE NOT word", "NOT of a value that is not true or false", "1:33", "Compare"),
    ("n) FILTER (WHERE n", "a condition that is not true or false", "1:29", "Compare"),
    ("n) FILTER (WHERE n = word", "a comparison of BIGINT with VARCHAR", "1:29", "CAST one side"),
    ("n) FILTER (WHERE word = code", "a comparison of UUID with VARCHAR", "1:29", "CAST one side"),
    ("n) FILTER (WHERE day > 'x'", "a comparison of DATE with VARCHAR", "1:29", "CAST one side"),
    ("n) FILTER (WHERE n IN (1, item)", "IN takes a list of literals", "1:29", "use OR"),
    ("n) FILTER (WHERE word LIKE word", "LIKE takes text and a pattern written in the query", "1:29", "VARCHAR"),
    ("n) FILTER (WHERE word LIKE 'a' ESCAPE 'b'", "ESCAPE is not on the list", "1:29", "LIKE"),
    ("n) FILTER (WHERE word ILIKE 'a'", "ILIKE is not on the list", "1:29", "LIKE"),
    ("n) FILTER (WHERE word SIMILAR TO 'a'", "is not on the list", "1:29", "LIKE"),
    ("n) FILTER (WHERE n IS DISTINCT FROM 3", "is not on the list", "1:29", "Known"),
    ("n) FILTER (WHERE word COLLATE nocase = 'a'", "COLLATE is not on the list", "1:29", "Known"),
    ("n) FILTER (WHERE n BETWEEN SYMMETRIC 3 AND 1", "BETWEEN is not on the list", "1:29", "Known"),
    ("-word", "minus of something that is not a number", "1:13", "CAST it"),
    ("word + 1", "VARCHAR + BIGINT", "1:12", "Add an interval"),
    ("word * 2", "a product of something that is not a number", "1:12", "CAST it"),
    ("word / 2", "a quotient of something that is not a number", "1:12", "CAST it"),
    ("paid % 2", "// and % take whole numbers", "1:12", "CAST both sides"),
    ("LENGTH(n || 'x')", "|| of something that is not text", "1:19", "CAST it to VARCHAR"),
    ("CASE WHEN n THEN 1 END", "CASE whose branches", "1:22", "one type"),
    ("CASE WHEN flag THEN 1 ELSE 'a' END", "CASE whose branches", "1:22", "one type"),
    ("LENGTH(TRIM(BOTH 'x' FROM word))", "TRIM is not on the list", "1:29", "Known"),
    ("ROUND(paid, n)", "the digits of ROUND", "1:12", "another way"),
    ("ROUND(paid, 400)", "the digits of ROUND", "1:12", "another way"),
    ("WIDTH_BUCKET(paid, 0, n, 10)", "two bounds written as numbers", "1:12", "another way"),
    ("WIDTH_BUCKET(paid, 10, 0, 10)", "two bounds written as numbers, low < high", "1:12", "another way"),
    ("WIDTH_BUCKET(paid, 0, 10, n)", "buckets of WIDTH_BUCKET are a whole number", "1:12", "another way"),
    ("EXTRACT(epoch FROM seen)", "the part EPOCH is not among", "1:31", "another way"),
    ("YEAR(n)", "YEAR is taken of a date or a timestamp", "1:12", "CAST the argument"),
    ("DATE_DIFF('decade', seen, seen)", "the unit DECADE is not among", "1:12", "another way"),
    ("YEAR(DATE_TRUNC('decade', seen))", "the unit DECADE is not among", "1:17", "another way"),
    ("YEAR(seen + INTERVAL (n) DAY)", "an interval that is not understood", "1:34", "INTERVAL 3 DAY"),
    ("LENGTH(n)", "LENGTH takes text", "1:12", "CAST the argument"),
    ("LEAST(n, word)", "LEAST takes arguments of one kind", "1:12", "CAST the argument"),
    ("COALESCE(n, word)", "COALESCE takes arguments of one kind", "1:12", "CAST the argument"),
    ("word", "AVG of VARCHAR", "1:8", "CAST it to a number"),
    ("DISTINCT n", "AVG(DISTINCT ..)", "1:8", "per unit in a subquery"),
    ("wild", "no bounds on a row's value of a", "1:8", "Give its columns `bounds`"),
]
AGGREGATES = [
    ("SELECT MEDIAN(wild) AS m FROM visits", "no bounds on a row's value of m", "1:8", "Give its columns `bounds`"),
    ("SELECT STDDEV(n) AS n FROM visits", "the sample standard deviation", "1:8", "Write STDDEV_POP"),
    ("SELECT VAR_SAMP(n) AS n FROM visits", "the sample variance", "1:8", "Write VAR_POP"),
    ("SELECT quantile_cont(n, 1) AS n FROM visits", "a quantile of no plain share", "1:22", "0.0001 to 0.9999"),
    ("SELECT quantile_cont(n, [0.1]) AS n FROM visits", "a quantile of no plain share", "1:22", "0.0001 to 0.9999"),
    ("SELECT quantile_cont(n, 0.12345) AS n FROM visits", "a quantile of no plain share", "1:22", "0.0001 to 0.9999"),
    ("SELECT quantile_disc(n, 0.5) AS n FROM visits", "QUANTILE_DISC", "1:22", "Write QUANTILE_CONT"),
    ("SELECT quantile(n, 0.5) AS n FROM visits", "QUANTILE", "1:17", "Write QUANTILE_CONT"),
    ("SELECT approx_quantile(n, 0.5) AS n FROM visits", "APPROX_QUANTILE", "1:24", "Write QUANTILE_CONT"),
    (
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY n) AS n FROM visits",
        "WITHIN GROUP",
        "1:8",
        "Write QUANTILE_CONT(x, p)",
    ),
    ("SELECT MEDIAN(word) AS n FROM visits", "MEDIAN of VARCHAR", "1:8", "CAST it to a number"),
    ("SELECT MEDIAN(DISTINCT n) AS n FROM visits", "MEDIAN(DISTINCT ..)", "1:8", "Aggregate per unit"),
    ("SELECT MIN(n) AS n FROM visits", "MIN between or instead of aggregates", "1:12", "Measures are COUNT"),
    ("SELECT COUNT(n, paid) AS n FROM visits", "COUNT between or instead of aggregates", "1:8", "Measures are"),
    ("SELECT SUM(n ORDER BY n) AS n FROM visits", "SUM between or instead of aggregates", "1:8", "Measures are"),
    ("SELECT ROUND(AVG(n), 2) AS n FROM visits", "ROUND between or instead of aggregates", "1:8", "Measures are"),
    ("SELECT COUNT(*) * 1e999 AS n FROM visits", "LITERAL between or instead of aggregates", "1:19", "Measures are"),
    ("SELECT COUNT(DISTINCT uid, item) AS n FROM visits", "of several values", "1:8", "Count one column"),
    ("SELECT SUM(wild) AS n FROM visits", "without proven bounds", "1:8", "LEAST(GREATEST(x, low), high)"),
    ("SELECT SUM(DISTINCT n) AS n FROM visits", "SUM(DISTINCT ..)", "1:8", "in a subquery first"),
    (
        "SELECT COUNT(*) AS n FROM (SELECT uid, SUM(wild) AS s FROM visits GROUP BY uid) AS s",
        "SUM of a value without proven bounds",
        "1:40",
        "Give its columns `bounds`",
    ),
    (
        "SELECT COUNT(*) AS n FROM (SELECT uid, SUM(word) AS s FROM visits GROUP BY uid) AS s",
        "SUM of something that is not a number",
        "1:40",
        "CAST it first",
    ),
    (
        "SELECT COUNT(*) AS n FROM (SELECT uid, list(n) AS s FROM visits GROUP BY uid) AS s",
        "LIST depends on the order of rows",
        "1:40",
        "Use COUNT",
    ),
    (
        "SELECT COUNT(*) AS n FROM (SELECT uid, MAX(n, 3) AS s FROM visits GROUP BY uid) AS s",
        "an aggregate that is not understood",
        "1:44",
        "Use COUNT, SUM, AVG, MIN or MAX",
    ),
    (
        "SELECT COUNT(*) AS n FROM (SELECT uid, n AS m, SUM(n) AS s FROM visits GROUP BY uid) AS s",
        "neither grouped nor aggregated",
        "1:40",
        "Add it to GROUP BY",
    ),
    (
        "SELECT COUNT(*) AS n FROM (SELECT uid, SUM(n) FROM visits GROUP BY uid) AS s",
        "a column without a name of its own",
        "1:40",
        "AS name",
    ),
    (
        "SELECT COUNT(*) AS n FROM (SELECT uid, n AS uid FROM visits) AS s",
        "without a name of its own",
        "1:40",
        "AS name",
    ),
    ("SELECT COUNT(*) AS n FROM (SELECT uid, n AS dp_a0 FROM visits) AS s", "without a name of its", "1:40", "AS name"),
    ("SELECT COUNT(*) AS n FROM (SELECT uid, NULL AS x FROM visits) AS s", "a column of type NULL", "1:48", "CAST it"),
    (
        "SELECT COUNT(*) AS n FROM (SELECT uid, SUM(SUM(n)) AS s FROM visits GROUP BY uid) AS s",
        "an aggregate where a row's value is expected",
        "1:44",
        "SELECT list",
    ),
    (
        "SELECT COUNT(*) AS n FROM (SELECT uid, COUNT(*) AS c FROM visits GROUP BY uid HAVING COUNT(*) > 1) AS s",
        "HAVING on exact values",
        "1:86",
        "outer WHERE",
    ),
]


def check(found: list[Refusal], what: str, place: str, instead: str) -> None:
    reason = only(found, what)
    assert instead in reason.instead
    assert reason.line == 0 if not place else f"{reason.line}:{reason.column}" == place, str(reason)
    assert str(reason).endswith(reason.instead)


@pytest.mark.parametrize(
    ("sql", "what", "place", "instead"), [*STATEMENTS, *CLAUSES, *SOURCES, *UNITS, *AGGREGATES], ids=lambda v: v[:60]
)
def test_a_query_is_refused_by_name_with_its_place_and_a_way_out(sql: str, what: str, place: str, instead: str) -> None:
    check(reasons(sql, **FINE), what, place, instead)


@pytest.mark.parametrize(("expression", "what", "place", "instead"), EXPRESSIONS, ids=lambda v: v[:60])
def test_an_expression_is_refused_by_name_with_its_place_and_a_way_out(
    expression: str, what: str, place: str, instead: str
) -> None:
    check(reasons(MEAN.format(expression)), what, place, instead)


def test_the_unit_is_no_key() -> None:
    found = reasons("SELECT uid, COUNT(*) AS n FROM visits GROUP BY uid", **FINE)
    assert {(r.what, r.column) for r in found} == {("the privacy unit's id as a key", c) for c in (8, 48)}


def test_every_reason_is_given_at_once_in_the_order_of_the_text() -> None:
    found = reasons(
        "SELECT word, SUM(wild) AS s, VARIANCE(n) AS m\nFROM visits v\nJOIN calls c ON v.item = c.minutes\n"
        "WHERE uid = 5 AND nope > 3 AND now() > '2017-01-01'\nGROUP BY word LIMIT 3"
    )
    assert len(found) >= 8
    places = [(reason.line, reason.column) for reason in found]
    assert places == sorted(places)


def test_a_refusal_is_one_line_that_names_the_query() -> None:
    with pytest.raises(QueryRefused) as refused:
        planned("SELECT VARIANCE(n) AS m,\n AVG(wild) AS a FROM visits")
    assert str(refused.value).startswith("query q cannot be answered: 2 reasons: line 1, column")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT AVG(" + "+".join(["paid"] * 3000) + ") AS a FROM visits",
        "SELECT AVG(paid) AS a FROM visits WHERE " + "NOT " * 2000 + "flag",
        "SELECT AVG(" + "(" * 500 + "paid" + ")" * 500 + ") AS a FROM visits",
        "SELECT AVG(" + "ABS(" * 100 + "wild" + ")" * 100 + ") AS a FROM visits",
        "SELECT AVG(" + "NULLIF(" * 40 + "wild*2" + ", 3)" * 40 + ") AS a FROM visits",
        "SELECT AVG(" + "(" * 40 + "wild" + "/wild)" * 40 + ") AS a FROM visits",
        "SELECT AVG(" + "CASE " * 40 + "n" + " WHEN 1 THEN 2 WHEN 3 THEN 4 END" * 40 + ") AS a FROM visits",
        "SELECT AVG(" + "WIDTH_BUCKET(" * 30 + "n" + ", 0, 9, 9)" * 30 + ") AS a FROM visits",
        "SELECT COUNT(*) AS n FROM " + "(SELECT uid FROM " * 200 + "visits" + ") AS s" * 200,
        "SELECT AVG(paid) AS a FROM visits WHERE word IN (" + ", ".join(["'" + "x" * 90 + "'"] * 2000) + ")",
    ],
    ids=lambda sql: sql[:30],
)
def test_what_is_too_deep_or_too_long_is_refused_and_quickly(sql: str) -> None:
    found = reasons(sql, bounds={"a": [0, 1]})
    assert any(word in str(reason) for reason in found for word in ("deep", "complex", "too long", "parsed"))


def test_long_lists_of_conditions_are_no_depth() -> None:
    either = " OR ".join(f"n = {i}" for i in range(500))
    words = " || ".join(["word"] * 300)
    assert reasons(f"SELECT AVG(paid) AS a FROM visits WHERE ({either}) AND LENGTH({words}) > 3") == []


def test_the_shop_itself_is_in_order() -> None:
    assert reasons("SELECT COUNT(DISTINCT uid) AS n FROM visits") == []
    assert SHOP.purposes.keys() == {"measurement", "marketing"}
