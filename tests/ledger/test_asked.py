"""The log of who asked what: it takes lines at once, writes them together, only grows, and says what it let go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from ledger_asking import HandClock
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from dpstats.ledger import asked
from dpstats.ledger.asked import LOST, Asking, Wanted
from dpstats.ledger.store import Store
from dpstats.ledger.tokens import Role

LINE = Asking("req_1", "ana", "tok_1", "analyst", "POST", "/v1/queries/{query}/releases", "", "spend", 201, "")


def numbers(store: Store) -> list[str]:
    return [line["request_id"] for line in store.asked.after(0, 1000)]


def test_lines_come_back_in_their_order_with_their_time(store: Store) -> None:
    for number in range(3):
        store.asked.note(replace(LINE, request_id=f"req_{number}"))
    store.asked.flush()
    first, *_ = found = store.asked.after(0, 1000)
    assert [line["request_id"] for line in found] == ["req_0", "req_1", "req_2"]
    assert {name: first[name] for name in ("actor", "role", "query", "status", "outcome")} == {
        "actor": "ana",
        "role": "analyst",
        "query": "spend",
        "status": 201,
        "outcome": "",
    }
    assert first["at"].endswith("+00:00")
    assert store.asked.after(found[1]["number"], 1000) == found[2:]
    assert store.asked.before(0, 2) == found[:0:-1]
    assert store.asked.after(0, 1000, Wanted(actor="bob")) == []


def test_lines_are_written_without_being_told_to_and_when_the_ledger_is_closed(opened: Callable[..., Store]) -> None:
    store = opened()
    store.asked.note(LINE)
    store.close()
    assert numbers(opened()) == ["req_1"]


def test_two_processes_write_one_log(opened: Callable[..., Store]) -> None:
    here, there = opened(), opened()
    here.asked.note(replace(LINE, request_id="here"))
    there.asked.note(replace(LINE, request_id="there"))
    here.asked.flush()
    there.asked.flush()
    assert sorted(numbers(here)) == ["here", "there"]


def test_of_too_many_lines_the_oldest_go_and_the_log_says_how_many(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asked, "WAITING_MAX", 3)
    with store.asked._flushing:  # as while the database cannot be written
        for number in range(5):
            store.asked.note(replace(LINE, request_id=f"req_{number}"))
    store.asked.flush()
    lost, *rest = store.asked.after(0, 1000)
    assert (lost["outcome"], lost["status"]) == (LOST, 2)
    assert [line["request_id"] for line in rest] == ["req_2", "req_3", "req_4"]
    store.asked.note(LINE)
    store.asked.flush()
    assert [line["outcome"] for line in store.asked.after(0, 1000)].count(LOST) == 1


def test_lines_of_some_datasets_are_those_that_name_one_or_a_query_of_one(store: Store) -> None:
    for request_id, dataset, query in (("d", "shop", ""), ("q", "", "spend"), ("e", "else", ""), ("n", "", "")):
        store.asked.note(replace(LINE, request_id=request_id, dataset=dataset, query=query))
    store.asked.note(replace(LINE, request_id="both", dataset="else", query="spend"))
    store.asked.flush()
    found = store.asked.after(0, 1000, Wanted(datasets=("shop",), queries=("spend",)))
    assert [line["request_id"] for line in found] == ["d", "q"]
    assert store.asked.before(0, 1000, Wanted(datasets=("nothing",))) == []


def test_it_says_when_it_began_what_was_lost_since_and_when_each_token_was_used_last(
    store: Store, clock: HandClock
) -> None:
    store.tokens.create("ana", Role.ANALYST, (), None, "stu")
    (token,) = store.tokens.list()
    assert (store.asked.began(), store.asked.last_used()) == (None, {})
    first = clock()
    store.asked.note(replace(LINE, token_id=token.identity.token_id))
    clock.advance(days=2)
    store.asked.note(LINE)
    store.asked.note(replace(LINE, outcome=LOST, status=7))
    store.asked.flush()
    assert store.asked.began() == first
    assert store.asked.last_used() == {token.identity.token_id: first.date()}
    assert [store.asked.lost(first + timedelta(days=days)) for days in (2, 3)] == [7, 0]


@pytest.mark.parametrize(
    "attack",
    [
        "UPDATE asked SET actor = 'bob'",
        "DELETE FROM asked",
        "INSERT INTO asked SELECT * FROM asked",
    ],
)
def test_no_line_is_changed_or_removed(store: Store, attack: str) -> None:
    store.asked.note(LINE)
    store.asked.flush()
    with pytest.raises(DBAPIError), store.engine.begin() as connection:
        connection.execute(text(attack))
    assert numbers(store) == ["req_1"]
