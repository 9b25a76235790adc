from __future__ import annotations

import pytest
from ledger_asking import LINEAGE, HandClock, open_lineage, rho

from dpstats.access import operator
from dpstats.errors import Conflict, NotFound, SecondStewardNeeded
from dpstats.ledger.approvals import Wish
from dpstats.ledger.chain import Content
from dpstats.ledger.granting import Opening
from dpstats.ledger.policies import Policy
from dpstats.ledger.proposals import Outcome, approval_draft, grant_draft, lineage_draft, policy_draft
from dpstats.ledger.store import Store
from dpstats.ledger.tokens import Identity, Role

HOST = operator("cli")


def token(store: Store, name: str) -> Identity:
    found = store.tokens.authenticate(store.tokens.create(name, Role.STEWARD, (), None, "cli"))
    assert found is not None
    return found


def grant_of(store: Store, epsilon: int, actor: str = "cli") -> Content:
    return store.ledger.grant_content(LINEAGE, rho(5), epsilon=epsilon, actor=actor, reason="more")


def new_lineage(store: Store) -> Opening:
    known = store.ledger.terms(LINEAGE)
    changed = {name: getattr(known, name) for name in vars(known)} | {"lineage": "others"}
    return Opening(type(known)(**changed), rho(10), 10, "cli")


def test_the_host_s_users_are_one_steward(store: Store) -> None:
    """Whoever is root there is any of them; a token's name does not make its holder one of them."""
    alice, root = operator("cli:alice"), operator("cli:root")
    proposed = store.proposals.propose(grant_draft("shop", grant_of(store, 5, "cli:alice")), alice)
    for host in (alice, root, HOST):
        with pytest.raises(Conflict, match="another steward must confirm it"):
            store.proposals.confirm(proposed.proposal_id, host)
    assert store.proposals.confirm(proposed.proposal_id, token(store, "cli:sue")).decided_by == "cli:sue"


def test_nothing_takes_two_stewards_until_it_is_said(store: Store) -> None:
    assert store.proposals.policy() == Policy()
    store.ledger.grant_as(grant_of(store, 10**9))
    open_lineage(store, lineage="others")


def test_a_grant_past_the_limit_is_made_by_two_and_names_both(store: Store) -> None:
    store.proposals.set_policy(Policy(grants_above=10), "cli")
    content = grant_of(store, 11)
    with pytest.raises(SecondStewardNeeded):
        store.ledger.grant_as(content)
    before = store.ledger.budget(LINEAGE)
    proposal = store.proposals.propose(grant_draft("shop", content), HOST)
    assert store.ledger.budget(LINEAGE) == before
    done = store.proposals.confirm(proposal.proposal_id, token(store, "sue"))
    assert (done.outcome, done.decided_by) == (Outcome.CONFIRMED, "sue")
    entry = store.ledger.entries(LINEAGE, 0, 10)[-1]
    assert (entry.actor, entry.confirmed_by, entry.epsilon, entry.reason) == ("cli", "sue", 11, "more")
    assert store.ledger.budget(LINEAGE).cap == before.cap + rho(5)
    assert store.ledger.verify().ok


def test_grants_that_wait_cannot_pass_the_largest_budget_together(store: Store) -> None:
    most = 600 * 10**12
    waiting = [store.proposals.propose(grant_draft("shop", grant_of(store, most + each)), HOST) for each in (0, 1)]
    store.proposals.confirm(waiting[0].proposal_id, token(store, "sue"))
    before = store.ledger.budget(LINEAGE)
    with pytest.raises(Conflict, match="more than epsilon 1000"):
        store.proposals.confirm(waiting[1].proposal_id, token(store, "ann"))
    assert store.ledger.budget(LINEAGE) == before
    assert store.proposals.one(waiting[1].proposal_id).outcome is Outcome.PENDING


def test_small_grants_are_added_up_and_confirmed_ones_are_not(store: Store) -> None:
    store.proposals.set_policy(Policy(grants_above=10), "cli")
    store.ledger.grant_as(grant_of(store, 6))
    proposal = store.proposals.propose(grant_draft("shop", grant_of(store, 100)), HOST)
    store.proposals.confirm(proposal.proposal_id, token(store, "sue"))
    store.ledger.grant_as(grant_of(store, 4))
    with pytest.raises(SecondStewardNeeded):
        store.ledger.grant_as(grant_of(store, 1, "sue"))


def test_nobody_confirms_what_they_proposed(store: Store) -> None:
    store.proposals.set_policy(Policy(grants_above=0), "cli")
    sue = token(store, "sue")
    for who in (HOST, sue):
        proposal = store.proposals.propose(grant_draft("shop", grant_of(store, 5, who.name)), who)
        with pytest.raises(Conflict, match="own"):
            store.proposals.confirm(proposal.proposal_id, who)
        assert store.proposals.one(proposal.proposal_id).outcome is Outcome.PENDING
    store.tokens.revoke("sue")
    with pytest.raises(Conflict, match="own"):
        store.proposals.confirm(proposal.proposal_id, token(store, "sue"))
    assert len(store.ledger.entries(LINEAGE, 0, 10)) == 1


def test_a_proposal_is_decided_once(store: Store) -> None:
    sue = token(store, "sue")
    for decide in (store.proposals.confirm, store.proposals.decline):
        proposal = store.proposals.propose(grant_draft("shop", grant_of(store, 5)), HOST)
        decide(proposal.proposal_id, sue)
        for again in (store.proposals.confirm, store.proposals.decline):
            with pytest.raises(Conflict, match="propose it again"):
                again(proposal.proposal_id, sue)
    assert len(store.ledger.entries(LINEAGE, 0, 10)) == 2
    with pytest.raises(NotFound):
        store.proposals.confirm("nothing", sue)


def test_a_proposal_ends_by_itself_after_14_days(store: Store, clock: HandClock) -> None:
    proposal = store.proposals.propose(grant_draft("shop", grant_of(store, 5)), HOST)
    assert store.proposals.propose(grant_draft("shop", grant_of(store, 5)), HOST) == proposal
    clock.advance(days=14)
    with pytest.raises(Conflict, match="expired"):
        store.proposals.confirm(proposal.proposal_id, token(store, "sue"))
    assert store.proposals.propose(grant_draft("shop", grant_of(store, 5)), HOST) != proposal


def test_a_new_lineage_is_opened_by_two(store: Store) -> None:
    store.proposals.set_policy(Policy(new_lineages=True), "cli")
    opening = new_lineage(store)
    with pytest.raises(SecondStewardNeeded):
        store.ledger.open_as(opening)
    assert not store.ledger.has_lineage("others")
    proposal = store.proposals.propose(lineage_draft("other", opening), HOST)
    store.proposals.confirm(proposal.proposal_id, token(store, "sue"))
    (first,) = store.ledger.entries("others", 0, 10)
    assert (first.actor, first.confirmed_by) == ("cli", "sue")
    assert store.ledger.open_as(opening).cap == rho(10)


def test_what_is_not_known_of_a_query_takes_two_and_a_cheap_plain_one_does_not(store: Store) -> None:
    store.registry.register_dataset("shop", "v1", LINEAGE)
    store.registry.submit_query("q", "shop", "text", "cli")
    store.proposals.set_policy(Policy(approvals_above=10, sensitive=True), "cli")
    dear = Wish("q", "sha256:1", 1, "cli", None, 11, sensitive=False)
    for wish in (Wish("q", "sha256:1", 1, "cli"), dear, Wish("q", "sha256:1", 1, "cli", None, 10, sensitive=True)):
        with pytest.raises(SecondStewardNeeded):
            store.registry.approve_as(wish)
    assert store.registry.approve_as(Wish("q", "sha256:1", 1, "cli", None, 10, sensitive=False)).confirmed_by is None
    store.registry.submit_query("q", "shop", "newer", "cli")
    stale = store.proposals.propose(approval_draft("shop", dear), HOST)
    sue = token(store, "sue")
    with pytest.raises(Conflict, match="newer text"):
        store.proposals.confirm(stale.proposal_id, sue)
    fresh = store.proposals.propose(approval_draft("shop", Wish("q", "sha256:2", 2, "cli", None, 11)), HOST)
    store.proposals.confirm(fresh.proposal_id, sue)
    approval = store.registry.approval("q", "sha256:2")
    assert approval is not None
    assert (approval.approved_by, approval.confirmed_by) == ("cli", "sue")


@pytest.mark.parametrize(
    "relaxed", [Policy(), Policy(grants_above=11, sensitive=True), Policy(grants_above=10), Policy(sensitive=True)]
)
def test_one_steward_makes_the_policy_stricter_and_two_make_it_laxer(store: Store, relaxed: Policy) -> None:
    store.proposals.set_policy(Policy(grants_above=20), "cli")
    strict = Policy(grants_above=10, sensitive=True)
    store.proposals.set_policy(strict, "cli")
    with pytest.raises(SecondStewardNeeded):
        store.proposals.set_policy(relaxed, "cli")
    assert store.proposals.policy() == strict
    proposal = store.proposals.propose(policy_draft(relaxed), HOST)
    store.proposals.confirm(proposal.proposal_id, token(store, "sue"))
    assert store.proposals.policy() == relaxed


def test_a_grant_that_fails_leaves_its_proposal_undecided(store: Store) -> None:
    content = store.ledger.grant_content(LINEAGE, rho(2**62), epsilon=1, actor="cli", reason="too much")
    proposal = store.proposals.propose(grant_draft("shop", content), HOST)
    with pytest.raises(ValueError, match="at least 0 and below"):
        store.proposals.confirm(proposal.proposal_id, token(store, "sue"))
    assert store.proposals.one(proposal.proposal_id).outcome is Outcome.PENDING
