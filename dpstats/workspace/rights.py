"""The desk for rights requests: kept by the law's clocks, carried out on what the workspace holds, with evidence.

Whose request it is, the caller says: dpstats proves no identity. Whether a person is known is never told but in the
evidence of a request that was verified, which stewards alone can see.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from dpstats.access import Action, check, sees
from dpstats.catalog.dataset import DatasetFile
from dpstats.catalog.ids import id_text
from dpstats.errors import Conflict, InvalidParameters, LedgerBroken, NotFound, Unavailable
from dpstats.ledger.tokens import Identity
from dpstats.library import Library
from dpstats.rights.corrections import Corrections, Said
from dpstats.rights.decisions import ALL_SALE_SHARE, LIMIT_SPI, Decision
from dpstats.rights.deliveries import Deliveries
from dpstats.rights.intake import NO_ID, Wish, is_id
from dpstats.rights.pseudonyms import Pseudonyms
from dpstats.rights.request_log import Asked, Kept, RequestLog
from dpstats.rights.requests import (
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
    SentInPart,
    Started,
    State,
    Step,
    Verified,
    alarms,
    least_level,
    outward,
)
from dpstats.rights.yearly_totals import totals
from dpstats.workspace.consent import Consent
from dpstats.workspace.correcting import Correcting, Wanted
from dpstats.workspace.disclosing import Disclosing
from dpstats.workspace.erasing import Erasing, is_of
from dpstats.workspace.held_data import HeldData
from dpstats.workspace.keeping import Keeping
from dpstats.workspace.notifying import Notifying
from dpstats.workspace.rights_told import (
    DELETED_SINCE,
    NOT_READ,
    evidence_seen,
    holds_sensitive,
    level_name,
    next_step,
    offered,
    pieces_told,
)

NO_EXCEPTIONS: Mapping[str, str] = {}
TEXT_MAX = 1000


class Rights:
    """The rights requests of a workspace. `now`: the time, with a zone."""

    def __init__(
        self,
        library: Library,
        log: RequestLog,
        pseudonyms: Pseudonyms,
        erasing: Erasing,
        keeping: Keeping,
        correcting: Correcting,
        disclosing: Disclosing,
        held_data: HeldData,
        consent: Consent,
        deliveries: Deliveries,
        corrections: Corrections,
        notifying: Notifying,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._library, self._log, self._now = library, log, now
        self._pseudonyms, self._held_data, self._consent = pseudonyms, held_data, consent
        self._erasing, self._keeping, self._disclosing = erasing, keeping, disclosing
        self._deliveries, self._notifying = deliveries, notifying
        self._corrections, self._correcting = corrections, correcting

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

        Of a deletion, what was erased from a dataset is told to who may see that dataset.

        Raises:
          Forbidden: the caller is no steward. NotFound: none that the caller may see.
        """
        kept = self._seen(identity, request_id)
        told = offered(kept) | ({"notices": self._notifying.about(request_id)} if kept.evidence else {})
        return self._view(kept) | {
            "steps": list(self._log.history(request_id)),
            "evidence": evidence_seen(kept.evidence, lambda name: sees(identity, name)) | told,
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
        if self._seen(identity, request_id).standing.state is State.EXECUTING:
            raise Conflict("the request is being executed: nothing is left half done, so it cannot be denied now")
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

        Of a request to know for which a table cannot be read at its owner now, the rest is sent, and it stays open:
        carried out again, it is sent whole.

        Args:
          wanted: of a request to correct, what is true instead; not needed again once it was begun.
          exceptions: of a request to delete, the columns (`table.column`) of which the person's cells are kept, sealed
            and apart, or what the business keeps in other systems, and by which exception of 1798.105(d); everything is
            erased from the data, so that nothing of it is counted. Of a request to know, the columns that are not told,
            and by which exception of 1798.145. Nor are they needed again.

        Raises:
          Forbidden, NotFound, Conflict: as `confirm`; Conflict too where the caller is not sure enough of who asks,
          an erasure reaches data that the caller may not see, or a correction finds no row of the person. One that was
          begun before its person was deleted is denied as no_match.
          InvalidParameters: what is to be corrected, or kept back, cannot be.
        """
        kept = self._seen(identity, request_id)
        self._check_may_begin(identity, kept, exceptions)
        if self._ended_with_its_person(identity, kept):
            return self.one(identity, request_id)
        said = self._to_correct(identity, kept, wanted)
        kept = self._log.step(request_id, Started(dict(exceptions)), actor=identity.name, now=self._now())
        if said is not None:
            dataset = self._library.dataset(identity, kept.asked.dataset)
            self._correcting.keep(request_id, dataset, kept.asked.unit, said, self._now())
            if self._ended_with_its_person(identity, kept):
                return self.one(identity, request_id)
        # Before a person's links go with the person; it is carried out from here on, however often it takes.
        told = self._notifying.carried_out(kept, self._ids(identity, kept), self._correcting.cells(request_id))
        done, package = self._carried_out(identity, kept)
        done |= {"recipients_told": list(told)}
        step = SentInPart(done) if NOT_READ in done else Fulfilled(done)
        self._log.step(request_id, step, actor=identity.name, now=self._now())
        return self.one(identity, request_id) | ({"package": package} if package else {})

    def _check_may_begin(self, identity: Identity, kept: Kept, exceptions: Mapping[str, str]) -> None:
        """Lets a request be begun, or gone on with, before any step of it is noted.

        Raises:
          Conflict, InvalidParameters: as `execute`.
        """
        if kept.person is None and kept.standing.is_open:
            raise Conflict("the request expired, and the person's id with it: open a new one")
        is_asked_who = kept.asked.kind not in UNVERIFIED_KINDS and not kept.standing.was_tried
        if is_asked_who and kept.standing.level < Level.REASONABLE:
            raise Conflict(f"the request is {kept.standing.state}: verify who asks first, or deny it")
        self._check_level(identity, kept)
        self._check_exceptions(identity, kept, exceptions)
        if kept.asked.kind in UNVERIFIED_KINDS and kept.standing.is_open:
            self._consent.check_kept(identity, kept.asked.dataset, _refusal(kept))

    def _ended_with_its_person(self, identity: Identity, kept: Kept) -> bool:
        """Ends a correction that was begun and whose person is deleted: nothing is held that could be corrected.

        What the correction says goes too: a deletion may have looked for it before it was kept.
        """
        is_begun = kept.asked.kind is Kind.CORRECT and kept.standing.state is State.EXECUTING
        if not is_begun or not self._erasing.is_begun(kept):
            return False
        self._corrections.drop(kept.asked.lineage, kept.asked.unit)
        denied = Denied(Denial.NO_MATCH, DELETED_SINCE)
        self._log.step(kept.request_id, denied, actor=identity.name, now=self._now())
        return True

    def _check_level(self, identity: Identity, kept: Kept) -> None:
        """Lets a deletion or a correction begin where who asks is known well enough for what is held (7062(d)).

        Raises:
          Conflict: it is not, a deletion reaches data that the caller may not see, or it was carried out before.
        """
        dataset = self._library.dataset(identity, kept.asked.dataset)
        is_all = kept.asked.kind is Kind.DELETE
        reached = self._erasing.reached(identity, kept.asked.lineage) if is_all else [dataset]
        least = least_level(kept.asked.kind, sensitive=any(map(holds_sensitive, reached)))
        if kept.standing.is_open and kept.standing.state is not State.EXECUTING and kept.standing.level < least:
            raise Conflict(
                f"it was verified as {level_name(kept.standing.level)}, and sensitive data are held: verify it as "
                f"{level_name(least)} first"
            )
        if is_all and kept.standing.state is State.VERIFIED:
            self._erasing.check_held(kept, reached)

    def _check_exceptions(self, identity: Identity, kept: Kept, exceptions: Mapping[str, str]) -> None:
        """Lets columns be kept of a deletion, or pieces from who asks to know, where there are such."""
        if kept.asked.kind is Kind.DELETE and kept.standing.is_open:
            self._erasing.check_kept_back(identity, kept, exceptions)
        if kept.asked.kind is not Kind.KNOW or not exceptions:
            return
        if kept.standing.disclosure is not Disclosure.SPECIFIC_PIECES:
            raise Conflict("no pieces are told at this level of verification, so none can be excepted")
        strangers = sorted(exceptions.keys() - pieces_told(self._library.dataset(identity, kept.asked.dataset)))
        if strangers:
            what = f"{strangers[0]} is no column that would be told: name one as table.column"
            raise InvalidParameters({"exceptions": what})

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

    def log_verifies(self) -> bool:
        """Whether the chain of every request's steps holds."""
        try:
            self._log.verify()
        except LedgerBroken:
            return False
        return True

    def tidy(self) -> None:
        """Removes what may be kept no longer: old packages, ids of expired requests, requests closed 24 months ago."""
        now = self._now()
        self._deliveries.sweep(now)
        self._log.let_go(now)
        self._log.purge(now, self._keeping.requests())

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
            return self._erasing.carried_out(identity, kept, self._now()), None
        if kept.asked.kind is Kind.CORRECT:
            return self._corrected(identity, kept), None
        if kept.asked.kind in UNVERIFIED_KINDS:
            return self._refused(identity, kept), None
        return self._disclosing.carried_out(identity, kept, self._now())

    def _ids(self, identity: Identity, kept: Kept) -> frozenset[str]:
        """Every id that is known to be the person's; only the one that came where links cannot be read now."""
        dataset = self._library.dataset(identity, kept.asked.dataset)
        person = {id_text(dataset.unit_type, str(kept.person))}
        with suppress(Unavailable):
            return self._held_data.linked(identity, dataset.dataset, person)
        return frozenset(person)

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
        return self._correcting.checked(identity, dataset, is_of([str(kept.person)], dataset), wanted)

    def _corrected(self, identity: Identity, kept: Kept) -> dict[str, Any]:
        """Kept first, so that whatever comes next has the corrected value; then the data are made anew."""
        dataset = self._library.dataset(identity, kept.asked.dataset)
        begun = self._correcting.known(kept.request_id)
        if begun is None:
            raise Conflict("the correction was not kept: say again what is to be corrected")
        return self._correcting.carried_out(identity, dataset, is_of([str(kept.person)], dataset), begun)

    def _refused(self, identity: Identity, kept: Kept) -> dict[str, Any]:
        """An opt-out or a limit is a consent event like any other; asked again, it is the same event."""
        wish = _refusal(kept)
        self._consent.send(identity, [(kept.asked.dataset, wish)], tell=False)  # `carried_out` tells
        return {"decision": wish.purpose, "told": ["It counts from the next consent epoch on."]}

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
        problems, person = {}, id_text(dataset.unit_type, unit)
        if kind not in set(Kind):
            problems["type"] = f"must be one of {', '.join(Kind)}"
        if not is_id(str(unit)) or not is_id(person):  # in normal form it may be longer
            problems["unit"] = NO_ID
        if problems:
            raise InvalidParameters(problems)
        return person

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
            "level": level_name(standing.level),
            "next": next_step(kept, now),
        }


def _refusal(kept: Kept) -> Wish:
    """What a request to opt out or to limit decides."""
    purpose = ALL_SALE_SHARE if kept.asked.kind is Kind.OPT_OUT else LIMIT_SPI
    return Wish(str(kept.person), purpose, str(Decision.OPT_OUT), kept.request_id, "operator")
