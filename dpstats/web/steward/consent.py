"""Consent epochs: as of when answers go by what people decided, and the closing of one now."""

from __future__ import annotations

from fastapi import Request, Response

from dpstats.web.rendering import done, page
from dpstats.web.steward.visiting import Steward, confirm
from dpstats.web.visiting import page_router
from dpstats.web.words import listed

QUESTION = "Whose decisions do answers go by?"

router = page_router()


@router.get("/consent")
def epochs(request: Request, visit: Steward) -> Response:
    """The last epoch, the next one, and every dataset that asks for consent."""
    found = visit.workspace.consent_told.epochs(visit.identity)
    restricted = bool(visit.identity.datasets)
    return page(request, "steward/consent.html", question=QUESTION, restricted=restricted, **found)


@router.get("/consent/close")
def ask_close(request: Request, visit: Steward) -> Response:
    """What closing an epoch does."""
    visit.workspace.epochs.check_closing(visit.identity)
    names = [item["dataset"] for item in visit.workspace.consent_told.epochs(visit.identity)["datasets"]]
    renewed = f"{listed(names)} {'gets' if len(names) == 1 else 'get'} a new data version" if names else ""
    return confirm(
        request,
        title="Close the running epoch?",
        effects=(
            "New answers go by everything that people decided until this moment. Earlier answers stay as they are.",
            *(
                [f"{renewed}, whether or not anybody decided anything. That reads and writes all of its data."]
                * bool(names)
            ),
            "An epoch that is closed beside the timetable can show an attentive analyst that something was pressing. "
            "Where nothing is, leave it to the timetable.",
        ),
        button="Close the epoch: answers go by what came until now",
        grave=False,
        back="/consent",
        back_label="Leave it to the timetable",
    )


@router.post("/consent/close")
def close(request: Request, visit: Steward) -> Response:
    """Closes the running epoch."""
    renewed = visit.workspace.epochs.close(visit.identity)
    behind = [one.dataset for one in renewed if not one.data_version]
    told = f" {listed(behind)} must be loaded as it is defined now before it goes by it." if behind else ""
    return done(request, "/consent", f"The epoch is closed: new answers go by it.{told}")
