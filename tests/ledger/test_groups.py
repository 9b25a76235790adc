"""Callers who come at once are charged in one transaction, each for itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from ledger_asking import LINEAGE, make_request, permit, question, rho

from dpstats.errors import BudgetExhausted, DpstatsError
from dpstats.ledger.groups import Groups
from dpstats.ledger.records import Charged
from dpstats.ledger.store import Store


def test_a_refused_charge_undoes_none_of_its_group(store: Store) -> None:
    amounts = {f"q{i}": 1000 if i % 3 == 0 else 2 for i in range(24)}
    for name in amounts:
        permit(store, question(name))
    together = threading.Barrier(len(amounts))

    def ask(name: str) -> type:
        together.wait()
        try:
            return type(store.ledger.charge(make_request(name, amount=amounts[name])))
        except DpstatsError as error:
            return type(error)

    with ThreadPoolExecutor(len(amounts)) as pool:
        told = dict(zip(amounts, pool.map(ask, amounts), strict=True))
    assert told == {name: BudgetExhausted if amount == 1000 else Charged for name, amount in amounts.items()}
    assert store.ledger.budget(LINEAGE).spent == rho(32)
    report = store.ledger.verify()
    assert report.ok
    assert report.entries == 17


def test_those_who_come_while_one_writes_share_the_next_write_in_their_order() -> None:
    begun, go_on = threading.Event(), threading.Event()
    written: list[list[int]] = []

    def write(asked: Sequence[int]) -> list[int | Exception]:
        written.append(list(asked))
        begun.set()
        go_on.wait()
        return [ValueError(str(one)) if one == 3 else one * 10 for one in asked]

    groups: Groups[int, int] = Groups(write)
    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(groups.ask, 1)
        begun.wait()
        rest = []
        for i in range(2, 6):
            rest.append(pool.submit(groups.ask, i))
            while len(groups._places) < i - 1:
                pass
        go_on.set()
        assert first.result() == 10
        with pytest.raises(ValueError, match="3"):
            rest[1].result()
        assert [one.result() for one in (rest[0], *rest[2:])] == [20, 40, 50]
    assert written == [[1], [2, 3, 4, 5]]


def test_what_fails_for_all_is_told_to_each_and_the_next_is_served() -> None:
    tries: list[int] = []

    def write(asked: Sequence[int]) -> list[int | Exception]:
        tries.append(len(asked))
        if len(tries) == 1:
            raise OSError("no disk")
        return list(asked)

    groups: Groups[int, int] = Groups(write)
    with pytest.raises(OSError, match="no disk"):
        groups.ask(1)
    assert groups.ask(2) == 2


def test_a_group_is_told_once_it_is_finished_and_those_who_came_meanwhile_share_the_next() -> None:
    written: list[list[int]] = []
    finishing, finish_it = threading.Event(), threading.Event()

    def write(asked: Sequence[int]) -> list[int | Exception]:
        written.append(sorted(asked))
        return list(asked)

    def finish(told: Sequence[int | Exception]) -> None:
        if 1 in told:
            finishing.set()
            finish_it.wait()
        if 4 in told:
            raise OSError("no disk")

    groups: Groups[int, int] = Groups(write, finish)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(groups.ask, 1)
        finishing.wait()
        later = [pool.submit(groups.ask, asked) for asked in (2, 3)]
        while len(groups._places) < 2:
            time.sleep(0.001)
        assert written == [[1]]
        assert not first.done()
        finish_it.set()
        assert first.result() == 1
        assert [one.result() for one in later] == [2, 3]
    with pytest.raises(OSError, match="no disk"):
        groups.ask(4)
    assert groups.ask(5) == 5
    assert written == [[1], [2, 3], [4], [5]]
