"""A ledger asked anything in any order agrees with a model of a few dictionaries."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from ledger_asking import LINEAGE, HandClock, make_request, open_lineage, permit, question, rho
from ledger_databases import LedgerDatabase

from dpstats.errors import BudgetExhausted, IdempotencyConflict
from dpstats.ledger.records import Charged, StoredRelease
from dpstats.ledger.store import open_store

NAMES = st.sampled_from(["a", "b"])
FRESH_FOR = timedelta(days=30)


@dataclass
class Paid:
    """What the model keeps of one charge."""

    name: str
    data_version: str
    amount: int
    charged: Charged
    at: datetime
    stored: StoredRelease | None = None


class LedgerModel(RuleBasedStateMachine):
    new_url: ClassVar[Callable[[], str]]

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.clock = HandClock()
        self.url = type(self).new_url()
        self.store = open_store(Path(self.folder.name), self.clock, url=self.url)
        open_lineage(self.store, cap=rho(20), epsilon=20)
        for name in ("a", "b"):
            permit(self.store, question(name))
        self.cap, self.draws, self.data_version = 20, 0, 1
        self.paid: list[Paid] = []
        self.keys: dict[str, tuple[tuple[str, bool], Paid]] = {}

    @rule(name=NAMES, fresh=st.booleans(), amount=st.integers(1, 4), key=st.none() | st.sampled_from(["k", "l"]))
    def charge(self, name: str, fresh: bool, amount: int, key: str | None) -> None:
        asked = make_request(
            name, fresh=fresh, amount=amount, idempotency_key=key, data_version=f"dv{self.data_version}"
        )
        expected = self._expected(name, fresh, amount, key)
        if isinstance(expected, type):
            with pytest.raises(expected):
                self.store.ledger.charge(asked)
            return
        outcome = self.store.ledger.charge(asked)
        if expected is None:
            assert isinstance(outcome, Charged)
            assert not outcome.resumed
            expected = Paid(name, f"dv{self.data_version}", amount, outcome, self.clock.now)
            self.paid.append(expected)
        elif expected.stored is None:
            assert isinstance(outcome, Charged)
            assert outcome.resumed
        else:
            assert outcome == expected.stored
        assert outcome.release_id == expected.charged.release_id
        if key is not None:
            self.keys.setdefault(key, ((name, fresh), expected))

    def _expected(self, name: str, fresh: bool, amount: int, key: str | None) -> Paid | type[Exception] | None:
        """The charge that answers, an error, or None for a new charge."""

        def pays(item: Paid) -> bool:
            same = (item.name, item.data_version) == (name, f"dv{self.data_version}")
            return item.stored is None and same and item.amount >= amount

        if key in self.keys:
            fingerprint, bound = self.keys[key]
            return bound if fingerprint == (name, fresh) and (bound.stored or pays(bound)) else IdempotencyConflict
        if not fresh:
            stored = [x for x in self.paid if x.name == name and x.stored and x.at + FRESH_FOR > self.clock.now]
            if stored:
                newest = max(item.at for item in stored)
                return min((x for x in stored if x.at == newest), key=lambda item: item.charged.release_id)
            unfinished = [item for item in self.paid if pays(item) and self.clock.now - item.at < FRESH_FOR]
            if unfinished:
                return unfinished[-1]
        return BudgetExhausted if self._spent() + amount > self.cap else None

    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        if self.paid:
            item = data.draw(st.sampled_from(self.paid))
            self.draws += 1
            body = str(self.draws).encode()
            stored = self.store.ledger.store(item.charged, body=body, fresh_for=FRESH_FOR)
            if item.stored is None:
                assert stored.body == body
                item.stored = stored
            assert stored == item.stored

    @rule(added=st.integers(1, 3))
    def grant(self, added: int) -> None:
        self.store.ledger.grant(LINEAGE, rho(added), epsilon=0, actor="stu", reason="more")
        self.cap += added

    @rule(days=st.integers(1, 20))
    def wait(self, days: int) -> None:
        self.clock.advance(days=days)

    @rule()
    def load(self) -> None:
        self.data_version += 1

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = open_store(Path(self.folder.name), self.clock, url=self.url)

    @invariant()
    def the_budget_is_exact_and_the_chain_verifies(self) -> None:
        state = self.store.ledger.budget(LINEAGE)
        assert (state.cap.amount, state.spent.amount) == (self.cap, self._spent())
        assert self._spent() <= self.cap
        assert self.store.ledger.verify().ok
        for name in ("a", "b"):
            found = self.store.ledger.find_fresh(question(name))
            assert found is None or found in [item.stored for item in self.paid]

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            self.folder.cleanup()

    def _spent(self) -> int:
        return sum(item.amount for item in self.paid)


def test_the_ledger_agrees_with_the_model(database: LedgerDatabase) -> None:
    class OnThisDatabase(LedgerModel):
        new_url = staticmethod(database.another)

    # Each example on a server is a database of its own, which takes longer to make than a file.
    examples = 8 if database.url else 20
    bounds = settings(
        max_examples=examples, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(OnThisDatabase, settings=bounds)
