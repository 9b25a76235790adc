"""A query's file: what it comes to, and every way in which it is refused."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from dpstats.catalog.query import (
    AccuracyAt,
    Contribution,
    CostAccuracy,
    CostEpsilon,
    CostRho,
    DateParameter,
    DeclaredKeys,
    EnumParameter,
    IntegerParameter,
    KeysFrom,
    PrivateKeys,
    load_query,
    parse_query,
)
from dpstats.errors import FileError

SMALLEST = """\
query: visits
dataset: shop
sql: SELECT COUNT(*) AS n FROM visits
cost: {epsilon: 0.1}
"""


def refused(text: str) -> FileError:
    with pytest.raises(FileError) as caught:
        parse_query(text, "q.yaml")
    assert str(caught.value).isprintable()
    return caught.value


def test_the_contract_s_example_is_understood_whole(query_text: str) -> None:
    query = parse_query(query_text, "q.yaml")
    assert (query.query, query.dataset, query.purpose) == ("spend_by_income", "complete_journey", "personalization")
    assert query.sql.startswith("SELECT h.income")
    assert query.sql.endswith("GROUP BY h.income\n")
    first, last = date(2017, 1, 1), date(2017, 12, 31)
    assert query.parameters["since"] == DateParameter(type="date", min=first, max=last, default=first)
    assert query.keys == {"income": DeclaredKeys(values=("Under 15K", "15-24K"))}
    assert query.bounds == {"spend": (Decimal(0), Decimal(500))}
    assert query.contribution == Contribution(max_groups=1, max_rows=20)
    assert query.window is not None
    assert (query.window.since, query.window.until) == ("$since", "$until")
    assert query.cost == CostRho(rho=Decimal("0.005"))
    assert query.why == {"spend": "nobody is known to spend more"}


def test_what_a_small_file_leaves_out_has_its_default() -> None:
    query = parse_query(SMALLEST, "q.yaml")
    assert (query.purpose, query.title, query.tags, query.fresh_for) == ("measurement", "", (), None)
    assert query.parameters == query.keys == query.bounds == query.why == {}
    assert query.contribution == Contribution()
    assert query.contribution.max_groups is None
    assert query.window is None
    with pytest.raises(TypeError):
        query.keys["x"] = None  # type: ignore[index]


@pytest.mark.parametrize(
    ("cost", "meant"),
    [
        ("{rho: 1e-12}", CostRho(rho=Decimal("1e-12"))),
        ("{rho: 10}", CostRho(rho=Decimal(10))),
        ("{epsilon: 0.2}", CostEpsilon(epsilon=Decimal("0.2"))),
        ("{accuracy: {households: 20, spend: 0.5}}", {"households": Decimal(20), "spend": Decimal("0.5")}),
        (
            "{accuracy: {spend: {half_width: 0.5, rows: 1000}}}",
            {"spend": AccuracyAt(half_width=Decimal("0.5"), rows=1000)},
        ),
    ],
)
def test_a_cost_is_one_of_three(cost: str, meant: object) -> None:
    found = parse_query(SMALLEST.replace("{epsilon: 0.1}", cost), "q.yaml").cost
    assert (found.accuracy if isinstance(found, CostAccuracy) else found) == meant


def test_keys_are_declared_or_from_a_public_table_or_private() -> None:
    text = SMALLEST + (
        "keys:\n  a: {values: [1, 1.5, '1', x, true]}\n  b: {from: products.Department}\n  c: {private: true}\n"
    )
    keys = parse_query(text, "q.yaml").keys
    declared = keys["a"]
    assert isinstance(declared, DeclaredKeys)
    assert declared.values == (1, Decimal("1.5"), "1", "x", True)
    assert [type(value) for value in declared.values] == [int, Decimal, str, str, bool]
    assert keys["b"] == KeysFrom(table="products", column="Department")
    assert keys["c"] == PrivateKeys(private=True)


def test_parameters_are_dates_enums_or_integers() -> None:
    text = SMALLEST + (
        "parameters:\n"
        "  day: {type: date, min: 2017-01-01, max: 2017-01-01}\n"
        '  shop: {type: enum, values: [a, "e\\u0301"], default: "\\u00e9"}\n'
        "  size: {type: enum, values: [1, 2]}\n"
        "  top: {type: integer, min: -5, max: 5, default: 0}\n"
    )
    parameters = parse_query(text, "q.yaml").parameters
    day = date(2017, 1, 1)
    assert parameters["day"] == DateParameter(type="date", min=day, max=day)
    assert parameters["shop"] == EnumParameter(type="enum", values=("a", "é"), default="é")
    assert parameters["size"] == EnumParameter(type="enum", values=(1, 2))
    assert parameters["top"] == IntegerParameter(type="integer", min=-5, max=5, default=0)


@pytest.mark.parametrize(
    ("added", "key", "word"),
    [
        ("colour: red", "colour", "no such key"),
        ("title: |\n  two\n  lines", "title", "one line"),
        ("tags: [a, a]", "tags", "twice"),
        ("tags: a", "tags", "must be a list"),
        ("fresh_for: never", "fresh_for", "30d"),
        ("purpose: Sales", "purpose", "is not a name"),
        ("parameters: {dp_x: {type: integer, min: 0, max: 1}}", "parameters.dp_x", "reserved"),
        ("parameters: {x: {type: text}}", "parameters.x", "date, enum or integer"),
        ("parameters: {x: date}", "parameters.x", "date, enum or integer"),
        ("parameters: {x: {type: date, min: 2017-01-01}}", "parameters.x.max", "missing"),
        ("parameters: {x: {type: date, min: 2017-01-01, max: 20180101}}", "parameters.x.max", "YYYY-MM-DD"),
        ("parameters: {x: {type: date, min: 2017-01-02, max: 2017-01-01}}", "parameters.x.max", "swap"),
        ("parameters: {x: {type: integer, min: 0, max: 1, default: 2}}", "parameters.x.default", "from 0 to 1"),
        ("parameters: {x: {type: integer, min: 0, max: 1, default: true}}", "parameters.x.default", "whole number"),
        ("parameters: {x: {type: integer, min: 0, max: 1.5}}", "parameters.x.max", "whole number"),
        ("parameters: {x: {type: integer, min: 0, max: 9223372036854775808}}", "parameters.x.max", "between"),
        ("parameters: {x: {type: integer, min: 0, max: 1, integer: 2}}", "parameters.x.integer", "no such key"),
        ("parameters: {x: {type: enum, values: []}}", "parameters.x.values", "1 to"),
        ("parameters: {x: {type: enum, values: [a, 1]}}", "parameters.x.values", "all text or all whole"),
        ("parameters: {x: {type: enum, values: [a, 1.5]}}", "parameters.x.values[1]", "text or a whole number"),
        ("parameters: {x: {type: enum, values: [a, a]}}", "parameters.x.values[1]", "twice"),
        ("parameters: {x: {type: enum, values: [true]}}", "parameters.x.values[0]", "text or a whole number"),
        ("parameters: {x: {type: enum, values: [a], default: b}}", "parameters.x.default", "not one of"),
        ("parameters: {x: {type: enum, values: [a], min: 1}}", "parameters.x.min", "no such key"),
        ("keys: {Income: {private: true}}", "keys.Income", "is not a name"),
        ("keys: {x: [a, b]}", "keys.x", "exactly one key, of values, from, private"),
        ("keys: {x: {values: [a], private: true}}", "keys.x", "exactly one key"),
        ("keys: {x: {private: false}}", "keys.x.private", "must be"),
        ("keys: {x: {values: [a, null]}}", "keys.x.values[1]", "single value"),
        ("keys: {x: {values: [a, [b]]}}", "keys.x.values[1]", "single value"),
        ("keys: {x: {values: [1, 1.0]}}", "keys.x.values[1]", "twice"),
        ("keys: {x: {from: products}}", "keys.x.from", "table.column"),
        ("keys: {x: {from: a.b.c}}", "keys.x.from", "table.column"),
        ("keys: {x: {from: 5}}", "keys.x.from", "table.column"),
        ("bounds: {x: [0, 0.0]}", "bounds.x", "both 0"),
        ("bounds: {x: [2, 1]}", "bounds.x", "swap"),
        ("bounds: {x: [0, 1, 2]}", "bounds.x", "two numbers"),
        ("bounds: {x: {a: 1}}", "bounds.x", "two numbers"),
        ("contribution: {max_groups: 0}", "contribution.max_groups", "between 1 and 1000000"),
        ("contribution: {max_rows: 1000001}", "contribution.max_rows", "between 1 and 1000000"),
        ("contribution: {max_rows: '5'}", "contribution.max_rows", "whole number, not '5'"),
        ("contribution: {max_norm: 0}", "contribution.max_norm", "above 0"),
        ("contribution: {groups: 1}", "contribution.groups", "no such key"),
        ("contribution: 5", "contribution", "must be a mapping"),
        ("window: {from: $since, until: 2018-01-01}", "window.from", "no date parameter since"),
        ("window: {from: 2018-01-01, until: 2018-01-01}", "window.until", "after 2018-01-01"),
        ("window: {from: since, until: 2018-01-01}", "window.from", "$since"),
        ("window: {from: 2018-01-01}", "window.until", "missing"),
        ("why: {x: 5}", "why.x", "put it in quotes"),
    ],
)
def test_a_wrong_part_is_refused_with_its_line_and_key(added: str, key: str, word: str) -> None:
    error = refused(SMALLEST + added + "\n")
    assert (error.line, error.key) == (5, key)
    assert word in error.what


@pytest.mark.parametrize(
    ("old", "new", "key", "word"),
    [
        ("query: visits", "query: dataset", "query", "dataset.yaml"),
        ("query: visits", "query: Visits", "query", "is not a name"),
        ("dataset: shop", "dataset: 5", "dataset", "must be text"),
        ("sql: SELECT COUNT(*) AS n FROM visits", "sql: ' '", "sql", "must not be empty"),
        ("sql: SELECT COUNT(*) AS n FROM visits", "", "sql", "missing"),
        ("{epsilon: 0.1}", "0.1", "cost", "exactly one key, of rho, epsilon, accuracy"),
        ("{epsilon: 0.1}", "{}", "cost", "exactly one key"),
        ("{epsilon: 0.1}", "{rho: 1, epsilon: 1}", "cost", "exactly one key"),
        ("{epsilon: 0.1}", "{rho: 0}", "cost.rho", "between 1e-12 and 10"),
        ("{epsilon: 0.1}", "{rho: 10.1}", "cost.rho", "between 1e-12 and 10"),
        ("{epsilon: 0.1}", "{rho: .inf}", "cost.rho", "not a number"),
        ("{epsilon: 0.1}", "{epsilon: -1}", "cost.epsilon", "between"),
        ("{epsilon: 0.1}", "{epsilon: yes}", "cost.epsilon", "must be a number"),
        ("{epsilon: 0.1}", "{accuracy: {}}", "cost.accuracy", "at least one entry"),
        ("{epsilon: 0.1}", "{accuracy: {n: 0}}", "cost.accuracy.n", "above 0"),
        ("{epsilon: 0.1}", "{accuracy: 20}", "cost.accuracy", "must be a mapping"),
        ("{epsilon: 0.1}", "{accuracy: {n: {half_width: 5}}}", "cost.accuracy.n", "by one of rows, units"),
        ("{epsilon: 0.1}", "{accuracy: {n: {half_width: 5, rows: 20, units: 20}}}", "cost.accuracy.n", "by one of"),
        ("{epsilon: 0.1}", "{accuracy: {n: {half_width: 5, rows: 9}}}", "cost.accuracy.n.rows", "between 10 and"),
        ("{epsilon: 0.1}", "{accuracy: {n: {rows: 100}}}", "cost.accuracy.n.half_width", "missing"),
    ],
)
def test_a_wrong_query_is_refused_with_its_key(old: str, new: str, key: str, word: str) -> None:
    error = refused(SMALLEST.replace(old, new))
    assert error.key == key
    assert word in error.what


def test_a_window_may_name_dates_and_parameters() -> None:
    text = SMALLEST + "parameters: {a: {type: date, min: 2017-01-01, max: 2018-01-01}}\n"
    window = parse_query(text + "window: {from: 2016-01-01, until: $a}\n", "q.yaml").window
    assert window is not None
    assert (window.since, window.until) == (date(2016, 1, 1), "$a")
    assert "no date parameter" in refused(text + "window: {from: $a, until: $b}\n").what


def test_fresh_for_is_a_time() -> None:
    for written, meant in {"90m": timedelta(minutes=90), "12h": timedelta(hours=12), "1d": timedelta(days=1)}.items():
        assert parse_query(SMALLEST + f"fresh_for: {written}\n", "q.yaml").fresh_for == meant


def test_twenty_thousand_key_values_are_read() -> None:
    text = SMALLEST + "keys: {x: {values: [" + ",".join(map(str, range(20_000))) + "]}}\n"
    keys = parse_query(text, "q.yaml").keys["x"]
    assert isinstance(keys, DeclaredKeys)
    assert keys.values == tuple(range(20_000))


def test_a_query_s_file_bears_its_name(tmp_path: Path) -> None:
    path = tmp_path / "visits.yaml"
    path.write_text(SMALLEST, encoding="utf-8")
    assert load_query(path) == load_query(str(path)) == parse_query(SMALLEST, "x")
    other = path.rename(tmp_path / "other.yaml")
    with pytest.raises(FileError, match=r"other\.yaml:1: query: .* call it visits\.yaml"):
        load_query(other)
    dataset = other.rename(tmp_path / "dataset.yaml")
    with pytest.raises(FileError, match="describes a dataset"):
        load_query(dataset)
