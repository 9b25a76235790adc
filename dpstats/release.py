"""The road: access, catalog, plan, charge, engine, noise, record.

A number leaves in one way only. The order is what keeps the promise: everything that can be refused is refused before
the charge, the charge is durable before a row is read, and only what was read back from the store is given out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, NoReturn

from dpstats import views
from dpstats.catalog.canonical import canonical_json, load_fingerprint
from dpstats.catalog.consented import consent_rules
from dpstats.catalog.dataset import DatasetFile
from dpstats.catalog.parameters import BoundParameters, bind_parameters
from dpstats.catalog.purposes import Kind
from dpstats.catalog.query import KeysFrom
from dpstats.engine.meta import ConsentMeta
from dpstats.engine.noise import add_noise
from dpstats.engine.port import Engine
from dpstats.engine.versions import Engines
from dpstats.errors import ConsentUnknown, FileError, InPlaceChanged, LedgerBroken, NotFound, NotLoaded, Unavailable
from dpstats.grid import Grid
from dpstats.ledger.recent import FOREVER
from dpstats.ledger.records import Charged, ChargeRequest, Envelope, Question, StoredRelease
from dpstats.ledger.registry import DataVersionRecord
from dpstats.ledger.store import Store
from dpstats.ledger.tokens import Identity
from dpstats.library import Known, Library
from dpstats.plan.analysis import Analysis
from dpstats.plan.answer import measures, row_texts
from dpstats.plan.caps import nothing_counted
from dpstats.plan.plan import Noisy, Plan
from dpstats.plan.planned import Planned
from dpstats.plan.withheld import told_of_floor
from dpstats.privacy.blocks import Touched
from dpstats.spans import span
from dpstats.turns import NO_TURN, Turns

Barred = Callable[[DatasetFile, DataVersionRecord], bool]
ADS: frozenset[Kind] = frozenset({"cross_context_ads", "sale", "contextual_ads"})
ADS_FRESH_FOR = timedelta(days=15)
"""How long an answer for advertising is given again: opt-outs count within 15 business days (11 CCR 7026(f))."""


@dataclass(frozen=True)
class Ask:
    """What a caller asks. `fresh`: draw anew and pay, whatever was released before.

    `idempotency_key`: sent again with it, the same ask pays once; of one caller, or of all who name `key_shared_by`.
    """

    identity: Identity
    query: str
    parameters: Mapping[str, object]
    fresh: bool = False
    idempotency_key: str | None = None
    key_shared_by: str | None = None


@dataclass(frozen=True)
class Answer:
    """A stored release, and whether this request made it.

    `until`: from when on it would not be given again as it is, even if nothing is done; None if that is not known.
    """

    stored: StoredRelease
    made_now: bool
    until: datetime | None = None


@dataclass(frozen=True)
class _Wish:
    """An ask, looked up: its query as it stands, understood, and its parameters, checked."""

    ask: Ask
    known: Known
    analysis: Analysis
    parameters: BoundParameters
    asked: Question


class Road:
    """Takes an `Ask` to an `Answer`. What depends on rows takes a turn of `turns`, and ends on the `grid`.

    `consent_max_age`: how old the epoch may be as of which a data version knows who consents. `barred`: whether a data
    version may answer nobody, since somebody in it was erased.
    """

    def __init__(
        self,
        store: Store,
        library: Library,
        engines: Engines,
        turns: Turns,
        grid: Grid,
        consent_max_age: timedelta,
        barred: Barred,
    ) -> None:
        self._ledger, self._registry, self._answered = store.ledger, store.registry, store.answered
        self._library, self._engines = library, engines
        self._turns, self._grid, self._consent_max_age = turns, grid, consent_max_age
        self._barred = barred
        self._planned = Planned()

    def release(self, ask: Ask) -> Answer:
        """The answer, new and charged or made before and free. Callers of one question wait for the first of them.

        Raises:
          Forbidden, NotFound, Frozen, NotApproved, InvalidParameters, QueryRefused, NotLoaded, ConsentUnknown,
          InPlaceChanged, BudgetExhausted, IdempotencyConflict, Busy: refused, nothing is charged.
          Frozen, NotApproved: or a steward said so while it ran: charged and stored, and free when it is given again.
          Unavailable: it failed after the charge, which stays; the next try goes on under it. Or before it, where the
            data are to be made anew first: nothing is charged.
        """
        wish = self._wish(ask)
        earlier = self._earlier(wish)
        if earlier is not None:
            return Answer(earlier, made_now=False, until=min(earlier.fresh_until, wish.known.approved_until or FOREVER))
        until = self._turns.deadline()
        with self._alone(wish, until):
            earlier = self._earlier(wish)  # stored by a twin meanwhile
            if earlier is not None:
                return Answer(earlier, made_now=False)
            with self._turns.computing(until):
                return self._made(wish)

    def _wish(self, ask: Ask) -> _Wish:
        known, analysis = self._library.runnable(ask.identity, ask.query)
        parameters = bind_parameters(known.query, ask.parameters)
        return _Wish(ask, known, analysis, parameters, question(analysis, parameters))

    def _earlier(self, wish: _Wish) -> StoredRelease | None:
        """What is given without a charge. A key must be bound to its release, which the charge does."""
        is_to_be_charged = wish.ask.fresh or wish.ask.idempotency_key
        return None if is_to_be_charged else self._ledger.find_fresh(wish.asked)

    def _alone(self, wish: _Wish, until: float) -> AbstractContextManager[None]:
        """A turn that no twin has: who asks the same, or, where all is drawn anew, who sends the same key."""
        ask = wish.ask
        if not ask.fresh:
            return self._turns.alone(f"{wish.asked.query} {wish.asked.hash}", until)
        if ask.idempotency_key is not None:
            return self._turns.alone(canonical_json([ask.identity.token_id, ask.idempotency_key]).decode(), until)
        return NO_TURN

    def _made(self, wish: _Wish) -> Answer:
        with self.data(wish.known.dataset) as (version, engine):
            plan = self._plan_to_charge(wish, version, engine)
            with ExitStack() as charged:
                with span("charge"):
                    granted = charged.enter_context(self._ledger.charging(_request(wish, plan, version)))
                granted = self._unanswered(granted)
                if isinstance(granted, StoredRelease):
                    return Answer(granted, made_now=False)
                # From here to the grid's next moment the time may depend on rows: that of the charge's head too, whose
                # save they slow down. Nothing else that others can see happens in between: what is stored, who comes
                # next and what is answered, a failure too, all come after it.
                with self._grid.held(), charged.pop_all():
                    noisy = add_noise(plan, engine.run(plan))
        body = _body(_core(plan, granted, version, wish.known), plan, noisy)
        del noisy  # a million groups: a database has copies of the body enough
        return self._stored(wish, granted, body)

    def _plan_to_charge(self, wish: _Wish, version: DataVersionRecord, engine: Engine) -> Plan:
        """The plan of a wish on its data; refuses, before the charge, what these data may not answer."""
        self._check_consent(wish.analysis, engine.consent)
        plan = self.plan_on(version, engine, wish.analysis, wish.parameters)
        _check_in_place(plan, engine)
        return plan

    def _stored(self, wish: _Wish, paid: Charged, body: bytes) -> Answer:
        """Of two callers under one charge, one finds the other's draw stored: its own is gone, and it gets a replay."""
        stored = self._ledger.store(paid, body=body, fresh_for=_fresh_for(wish.known))
        self._answered.note(stored.release_id)
        return Answer(stored, made_now=stored.body == body)

    def _check_consent(self, analysis: Analysis, known: ConsentMeta | None) -> None:
        """Refuses, before the charge, what asks for consent where that is not known of late, or by other rules."""
        consented = analysis.consented
        if consented is None:
            return
        rules = consent_rules(analysis.dataset)
        if known is None or known.rules != rules or datetime.now(UTC) - known.closed_at > self._consent_max_age:
            raise ConsentUnknown(analysis.dataset.dataset, consented.purpose)

    def release_all(self, asks: Sequence[Ask], envelope: Envelope | None = None) -> tuple[Answer, ...]:
        """The answers to several questions about one dataset, in their order: all of them, or nothing is charged.

        Every charge that is needed is made in one transaction. A crash after it leaves charges without numbers, which
        the next try takes up again; it never leaves a number without its charge.

        Args:
          envelope: what the charges must fit in besides the budget.

        Raises:
          What `release` raises. ValueError: they are about several datasets.
        """
        wishes = [self._wish(ask) for ask in asks]
        if len({wish.known.dataset.dataset for wish in wishes}) != 1:
            raise ValueError("releases are made together of one dataset")
        found = self._all_earlier(wishes)
        if found is not None:
            return found
        until = self._turns.deadline()
        together = canonical_json([f"{wish.asked.query} {wish.asked.hash}" for wish in wishes]).decode()
        with self._turns.alone(together, until):
            found = self._all_earlier(wishes)
            if found is not None:
                return found
            with self._turns.computing(until):
                return self._all_made(wishes, envelope)

    def _all_earlier(self, wishes: Sequence[_Wish]) -> tuple[Answer, ...] | None:
        found = [self._earlier(wish) for wish in wishes]
        answers = tuple(Answer(stored, made_now=False) for stored in found if stored is not None)
        return answers if len(answers) == len(wishes) else None

    def _all_made(self, wishes: Sequence[_Wish], envelope: Envelope | None) -> tuple[Answer, ...]:
        with self.data(wishes[0].known.dataset) as (version, engine):
            plans = [self._plan_to_charge(wish, version, engine) for wish in wishes]
            requests = [_request(wish, plan, version, envelope) for wish, plan in zip(wishes, plans, strict=True)]
            with span("charge"):
                charged = self._ledger.charge_all(requests)
            granted = [self._unanswered(paid) for paid in charged]
            # As in `_made`: nothing that others can see happens until the grid's next moment after the last run.
            with self._grid.held():
                drawn = [
                    None if isinstance(paid, StoredRelease) else add_noise(plan, engine.run(plan))
                    for plan, paid in zip(plans, granted, strict=True)
                ]
        return tuple(
            self._kept(wish, plan, paid, version, noisy)
            for wish, plan, paid, noisy in zip(wishes, plans, granted, drawn, strict=True)
        )

    def _kept(
        self, wish: _Wish, plan: Plan, paid: Charged | StoredRelease, version: DataVersionRecord, noisy: Noisy | None
    ) -> Answer:
        if isinstance(paid, StoredRelease) or noisy is None:
            return Answer(self._ledger.release(paid.release_id), made_now=False)
        return self._stored(wish, paid, _body(_core(plan, paid, version, wish.known), plan, noisy))

    def _unanswered(self, paid: Charged | StoredRelease) -> Charged | StoredRelease:
        """What was granted; of a charge that is taken up again, and was answered meanwhile, the answer.

        Raises:
          LedgerBroken: it was answered, and its answer is gone: another draw would be a second one for one charge.
        """
        if isinstance(paid, StoredRelease) or not paid.resumed or paid.release_id not in self._answered:
            return paid
        with suppress(NotFound):
            return self._ledger.release(paid.release_id)
        raise LedgerBroken(
            f"the answer that entry {paid.seq} of lineage {paid.lineage} paid for was stored and is gone: restore the "
            "newest backup, or ask anew and pay (`--fresh`)"
        )

    def plan(self, known: Known, analysis: Analysis, parameters: BoundParameters) -> Plan:
        """The plan of a query; public tables are read for keys and joins, personal tables never.

        Without data, joins with public tables are planned as if each row met one: the price is the same.
        """
        from_table = any(isinstance(key.source, KeysFrom) for key in analysis.keys)
        if from_table or any(fanout.matches for fanout in analysis.fanouts):
            with suppress(*(() if from_table else (NotLoaded,))), self._open(known.dataset) as (version, engine):
                return self.plan_on(version, engine, analysis, parameters)
        return self._planned.plan(analysis, parameters, "", _nothing_to_read, nothing_counted)

    def plan_on(
        self, version: DataVersionRecord, engine: Engine, analysis: Analysis, parameters: BoundParameters
    ) -> Plan:
        """The plan of a query on a data version that is open."""
        return self._planned.plan(analysis, parameters, version.data_version, engine.public_values, engine.public_count)

    @contextmanager
    def data(self, dataset: DatasetFile) -> Iterator[tuple[DataVersionRecord, Engine]]:
        """The dataset's current data version, open, and loaded under the definition in force.

        Raises:
          NotLoaded: nothing is loaded, or the definition changed since.
          EngineFailed: the Spark that the dataset names cannot be used.
          Unavailable: the data are to be made anew first. Why is not told: somebody was erased.
        """
        with self._open(dataset) as (version, engine):
            if self._barred(dataset, version):
                raise Unavailable
            yield version, engine

    @contextmanager
    def _open(self, dataset: DatasetFile) -> Iterator[tuple[DataVersionRecord, Engine]]:
        """The same, whoever is in it: for public tables alone."""
        with ExitStack() as stack:
            version, engine = self._opened(stack, dataset)
            if engine.fingerprint != load_fingerprint(dataset):
                raise NotLoaded(dataset.dataset)
            yield version, engine

    def _opened(self, stack: ExitStack, dataset: DatasetFile) -> tuple[DataVersionRecord, Engine]:
        """The current data version; a load may replace it between the two lines, so its successor is tried too."""
        spark = "" if dataset.engine is None else dataset.engine.spark
        for _ in range(2):
            version = self._current(dataset)
            with suppress(FileError):
                return version, stack.enter_context(self._engines.using(dataset.dataset, version.file, spark))
        raise NotLoaded(dataset.dataset)

    def _current(self, dataset: DatasetFile) -> DataVersionRecord:
        try:
            return self._registry.data_version(dataset.dataset)
        except NotFound:
            raise NotLoaded(dataset.dataset) from None


def question(analysis: Analysis, parameters: BoundParameters) -> Question:
    """What makes two requests the same: the query's version and its parameters."""
    return Question(analysis.query.query, analysis.version, canonical_json(parameters.canonical).decode())


def _check_in_place(plan: Plan, engine: Engine) -> None:
    """Refuses, before the charge, what reads a table in place whose files are not those that were noted."""
    for table in engine.changed(plan.tables):
        raise InPlaceChanged(plan.dataset, table)


def _nothing_to_read(table: str, column: str) -> NoReturn:
    raise LookupError(f"{table}.{column} is not needed")


def loaded_on(version: DataVersionRecord) -> date:
    """The day of a load in UTC: of a table with blocks, nothing later than its block was loaded."""
    return version.as_of.astimezone(UTC).date()


def _blocks(wish: _Wish, version: DataVersionRecord) -> Touched | None:
    use = wish.analysis.blocks
    return None if use is None else use.touched(wish.parameters, loaded_on(version))


def _request(wish: _Wish, plan: Plan, version: DataVersionRecord, envelope: Envelope | None = None) -> ChargeRequest:
    ask, known = wish.ask, wish.known
    return ChargeRequest(
        lineage=known.dataset.lineage,
        dataset=known.dataset.dataset,
        question=Question(plan.query, plan.query_version, canonical_json(dict(plan.parameters)).decode()),
        data_version=version.data_version,
        plan_hash=plan.hash,
        loss=plan.loss,
        events=plan.events,
        actor=ask.identity.name,
        token_id=ask.identity.token_id or None,
        token_cap=ask.identity.cap_steps,
        fresh=ask.fresh,
        idempotency_key=ask.idempotency_key,
        key_shared_by=ask.key_shared_by,
        fresh_for=_fresh_for(known),
        envelope=envelope,
        blocks=_blocks(wish, version),
        role=str(ask.identity.role),
        purpose=known.query.purpose,
    )


def is_for_ads(analysis: Analysis) -> bool:
    """Whether a query's answers are for advertising, or sold: they are given again for `ADS_FRESH_FOR` at most."""
    return analysis.consented is not None and analysis.consented.kind in ADS


def _fresh_for(known: Known) -> timedelta:
    asked = known.query.fresh_for or known.dataset.fresh_for
    return min(asked, ADS_FRESH_FOR) if known.analysis is not None and is_for_ads(known.analysis) else asked


def _body(core: Mapping[str, Any], plan: Plan, noisy: Noisy) -> bytes:
    """The release that is stored; what its floor withholds is not in it."""
    return views.release_body({**core, **told_of_floor(plan, noisy)}, row_texts(plan, noisy))


def _core(plan: Plan, charged: Charged, version: DataVersionRecord, known: Known) -> dict[str, Any]:
    """The release that is stored, but for its rows: everything that does not change from one showing to the next."""
    return {
        "release_id": charged.release_id,
        "query": plan.query,
        "query_version": plan.query_version,
        "dataset": plan.dataset,
        "data_version": version.data_version,
        "parameters": dict(plan.parameters),
        "created_at": charged.created_at.isoformat(),
        "as_of": version.as_of.isoformat(),
        "cost": views.cost(plan.loss, known.dataset.conversion_delta),
        "receipt": views.receipt(charged),
        "privacy_unit": known.dataset.privacy_unit,
        "keys": [{"name": key.name, "type": key.sql_type} for key in plan.keys],
        "measures": measures(plan),
    }
