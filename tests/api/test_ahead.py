"""A service draws noise ahead for its approved queries, from when it serves until it stops."""

from __future__ import annotations

import threading

from api_town import Town

from dpstats.api.ahead import drawing_ahead, look
from dpstats.api.timers import TIMETABLE
from dpstats.catalog.parameters import bind_parameters
from dpstats.engine.ahead import AHEAD, Kind, wanted
from dpstats.release import Ask

PATIENCE_S = 120.0
SPEND = {"since": "2017-01-01", "until": "2017-02-01"}


def of_query(town: Town, name: str) -> dict[Kind, int]:
    known, analysis = town.workspace._library.runnable(TIMETABLE, name)
    return wanted(town.workspace._road.plan(known, analysis, bind_parameters(known.query, {})))


def test_noise_is_ready_for_each_approved_query_and_a_release_takes_of_it(town: Town) -> None:
    expected: dict[Kind, int] = {}
    for name in ("spend_by_band", "costly", "by_shop", "boats"):
        for kind, count in of_query(town, name).items():
            expected[kind] = max(count, expected.get(kind, 0))
    with drawing_ahead(town.workspace):
        with AHEAD._changed:
            assert AHEAD._changed.wait_for(lambda: AHEAD._levels.keys() >= expected.keys(), PATIENCE_S)
        assert AHEAD.wait_until_full(PATIENCE_S)
        assert {kind: len(drawn) for kind, drawn in AHEAD._drawn.items()} == expected
        before = {kind: list(drawn) for kind, drawn in AHEAD._drawn.items()}
        town.workspace.releases.make(Ask(TIMETABLE, "spend_by_band", SPEND))
        assert AHEAD.wait_until_full(PATIENCE_S)
        after = {kind: list(drawn) for kind, drawn in AHEAD._drawn.items()}
        assert {kind for kind in before if before[kind] != after[kind]} == of_query(town, "spend_by_band").keys()
    assert AHEAD._drawn == {}


def test_an_approved_query_is_looked_at_once(town: Town) -> None:
    seen: set[str] = set()
    look(town.workspace, seen, threading.Event())
    assert {known.version for known in town.workspace._library.all(TIMETABLE) if known.approved} == seen
    assert list(town.workspace.drawing.wanted(TIMETABLE, seen)) == []
    assert len(list(town.workspace.drawing.wanted(TIMETABLE, set()))) == len(seen)


def test_nothing_is_wanted_of_whom_nobody_serves(town: Town) -> None:
    look(town.workspace, set(), threading.Event())
    assert AHEAD._levels == {}
