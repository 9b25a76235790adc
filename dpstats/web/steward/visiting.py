"""The one dependency of every steward's page, and what these pages begin with."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, Request, Response
from starlette.exceptions import HTTPException

from dpstats.access import ALLOWED, Action
from dpstats.web.rendering import done, page
from dpstats.web.visiting import Visit, Visitor


async def _steward(visit: Visit) -> Visitor:
    if Action.STEWARD not in ALLOWED[visit.identity.role]:
        # The router's own words for an address where nothing is.
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return visit


Steward = Annotated[Visitor, Depends(_steward)]
"""A steward who is signed in; to everybody else who is, the page is not there."""


def by_dataset(request: Request, visit: Visitor, question: str) -> Response:
    """Leads to the page of the only dataset; a choice where there are several, and the next step where there is none.

    Args:
      question: the title of the pages that are chosen from. Their addresses are this one's with the dataset's name.
    """
    datasets = visit.workspace.datasets.all(visit.identity)
    if len(datasets) == 1:
        return done(request, f"{request.url.path}/{datasets[0]['dataset']}")
    return page(request, "steward/datasets.html", question=question, datasets=datasets)


def confirm(request: Request, status: int = HTTPStatus.OK, **values: Any) -> Response:
    """The page that says what an act does before it is done.

    Args:
      values: `title`; `effects`, sentences; `button`, which names the effect; `back` and `back_label`; `grave`;
        `fields`, hidden (name, value) pairs.
    """
    return page(request, "steward/confirm.html", status, **{"fields": (), "grave": True, "choices": ()} | values)
