"""The desk for rights requests: kept by the law's clocks, carried out on what the workspace holds, with evidence.

Whose request it is, the caller says: dpstats proves no identity. Whether a person is known is never told but in the
evidence of a request that was verified, which stewards alone can see.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from dpstats.access import Action, check, operator, sees
from dpstats.catalog.dataset import DatasetFile
from dpstats.catalog.ids import id_text
from dpstats.errors import Conflict, InvalidParameters, NotFound
from dpstats.ledger.chain import sha256
from dpstats.ledger.records import StoredRelease
from dpstats.ledger.store import Store
from dpstats.ledger.tokens import Identity
from dpstats.library import Library
from dpstats.rights.consent_log import ConsentLog
from dpstats.rights.corrections import Corrections, Said
from dpstats.rights.decisions import ALL_SALE_SHARE, LIMIT_SPI, Decision, Event
from dpstats.rights.deliveries import Deliveries
from dpstats.rights.intake import Wish
from dpstats.rights.notice import NOBODY_NAMED, PAST_STATISTICS, notice_of
from dpstats.rights.package import STATISTICS_MAX, TableOf, Told, zipped
from dpstats.rights.pseudonyms import Pseudonyms
from dpstats.rights.request_log import Asked, Kept, RequestLog
from dpstats.rights.requests import (
    EXCEPTIONS,
    LEVELS,
    UNVERIFIED_KINDS,
    Confirmed,
    Denial,
    Denied,
    Disclosure,
    Extended,
    Fulfilled,
    Kind,
    Level,
    Revoked,
    Started,
    State,
    Step,
    Verified,
    alarms,
    outward,
)
from dpstats.rights.suppression import Suppressions
from dpstats.rights.yearly_totals import totals
from dpstats.workspace.budgets import Budgets
from dpstats.workspace.consent import Consent
from dpstats.workspace.correcting import Correcting, Wanted, correction_told
from dpstats.workspace.datasets import Datasets
from dpstats.workspace.notifying import Notifying

NO_EXCEPTIONS: Mapping[str, str] = {}
ID_MAX = 256
TEXT_MAX = 1000
TOLD_AFTER_ERASURE = (
    "The data about you were erased from every version that is kept.",
    "Files that are loaded later, and backups that are restored, leave you out.",
    PAST_STATISTICS,
    "No budget is given back for it: what was released stays charged.",
)

TOLD_OF_THE_NOTICE = (
    "We could not make sure enough of who you are to send anything that is about you.",
    "Our privacy notice, at /privacy, says what we collect, what for, and for how long.",
)


class Rights:
    """The rights requests of a workspace. `now`: the time, with a zone."""

    def __init__(
        self,
        library: Library,
        log: RequestLog,
        pseudonyms: Pseudonyms,
        suppressions: Suppressions,
        datasets: Datasets,
        consent: Consent,
        store: Store,
        budgets: Budgets,
        consent_log: ConsentLog,
        deliveries: Deliveries,
        corrections: Corrections,
        notifying: Notifying,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._library, self._log, self._now = library, log, now
        self._pseudonyms, self._suppressions = pseudonyms, suppressions
        self._datasets, self._consent = datasets, consent
        self._ledger, self._budgets = store.ledger, budgets
        self._consent_log, self._deliveries = consent_log, deliveries
        self._corrections, self._correcting = corrections, Correcting(datasets, corrections)
        self._notifying = notifying

    def open(
        self,
        identity: Identity,
        kind: str,
        dataset: str,
        unit: str | int,
        *,
        agent: str = "",
        permission: str = "",
        waive: bool = False,
    ) -> dict[str, Any]:
        """Keeps a new request; the answer is the same whether or not the person is known.

        Args:
          waive: a third request to know within 12 months is answered all the same.

        Raises:
          Forbidden: the caller is no steward. NotFound: no such dataset. InvalidParameters: what is wrong.
        """
        check(identity, Action.STEWARD)
        asked_of = self._library.dataset(identity, dataset)
        self.tidy()
        person = self._person(asked_of, kind, unit)
        asked = Asked(
            Kind(kind),
            dataset,
            asked_of.lineage,
            self._pseudonyms.of(asked_of.lineage, person),
            agent=agent,
            permission=permission,
            waived=waive,
        )
        return self._view(self._log.open(asked, person, actor=identity.name, now=self._now()))

    def one(self, identity: Identity, request_id: str) -> dict[str, Any]:
        """A request: where it stands, its dates, its steps, and the evidence once it is fulfilled.

        Raises:
          Forbidden: the caller is no steward. NotFound: none that the caller may see.
        """
        kept = self._seen(identity, request_id)
        told = {"notices": self._notifying.about(request_id)} if kept.evidence else {}
        return self._view(kept) | {
            "steps": list(self._log.history(request_id)),
            "evidence": dict(kept.evidence) | told,
            "correction": self._correcting.state(request_id),
        }

    def all(self, identity: Identity, *, state: str | None = None) -> list[dict[str, Any]]:
        """Every request that the caller may see, or those of one state, in the order in which they came."""
        check(identity, Action.STEWARD)
        views = [self._view(kept) for kept in self._log.all() if sees(identity, kept.asked.dataset)]
        return [view for view in views if state is None or view["state"] == state]

    def confirm(self, identity: Identity, request_id: str) -> dict[str, Any]:
        """Notes that the person was told that the request came.

        Raises:
          Forbidden, NotFound: as `one`. Conflict: it may not follow.
        """
        return self._step(identity, request_id, Confirmed())

    def verify(self, identity: Identity, request_id: str, level: str, method: str) -> dict[str, Any]:
        """Notes how sure the caller is of who asks, and how it was found out.

        Raises:
          InvalidParameters: there is no such level. Forbidden, NotFound, Conflict: as `confirm`.
        """
        if level not in LEVELS:
            raise InvalidParameters({"level": f"must be one of {', '.join(LEVELS)}"})
        return self._step(identity, request_id, Verified(LEVELS[level], method))

    def extend(self, identity: Identity, request_id: str, reason: str) -> dict[str, Any]:
        """Moves the answer 45 days on, once, for a reason that the person was told.

        Raises:
          Forbidden, NotFound, Conflict: as `confirm`.
        """
        return self._step(identity, request_id, Extended(reason))

    def deny(self, identity: Identity, request_id: str, reason: str) -> dict[str, Any]:
        """Ends a request with a reason of the list, or in the caller's words.

        Raises:
          Forbidden, NotFound, Conflict: as `confirm`.
        """
        named = reason in set(Denial)
        text = reason.replace("_", " ") if named else reason
        return self._step(identity, request_id, Denied(Denial(reason) if named else Denial.OTHER, text))

    def revoke(self, identity: Identity, request_id: str) -> dict[str, Any]:
        """Ends a request that the person took back.

        Raises:
          Forbidden, NotFound, Conflict: as `confirm`.
        """
        return self._step(identity, request_id, Revoked())

    def execute(
        self,
        identity: Identity,
        request_id: str,
        wanted: Wanted | None = None,
        exceptions: Mapping[str, str] = NO_EXCEPTIONS,
    ) -> dict[str, Any]:
        """Carries a request out; called again after a crash, it goes on where it was.

        Args:
          wanted: of a request to correct, what is true instead; not needed again once it was begun.
          exceptions: of a request to delete, what the business keeps in other systems, and by which exception of
            1798.105(d); here everything is erased, so that nothing of it is counted. Nor is it needed again.

        Raises:
          Forbidden, NotFound, Conflict: as `confirm`; Conflict too where the caller is not sure enough of who asks,
          an erasure reaches data that the caller may not see, or a correction finds no row of the person.
          InvalidParameters: what is to be corrected cannot be.
        """
        kept = self._seen(identity, request_id)
        if kept.person is None and kept.standing.is_open:
            raise Conflict("the request expired, and the person's id with it: open a new one")
        tried = kept.asked.kind is Kind.KNOW and kept.standing.method
        if not tried and kept.asked.kind not in UNVERIFIED_KINDS and kept.standing.level < Level.REASONABLE:
            raise Conflict(f"the request is {kept.standing.state}: verify who asks first, or deny it")
        if kept.asked.kind is Kind.DELETE:
            self._of_lineage(identity, kept.asked.lineage)
        said = self._to_correct(identity, kept, wanted)
        kept = self._log.step(request_id, Started(dict(exceptions)), actor=identity.name, now=self._now())
        if said is not None:
            dataset = self._library.dataset(identity, kept.asked.dataset)
            self._correcting.keep(request_id, dataset, kept.asked.unit, said, self._now())
        done, package = self._carried_out(identity, kept)
        done |= {"recipients_told": self._notifying.carried_out(kept)}
        self._log.step(request_id, Fulfilled(done), actor=identity.name, now=self._now())
        return self.one(identity, request_id) | ({"package": package} if package else {})

    def package(self, identity: Identity, secret: str) -> bytes:
        """The package of a request to know, as a ZIP; it can be fetched once, within a week.

        Raises:
          Forbidden: the caller is no steward. NotFound: there is none, or it was fetched, or its time is over.
        """
        check(identity, Action.STEWARD)
        return self._deliveries.take(secret, self._now())

    def due(self) -> list[dict[str, Any]]:
        """The clocks that are near their end, or past it, of every open request; nothing about anybody.

        What may be kept no longer goes first.
        """
        now = self._now()
        self.tidy()
        return [
            {"id": kept.request_id, "what": alarm.what, "due": alarm.due.isoformat(), "overdue": alarm.is_overdue}
            for kept in self._log.all()
            for alarm in alarms(kept.standing, now)
        ]

    def tidy(self) -> None:
        """Removes what may be kept no longer: old packages, ids of expired requests, requests closed 24 months ago."""
        now = self._now()
        self._deliveries.sweep(now)
        self._log.let_go(now)
        self._log.purge(now)

    def totals(self, identity: Identity, year: int) -> dict[str, Any]:
        """A year of requests in numbers by type: received, complied with, denied, and the days that answers took.

        Raises:
          Forbidden: the caller is no steward.
        """
        check(identity, Action.STEWARD)
        seen = [kept.standing for kept in self._log.all() if sees(identity, kept.asked.dataset)]
        return {"year": year, "requests": {kind: dict(of) for kind, of in totals(seen, year).items()}}

    def _carried_out(self, identity: Identity, kept: Kept) -> tuple[dict[str, Any], dict[str, str] | None]:
        """What was done, as evidence; and where the package of a request to know is fetched."""
        if kept.asked.kind is Kind.DELETE:
            return self._erased(identity, kept), None
        if kept.asked.kind is Kind.CORRECT:
            return self._corrected(identity, kept), None
        if kept.asked.kind in UNVERIFIED_KINDS:
            return self._refused(identity, kept), None
        if kept.standing.disclosure is Disclosure.POLICY_ONLY:
            return {"disclosed": str(kept.standing.disclosure), "told": list(TOLD_OF_THE_NOTICE)}, None
        content = zipped(self._known(identity, kept))
        secret, until = self._deliveries.put(content, self._now(), about=kept.asked.unit)
        evidence = {"disclosed": str(kept.standing.disclosure), "package_sha256": sha256(content), "until": until}
        return evidence, {"path": f"/v1/rights/packages/{secret}", "expires_at": until}

    def _known(self, identity: Identity, kept: Kept) -> Told:
        """Everything that may be told: categories always, the pieces to who is known well enough."""
        name, lineage = kept.asked.dataset, kept.asked.lineage
        dataset = self._library.dataset(identity, name)
        specific = kept.standing.disclosure is Disclosure.SPECIFIC_PIECES
        is_person = _is(str(kept.person), dataset)
        found = self._datasets.pieces(identity, name, is_person) if specific else {}
        budget = self._budgets.one(identity, name)
        linked = self._datasets.ids(identity, name, is_person)
        pseudonyms = {kept.asked.unit, *(self._pseudonyms.of(lineage, each) for each in linked)}
        return Told(
            request_id=kept.request_id,
            made_at=self._now().isoformat(),
            told=notice_of(NOBODY_NAMED, [dataset])["datasets"][0],
            consent=self._consent_history(lineage, pseudonyms),
            linked=sorted(linked) if specific else [],
            corrections=self._told_corrections(dataset, pseudonyms) if specific else [],
            tables=[TableOf(table, each.columns, each.rows, each.withheld) for table, each in found.items()],
            specific=specific,
            statistics=self._published(identity, name),
            epsilon_at_most=budget["epsilon_spent"],
            delta=budget["delta"],
        )

    def _told_corrections(self, dataset: DatasetFile, pseudonyms: Collection[str]) -> list[dict[str, Any]]:
        """What was corrected of a person and still stands in for what a source says."""
        found = self._corrections.of_person(dataset.lineage, pseudonyms)
        return [told for each in found if (told := correction_told(dataset, each))]

    def _consent_history(self, lineage: str, pseudonyms: Collection[str]) -> list[dict[str, str]]:
        """What the person decided under each of their ids, and what the person was shown where that was said."""
        found = []
        for each in sorted(pseudonyms):
            shown = self._consent_log.shown_to(lineage, each)
            for event in self._consent_log.of_person(lineage, each):
                found.append(_consented(event) | (asdict(shown[event.event]) if event.event in shown else {}))
        return found

    def _published(self, identity: Identity, dataset: str) -> list[dict[str, Any]]:
        """The newest statistics that were published of a dataset, with their values."""
        page = self._ledger.releases(dataset, datasets=identity.datasets, limit=STATISTICS_MAX)
        return [_statistic(stored) for stored in page.items]

    def _erased(self, identity: Identity, kept: Kept) -> dict[str, Any]:
        """Suppression first, so that whatever comes next leaves the person out; then every dataset of its people."""
        lineage, person = kept.asked.lineage, str(kept.person)
        self._suppressions.add(lineage, person, request=kept.request_id, now=self._now())
        evidence: dict[str, Any] = {}
        # Looked up again after each: a load that began before the suppression may have brought a dataset meanwhile.
        while left := [each for each in self._of_lineage(identity, lineage) if each.dataset not in evidence]:
            dataset = left[0]
            evidence[dataset.dataset] = self._datasets.erase(identity, dataset.dataset, _is(person, dataset))
            pseudonym = self._pseudonyms.of(lineage, id_text(dataset.unit_type, person))
            self._deliveries.drop(pseudonym)
            self._corrections.drop(lineage, pseudonym)
        exceptions = kept.standing.exceptions
        told = [*TOLD_AFTER_ERASURE, *(_kept_elsewhere(what, code) for what, code in exceptions.items())]
        return {"erased": list(evidence.values()), "exceptions": dict(exceptions), "told": told}

    def _to_correct(self, identity: Identity, kept: Kept, wanted: Wanted | None) -> Said | None:
        """What is still to be kept of a correction before it is carried out; None if nothing is, or it was before."""
        if kept.asked.kind is not Kind.CORRECT:
            if wanted is not None:
                raise InvalidParameters({"correction": "is of a request to correct alone"})
            return None
        begun = self._correcting.known(kept.request_id) if kept.standing.is_open else None
        if not kept.standing.is_open or (begun is not None and wanted is None):
            return None
        if wanted is None:
            raise InvalidParameters({"correction": "must say the table, the column and what is true instead"})
        dataset = self._library.dataset(identity, kept.asked.dataset)
        if begun is not None:
            raise Conflict("what is to be corrected was said before: execute it without saying it again")
        return self._correcting.checked(identity, dataset, _is(str(kept.person), dataset), wanted)

    def _corrected(self, identity: Identity, kept: Kept) -> dict[str, Any]:
        """Kept first, so that whatever comes next has the corrected value; then the data are made anew."""
        dataset = self._library.dataset(identity, kept.asked.dataset)
        begun = self._correcting.known(kept.request_id)
        if begun is None:
            raise Conflict("the correction was not kept: say again what is to be corrected")
        return self._correcting.carried_out(identity, dataset, _is(str(kept.person), dataset), begun)

    def _of_lineage(self, identity: Identity, lineage: str) -> list[DatasetFile]:
        """Every dataset of the same people.

        Raises:
          Conflict: the caller may not see them all, and an erasure leaves none out.
        """
        found = [each for each in self._library.datasets(operator(identity.name)) if each.lineage == lineage]
        if not all(sees(identity, each.dataset) for each in found):
            raise Conflict(
                "an erasure takes a person out of all data of the same people, and you may not see all of them: a "
                "steward of all datasets must execute it"
            )
        return found

    def _refused(self, identity: Identity, kept: Kept) -> dict[str, Any]:
        """An opt-out or a limit is a consent event like any other; asked again, it is the same event."""
        purpose = ALL_SALE_SHARE if kept.asked.kind is Kind.OPT_OUT else LIMIT_SPI
        wish = Wish(str(kept.person), purpose, str(Decision.OPT_OUT), kept.request_id, "operator")
        self._consent.send(identity, [(kept.asked.dataset, wish)])
        return {"decision": purpose, "told": ["It counts from the next consent epoch on."]}

    def _step(self, identity: Identity, request_id: str, step: Step) -> dict[str, Any]:
        self._seen(identity, request_id)
        return self._view(self._log.step(request_id, step, actor=identity.name, now=self._now()))

    def _seen(self, identity: Identity, request_id: str) -> Kept:
        check(identity, Action.STEWARD)
        kept = self._log.get(request_id)
        if not sees(identity, kept.asked.dataset):
            raise NotFound("rights request", request_id)
        return kept

    def _person(self, dataset: DatasetFile, kind: str, unit: str | int) -> str:
        problems = {}
        if kind not in set(Kind):
            problems["type"] = f"must be one of {', '.join(Kind)}"
        if not str(unit).strip() or len(str(unit)) > ID_MAX:
            problems["unit"] = f"must be an id of 1 to {ID_MAX} characters"
        if problems:
            raise InvalidParameters(problems)
        return id_text(dataset.unit_type, unit)

    def _view(self, kept: Kept) -> dict[str, Any]:
        standing, now = kept.standing, self._now()
        dates = standing.deadlines
        return {
            "id": kept.request_id,
            "type": str(kept.asked.kind),
            "dataset": kept.asked.dataset,
            "state": str(standing.stands_at(now)),
            "status": dict(outward(standing, now)),
            "received_at": standing.received_at.isoformat(),
            "confirm_due": dates.confirm_due.isoformat() if dates.confirm_due else None,
            "respond_due": dates.respond_due.isoformat(),
            "extended": bool(standing.extended_because),
            "level": _level_name(standing.level),
            "next": _next(kept, now),
        }


def _statistic(stored: StoredRelease) -> dict[str, Any]:
    body = json.loads(stored.body)
    return {
        "release_id": stored.release_id,
        "title": stored.query.replace("_", " "),
        "purpose": body.get("purpose", ""),
        "as_of": body["as_of"],
        "cost": body["cost"],
        "rows": body["rows"],
    }


def _consented(event: Event) -> dict[str, str]:
    return {"at": event.observed_at.isoformat(), "purpose": event.purpose, "decision": str(event.decision)}


def _is(person: str, dataset: DatasetFile) -> Callable[[str], bool]:
    """Says of an id of the dataset whether it is the person's, whose own is spelled as another dataset's may be."""
    spelled = id_text(dataset.unit_type, person)
    return lambda text: id_text(dataset.unit_type, text) == spelled


def _kept_elsewhere(what: str, code: str) -> str:
    return f"We keep {what} outside these data, {EXCEPTIONS[code]} ({code}), and use it for nothing else."


def _level_name(level: Level) -> str:
    return level.name.lower()


def _next(kept: Kept, now: datetime) -> str | None:
    """What to do next, as the last word of a command."""
    state, kind = kept.standing.stands_at(now), kept.asked.kind
    if kind is Kind.KNOW and state is State.CONFIRMED and kept.standing.method:
        return "execute"  # it is answered by less: nobody could be verified
    if kept.standing.state is State.EXECUTING or kind in UNVERIFIED_KINDS:
        return None if state is State.FULFILLED or state in _ENDED else "execute"
    steps: Mapping[State, str] = {
        State.RECEIVED: "verify",
        State.CONFIRMED: "verify",
        State.VERIFIED: "execute",
    }
    return steps.get(state)


_ENDED = frozenset({State.DENIED, State.REVOKED, State.EXPIRED})
