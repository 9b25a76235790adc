"""What pages say of releases, previews, parameters and calls: pure functions, from JSON to words."""

from __future__ import annotations

import ast
import json
import shlex
from typing import Any

import pytest

from dpstats.web import charts
from dpstats.web.calls import calls_of
from dpstats.web.expecting import limits
from dpstats.web.fields import fields_of, parameters_of
from dpstats.web.reading import column, label_of, rounded, summary, ties, verdict
from dpstats.web.words import amount, breakable, commands, covered, without_commands


def release(*numbers: tuple[object, float, float], key: str = "band", kind: str = "varchar") -> dict[str, Any]:
    """A release of one count: (key, value, half-width) for each row, drawn with Gaussian noise."""
    rows = [
        {key: name, "n": {"value": value, "low": value - half, "high": value + half, "display": f"{value}"}}
        for name, value, half in numbers
    ]
    measure = {"type": "integer", "unit": None, "scale": numbers[0][2] / 1.96, "mechanism": "discrete_gaussian"}
    return {"keys": [{"name": key, "type": kind}], "rows": rows, "measures": {"n": measure}, "cost": {"rho": 0.01}}


# -- reading -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "half", "says"),
    [(171, 28, "170"), (1243, 11, "1,243"), (51203.5, 28000, "50,000"), (0.123, 0.02, "0.12")],
)
def test_a_number_has_no_digit_that_its_noise_makes_meaningless(value: float, half: float, says: str) -> None:
    assert rounded(value, half) == says


def test_a_number_whose_interval_holds_zero_is_too_noisy_to_tell() -> None:
    found = column(release(("a", 5, 10), ("b", 50, 10)), "n")
    assert [cell.told for cell in found.cells] == [False, True]
    assert found.amount(found.cells[0]).startswith("too noisy to tell: between")
    assert found.amount(found.cells[1]) == "about 50 n, give or take 10"


@pytest.mark.parametrize(
    ("least", "says", "between"),
    [
        ({"least": 0}, "too noisy to tell: between 0 and 10 n", "0 to 10"),
        ({}, "about -15 n, give or take 10", "-25 to -5"),
    ],
)
def test_a_number_that_is_wholly_below_zero_has_its_interval_and_is_not_shown_below_what_is_possible(
    least: dict[str, int], says: str, between: str
) -> None:
    body = release(("a", -15, 10), ("b", 50, 10))
    body["measures"]["n"] |= least
    body["rows"][0]["n"]["display"] = "about -15 (-25 to -5)"
    found = column(body, "n")
    assert (found.amount(found.cells[0]), found.cells[0].between) == (says, between)
    assert (found.cells[0].low, found.cells[0].high) == (-25, -5)
    assert summary(found)[0].startswith("Highest: b")


def test_the_summary_names_a_tie_as_a_tie_and_never_calls_a_lowest_that_may_be_another() -> None:
    clear = summary(column(release(("a", 500, 10), ("b", 100, 10)), "n"))
    assert clear == ["Highest: a, about 500 n, give or take 10.", "Lowest: b, about 100 n, give or take 10."]
    tied = summary(column(release(("a", 500, 10), ("b", 498, 10), ("c", 3, 10)), "n"))
    assert tied[0].endswith("a tie with b.")
    assert tied[1] == "1 of 3 groups is too noisy to tell."


def test_far_numbers_are_told_apart_and_near_ones_are_not() -> None:
    found = column(release(("a", 500, 10), ("b", 100, 10), ("c", 499, 10)), "n")
    a, b, c = found.cells
    far, near = verdict((found, a), (found, b)), verdict((found, a), (found, c))
    assert far is not None
    assert (far.left_higher, far.percent) == (True, "over 99 %")
    assert near is not None
    assert (near.told, near.words) == (False, "can't tell")
    assert ties(found, a) == [c]


def test_a_key_that_says_nothing_by_itself_is_told_with_its_name() -> None:
    assert label_of({"campaign_id": 18}, ["campaign_id"]) == "campaign id 18"
    assert label_of({"member": True, "band": "low"}, ["member", "band"]) == "member: yes · low"
    assert label_of({}, []) == "everyone"


def test_where_there_is_little_room_each_key_of_a_chart_has_a_line_of_its_own() -> None:
    body = release(("a", 500, 10), ("b", 100, 10))
    body["keys"].append({"name": "age", "type": "varchar"})
    for row in body["rows"]:
        row["age"] = "35-54"
    found = column(body, "n")
    drawn = charts.spec(body, found, ["a · 35-54", "b · 35-54"], charts.Theme.LIGHT, "narrow")
    assert drawn["layer"][0]["encoding"]["y"]["axis"]["labelExpr"] == "split(datum.label, ' · ')"
    assert charts.frame(body, found, "narrow")[1] > charts.frame(body, found, "wide")[1]


# -- expecting -----------------------------------------------------------------------------------------------------


GAUSSIAN = {"cost": {"rho": 0.005}}


def test_limits_are_words_with_the_unit_that_they_bound() -> None:
    measures = {
        "households": {"bounding": "max_groups 1", "unit": None},
        "spend": {"bounding": "max_groups 1, clipped to [0, 6000]", "unit": "USD"},
    }
    assert limits(GAUSSIAN | {"measures": measures}, "household_id") == [
        "households: one household counts in at most 1 group",
        "spend: one household counts in at most 1 group, kept between 0 and 6,000 USD",
    ]
    ratio = GAUSSIAN | {
        "measures": {"each": {"bounding": "max_groups 3, clipped to [0, 2000]; clipped to [0, 20]", "unit": None}}
    }
    assert limits(ratio, "household_id") == [
        "one household counts in at most 3 groups, one part kept between 0 and 2,000 and another kept between 0 and 20"
    ]
    joined = "of one unit at most 1000 rows of campaigns and 2000 rows of coupon_redemptions in joins"
    one = GAUSSIAN | {"measures": {"spend": {"bounding": f"max_norm 3500, {joined}", "unit": "USD"}}}
    assert limits(one, "household_id") == [
        "what one household adds to all groups, taken together as the root of the sum of their squares, "
        "is at most 3,500 USD, "
        "in joins with at most 1,000 rows of campaigns and 2,000 rows of coupon redemptions"
    ]
    each = {"measures": {"spend": {"bounding": "max_norm 3500, clipped to [0, 600]", "unit": "USD"}}}
    assert limits({"cost": {"rho": None, "epsilon": 0.1}} | each, "household_id") == [
        "what one household adds to all groups, added up, is at most 3,500 USD, in one group kept between 0 and 600 USD"
    ]
    of_rows = {"measures": {"price": {"bounding": "max_norm 3, values clipped to [0, 90]", "unit": "USD"}}}
    assert "at most 3 rows, each value kept between 0 and 90 USD" in limits(GAUSSIAN | of_rows, "household_id")[0]
    parts = {"measures": {"each": {"bounding": "max_norm 40, clipped to [0, 25]; max_norm 3", "unit": None}}}
    (both,) = limits(GAUSSIAN | parts, "household_id")
    assert both.startswith("of one part, what one household adds to all groups")
    assert "is at most 40, in one group kept between 0 and 25; of another, what one household adds" in both
    assert both.endswith("is at most 3")


# -- fields --------------------------------------------------------------------------------------------------------

QUERY = {
    "parameters": {
        "since": {"type": "date", "min": "2017-01-01", "max": "2017-12-31", "default": "2017-01-01"},
        "top": {"type": "integer", "min": 1, "max": 9, "default": None},
        "shop": {"type": "enum", "values": [1, "north"], "default": "north"},
    }
}


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("t.at >= '2017-01-01' AND t.at<$since", True),
        ("t.at < $since OR t.at <= $since", False),
        ("t.at >= $since", False),
        ("t.at < $since_then", False),
        ("not (t.at < $since)", False),
        ("SUM(CASE WHEN t.at < $since THEN 0 END) > 0", False),
    ],
)
def test_a_form_says_of_a_day_that_it_is_left_out_where_that_is_sure(condition: str, said: bool) -> None:
    since, *others = fields_of(QUERY | {"sql": f"SELECT COUNT(*) FROM t WHERE {condition}"}, {}, {})
    assert bool(since.hint) is said
    assert not any(field.hint for field in others)


def test_a_form_shows_what_was_typed_and_what_is_wrong_with_it() -> None:
    since, top, shop = fields_of(QUERY, {"p.since": "soon"}, {"since": "must be a date"})
    assert (since.value, since.fault, since.low) == ("soon", "must be a date", "2017-01-01")
    assert (top.value, top.high) == ("", "9")
    assert shop.choices == ("1", "north")


def test_what_was_typed_is_sent_as_the_api_has_it_and_empty_fields_are_left_out() -> None:
    typed = {"p.since": " 2017-02-01 ", "p.top": "3", "p.shop": "1", "key": "x"}
    assert parameters_of(QUERY, typed) == {"since": "2017-02-01", "top": 3, "shop": 1}
    assert parameters_of(QUERY, {"p.since": "", "p.top": "three"}) == {"top": "three"}


# -- calls ---------------------------------------------------------------------------------------------------------


def test_the_calls_to_copy_say_the_same_to_a_shell_and_to_python() -> None:
    parameters = {"shop": 'O\'Neill "north"', "top": 3}
    calls = calls_of("http://127.0.0.1:8471", "by_shop", parameters)
    words = shlex.split(calls.curl.replace("\\\n", " "))
    assert words[1].endswith("/v1/queries/by_shop/releases")
    assert json.loads(words[words.index("--json") + 1]) == {"parameters": parameters}
    call = next(node for node in ast.walk(ast.parse(calls.python)) if isinstance(node, ast.Call) and node.keywords)
    assert {item.arg: ast.literal_eval(item.value) for item in call.keywords} == parameters
    assert "dps_" not in calls.curl + calls.python


# -- words ---------------------------------------------------------------------------------------------------------


def test_a_price_says_of_what_it_is_the_rest() -> None:
    assert covered(37) == "Enough for about 37 more questions like this, in all."
    assert covered(1, "month") == "Enough for about 1 more question like this about the same months."


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("it is frozen: a steward can thaw it with `dpstats budget thaw town`", "it is frozen: a steward can thaw it"),
        ("free; a steward can make a new token with a higher `--cap-rho`", "free; a steward can make a new token"),
        ("no query named 'x': `dpstats query list`, or GET /v1/queries, shows what there is", "no query named 'x'"),
        ("since: must be before until", "since: must be before until"),
    ],
)
def test_a_page_tells_nobody_what_to_run(said: str, told: str) -> None:
    assert without_commands(said) == told


def test_names_and_commands_are_escaped_before_anything_is_put_around_them() -> None:
    assert breakable("a_<b>") == "a_<wbr>&lt;b&gt;"
    assert commands("run `a <b>` & go") == "run <code>a &lt;b&gt;</code> &amp; go"
    assert commands("one ` alone") == "one ` alone"


def test_a_small_amount_is_told_with_as_many_digits_as_are_asked_for_and_rounded_up() -> None:
    assert amount(4.921160705e-09, None, 2) == "0.000000005"
    assert amount(4.921160705e-09, None, 3) == "0.00000000493"
