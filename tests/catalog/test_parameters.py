"""A caller's parameters: taken, filled in, or refused all at once."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpstats.catalog.parameters import bind_parameters
from dpstats.catalog.query import QueryFile, parse_query
from dpstats.errors import InvalidParameters

QUERY = parse_query(
    """\
query: visits
dataset: shop
sql: SELECT COUNT(*) AS n FROM visits
cost: {epsilon: 0.1}
parameters:
  since: {type: date, min: 2017-01-01, max: 2017-12-31, default: 2017-01-01}
  until: {type: date, min: 2017-01-02, max: 2018-01-02, default: 2018-01-02}
  shop: {type: enum, values: [a, "O'Brien", "\\u00e9"], default: a}
  size: {type: enum, values: [1, 20], default: 1}
  top: {type: integer, min: -5, max: 5, default: 0}
""",
    "visits.yaml",
)


def problems(query: QueryFile, given_: dict[str, object]) -> dict[str, str]:
    with pytest.raises(InvalidParameters) as caught:
        bind_parameters(query, given_)
    assert str(caught.value).isprintable()
    return caught.value.problems


def test_defaults_are_filled_in_and_sorted_by_name() -> None:
    bound = bind_parameters(QUERY, {})
    assert list(bound.canonical.items()) == [
        ("shop", "a"),
        ("since", "2017-01-01"),
        ("size", 1),
        ("top", 0),
        ("until", "2018-01-02"),
    ]
    assert bound.values["since"] == date(2017, 1, 1)


def test_json_and_command_line_mean_the_same() -> None:
    assert bind_parameters(QUERY, {"top": 5, "size": 20, "since": "2017-03-01"}) == bind_parameters(
        QUERY, {"since": "2017-03-01", "size": "20", "top": "5"}
    )


def test_what_was_bound_binds_to_itself() -> None:
    bound = bind_parameters(QUERY, {"top": "-5", "shop": "e\u0301"})
    assert bound.values["shop"] == "é"
    assert bind_parameters(QUERY, bound.canonical) == bound


@given(st.integers(-5, 5), st.dates(date(2017, 1, 1), date(2017, 12, 31)), st.dates(date(2017, 1, 2), date(2018, 1, 2)))
def test_everything_in_range_binds_unless_the_span_is_empty(top: int, since: date, until: date) -> None:
    given_ = {"top": str(top), "since": str(since), "until": str(until)}
    if since >= until:
        assert set(problems(QUERY, given_)) == {"since"}
    else:
        assert bind_parameters(QUERY, given_).values["top"] == top


@given(
    st.dictionaries(
        st.sampled_from(sorted(QUERY.parameters)) | st.text(max_size=8),
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=12) | st.lists(st.text(max_size=2)),
        max_size=6,
    )
)
def test_anything_else_is_refused_in_one_line_and_nothing_else_is_raised(given_: dict[str, object]) -> None:
    try:
        bound = bind_parameters(QUERY, given_)
    except InvalidParameters as refusal:
        message = str(refusal)
        assert message.isprintable()
        return
    assert set(given_) <= set(QUERY.parameters) == set(bound.values)


@pytest.mark.parametrize(
    ("name", "raw", "word"),
    [
        ("since", "2016-12-31", "from 2017-01-01 to 2017-12-31"),
        ("since", "2017-13-01", "YYYY-MM-DD"),
        ("since", "2017-3-1", "YYYY-MM-DD"),
        ("since", "20170301", "YYYY-MM-DD"),
        ("since", "2017-03-01T00:00:00", "YYYY-MM-DD"),
        ("since", "2017-03-01 ", "YYYY-MM-DD"),
        ("since", 20170301, "YYYY-MM-DD"),
        ("since", None, "YYYY-MM-DD"),
        ("top", 6, "from -5 to 5"),
        pytest.param("top", 10**5000, "from -5 to 5", id="a number too long to print"),
        ("top", "1" * 5000, "whole number"),
        ("top", True, "whole number, not true"),
        ("top", 5.0, "whole number"),
        ("top", "5.0", "whole number"),
        ("top", "٥", "whole number"),
        ("top", "", "whole number"),
        ("top", [5], "whole number, not a list"),
        ("shop", "b", "one of 'a', \"O'Brien\", 'é', not 'b'"),
        ("shop", "a' OR '1'='1", "one of"),
        ("shop", 1, "one of"),
        ("shop", "\ud800", "one of"),
        ("size", 2, "one of 1, 20, not 2"),
        ("size", True, "one of"),
        ("size", "x", "one of"),
    ],
)
def test_a_wrong_value_is_refused_by_name(name: str, raw: object, word: str) -> None:
    found = problems(QUERY, {name: raw})
    assert list(found) == [name]
    assert word in found[name]


def test_every_problem_is_told_at_once() -> None:
    query = parse_query(
        "query: q\ndataset: d\nsql: x\ncost: {rho: 1}\n"
        "parameters: {a: {type: integer, min: 0, max: 1}, b: {type: integer, min: 0, max: 1}}\n",
        "q.yaml",
    )
    found = problems(query, {"b": 2, "c": 1, "x\n": 1})
    assert set(found) == {"a", "b", "c", "'x\\n'"}
    assert "must be given" in found["a"]
    assert "this query has a, b" in found["c"]


def test_many_unknown_parameters_do_not_make_a_long_message() -> None:
    assert len(problems(QUERY, {f"x{i}": 1 for i in range(100_000)})) == 10


def test_a_query_without_parameters_takes_none() -> None:
    query = parse_query("query: q\ndataset: d\nsql: x\ncost: {rho: 1}\n", "q.yaml")
    assert bind_parameters(query, {}).canonical == {}
    assert problems(query, {"a": 1}) == {"a": "this query has no parameters"}


def test_a_window_s_parameters_must_span_some_time() -> None:
    query = parse_query(
        "query: q\ndataset: d\nsql: x\ncost: {rho: 1}\nwindow: {from: $a, until: $b}\nparameters:\n"
        "  a: {type: date, min: 2017-01-01, max: 2018-01-01}\n  b: {type: date, min: 2017-01-01, max: 2018-01-01}\n",
        "q.yaml",
    )
    assert bind_parameters(query, {"a": "2017-01-01", "b": "2017-01-02"})
    assert problems(query, {"a": "2017-01-02", "b": "2017-01-02"}) == {
        "a": "must be before b: 2017-01-02 is not before 2017-01-02"
    }
