"""One folder with everything a dpstats service keeps, and everything that can be done with it.

    ledger.db, ledger.key, heads/    the ledger (unless it is on a server), its signing key, its newest heads
    turns.lock, *.lock               what processes lock so that they take turns
    bounding.key                     the secret that chooses which rows and groups of a unit are kept
    consent.db, consent.key          consent, rights requests, who was erased, what is kept of them; its pseudonyms' key
    packages/                        answers to requests to know, encrypted, each until it is fetched, a week at most
    data/<dataset>/<version>.duckdb  the current data version of each dataset
    sandbox                          a mark: the data in this workspace are invented

The command line, the HTTP service and the pages all call the same methods, on `Workspace.datasets`, `.budgets`,
`.capping`, `.spending`, `.review`, `.waiting`, `.planning`, `.applying`, `.releases`, `.features`, `.refreshing`,
`.stewards`, `.asked`, `.tokens`, `.drawing`, `.terms`, `.consent`, `.consent_told`, `.epochs`, `.rights`, `.keeping`,
`.notifying`, `.retaining`, `.minimising`, `.publishing`, `.assessing` and `.doctor`; each of them checks who calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, time
from functools import partial
from pathlib import Path

from dpstats.access import operator
from dpstats.catalog.engines import EngineSpec
from dpstats.catalog.fields import duration
from dpstats.engine.erasure import Held
from dpstats.engine.in_place import Lake
from dpstats.engine.locked import Limits as EngineLimits
from dpstats.engine.spark.lake import SparkLake
from dpstats.engine.versions import Engines
from dpstats.errors import FileError, NotLoaded, Unavailable
from dpstats.grid import NO_GRID, Grid
from dpstats.ledger.database import faults_explained
from dpstats.ledger.secret_files import secret_in
from dpstats.ledger.store import Store, open_store
from dpstats.library import Library
from dpstats.release import Road
from dpstats.rights.consent_log import ConsentLog
from dpstats.rights.consent_schema import ConsentDatabase
from dpstats.rights.corrections import Corrections
from dpstats.rights.deliveries import Deliveries
from dpstats.rights.erasures import Erasures
from dpstats.rights.kept_back import KeptBack
from dpstats.rights.notice import NOBODY_NAMED, Business
from dpstats.rights.notices_at_load import NoticesAtLoad
from dpstats.rights.notices_built import NoticesBuilt
from dpstats.rights.outbox import Outbox
from dpstats.rights.pseudonyms import Pseudonyms
from dpstats.rights.request_log import RequestLog
from dpstats.rights.roll import roll_of
from dpstats.rights.suppression import Suppressions
from dpstats.settings import Settings
from dpstats.turns import Limits, Turns
from dpstats.workspace.asked import Asked
from dpstats.workspace.assessing import Assessing
from dpstats.workspace.behind import Behind
from dpstats.workspace.budgets import Budgets
from dpstats.workspace.caps import Capping
from dpstats.workspace.consent import Consent
from dpstats.workspace.consent_told import ConsentTold
from dpstats.workspace.correcting import Correcting
from dpstats.workspace.datasets import Datasets
from dpstats.workspace.disclosing import Disclosing, OfPeople
from dpstats.workspace.doctor import Doctor
from dpstats.workspace.drawing import Drawing
from dpstats.workspace.epochs import NIGHTLY, Epochs, Timetable
from dpstats.workspace.erasing import Erasing
from dpstats.workspace.features import Features
from dpstats.workspace.features_refresh import Refreshing
from dpstats.workspace.held_data import HeldData
from dpstats.workspace.keeping import Keeping
from dpstats.workspace.minimising import Minimising
from dpstats.workspace.notifying import Notifying
from dpstats.workspace.opting_out import OptingOut
from dpstats.workspace.owners import Owners
from dpstats.workspace.people import People
from dpstats.workspace.policy import Planning
from dpstats.workspace.policy_apply import Applying
from dpstats.workspace.policy_features import ViewPlanning
from dpstats.workspace.preparing import Preparing
from dpstats.workspace.publishing import Publishing
from dpstats.workspace.refusals_told import RefusalsTold
from dpstats.workspace.releases import Releases
from dpstats.workspace.retaining import Retaining
from dpstats.workspace.review import Review
from dpstats.workspace.rights import Rights
from dpstats.workspace.sandbox import is_sandbox
from dpstats.workspace.selftest import self_test
from dpstats.workspace.spending import Spending
from dpstats.workspace.stewards import Stewards
from dpstats.workspace.terms import TermsDesk
from dpstats.workspace.tokens import TokenDesk
from dpstats.workspace.waiting import Waiting
from dpstats.workspace.webhooks import Webhook, read_webhooks

__all__ = ["Workspace"]


class Workspace:
    """An open workspace. Thread-safe; one a process."""

    def __init__(
        self,
        home: Path,
        store: Store,
        engines: Engines,
        key: bytes,
        *,
        turns: Turns,
        grid: Grid,
        timetable: Timetable = NIGHTLY,
        business: Business = NOBODY_NAMED,
        webhooks: Sequence[Webhook] = (),
    ) -> None:
        self.home, self.store, self.turns, self._engines = home, store, turns, engines
        self.sandbox = is_sandbox(home)
        self._library = library = Library(store.registry, store.recipients, business.acts_as)
        self._consent_database = ConsentDatabase(home / "consent.db")
        consent_log, pseudonyms = ConsentLog(self._consent_database), Pseudonyms.open(home / "consent.key")
        suppressions = Suppressions(self._consent_database, pseudonyms)
        erasures = Erasures(self._consent_database)
        self._behind = Behind(store, library, suppressions, erasures)
        self._road = road = Road(store, library, engines, turns, grid, timetable.max_age, self._behind.must_not_answer)
        rolls = partial(roll_of, log=consent_log, pseudonyms=pseudonyms)
        corrections = Corrections(self._consent_database, pseudonyms)
        deliveries = Deliveries(home / "packages")
        deliveries.sweep(datetime.now(UTC))  # nobody else may ever come by
        kept_back = KeptBack(self._consent_database, pseudonyms)
        people = People(suppressions, corrections, pseudonyms, deliveries, consent_log, erasures, kept_back)
        notices = NoticesAtLoad(self._consent_database, business)
        outbox = Outbox(self._consent_database)
        self.datasets = Datasets(
            store,
            library,
            home / "data",
            key,
            people,
            rolls,
            notices,
            partial(_lake, key=key, limits=engines.limits),
            Owners(outbox, webhooks, key),
        )
        self.held_data = HeldData(library, store.registry, home / "data", people, self.datasets.current_file)
        self.budgets = Budgets(store, library)
        self.preparing = Preparing(library, road, self.datasets, key, engines.limits)
        self.drawing = Drawing(library, road)
        self.capping = Capping(store, library)
        self.review = Review(store, library, road)
        self.spending = Spending(store, library, self.review)
        self.waiting = Waiting(store, library, self.review)
        self.releases = Releases(store, library, road, self.budgets, sandbox=self.sandbox)
        self.features = Features(store, library, road, self.budgets, sandbox=self.sandbox)
        self.refreshing = Refreshing(store, road, self.features)
        self.planning = Planning(store, self.review, self.datasets, ViewPlanning(store.registry, road))
        self.applying = Applying(store, self.datasets, self.review, self.features)
        self.stewards = Stewards(store)
        self.asked = Asked(store)
        self.tokens = TokenDesk(store, library)
        self.terms = TermsDesk(store)
        told = RefusalsTold(library, self.datasets, webhooks)
        self.consent = Consent(library, consent_log, pseudonyms, told)
        self.consent_told = ConsentTold(library, road, consent_log, pseudonyms, timetable, self.held_data)
        self.epochs = Epochs(store, library, road, consent_log, self.datasets, timetable, home / "epochs.lock")
        self.retaining = Retaining(store, library, self.datasets, corrections, timetable, home / "retention.lock")
        requests = RequestLog(self._consent_database)
        self.keeping = Keeping(kept_back, requests, library)
        self.notifying = Notifying(library, requests, outbox, webhooks)
        erasing = Erasing(library, self.datasets, suppressions, people, self.keeping)
        self.rights = Rights(
            library,
            requests,
            pseudonyms,
            erasing,
            self.keeping,
            Correcting(self.datasets, self.held_data, corrections),
            Disclosing(
                library,
                store.ledger,
                self.held_data,
                OfPeople(consent_log, corrections, pseudonyms, self.keeping),
                self.budgets,
                self.spending,
                deliveries,
                erasing,
            ),
            self.held_data,
            self.consent,
            deliveries,
            corrections,
            self.notifying,
        )
        self.opting_out = OptingOut(library, road, consent_log, pseudonyms, told, business)
        self.minimising = Minimising(library)
        self.publishing = Publishing(
            store, library, self.spending, business, requests, NoticesBuilt(self._consent_database), notices
        )
        self.assessing = Assessing(home, store, library, self.publishing, self.minimising, notices)
        self.doctor = Doctor(
            home,
            store,
            library,
            road,
            self.rights,
            self.epochs,
            self.retaining,
            self._behind,
            self.notifying,
            self.publishing,
        )

    @classmethod
    def open(cls, settings: Settings, *, check_ledger: bool = True, served: bool = False) -> Workspace:
        """Opens the workspace at `settings.home`, making what is missing.

        Args:
          check_ledger: refuse a ledger that cannot be trusted; only a command that reports on it opens it unchecked.
          served: callers are on the other side of a network, so releases leave on the grid of `latency_step_ms`.

        Raises:
          LedgerBroken: the ledger cannot be trusted.
          FileError: `bounding.key` or the webhooks' file is wrong, or the ledger's server cannot be used.
          Unavailable: the folder cannot be read and written now.
        """
        webhooks = read_webhooks(settings.webhooks)
        store = open_store(settings.home, url=settings.ledger_url.get_secret_value(), check=check_ledger)
        try:
            key = secret_in(settings.home / "bounding.key")
            with faults_explained():
                turns = Turns(settings.home / "turns.lock", _limits(settings))
        except BaseException:
            store.close()
            raise
        engines = Engines(
            settings.home / "data",
            key,
            memory_limit_mb=settings.memory_limit_mb,
            threads=settings.threads,
            deadline_s=settings.deadline_s,
        )
        grid = Grid(settings.latency_step_ms / 1000) if served else NO_GRID
        return cls(
            settings.home,
            store,
            engines,
            key,
            turns=turns,
            grid=grid,
            timetable=_timetable(settings),
            business=Business(settings.business, settings.contact, settings.acts_as, settings.disk_encryption),
            webhooks=webhooks,
        )

    def open_data(self) -> None:
        """Opens what is loaded of as many datasets as stay open, so that their first query need not wait for it.

        DuckDB's lock-down is probed in each before anything is served; in any other when it is opened.

        Data that were made before somebody was erased, as restored ones may be, are made anew first; those that cannot
        be answer nobody.

        Raises:
          LockdownFailed: a probe got through.
        """
        self.leave_out_erased()
        for dataset in self._library.datasets(operator("service"))[: self._engines.datasets_open]:
            # One dataset that cannot be opened must not keep the others from being served.
            with suppress(NotLoaded, FileError, Unavailable), self._road.data(dataset):
                pass

    def leave_out_erased(self) -> None:
        """Makes data anew that are older than an erasure; before whatever draws answers from data that may be so."""
        service = operator("service")
        self._behind.catch_up(service, lambda name: self.datasets.rebuild(service, name, _nobody))

    def self_test(self) -> None:
        """Checks noise, prices, engine and clock; once a process, but for the clock.

        Raises:
          SelfTestFailed: one of them is not what it must be: nothing may be answered.
        """
        self_test(self.store)

    def close(self) -> None:
        """Closes files and connections."""
        self._engines.close()
        self._consent_database.close()
        self.store.close()


def _nobody(*_: object) -> Held:
    """Makes data anew without looking for anybody: no evidence is asked for."""
    return Held({}, frozenset())


def _lake(engine: EngineSpec, *, key: bytes, limits: EngineLimits) -> Lake:
    return SparkLake(engine.spark, key, limits.memory_limit_mb, limits.threads)


def _limits(settings: Settings) -> Limits:
    return Limits(settings.releases_at_once or settings.threads, settings.releases_waiting, settings.deadline_s)


def _timetable(settings: Settings) -> Timetable:
    at = None if settings.consent_epoch_at == "never" else time.fromisoformat(settings.consent_epoch_at)
    return Timetable(at, duration(settings.consent_max_age))
