"""Routes of consent: decisions and signals in, for which the answer is the same whoever they are about; and one out,
that tells whether a person may be asked."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from dpstats.api import answers_people, asking
from dpstats.api.described import operation_id, problems
from dpstats.api.strict_json import StrictRoute
from dpstats.api.visit import Visit
from dpstats.rights.consent_log import Shown
from dpstats.rights.intake import Wish
from dpstats.rights.signals import Signal

router = APIRouter(
    prefix="/v1/consent", tags=["consent"], route_class=StrictRoute, generate_unique_id_function=operation_id
)


@router.post(
    "/events",
    status_code=HTTPStatus.ACCEPTED,
    response_model=answers_people.ConsentReceived,
    responses=problems("not-found"),
)
def send_consent(body: asking.ConsentBody, visit: Visit) -> Response:
    """One decision, or up to 1,000 of them, all or none; the same `event_id` again changes nothing.

    A refusal that comes again so, also after an opt-in, is answered with the `received_at` and the receipt of the
    first: a refusal that is made anew has a new `event_id`.
    One item each, in the order in which they came. Queries see them from the next epoch on. An opt-in after a refusal
    counts once a `confirm` came with its `nonce`.
    """
    events = body.events if isinstance(body, asking.ConsentEvents) else [body]
    told = visit.workspace.consent.send(visit.identity, [(event.dataset, _wish(event)) for event in events])
    return JSONResponse({"items": list(told), "next": None}, HTTPStatus.ACCEPTED)


@router.post(
    "/signals",
    status_code=HTTPStatus.ACCEPTED,
    response_model=answers_people.SignalReceived,
    responses=problems("not-found"),
)
def send_signal(signal: asking.ConsentSignal, visit: Visit) -> Response:
    """A browser's Global Privacy Control, or a GPP string, for every id that is known of the person.

    It refuses or says nothing: one that cannot be read says nothing. The header of this very request is not looked at:
    it would be a server's.
    """
    told = visit.workspace.consent.signal(
        visit.identity,
        signal.dataset,
        signal.units,
        Signal(signal.gpc, signal.gpp),
        observed_at=signal.observed_at,
        event_id=signal.event_id,
    )
    return JSONResponse(told, HTTPStatus.ACCEPTED)


@router.post("/state", response_model=answers_people.ConsentState, responses=problems("not-found"))
def get_consent_state(body: asking.ConsentAsked, visit: Visit) -> Response:
    """Whether a person may be asked for a purpose, and from when on; to a steward also what the person decided.

    It goes by every decision that came so far under this id, whether or not an epoch holds it; for a steward also by
    those under ids that the loaded data link to it, which a collector is not to find out. An id of which nothing is
    known gets the answer of one that decided nothing.
    """
    return JSONResponse(visit.workspace.consent_told.of_unit(visit.identity, body.dataset, body.unit))


@router.get("/receipts/{receipt}", response_model=answers_people.RefusalStatus, responses=problems("not-found"))
def get_receipt(receipt: str, visit: Visit) -> Response:
    """What became of a refusal, by the receipt that its sender was given: received, or in force since when.

    A site shows it to its visitor (11 CCR 7025(c)(6)); the page `/opt-out/{receipt}` says the same to everybody.
    """
    return JSONResponse(visit.workspace.opting_out.status_for(visit.identity, receipt))


def _wish(event: asking.ConsentEvent) -> Wish:
    return Wish(
        unit=event.unit,
        purpose=event.purpose,
        decision=event.decision,
        event_id=event.event_id,
        source=event.source,
        observed_at=event.observed_at,
        confirms=event.confirms,
        nonce=event.nonce,
        turns_16_on=event.turns_16_on,
        shown=Shown(event.notice_version, event.notice_sha256, event.language, event.method),
    )
