"""No exact answer and no cell of a row is ever shown: not in a response, a log, an error, a file or a pickle.

Exact totals of seven digits are planted, and every place where something could be written is searched for them, as text
and as the bytes of a number. That noise hits one of them by chance happens less than once in 1e5 runs.
"""

from __future__ import annotations

import contextlib
import copy
import json
import logging
import pickle
import struct
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from desk import ME, Desk

from dpstats.engine.noise import Exact, add_noise
from dpstats.errors import DpstatsError, FileError, Unavailable
from dpstats.release import Ask

TOTAL, TOTAL_CODE = "12345.67", 1234567
"""What one person spent, alone in its group; and that in cents, as the engine adds it up."""
PEOPLE, AREAS = 4243, 347
VISITS = PEOPLE * AREAS
"""Visits of another group: 1,472,321."""
NUMBERS = [TOTAL, "12,345.67", "12345,67", str(TOTAL_CODE), "1,234,567", str(VISITS), f"{VISITS:,}"]
HERE = Path(__file__).parent
CELL = "SECRET-CELL"
"""Begins every text cell."""

DATASET = """
dataset: shop
privacy_unit: person
budget: {epsilon: 50.0, delta: 1.0e-6}
tables:
  visits:
    columns:
      person: {type: bigint}
      kind: {type: varchar}
      amount: {type: double, bounds: [0, 10000], unit: USD}
      whole: {type: bigint}
      note: {type: varchar}
      day: {type: date}
      at: {type: timestamp}
  areas: {public: true, columns: {area: {type: bigint}}}
"""
QUERY = """
query: {name}
dataset: shop
sql: SELECT kind, {measures} FROM visits {more} GROUP BY kind
keys: {{kind: {{values: [alone, many, nobody]}}}}
bounds: {bounds}
contribution: {{max_groups: 1, max_rows: 400}}
cost: {{rho: 1.0e-6}}
"""
QUERIES = [
    ("spend", "SUM(amount) AS total, COUNT(DISTINCT person) AS people", "", "{total: [0, 20000]}"),
    ("visits", "COUNT(*) AS visits", "CROSS JOIN areas", "{visits: [0, 400]}"),
    ("mean", "AVG(amount) AS mean", "", "{}"),
]


def _visits() -> dict[str, list[Any]]:
    """One person alone who spends TOTAL, and many who spend nothing."""
    person = [0, 0, *range(1, PEOPLE + 1)]
    return {
        "person": person,
        "kind": ["alone", "alone"] + ["many"] * PEOPLE,
        "amount": [5000.01, 7345.66] + [0.0] * PEOPLE,
        "whole": [2**62 + p for p in person],
        "note": [f"{CELL}-{p}" for p in person],
        "day": ["9999-12-31" for _ in person],
        "at": ["9999-12-31 23:59:59" for _ in person],
    }


class Searched:
    """Everything that was said, to be searched for what must not be."""

    def __init__(self, needles: list[str]) -> None:
        self._texts = needles
        numbers = [TOTAL_CODE, VISITS]
        self._bytes = [struct.pack("<q", n) for n in numbers] + [struct.pack(">q", n) for n in numbers]
        self._bytes += [struct.pack(order + "d", float(TOTAL)) for order in "<>"]

    def found_in(self, said: object) -> list[str]:
        """Which needles are in a text, in bytes, or in the text of anything else."""
        if isinstance(said, bytes):
            found = [needle for needle in self._texts if needle.encode() in said]
            return found + [needle.hex() for needle in self._bytes if needle in said]
        text = said if isinstance(said, str) else f"{said!r} {said}"
        return [needle for needle in self._texts if needle in text]


SEARCHED = Searched([*NUMBERS, CELL])


def told_by(error: BaseException, *, frames: bool = True) -> str:
    """All that a crash reporter could find in an error: text, arguments, causes; the locals of every frame of ours."""
    chain: list[BaseException] = []
    linked: list[BaseException | None] = [error]
    while linked:
        one = linked.pop()
        if one is not None and one not in chain:
            chain.append(one)
            linked += [one.__cause__, one.__context__]
    told = [f"{one!r} {one} {one.args!r} {vars(one)!r} {getattr(one, '__notes__', '')}" for one in chain]
    report = traceback.TracebackException.from_exception(error, capture_locals=frames)
    report.stack[:] = [frame for frame in report.stack if Path(frame.filename).parent != HERE]
    return "\n".join([*told, *report.format(chain=True)])


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[Callable[[], list[str]]]:
    """Everything that was logged at any level, by anybody, or printed."""
    loggers = [logging.getLogger(name) for name in ["", *logging.root.manager.loggerDict]]
    levels = [(logger, logger.level) for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    caplog.set_level(logging.DEBUG)

    def everything() -> list[str]:
        formatter = logging.Formatter("%(message)s %(args)s %(exc_info)s %(stack_info)s")
        return [formatter.format(record) for record in caplog.records] + list(capfd.readouterr())

    yield everything
    for logger, level in levels:
        logger.setLevel(level)


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder and the one for temporary files, in which nobody should write."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def desk(said: object, nowhere: Path, new_desk: Callable[..., Desk]) -> Desk:
    """Set up while everything is listened to."""
    desk = new_desk()
    desk.add(DATASET, visits=_visits(), areas={"area": list(range(AREAS))})
    for name, measures, more, bounds in QUERIES:
        desk.approve(QUERY.format(name=name, measures=measures, more=more, bounds=bounds))
    return desk


def _written(desk: Desk, nowhere: Path) -> Iterator[tuple[str, bytes]]:
    """Every file that dpstats wrote, but for the data themselves."""
    assert [path.name for path in nowhere.iterdir()] == []
    for path in desk.home.rglob("*"):
        if path.is_file() and path.suffix != ".duckdb":
            yield path.name, path.read_bytes()


# -- controls --------------------------------------------------------------------------------------------------------


def test_the_planted_numbers_are_the_exact_answers_and_would_be_found(desk, tmp_path):
    assert desk.truth(desk.plan("spend"))[0] == (TOTAL_CODE, 0, 0)
    assert desk.truth(desk.plan("visits"))[0] == (400, VISITS, 0)
    plan = desk.plan("mean")
    assert desk.truth(plan)[0][0] + plan.outputs[0].expression.centre * 100 * 2 == TOTAL_CODE
    for text in (json.dumps({"value": float(TOTAL)}), f"{float(TOTAL):,.2f}", repr((TOTAL_CODE, 0)), f"{CELL}-17"):
        assert SEARCHED.found_in(text)
    for number in (struct.pack("<d", 12345.67), VISITS.to_bytes(16, "little"), pickle.dumps(12345.67)):
        assert SEARCHED.found_in(number)
    with pytest.raises(ValueError, match="invalid literal") as error:
        int(f"{CELL}-17")
    assert SEARCHED.found_in(told_by(error.value))
    with pytest.raises(json.JSONDecodeError) as error:
        json.loads(f"[{TOTAL}, ?]")
    assert SEARCHED.found_in(told_by(error.value))


# -- the promise -----------------------------------------------------------------------------------------------------


def test_no_response_holds_an_exact_answer_or_a_cell(desk):
    workspace = desk.workspace
    responses: list[object] = [workspace.datasets.all(ME), workspace.datasets.one(ME, "shop"), workspace.tokens.all(ME)]
    for name, *_ in QUERIES:
        release = desk.ask(name)
        responses += [release, desk.ask(name), desk.ask(name, fresh=True), workspace.review.one(ME, name)]
        responses += [workspace.releases.preview(ME, name, {}), workspace.releases.earlier(ME, release["release_id"])]
        responses += [workspace.review.check_file(desk.folder / f"{name}.yaml"), desk.plan(name)]
    responses += [workspace.releases.all(ME), workspace.budgets.entries(ME, "shop"), workspace.budgets.verify(ME)]
    responses += [workspace.budgets.one(ME, "shop"), workspace.review.all(ME, approved_only=False)]
    for response in responses:
        assert SEARCHED.found_in(response) == []
        assert SEARCHED.found_in(json.dumps(response, default=repr)) == []
        with contextlib.suppress(TypeError):
            assert SEARCHED.found_in(pickle.dumps(response)) == []


def test_no_log_line_and_no_file_but_the_data_hold_an_exact_answer_or_a_cell(desk, said, nowhere):
    for name, *_ in QUERIES:
        desk.ask(name)
        desk.ask(name, fresh=True)
    files = dict(_written(desk, nowhere))
    assert {"ledger.db", "ledger.key", "bounding.key"} <= files.keys()
    desk.workspace.close()
    files |= {f"{name} closed": content for name, content in _written(desk, nowhere)}
    lines = said()
    assert any("INSERT INTO releases" in line for line in lines)
    for where, content in [*files.items(), *(("a log line", line) for line in lines)]:
        assert SEARCHED.found_in(content) == [], where


def test_objects_that_hold_exact_answers_show_nothing_of_them(desk):
    plan = desk.plan("spend")
    exact = desk.exact(plan)
    answer = desk.workspace.releases._road.release(Ask(ME, "spend", {}))
    with desk.engine("shop") as engine:
        for thing in (exact, exact._take, engine, answer, answer.stored, desk.workspace, desk.workspace.releases):
            assert SEARCHED.found_in(thing) == []
            assert SEARCHED.found_in(f"{thing}") == []
    for copied in (pickle.dumps, copy.copy, copy.deepcopy, json.dumps, vars, list, len, hash_of_parts):
        with pytest.raises(TypeError) as refused:
            copied(exact)
        assert SEARCHED.found_in(told_by(refused.value)) == []
    assert SEARCHED.found_in(pickle.dumps(answer)) == []


def hash_of_parts(exact: Exact) -> int:
    return hash(tuple(exact))  # type: ignore[arg-type]


def test_an_exact_answer_opens_once_for_its_plan_alone_and_errors_on_the_way_hold_nothing(desk):
    plan, other = desk.plan("spend"), desk.plan("visits")
    exact = desk.exact(plan)
    with pytest.raises(ValueError, match="another plan") as wrong_plan:
        add_noise(other, exact)
    add_noise(plan, exact)
    with pytest.raises(ValueError, match="opened before") as opened_before:
        add_noise(plan, exact)
    one_draw_less = replace(plan, draws=plan.draws[:1])
    with pytest.raises(Unavailable) as not_drawn:
        add_noise(one_draw_less, Exact(one_draw_less, [[TOTAL_CODE], [VISITS]]))
    for error in (wrong_plan, opened_before, not_drawn):
        assert SEARCHED.found_in(told_by(error.value)) == []


def test_a_failure_after_rows_were_read_says_nothing_about_them(desk, said, nowhere):
    desk.approve(QUERY.format(name="heavy", measures="AVG(amount) AS mean", more="CROSS JOIN areas", bounds="{}"))
    desk.change(memory_limit_mb=64)
    with pytest.raises(Unavailable) as failed:
        desk.ask("heavy")
    assert failed.value.__context__ is None
    assert str(failed.value) == str(Unavailable())
    for content in [told_by(failed.value), *said(), *(content for _, content in _written(desk, nowhere))]:
        assert SEARCHED.found_in(content) == []


ROW_ERRORS = [
    "CAST(note AS BIGINT)",
    "CAST(note AS DOUBLE)",
    "CAST(CAST(note AS DATE) - CAST('2020-01-01' AS DATE) AS BIGINT)",
    "CAST(CAST(note AS BOOLEAN) AS BIGINT)",
    "CAST(amount AS BIGINT) // CAST(amount - amount AS BIGINT)",
    "whole % (whole - whole)",
    "whole * whole",
    "whole + whole + whole",
    "-whole * 3",
    "amount / (amount - amount)",
    "amount * 1e300 * 1e300",
    "CAST(amount * 1e300 AS BIGINT)",
    "CAST(CAST(whole AS DECIMAL(18, 3)) AS BIGINT)",
    "YEAR(day + INTERVAL 900000 YEAR)",
    "YEAR(at + INTERVAL 900000 YEAR)",
    "EXTRACT(year FROM CAST(note AS TIMESTAMP))",
    "DATE_DIFF('second', CAST('0001-01-01' AS TIMESTAMP), at)",
    "CAST(SUBSTR(note, 1, 20) AS BIGINT)",
    "LENGTH(note || note) // 0",
    "ROUND(amount * 1e300, 30)",
    "WIDTH_BUCKET(whole, 0, 10, 3)",
]


@pytest.mark.parametrize("expression", ROW_ERRORS)
def test_a_row_that_an_expression_cannot_take_is_left_out_and_never_shown(raising_desk, said, expression):
    """DuckDB's messages would hold the cell."""
    number = ROW_ERRORS.index(expression)
    bounded = f"LEAST(GREATEST({expression}, 0), 5)"
    desk = raising_desk
    desk.approve(QUERY.format(name=f"row{number}", measures=f"SUM({bounded}) AS x", more="", bounds="{x: [0, 5]}"))
    desk.approve(
        QUERY.format(
            name=f"where{number}", measures="COUNT(DISTINCT person) AS x", more=f"WHERE {expression} > 1", bounds="{}"
        )
    )
    for content in (desk.ask(f"row{number}"), desk.ask(f"where{number}"), *said()):
        assert SEARCHED.found_in(content) == []


@pytest.fixture(scope="module")
def raising_desk(new_desk: Callable[..., Desk]) -> Desk:
    desk = new_desk()
    desk.add(DATASET, visits=_visits(), areas={"area": [1]})
    return desk


HEADER = "person,kind,amount,whole,note,day,at\n"
GOOD_ROW = "1,alone,1.5,7,hello,2020-01-01,2020-01-01 10:00:00\n"
BAD_FILES = {
    "a row too long": HEADER + GOOD_ROW + f"2,{CELL},{TOTAL},1,a,b,c,d,{TOTAL}\n",
    "a row too short": HEADER + GOOD_ROW + f"2,{CELL},{TOTAL}\n",
    "an open quote": HEADER + GOOD_ROW + f'2,"{CELL},{TOTAL},1,a,b,c\n',
    "a quote inside": HEADER + GOOD_ROW + f'2,"{CELL}"x,{TOTAL},1,a,b,c\n',
    "no header": f"{TOTAL_CODE},{CELL}-1,{TOTAL},{VISITS},{CELL}-2,b,c\n",
    "another type": HEADER + f"{CELL},{CELL},{TOTAL},1,a,b,c\n",
    "nobody's rows": HEADER + f",{CELL},{TOTAL},1,a,2020-01-01,2020-01-01\n",
}


@pytest.mark.parametrize("what", BAD_FILES)
def test_a_file_that_cannot_be_loaded_is_refused_without_showing_a_cell(desk, said, nowhere, what):
    with pytest.raises(FileError) as refused:
        desk.load("shop", visits=BAD_FILES[what])
    for content in [
        told_by(refused.value, frames=False),
        *said(),
        *(content for _, content in _written(desk, nowhere)),
    ]:
        assert SEARCHED.found_in(content) == []


def test_no_refusal_of_a_request_holds_an_exact_answer_or_a_cell(desk):
    desk.ask("spend")
    refusals: list[Callable[[], object]] = [
        lambda: desk.ask("spend", since="x"),
        lambda: desk.ask("nothing"),
        lambda: desk.workspace.releases.earlier(ME, "nothing"),
        lambda: desk.submit(QUERY.format(name="bad", measures="VARIANCE(amount) AS m", more="", bounds="{}")),
        lambda: desk.submit(QUERY.format(name="bad", measures="SUM(whole) AS m", more="", bounds="{m: [0, 1]}")),
    ]
    for ask in refusals:
        with pytest.raises(DpstatsError) as refused:
            ask()
        assert SEARCHED.found_in(told_by(refused.value)) == []
