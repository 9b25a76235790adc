"""Each block has a budget of its own: what a query reads is charged, and no other block's rows have a say in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from desk import ME, Desk

from dpstats.errors import BudgetExhausted, Conflict, InvalidParameters, QueryRefused

DATASET = """\
dataset: gym
privacy_unit: member
budget: {epsilon: 8.0, delta: 1.0e-6}
blocks: {column: visits.at, every: month, budget: {epsilon: 2.0, delta: 1.0e-7}}
max_rows_per_unit: 3
tables:
  visits:
    columns:
      member: {type: bigint}
      minutes: {type: double, bounds: [0, 100]}
      at: {type: timestamp}
  members:
    one_row_per_unit: true
    columns:
      member: {type: bigint}
      plan: {type: varchar, values: [basic, plus]}
"""
COUNT = "SELECT COUNT(*) AS visits, SUM(v.minutes) AS minutes FROM visits v"
INSIDE = "v.at >= $since AND v.at < $until"
PARAMETERS = {
    "since": {"type": "date", "min": "2017-01-01", "max": "2017-12-31"},
    "until": {"type": "date", "min": "2017-01-02", "max": "2018-01-01"},
}
WINDOW = {"from": "$since", "until": "$until"}
MARCH = {"since": "2017-03-01", "until": "2017-04-01"}


def query(sql: str = f"{COUNT} WHERE {INSIDE}", name: str = "visits", **changed: Any) -> dict[str, Any]:
    bounds = {"visits": [0, 50], "minutes": [0, 5000]} if "minutes" in sql else {"visits": [0, 50]}
    made = {"query": name, "dataset": "gym", "sql": sql, "bounds": bounds, "cost": {"rho": 0.01}}
    made |= {"parameters": PARAMETERS, "window": WINDOW}
    return {key: value for key, value in (made | changed).items() if value is not None}


def visits(rows: list[tuple[int | None, float, datetime | None]]) -> dict[str, list[Any]]:
    return {"member": [r[0] for r in rows], "minutes": [r[1] for r in rows], "at": [r[2] for r in rows]}


def day(month: int, of_month: int = 10, hour: int = 12) -> datetime:
    return datetime(2017, month, of_month, hour)  # noqa: DTZ001


ROWS = [(unit, float(unit + n), day(month, 1 + n)) for unit in range(1, 9) for month in (2, 3, 4) for n in range(5)]
MEMBERS = {"member": list(range(1, 9)), "plan": ["basic", "plus"] * 4}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    made.add(DATASET, visits=visits(ROWS), members=MEMBERS)
    return made


def blocks(desk: Desk) -> dict[str, float]:
    return {b["block"]: b["rho_spent"] for b in desk.workspace.budgets.one(ME, "gym")["blocks"]}


def charged(desk: Desk) -> dict[str, float]:
    return {name: spent for name, spent in blocks(desk).items() if spent}


def test_a_release_charges_the_blocks_of_its_window_and_the_cap(desk: Desk) -> None:
    desk.approve(query())
    released = desk.ask("visits", **MARCH)
    assert charged(desk) == {"2017-03": 0.01}
    assert list(blocks(desk)) == [f"2017-{month:02d}" for month in range(1, 13)] + ["static"]
    assert [block["block"] for block in released["budget"]["blocks"]] == ["2017-03"]
    desk.ask("visits", since="2017-03-31", until="2017-04-02")
    assert charged(desk) == {"2017-03": 0.02, "2017-04": 0.01}
    assert desk.charges("gym")[-1]["blocks"] == {"first": "2017-03", "last": "2017-04", "static": False}
    assert desk.spent("gym") == 2 * 10**10
    assert desk.ask("visits", **MARCH)["replayed"]
    assert desk.workspace.budgets.verify(ME).ok


def test_a_table_without_time_charges_the_static_block(desk: Desk) -> None:
    desk.approve(query(f"{COUNT} JOIN members m USING (member) WHERE {INSIDE} AND m.plan = 'plus'"))
    desk.ask("visits", **MARCH)
    assert charged(desk) == {"2017-03": 0.01, "static": 0.01}
    sql = "SELECT plan, COUNT(*) AS visits FROM members GROUP BY plan"
    desk.approve(query(sql, "plans", window=None, parameters=None, bounds={"visits": [0, 1]}))
    desk.ask("plans")
    assert charged(desk) == {"2017-03": 0.01, "static": 0.02}


def test_without_a_window_every_block_that_there_is_is_charged(desk: Desk) -> None:
    desk.approve(query(COUNT, "all", window=None, parameters=None))
    desk.approve(query())
    desk.ask("all")
    assert set(charged(desk).values()) == {0.01}
    assert set(charged(desk)) >= {f"2017-{month:02d}" for month in range(1, 13)}
    assert "static" not in charged(desk)
    assert desk.charges("gym")[-1]["blocks"]["first"] is None


def test_an_exhausted_block_answers_no_more_and_another_does(desk: Desk) -> None:
    desk.approve(query(cost={"epsilon": 1.5}))
    preview = desk.workspace.releases.preview
    assert desk.ask("visits", **MARCH)["cost"]["epsilon"] <= 1.5
    april = {"since": "2017-04-01", "until": "2017-05-01"}
    assert (preview(ME, "visits", april)["affordable"], preview(ME, "visits", MARCH)["free_replay"]) == (True, True)
    both = {"since": "2017-03-31", "until": "2017-04-02"}
    assert preview(ME, "visits", both)["remaining_like_this"] == 0
    assert preview(ME, "visits", both)["limited_by"] == {"scope": "block", "name": "2017-03"}
    with pytest.raises(BudgetExhausted, match="block 2017-03's"):
        desk.ask("visits", **both)
    desk.ask("visits", **april)
    assert set(charged(desk)) == {"2017-03", "2017-04"}


def left_of(desk: Desk, block: str) -> dict[str, Any]:
    (found,) = (b for b in desk.workspace.budgets.one(ME, "gym")["blocks"] if b["block"] == block)
    return dict(found)


def test_the_delta_of_private_keys_is_charged_to_each_block_and_runs_out_in_each(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    rooms = DATASET.replace("at: {type: timestamp}", "at: {type: timestamp}\n      room: {type: varchar}")
    desk.add(rooms.replace("1.0e-7", "3.0e-8"), visits=visits(ROWS) | {"room": ["hall"] * len(ROWS)}, members=MEMBERS)
    sql = f"SELECT room, COUNT(*) AS visits FROM visits v WHERE {INSIDE} GROUP BY room"
    found = {"keys": {"room": {"private": True}}, "contribution": {"max_groups": 1}, "cost": {"rho": 0.0001}}
    desk.approve(query(sql, "rooms", **found))
    whole = left_of(desk, "2017-03")["delta_remaining"]
    assert whole == 1.5e-8
    price = desk.ask("rooms", **MARCH)["cost"]["delta"]
    assert 0 < price < whole
    assert left_of(desk, "2017-03")["delta_remaining"] == pytest.approx(whole - price)
    for _ in range(int(whole / price) - 1):
        desk.ask("rooms", fresh=True, **MARCH)
    before = len(desk.charges("gym"))
    for until in ("2017-04-01", "2017-04-02"):
        with pytest.raises(BudgetExhausted, match="block 2017-03's") as refused:
            desk.ask("rooms", fresh=True, since="2017-03-31", until=until)
        assert (refused.value.measure, refused.value.scope) == ("delta", "block")
    assert len(desk.charges("gym")) == before
    assert left_of(desk, "2017-04")["delta_remaining"] == whole
    desk.ask("rooms", since="2017-04-01", until="2017-05-01")
    assert desk.workspace.budgets.verify(ME).ok


def test_in_pure_dp_a_block_adds_epsilon_up_exactly_and_no_delta_is_charged(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    pure = DATASET.replace("delta: 1.0e-6", "delta: 0").replace("delta: 1.0e-7", "delta: 0")
    desk.add(pure, visits=visits(ROWS), members=MEMBERS)
    desk.approve(query(cost={"epsilon": 0.4}))
    desk.approve(query(name="dear", cost={"epsilon": 0.3}))
    for _ in range(5):  # as floats, 5 x 0.4 is no more exact than 0.1 + 0.2
        desk.ask("visits", fresh=True, **MARCH)
    march = left_of(desk, "2017-03")
    assert (march["epsilon_spent"], march["epsilon_remaining"], march["rho"]) == (2.0, 0.0, None)
    with pytest.raises(BudgetExhausted, match="block 2017-03's") as refused:
        desk.ask("dear", since="2017-03-31", until="2017-04-02")
    assert (refused.value.measure, refused.value.remaining) == ("epsilon", 0)
    assert left_of(desk, "2017-04")["epsilon_spent"] == 0
    desk.ask("dear", since="2017-04-01", until="2017-05-01")
    budget = desk.workspace.budgets.one(ME, "gym")
    assert (budget["epsilon_spent"], left_of(desk, "2017-04")["epsilon_spent"]) == (2.3, 0.3)
    assert {(entry["measure"], entry["delta"]) for entry in (e["content"] for e in desk.charges("gym"))} == {
        ("pure", 0)
    }
    assert desk.workspace.budgets.verify(ME).ok


def test_rows_without_time_and_rows_later_than_the_load_are_dropped_and_late_rows_stay(tmp_path: Path) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    after = (now.replace(day=1) + timedelta(days=32)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    rows = [(1, 1.0, None), (2, 1.0, after), (3, 1.0, after + timedelta(days=400)), (4, 1.0, now.replace(day=1))]
    rows += [(5, 1.0, day(3).replace(year=1)), (6, 1.0, day(3, 31, 23)), (7, 1.0, day(4, 1, 0))]
    desk = Desk(tmp_path)
    desk.add(DATASET, visits=visits(rows), members=MEMBERS)
    desk.approve(query("SELECT COUNT(*) AS visits FROM visits", "all", window=None, parameters=None))
    desk.approve(query(f"SELECT COUNT(*) AS visits FROM visits v WHERE {INSIDE}"))
    assert desk.truth(desk.plan("all")) == ((4,),)
    assert desk.truth(desk.plan("visits", **MARCH)) == ((1,),)
    assert desk.truth(desk.plan("visits", since="2017-04-01", until="2017-04-02")) == ((1,),)


@pytest.mark.parametrize("month", [3])
def test_a_units_rows_in_one_block_change_no_other_blocks_exact_answer(tmp_path: Path, month: int) -> None:
    sqls = {
        "visits": f"{COUNT} WHERE {INSIDE}",
        "joined": f"{COUNT} JOIN visits w USING (member) WHERE {INSIDE} AND w.at >= $since AND w.at < $until",
    }
    extra = [(1, 77.0, day(month, 1 + n, n % 24)) for n in range(20)]
    without = [row for row in ROWS if row[0] != 1 or row[2].month != month]
    truths = []
    for place, rows in enumerate((ROWS, without, ROWS + extra)):
        desk = Desk(tmp_path / str(place))
        desk.add(DATASET, visits=visits(rows), members=MEMBERS)
        key = desk.workspace.datasets._key
        if truths:
            desk.workspace.datasets._key = truths[0][0]
            desk.load("gym", visits=visits(rows), members=MEMBERS)
        found = {}
        for name, sql in sqls.items():
            desk.approve(query(sql, name))
            for other in (2, 4):
                span = {"since": f"2017-{other:02d}-01", "until": f"2017-{other + 1:02d}-01"}
                found[name, other] = desk.truth(desk.plan(name, **span))
        truths.append((truths[0][0] if truths else key, found))
        desk.workspace.close()
    assert truths[0][1] == truths[1][1] == truths[2][1]
    assert truths[0][1]["visits", 2] == ((24,), truths[0][1]["visits", 2][1])  # three rows of eight members


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        (COUNT, "does not say at >= $since AND at < $until"),
        (f"{COUNT} WHERE v.at >= $since", "does not say at < $until"),
        (f"{COUNT} WHERE v.at >= $since AND v.at <= $until", "does not say at < $until"),
        (f"{COUNT} WHERE v.at > $since AND v.at < $until", "does not say at >= $since"),
        (f"{COUNT} WHERE v.at >= $until AND v.at < $since", "does not say"),
        (f"{COUNT} WHERE v.at >= $since OR v.at < $until", "does not say"),
        (f"{COUNT} WHERE NOT ({INSIDE})", "does not say"),
        (f"{COUNT} WHERE v.at BETWEEN $since AND $until", "does not say"),
        (f"{COUNT} JOIN visits w USING (member) WHERE {INSIDE}", "does not hold for w"),
        (
            "WITH a AS (SELECT member, COUNT(*) AS n FROM visits GROUP BY member) "
            f"SELECT COUNT(*) AS visits FROM a JOIN visits v USING (member) WHERE {INSIDE}",
            "does not hold for visits",
        ),
        (
            f"SELECT COUNT(*) AS visits FROM members m LEFT JOIN visits v USING (member) WHERE {INSIDE}",
            "right side of a LEFT JOIN",
        ),
        (
            f"SELECT COUNT(*) AS visits FROM (SELECT member, at FROM visits) v WHERE {INSIDE}",
            "does not hold for visits",
        ),
    ],
)
def test_a_window_that_a_use_of_the_table_does_not_keep_to_is_refused(desk: Desk, sql: str, reason: str) -> None:
    with pytest.raises(QueryRefused) as refused:
        desk.submit(query(sql))
    assert reason.lower() in str(refused.value).lower()


@pytest.mark.parametrize(
    "sql",
    [
        f"{COUNT} WHERE ({INSIDE}) AND v.minutes > 5",
        f"{COUNT} WHERE ($since <= v.at) AND ($until > v.at AND v.at < DATE '2017-03-05')",
        "SELECT COUNT(*) AS visits FROM visits WHERE at >= $since AND at < $until",
        "WITH a AS (SELECT member, COUNT(*) AS n FROM visits WHERE at >= $since AND at < $until GROUP BY member) "
        f"SELECT COUNT(*) AS visits FROM a JOIN visits AS v USING (member) WHERE {INSIDE}",
        "SELECT COUNT(*) AS visits FROM members m LEFT JOIN "
        "(SELECT member FROM visits WHERE at >= $since AND at < $until) v USING (member)",
    ],
)
def test_a_window_counts_where_every_use_keeps_to_it(desk: Desk, sql: str) -> None:
    desk.approve(query(sql))
    desk.ask("visits", **MARCH)
    assert {name for name in charged(desk) if name != "static"} == {"2017-03"}


def test_the_windows_ends_may_be_dates_and_must_be_in_order(desk: Desk) -> None:
    sql = f"{COUNT} WHERE v.at >= DATE '2017-02-15' AND v.at < $until"
    only = {"until": PARAMETERS["until"]}
    desk.approve(query(sql, "fixed", window={"from": "2017-02-15", "until": "$until"}, parameters=only))
    desk.ask("fixed", until="2017-03-01")
    assert charged(desk) == {"2017-02": 0.01}
    for until in ("2017-02-15", "2017-02-01"):
        with pytest.raises(InvalidParameters):
            desk.ask("fixed", until=until)
    assert charged(desk) == {"2017-02": 0.01}
    wrong = query(sql, "fixed", window={"from": "2017-02-14", "until": "$until"}, parameters=only)
    with pytest.raises(QueryRefused, match="DATE '2017-02-14'"):
        desk.submit(wrong)


def test_the_proof_says_which_blocks_are_charged(desk: Desk) -> None:
    desk.approve(query())
    proof = desk.workspace.releases.preview(ME, "visits", MARCH)["proof"]
    assert proof[-1] == "blocks: charged to the dataset's cap and, whole, to each of 2017-03 (one is a month)"


@pytest.mark.parametrize(
    ("old", "new"),
    [("every: month", "every: week"), ("epsilon: 2.0", "epsilon: 1.0"), ("1.0e-7", "2.0e-7")],
)
def test_a_lineage_keeps_its_grain_and_its_blocks_budget(desk: Desk, old: str, new: str) -> None:
    with pytest.raises(Conflict, match="is fixed at blocks of a month"):
        desk.add(DATASET.replace(old, new), visits=visits(ROWS), members=MEMBERS)
