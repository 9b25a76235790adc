"""What is read in one moment is of that moment, whatever is committed meanwhile; nothing is written in it."""

from __future__ import annotations

from threading import Thread

import pytest
from sqlalchemy import event

from dpstats.errors import NotFound
from dpstats.ledger.store import Store
from dpstats.ledger.tokens import Role


def test_what_another_thread_commits_meanwhile_is_seen_after_it(store: Store) -> None:
    with store.registry.one_moment():
        assert store.tokens.list() == ()
        beside = Thread(target=store.tokens.create, args=("t", Role.ANALYST, (), None, "stu"))
        beside.start()
        beside.join()
        assert store.tokens.list() == ()
    assert [record.identity.name for record in store.tokens.list()] == ["t"]


def test_all_of_it_is_one_transaction(store: Store) -> None:
    begun: list[object] = []
    event.listen(store.engine, "begin", begun.append)
    with store.registry.one_moment(), store.registry.one_moment():
        store.tokens.list()
        store.registry.datasets()
    assert len(begun) == 1


def test_nothing_is_written_in_it(store: Store) -> None:
    with store.registry.one_moment(), pytest.raises(RuntimeError, match="nothing is written"):
        store.tokens.create("t", Role.ANALYST, (), None, "stu")
    store.tokens.create("t", Role.ANALYST, (), None, "stu")


def test_a_failure_ends_it(store: Store) -> None:
    with pytest.raises(NotFound), store.registry.one_moment():
        store.registry.dataset("nowhere")
    store.tokens.create("t", Role.ANALYST, (), None, "stu")
    assert len(store.tokens.list()) == 1
