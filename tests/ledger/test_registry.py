from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from ledger_asking import HandClock
from ledger_databases import LedgerDatabase

from dpstats.errors import Conflict, NotFound, Unavailable
from dpstats.ledger.approvals import Wish
from dpstats.ledger.registry import Registry
from dpstats.ledger.store import Store


@pytest.fixture
def registry(store: Store) -> Registry:
    store.registry.register_dataset("shop", "v1", "shoppers")
    return store.registry


def test_a_dataset_is_what_was_registered_last(registry: Registry, clock: HandClock) -> None:
    clock.advance(days=1)
    registry.register_dataset("shop", "v2", "shoppers")
    registry.register_dataset("another", "x", "shoppers")
    current = registry.dataset("shop")
    assert (current.definition, current.lineage, current.revision) == ("v2", "shoppers", 2)
    assert current.registered_at == clock.now
    assert [item.name for item in registry.datasets()] == ["another", "shop"]
    assert registry.datasets()[1] == current


def test_the_same_definition_again_makes_no_revision(registry: Registry, clock: HandClock) -> None:
    first = registry.dataset("shop")
    clock.advance(days=1)
    assert registry.register_dataset("shop", "v1", "shoppers") == first


def test_a_dataset_keeps_its_lineage(registry: Registry) -> None:
    with pytest.raises(Conflict, match="belongs to lineage shoppers"):
        registry.register_dataset("shop", "v2", "fresh_budget")
    assert registry.dataset("shop").definition == "v1"


def test_the_newest_data_version_is_current_whatever_the_clock_says(registry: Registry, clock: HandClock) -> None:
    as_of = datetime(2026, 2, 1, tzinfo=UTC)
    registry.add_data_version("shop", "dv1", file="dv1.duckdb", fingerprint="f1", as_of=as_of)
    clock.advance(days=-1)
    made = registry.add_data_version("shop", "dv2", file="dv2.duckdb", fingerprint="f2", as_of=as_of)
    assert registry.data_version("shop") == made
    assert (made.data_version, made.file, made.fingerprint, made.as_of) == ("dv2", "dv2.duckdb", "f2", as_of)
    assert [item.data_version for item in registry.data_versions("shop")] == ["dv1", "dv2"]
    with pytest.raises(Conflict, match="dv1"):
        registry.add_data_version("shop", "dv1", file="x", fingerprint="f", as_of=as_of)


def test_what_was_never_registered_is_not_found(registry: Registry, clock: HandClock) -> None:
    for ask in (
        lambda: registry.dataset("nobody"),
        lambda: registry.data_version("shop"),
        lambda: registry.add_data_version("nobody", "dv", file="", fingerprint="", as_of=clock.now),
        lambda: registry.freeze("nobody", "stu"),
        lambda: registry.thaw("nobody", "stu"),
        lambda: registry.submit_query("q", "nobody", "text", "ana"),
        lambda: registry.query("nobody"),
        lambda: registry.newest_query("nobody"),
        lambda: registry.approve("nobody", "v", 1, "stu"),
    ):
        with pytest.raises(NotFound):
            ask()
    assert registry.data_versions("nobody") == registry.approvals("nobody") == registry.queries("nobody") == ()
    assert not registry.is_frozen("nobody")


def test_a_frozen_dataset_is_frozen_until_it_is_thawed_and_it_is_kept_who_did_it(registry: Registry) -> None:
    assert not registry.is_frozen("shop")
    registry.freeze("shop", "stu")
    registry.freeze("shop", "sue")
    assert registry.is_frozen("shop")
    registry.thaw("shop", "stu")
    assert not registry.is_frozen("shop")
    assert [(item.frozen, item.actor) for item in registry.freezes("shop")] == [
        (True, "stu"),
        (True, "sue"),
        (False, "stu"),
    ]


def test_a_query_belongs_to_one_dataset(registry: Registry) -> None:
    registry.register_dataset("other", "x", "shoppers")
    registry.submit_query("q", "shop", "text", "ana")
    with pytest.raises(Conflict, match="unique in the service"):
        registry.submit_query("q", "other", "text", "ana")
    registry.submit_query("p", "other", "text", "ana")
    assert [item.name for item in registry.queries()] == ["p", "q"]
    assert [item.name for item in registry.queries("shop")] == ["q"]


def test_a_query_is_its_newest_text_until_one_was_approved_and_then_the_approved_one(registry: Registry) -> None:
    registry.submit_query("q", "shop", "one", "ana")
    assert registry.submit_query("q", "shop", "two", "bob").revision == 2
    assert registry.query("q").text == "two"
    registry.approve("q", "sha256:1", 1, "stu")
    assert registry.query("q").text == "one"
    assert registry.queries() == (registry.query("q"),)
    assert registry.newest_query("q").text == "two"
    registry.submit_query("q", "shop", "three", "ana")
    assert registry.query("q").text == "one"
    registry.approve("q", "sha256:3", 3, "stu")
    assert registry.query("q").text == "three"


def test_the_same_text_again_makes_no_revision_but_an_older_text_again_does(registry: Registry) -> None:
    registry.submit_query("q", "shop", "one", "ana")
    assert registry.submit_query("q", "shop", "one", "bob").actor == "ana"
    registry.submit_query("q", "shop", "two", "ana")
    assert registry.submit_query("q", "shop", "one", "ana").revision == 3


def test_an_approval_is_of_one_version_and_of_a_revision_that_exists(registry: Registry, clock: HandClock) -> None:
    registry.submit_query("q", "shop", "one", "ana")
    made = registry.approve("q", "sha256:1", 1, "stu")
    assert (made.query, made.version, made.revision, made.approved_by) == ("q", "sha256:1", 1, "stu")
    assert made.approved_at == clock.now
    assert made.holds(clock.now)
    assert registry.approval("q", "sha256:1") == made
    assert registry.approval("q", "sha256:2") is None
    with pytest.raises(NotFound, match="q 2"):
        registry.approve("q", "sha256:2", 2, "stu")


def test_approving_what_is_in_force_changes_nothing(registry: Registry, clock: HandClock) -> None:
    registry.submit_query("q", "shop", "one", "ana")
    first = registry.approve("q", "sha256:1", 1, "stu")
    clock.advance(days=1)
    assert registry.approve("q", "sha256:1", 1, "sue") == first
    assert registry.approvals("q") == (first,)


def test_an_approval_with_an_end_is_renewed_and_the_newest_one_rules(registry: Registry, clock: HandClock) -> None:
    registry.submit_query("q", "shop", "one", "ana")
    first = registry.approve("q", "sha256:1", 1, "stu", timedelta(days=2))
    assert first.expires_at == clock.now + timedelta(days=2)
    clock.advance(days=1)
    second = registry.approve("q", "sha256:1", 1, "stu", timedelta(days=2))
    assert second.expires_at == clock.now + timedelta(days=2)
    clock.advance(days=1)
    assert registry.approval("q", "sha256:1") == second
    clock.advance(days=1)
    assert registry.approval("q", "sha256:1") is None
    assert registry.approvals("q") == (first, second)


def test_a_text_is_submitted_and_approved_at_once_or_not_at_all(registry: Registry) -> None:
    made = registry.submit_and_approve("shop", "one", Wish("q", "sha256:1", 0, "stu"))
    assert (made.revision, registry.query("q").text) == (1, "one")
    assert registry.submit_and_approve("shop", "one", Wish("q", "sha256:1", 0, "stu")) == made
    registry.register_dataset("another", "x", "shoppers")
    with pytest.raises(Conflict, match="is one of dataset shop"):
        registry.submit_and_approve("another", "two", Wish("q", "sha256:2", 0, "stu"))
    assert registry.newest_query("q").text == "one"


def test_a_revoked_query_stays_revoked_until_it_is_approved_anew(registry: Registry, clock: HandClock) -> None:
    registry.submit_query("q", "shop", "one", "ana")
    registry.approve("q", "sha256:1", 1, "stu")
    registry.submit_query("q", "shop", "two", "ana")
    registry.approve("q", "sha256:2", 2, "stu")
    registry.submit_query("q", "shop", "three", "ana")
    clock.advance(days=1)
    assert registry.revoke("q", "sue", "sha256:2") == 1
    assert registry.approval("q", "sha256:2") is None
    assert registry.query("q").text == "two"  # not back to the text before: nothing of the query is given
    assert registry.revoke("q", "sue") == 1
    assert registry.revoke("q", "sue") == 0
    ended = registry.approvals("q")
    assert [(item.holds(clock.now), item.revoked_by, item.revoked_at) for item in ended] == [
        (False, "sue", clock.now)
    ] * 2
    anew = registry.approve("q", "sha256:2", 2, "stu")
    assert registry.approval("q", "sha256:2") == anew
    assert registry.approvals("q") == (*ended, anew)


def test_quotes_and_any_script_are_just_text(registry: Registry) -> None:
    odd = "Käse'; DROP TABLE queries; --\n日本😀"
    registry.register_dataset(odd, odd, odd)
    registry.submit_query(odd, odd, odd, odd)
    assert registry.query(odd).text == odd
    assert registry.dataset(odd).definition == odd


def test_a_text_is_kept_whole_with_a_nul_in_it_or_refused(registry: Registry, database: LedgerDatabase) -> None:
    if database.url:  # PostgreSQL keeps no NUL in a text
        with pytest.raises(Unavailable):
            registry.register_dataset("shop", "a\x00b", "shoppers")
        assert registry.dataset("shop").definition == "v1"
    else:
        assert registry.register_dataset("shop", "a\x00b", "shoppers").definition == "a\x00b"


def test_names_come_in_the_order_of_their_characters_on_every_database(registry: Registry) -> None:
    names = ["Zoo", "a b", "a-b", "ab", "shop", "Äb"]
    for name in names:
        registry.register_dataset(name, "x", "shoppers")
    assert [item.name for item in registry.datasets()] == sorted(names)
