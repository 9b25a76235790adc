"""A charge's head is saved while rows are read, and before anything is told of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from ledger_asking import LINEAGE, charge, make_request, permit, question, release

from dpstats.errors import Unavailable
from dpstats.ledger.chain import Entry
from dpstats.ledger.files import file_lock
from dpstats.ledger.heads import Head, HeadFiles
from dpstats.ledger.records import Charged, StoredRelease
from dpstats.ledger.store import Store
from dpstats.ledger.writer import head_of

ASKED = "b"


@pytest.fixture
def begun(store: Store) -> Store:
    """A lineage with one charge, and leave to ask for another."""
    charge(store, "a")
    permit(store, question(ASKED))
    return store


def fine(_: Charged | StoredRelease) -> None:
    """What is done inside, and does not fail."""


def fails(_: Charged | StoredRelease) -> None:
    raise LookupError


def ask(store: Store, inside: Callable[[Charged | StoredRelease], None]) -> None:
    with store.ledger.charging(make_request(ASKED)) as charged:
        inside(charged)


def saved(home: Path) -> Head | None:
    return HeadFiles(home / "heads").read(LINEAGE)


def entries(store: Store) -> list[Entry]:
    return list(store.ledger.entries(LINEAGE))


def test_a_charge_stands_while_its_head_is_on_its_way_and_nothing_goes_on_without_it(begun: Store, home: Path) -> None:
    inside, ended, seen = threading.Event(), threading.Event(), list[Entry]()

    def look(_: Charged | StoredRelease) -> None:
        seen.extend(entries(begun))
        inside.set()

    def asked() -> None:
        ask(begun, look)
        ended.set()

    before = entries(begun)
    asking = threading.Thread(target=asked)
    with file_lock(home / "heads" / ".lock"):  # which saving a head waits for
        asking.start()
        assert inside.wait(60)
        assert seen[:-1] == before
        assert saved(home) == head_of(before[-1])
        assert not ended.wait(0.2)
    assert ended.wait(60)
    asking.join()
    assert saved(home) == head_of(seen[-1])
    assert begun.ledger.verify().ok


def test_a_head_that_cannot_be_saved_is_told_at_the_end_unless_the_block_failed_itself(
    begun: Store, home: Path
) -> None:
    lock, given = home / "heads" / ".lock", list[Charged | StoredRelease]()
    lock.unlink()
    lock.mkdir()
    with pytest.raises(Unavailable):
        ask(begun, given.append)
    with pytest.raises(LookupError):
        ask(begun, fails)
    lock.rmdir()
    ask(begun, given.append)
    assert len(given) == 2
    assert len({charged.release_id for charged in given}) == 1
    assert saved(home) == head_of(entries(begun)[-1])


def test_a_block_that_fails_ends_after_the_head_of_its_charge_is_saved(begun: Store, home: Path) -> None:
    with pytest.raises(LookupError):
        ask(begun, fails)
    assert saved(home) == head_of(entries(begun)[-1])


def test_where_no_thread_can_be_started_the_head_is_saved_before_the_block_begins(
    begun: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    def look(_: Charged | StoredRelease) -> None:
        assert saved(home) == head_of(entries(begun)[-1])

    monkeypatch.setattr(threading.Thread, "start", refused)
    ask(begun, look)


def test_a_ledger_that_was_closed_and_is_asked_again_saves_heads(begun: Store, home: Path) -> None:
    ask(begun, fine)
    begun.ledger.close()
    ask(begun, fine)
    assert saved(home) == head_of(entries(begun)[-1])


def test_an_answer_that_is_stored_is_given_without_a_head(begun: Store, home: Path) -> None:
    stored = release(begun, ASKED)
    lock = home / "heads" / ".lock"
    lock.unlink()
    lock.mkdir()
    given: list[Charged | StoredRelease] = []
    ask(begun, given.append)
    assert given == [stored]
