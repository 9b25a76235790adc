"""A ledger asked anything in any order, by two clients that crash, agrees with a model of a few dictionaries.

`LEDGER_MODEL_EXAMPLES=1000 pytest tests/ledger/test_model.py` looks for longer.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from ledger_asking import LINEAGE, HandClock, make_request, open_lineage, permit, question, rho, token_of
from ledger_databases import LedgerDatabase
from ledger_model import BLOCK_CAP, BLOCKS, FRESH_FOR, TOKEN_CAP, Asked, Model, Paid, Refused
from sqlalchemy import event

from dpstats.errors import BudgetExhausted, Frozen, Unavailable
from dpstats.ledger.blocks import BlockTerms
from dpstats.ledger.caps import Scope, Share
from dpstats.ledger.records import Charged, ChargeRequest, StoredRelease
from dpstats.ledger.store import Store, open_store
from dpstats.privacy.blocks import Grain, Touched

EXAMPLES = int(os.environ.get("LEDGER_MODEL_EXAMPLES", "0"))
CAP, STEPS = 20, 25
TERMS = BlockTerms("visits.at", Grain.MONTH, rho(BLOCK_CAP), BLOCK_CAP, 5 * 10**11)

NAMES, KEYS = st.sampled_from(["a", "b"]), st.none() | st.sampled_from(["k", "l"])
ROLES, PURPOSES = st.sampled_from(["analyst", "job"]), st.sampled_from(["reports", "marketing"])
SHARES = st.tuples(st.just("role"), ROLES) | st.tuples(st.just("purpose"), PURPOSES)
SPANS = st.sampled_from([("2017-01", "2017-01"), ("2017-01", "2017-03"), ("2017-02", "2017-02"), (None, "2017-02")])
TOUCHED = st.builds(lambda span, static: Touched(*span, static), SPANS, st.booleans())
CLIENTS = st.integers(0, 1)


class Crash(BaseException):
    """The client is gone, whatever it was about to do."""


class LedgerMachine(RuleBasedStateMachine):
    copied: ClassVar[Callable[[Path], str]]
    """Puts a copy of a new workspace in a folder; gives its ledger's address."""
    timed: ClassVar[bool]
    """Whether its lineage has blocks."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.home, self.clock = Path(self.folder.name) / "home", HandClock()
        self.url = type(self).copied(self.home)
        self.clients = [self._client(), self._client()]
        self.token = self.clients[0].tokens.list()[0].identity.token_id
        self.model, self.draws = Model(CAP), 0

    @rule(
        client=CLIENTS,
        asked=st.builds(Asked, NAMES, st.integers(1, 4), st.booleans(), KEYS, ROLES, PURPOSES, st.booleans()),
        touched=TOUCHED,
    )
    def charge(self, client: int, asked: Asked, touched: Touched) -> None:
        asked, request = self._request(asked, touched)
        expected = self.model.expected(asked, self.clock.now)
        if isinstance(expected, Refused):
            with pytest.raises(expected.error) as refused:
                self.clients[client].ledger.charge(request)
            if isinstance(refused.value, BudgetExhausted):
                assert refused.value.scope == expected.scope
            return
        self._agree(asked, expected, self.clients[client].ledger.charge(request))

    @rule(client=CLIENTS, name=NAMES, key=st.sampled_from(["m", "n"]), committed=st.booleans(), touched=TOUCHED)
    def crash_at_a_charge(self, client: int, name: str, key: str, committed: bool, touched: Touched) -> None:
        """The client is gone before the commit, or after it and before the head is saved; another one tries again."""
        asked, request = self._request(Asked(name, 1, fresh=True, key=key), touched)
        if self.model.expected(asked, self.clock.now) is None:
            self._crash(self.clients[client], request, committed=committed)
            self.clients[client] = self._client()
            charged = self.clients[1 - client].ledger.charge(request)
            assert isinstance(charged, Charged)
            assert charged.resumed == committed
            self.model.bind(asked, self.model.take(asked, charged, self.clock.now))

    @rule(client=CLIENTS, data=st.data())
    def finish(self, client: int, data: st.DataObject) -> None:
        if self.model.paid:
            item = data.draw(st.sampled_from(self.model.paid))
            self.draws += 1
            store, body = self.clients[client], str(self.draws).encode()
            if self.model.frozen:
                with pytest.raises(Frozen):
                    store.ledger.store(item.charged, body=body, fresh_for=FRESH_FOR)
                stored = store.ledger.release(item.charged.release_id)
            else:
                stored = store.ledger.store(item.charged, body=body, fresh_for=FRESH_FOR)
            assert stored.body == (body if item.stored is None else item.stored.body)
            item.stored = item.stored or stored
            assert stored == item.stored

    @rule(client=CLIENTS, added=st.integers(1, 3))
    def grant(self, client: int, added: int) -> None:
        self.clients[client].ledger.grant(LINEAGE, rho(added), epsilon=0, actor="stu", reason="more")
        self.model.cap += added

    @rule(client=CLIENTS, frozen=st.booleans())
    def freeze_or_thaw(self, client: int, frozen: bool) -> None:
        registry = self.clients[client].registry
        (registry.freeze if frozen else registry.thaw)("shop", "stu")
        self.model.frozen = frozen

    @rule(client=CLIENTS, share=SHARES, amount=st.none() | st.integers(0, 12))
    def set_a_cap(self, client: int, share: tuple[str, str], amount: int | None) -> None:
        of = Share(Scope(share[0]), share[1])
        if amount is None and share not in self.model.caps:
            with pytest.raises(ValueError, match="no cap"):
                self.clients[client].caps.set(LINEAGE, of, None, actor="stu", reason="why")
            return
        self.clients[client].caps.set(LINEAGE, of, amount, actor="stu", reason="why")
        self.model.caps.pop(share, None)
        if amount is not None:
            self.model.caps[share] = amount

    @rule(client=CLIENTS)
    def revoke_the_token(self, client: int) -> None:
        self.clients[client].tokens.revoke("t")
        self.model.revoked = True

    @rule(days=st.integers(1, 20))
    def wait(self, days: int) -> None:
        self.clock.advance(days=days)

    @rule()
    def load(self) -> None:
        self.model.data_version += 1

    @rule(client=CLIENTS)
    def restart(self, client: int) -> None:
        self.clients[client].close()
        self.clients[client] = self._client()

    @invariant()
    def both_clients_see_what_the_model_says(self) -> None:
        for store in self.clients:
            state = store.ledger.budget(LINEAGE)
            assert (state.cap.amount, state.spent.amount) == (self.model.cap, self.model.spent)
            assert self.model.spent <= self.model.cap
            assert {
                (str(x.cap.share.scope), x.cap.share.name): (x.amount, x.spent) for x in store.caps.of(LINEAGE)
            } == {share: (cap, self.model.spent_by(*share)) for share, cap in self.model.caps.items()}
        if self.timed:
            totals = self.clients[0].ledger.block_totals(LINEAGE)
            assert [totals.of(block).amount for block in BLOCKS] == [self.model.spent_of(block) for block in BLOCKS]

    def teardown(self) -> None:
        if hasattr(self, "clients"):
            assert self.clients[0].ledger.verify().ok
            for store in self.clients:
                store.close()
            self.folder.cleanup()

    def _agree(self, asked: Asked, expected: Paid | None, outcome: Charged | StoredRelease) -> None:
        if expected is None:
            assert isinstance(outcome, Charged)
            assert not outcome.resumed
            expected = self.model.take(asked, outcome, self.clock.now)
        elif expected.stored is None:
            assert isinstance(outcome, Charged)
            assert outcome.resumed
        else:
            assert outcome == expected.stored
        assert outcome.release_id == expected.charged.release_id
        self.model.bind(asked, expected)

    def _request(self, asked: Asked, touched: Touched) -> tuple[Asked, ChargeRequest]:
        """The same request for the model, with the blocks that it reads, and for the ledger."""
        if self.timed:
            asked = Asked(**{**vars(asked), "blocks": tuple(block for block in BLOCKS if touched.has(block))})
        request = make_request(
            asked.name,
            amount=asked.amount,
            fresh=asked.fresh,
            idempotency_key=asked.key,
            role=asked.role,
            purpose=asked.purpose,
            token_id=self.token if asked.token else None,
            token_cap=TOKEN_CAP if asked.token else None,
            blocks=touched if self.timed else None,
            data_version=f"dv{self.model.data_version}",
        )
        return asked, request

    def _crash(self, store: Store, request: ChargeRequest, *, committed: bool) -> None:
        if committed:
            lock = self.home / "heads" / ".lock"
            lock.unlink()
            lock.mkdir()  # heads can be read, and none be saved
            with pytest.raises(Unavailable):
                store.ledger.charge(request)
            lock.rmdir()
        else:

            def crash(*_: object) -> None:
                raise Crash

            event.listen(store.engine, "commit", crash)
            with pytest.raises(Crash):
                store.ledger.charge(request)
        store.close()

    def _client(self) -> Store:
        return open_store(self.home, self.clock, url=self.url)


def template(home: Path, url: str, *, timed: bool) -> None:
    """Makes the workspace that each example begins with a copy of."""
    store = open_store(home, HandClock(), url=url)
    open_lineage(store, cap=rho(CAP), epsilon=CAP, blocks=TERMS if timed else None)
    for name in ("a", "b"):
        permit(store, question(name))
    token_of(store, "t")
    store.close()


@pytest.mark.parametrize("timed", [False, True])
def test_the_ledger_agrees_with_the_model(home: Path, database: LedgerDatabase, timed: bool) -> None:
    template(home, database.url, timed=timed)

    def copied(to: Path) -> str:
        shutil.copytree(home, to)
        return database.copy_for(to)

    made = {"copied": staticmethod(copied), "timed": timed}
    on_this_database = type("OnThisDatabase", (LedgerMachine,), made)
    # Each example on a server is a database of its own, which takes longer to make than a file.
    examples = EXAMPLES or (3 if database.url else 9)
    bounds = settings(
        max_examples=examples, stateful_step_count=STEPS, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(on_this_database, settings=bounds)
