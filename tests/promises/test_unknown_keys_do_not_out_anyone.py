"""Promise: where keys are found in the data, one person's own key stays unknown, whatever it is, and costs delta."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pytest
from desk import ME, Desk

from dpstats.api.answers import Preview
from dpstats.engine.noise import Exact, _open_groups, add_noise
from dpstats.errors import BudgetExhausted, QueryRefused
from dpstats.formats import Format, encode
from dpstats.plan.plan import Plan
from dpstats.privacy.loss import DELTA_STEPS
from dpstats.privacy.mechanism import Mechanism, Noise, Sensitivity, price
from dpstats.privacy.threshold import delta_steps

DATASET = """
dataset: words
privacy_unit: uid
budget: {{epsilon: {epsilon}, delta: {delta}}}
min_units: {min_units}
tables:
  said:
    columns:
      uid: {{type: bigint}}
      word: {{type: varchar}}
      n: {{type: bigint, bounds: [0, 100]}}
      day: {{type: date}}
      at: {{type: timestamp}}
      flag: {{type: boolean}}
"""
COLUMNS = ("uid", "word", "n", "day", "at", "flag")
MANY = 400
Row = Mapping[str, Any]


def people(word: str | None, units: range = range(MANY), **others: Any) -> list[Row]:
    """One row of each unit."""
    return [{"uid": unit, "word": word} | others for unit in units]


def csv(rows: Sequence[Row]) -> str:
    """The rows as a CSV file: dates past Python's calendar can be written there."""
    return "\n".join([",".join(COLUMNS), *(",".join(str(row.get(c, "")) for c in COLUMNS) for row in rows), ""])


def columns(rows: Sequence[Row]) -> dict[str, Any]:
    types = dict(
        zip(COLUMNS, (pa.int64(), pa.string(), pa.int64(), pa.date32(), pa.timestamp("us"), pa.bool_()), strict=True)
    )
    return {name: pa.array([row.get(name) for row in rows], kind) for name, kind in types.items()}


def set_up(desk: Desk, rows: Sequence[Row] | str, **budget: Any) -> Desk:
    settings = {"epsilon": 1000, "delta": "1.0e-6", "min_units": 1} | budget
    desk.add(DATASET.format(**settings), said=rows if isinstance(rows, str) else columns(rows))
    return desk


def query(name: str, key: str = "word", measures: str = "COUNT(*) AS m", **parts: Any) -> dict[str, Any]:
    """A query by one private key."""
    return {
        "query": name,
        "dataset": "words",
        "sql": f"SELECT {key} AS k, {measures} FROM said GROUP BY k",
        "keys": {"k": {"private": True}},
        "bounds": {"m": [0, 3]},
        "contribution": {"max_groups": 2},
        "cost": {"rho": 1},
    } | parts


def keys(release: Mapping[str, Any]) -> list[Any]:
    return [row["k"] for row in release["rows"]]


@pytest.fixture(scope="module")
def crowd(new_desk: Callable[..., Desk]) -> Desk:
    """Two words that many say, one that a few say, and one person who says a word and ten thousand more of its own."""
    rows = [
        *people("yes"),
        *people("no", range(200)),
        *people("rare", range(1000, 1003)),
        *people("mine", range(5000, 5001)),
    ]
    rows += [{"uid": 6000, "word": f"own {i}", "n": i} for i in range(10_000)]
    return set_up(new_desk(), rows)


# -- nobody is outed ---------------------------------------------------------------------------------------------------


def test_one_persons_key_is_never_released(crowd: Desk) -> None:
    crowd.approve(query("often", keys={"k": {"private": True, "delta": 1e-12}}, cost={"rho": 0.05}))
    for _ in range(15):
        assert keys(crowd.ask("often", fresh=True)) == ["no", "yes"]


def test_one_persons_key_is_never_released_over_many_draws(crowd: Desk) -> None:
    """1,000 draws; an alarm by chance has a probability of at most 1,000 times the delta of each, 1e-9."""
    crowd.approve(query("many", keys={"k": {"private": True, "delta": 1e-12}}, cost={"rho": 0.05}))
    plan = crowd.plan("many")
    found = _drawn_again(crowd, plan, 1000)
    assert found == {("yes",): 1000, ("no",): 1000}


def _drawn_again(desk: Desk, plan: Plan, times: int) -> dict[tuple[Any, ...], int]:
    """How often each group is released, by the product's own noise, over so many draws from one exact answer."""
    groups, vectors = _open_groups(plan, desk.exact(plan))
    counts: dict[tuple[Any, ...], int] = {}
    for _ in range(times):
        for group in add_noise(plan, Exact(plan, vectors, groups)).groups:
            counts[group] = counts.get(group, 0) + 1
    return counts


def test_a_key_at_the_threshold_is_a_coin_toss_and_one_far_above_is_sure(new_desk: Callable[..., Desk]) -> None:
    desk = new_desk()
    probe = query("probe", keys={"k": {"private": True, "delta": 1e-9}})
    set_up(desk, [*people("sure", range(300)), *people("even", range(20))])
    desk.approve(probe | {"query": "first"})
    at = desk.plan("first").threshold.at
    rows = [*people("sure", range(300)), *people("even", range(at))]
    desk.load("words", said=columns(rows))
    counts = _drawn_again(desk, desk.plan("first"), 400)
    assert counts[("sure",)] == 400
    assert 150 < counts[("even",)] < 320  # the mass at the threshold is released too


def test_someone_with_more_keys_than_max_groups_is_in_so_many_and_no_more(crowd: Desk) -> None:
    crowd.approve(query("few", measures="COUNT(DISTINCT uid) AS people", bounds={}))
    plan = crowd.plan("few")
    groups, (units,) = _open_groups(plan, crowd.exact(plan))
    own = [count for (word,), count in zip(groups, units, strict=True) if word.startswith("own")]
    assert own == [1, 1]


@pytest.mark.parametrize(
    "measures", ["COUNT(*) AS m", "SUM(n) AS m", "COUNT(DISTINCT n) AS m", "COUNT(*) AS m, COUNT(DISTINCT uid) AS u"]
)
def test_distinct_units_decide_whatever_is_asked(new_desk: Callable[..., Desk], measures: str) -> None:
    """One person says "mine" 3,000 times, with all numbers: no count of rows, values or totals lets it out."""
    loud = [{"uid": 7, "word": "mine", "n": i % 100} for i in range(3000)]
    desk = set_up(new_desk(), [*people("yes", n=1), *loud])
    desk.approve(query("loud", measures=measures, bounds={"m": [0, 3000]}, cost={"rho": 2}))
    assert keys(desk.ask("loud")) == ["yes"]


# -- neighbours look alike ---------------------------------------------------------------------------------------------

OWN = {
    "a word of its own": {"word": "mine"},
    "no word": {"word": None},
    "a word that is too long": {"word": "x" * 1_000_000},
    "control characters": {"word": "a\u0000b\u001b[2J"},
    "an empty word": {"word": ""},
    "text that looks like SQL": {"word": "'; DROP TABLE said; --"},
}


@pytest.mark.parametrize("own", OWN)
def test_one_person_more_changes_nothing_but_numbers(new_desk: Callable[..., Desk], own: str) -> None:
    rows = [*people("yes"), *people("no", range(200))]
    answers, charges = [], []
    for given in (rows, [*rows, {"uid": 9999} | OWN[own]]):
        desk = set_up(new_desk(), given)
        desk.approve(query("asked"))
        answers.append(desk.ask("asked"))
        charges.append(desk.charges("words")[0])
    assert [keys(answer) for answer in answers] == [["no", "yes"]] * 2
    one, other = (_without_numbers(answer) for answer in answers)
    assert one == other
    assert all(charges[0][part] == charges[1][part] for part in ("rho", "delta", "events", "query_version"))
    assert charges[0]["content"]["plan_hash"] == charges[1]["content"]["plan_hash"]


def _without_numbers(answer: Mapping[str, Any]) -> dict[str, Any]:
    # A receipt signs the charge's entry, which holds the random ids of the release and its data version.
    changing = {"release_id", "data_version", "created_at", "as_of", "receipt", "rows"}
    return {part: value for part, value in answer.items() if part not in changing} | {
        "shape": [sorted(r) for r in answer["rows"]]
    }


@pytest.mark.parametrize(
    "day", ["20000-01-01", "5874897-12-31", "0044-03-15 (BC)", "infinity", "9999-12-31", "0001-01-01", ""]
)
def test_a_date_past_every_calendar_does_not_make_the_answer_fail(new_desk: Callable[..., Desk], day: str) -> None:
    usual = people("yes", day="2020-01-01", at="2020-01-01 10:00:00")
    desk = set_up(new_desk(), csv([*usual, {"uid": 9999, "word": "yes", "day": day, "at": day}]))
    for name, key in (
        ("days", "day"),
        ("times", "at"),
        ("months", "DATE_TRUNC('month', at)"),
        ("later", "day + INTERVAL 9000 YEAR"),
    ):
        desk.approve(query(name, key))
        assert len(keys(desk.ask(name))) == (0 if name == "later" else 1)


def test_a_release_without_any_group_is_a_release(crowd: Desk) -> None:
    crowd.approve(query("nobody", sql="SELECT word AS k, COUNT(*) AS m FROM said WHERE n > 100 GROUP BY k"))
    before = crowd.spent("words")
    answer = crowd.ask("nobody")
    assert answer["rows"] == []
    assert crowd.spent("words") == before + 10**12
    for form in Format:
        assert encode(answer, form)


def test_a_release_without_any_group_gives_nothing_back(new_desk: Callable[..., Desk]) -> None:
    """That nothing was found is an answer, and was paid for."""
    desk = set_up(new_desk(), people("yes", range(3)))
    desk.approve(query("nothing"))
    before = desk.workspace.store.ledger.budget("words")
    assert desk.ask("nothing")["rows"] == []
    after = desk.workspace.store.ledger.budget("words")
    assert (after.cap, after.epsilon_cap) == (before.cap, before.epsilon_cap)
    assert before.remaining.amount - after.remaining.amount == desk.plan("nothing").loss.amount == 10**12


# -- what is released --------------------------------------------------------------------------------------------------


def test_keys_come_sorted_and_as_they_are(new_desk: Callable[..., Desk]) -> None:
    words = [
        "",
        " ",
        '"',
        "'; --",
        "$k_0",
        "<b>",
        "a,b\n",
        "a\u0000c",
        "a\u0000d",
        "caf\u00e9",
        "z",
        "\u4e2d",
        "\U0001f389",
        "x" * 1000,
    ]
    rows = [row for place, word in enumerate(words) for row in people(word, range(place * 100, place * 100 + 60))]
    rows += [
        *people("cafe\u0301", range(5000, 5060)),
        *people("y" * 1001, range(6000, 6100)),
        *people(None, range(7000, 7100)),
    ]
    desk = set_up(new_desk(), rows)
    desk.approve(query("all", contribution={"max_groups": 1}, cost={"rho": 5}))
    answer = desk.ask("all")
    assert keys(answer) == sorted(words)
    both = next(row for row in answer["rows"] if row["k"] == "caf\u00e9")
    assert 110 <= both["m"]["value"] <= 130  # two spellings of one word
    assert json.loads(encode(answer, Format.JSON))["rows"] == answer["rows"]


def test_private_and_declared_keys_stand_side_by_side_in_their_order(new_desk: Callable[..., Desk]) -> None:
    rows = [*people("b", flag=True), *people("a", flag=False), *people("b", range(1000, 1200), flag=False)]
    desk = set_up(new_desk(), [row | {"n": 0} for row in rows])
    sql = "SELECT flag, word AS k, WIDTH_BUCKET(n, 0, 1, 1) AS b, COUNT(*) AS m FROM said GROUP BY ALL"
    desk.approve(query("both", sql=sql, cost={"rho": 5}))
    found = [(row["flag"], row["k"], row["b"]) for row in desk.ask("both")["rows"]]
    assert found == [(False, "a", 1), (False, "b", 1), (True, "b", 1)]


@pytest.mark.parametrize(
    ("key", "expected"), [("n", [3]), ("flag", [True]), ("day", ["2020-02-29"]), ("LENGTH(word)", [3])]
)
def test_private_keys_may_be_of_any_kind(new_desk: Callable[..., Desk], key: str, expected: list[Any]) -> None:
    rows = [
        *people("yes", n=3, day="2020-02-29", flag="true"),
        {"uid": 9999, "word": "x", "n": 5, "day": "2020-03-01", "flag": "false"},
    ]
    desk = set_up(new_desk(), csv(rows))
    desk.approve(query("kind", key))
    assert keys(desk.ask("kind")) == expected


# -- floors and prices -------------------------------------------------------------------------------------------------


def test_the_floor_raises_the_threshold_and_is_part_of_the_querys_version(new_desk: Callable[..., Desk]) -> None:
    rows = [*people("big", range(300)), *people("middle", range(70))]
    found, versions, deltas = [], set(), []
    for floor in (1, 150):
        desk = set_up(new_desk(), rows, min_units=floor)
        versions.add(desk.approve(query("floor")))
        answer = desk.ask("floor")
        found.append(keys(answer))
        deltas.append(answer["cost"]["delta"])
    assert found == [["big", "middle"], ["big"]]
    assert len(versions) == 2
    assert deltas[1] == 1e-18 < deltas[0]


def test_the_threshold_is_charged_as_delta_and_the_events_tell_how(crowd: Desk) -> None:
    crowd.approve(query("priced", measures="SUM(n) AS m", keys={"k": {"private": True, "delta": 1e-8}}))
    answer = crowd.ask("priced")
    charge = crowd.charges("words")[-1]
    *drawn, last = charge["events"]
    assert [event["draw"] for event in drawn] == ["m", "units"]
    made = [_mechanism(event) for event in drawn]
    assert sum(price(mechanism).amount for mechanism in made) == charge["content"]["amount"]
    paid = delta_steps(made[last["place"]], last["cells"], last["at"])
    assert paid == last["delta_steps"] == charge["content"]["delta"]
    assert 0 < Fraction(paid, DELTA_STEPS) <= Fraction(1, 10**8)
    assert answer["cost"]["delta"] == charge["delta"] == pytest.approx(paid / DELTA_STEPS)


def _mechanism(event: Mapping[str, Any]) -> Mechanism:
    sensitivity = Sensitivity(event["per_cell"], event["cells"], event["norm"])
    return Mechanism(Noise(event["mechanism"]), float(event["scale"]), sensitivity)


def test_a_measure_that_is_called_units_is_not_the_count_that_decides(crowd: Desk) -> None:
    crowd.approve(query("named", measures="SUM(n) AS units", bounds={"units": [0, 5]}))
    plan = crowd.plan("named")
    assert plan.draws[plan.threshold.draw].kind == "units"
    assert plan.events[-1]["place"] == plan.threshold.draw == 1


def test_without_a_delta_of_its_own_a_query_takes_a_hundredth(crowd: Desk) -> None:
    crowd.approve(query("plain"))
    assert 0 < crowd.plan("plain").loss.delta <= 5e-9 * DELTA_STEPS


def test_when_delta_is_used_up_nothing_is_charged_and_earlier_answers_stay(new_desk: Callable[..., Desk]) -> None:
    desk = set_up(new_desk(), people("yes"))
    desk.approve(query("dear", keys={"k": {"private": True, "delta": 2e-7}}, cost={"rho": 0.01}))
    first = desk.ask("dear")
    with pytest.raises(BudgetExhausted) as exhausted:
        _ask_on(desk, "dear")
    assert exhausted.value.measure == "delta"
    charges, left = desk.charges("words"), desk.workspace.store.ledger.budget("words").remaining
    assert 2 <= len(charges) <= 4
    assert left.delta == 5e-7 * DELTA_STEPS - sum(charge["content"]["delta"] for charge in charges) >= 0
    assert left.delta < charges[0]["content"]["delta"]
    assert left.amount > 10**10
    assert desk.ask("dear")["release_id"] != first["release_id"]  # the newest, free
    preview = desk.workspace.releases.preview(ME, "dear", {})
    assert (preview["remaining_like_this"], preview["groups"]) == (0, None)
    assert Preview.model_validate(preview)
    desk.approve(query("free of delta", keys={"k": {"values": ["yes"]}}) | {"query": "declared"})
    assert keys(desk.ask("declared")) == ["yes"]


def _ask_on(desk: Desk, name: str) -> None:
    for _ in range(10):
        desk.ask(name, fresh=True)


@pytest.mark.parametrize(
    ("parts", "budget", "reason"),
    [
        ({"contribution": {"max_norm": 3}}, {}, "private keys with max_norm"),
        ({"contribution": {}}, {}, "no bound on the groups"),
        ({"cost": {"epsilon": 1}}, {"delta": 0}, "private keys in a dataset with delta 0"),
    ],
)
def test_what_cannot_be_bounded_or_paid_is_refused(
    new_desk: Callable[..., Desk], parts: dict[str, Any], budget: dict[str, Any], reason: str
) -> None:
    desk = set_up(new_desk(), people("yes", range(5)), **budget)
    with pytest.raises(QueryRefused, match=reason):
        desk.submit(query("refused", **parts))
