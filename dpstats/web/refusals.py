"""Errors as pages: what happened, why, and what to do. Which error is which kind, and its status, the API knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from fastapi import Request, Response

from dpstats.errors import DpstatsError, InvalidParameters
from dpstats.web.rendering import page
from dpstats.web.visiting import SESSION, cookie, is_page, visitor_of


@dataclass(frozen=True)
class Told:
    """An error as a page tells it."""

    status: int
    title: str
    detail: str
    advice: str
    slug: str


class FormRefused(Exception):
    """A form that could not be done, and the page that shows it again with what was typed.

    Raise it from the handler of a POST: `raise FormRefused(error, lambda told: page(request, .., told.status, ..))`.
    """

    def __init__(self, error: DpstatsError, again: Callable[[Told], Response]) -> None:
        super().__init__(str(error))
        self.error, self.again = error, again


def refused_by_field(error: DpstatsError, again: Callable[[int, Mapping[str, str], str], Response]) -> FormRefused:
    """The same of a form that shows what is wrong beside its fields, or above them where no field is to blame.

    Args:
      again: shows the form, by the status, what is wrong by field, and what is wrong with all of it.
    """
    faults = error.problems if isinstance(error, InvalidParameters) else {}
    return FormRefused(error, lambda told: again(told.status, faults, "" if faults else str(error)))


def wants_page(request: Request) -> bool:
    """Whether an error is for a person: the address is a page's, and a browser asks."""
    return is_page(request.url.path) and "text/html" in request.headers.get("accept", "")


def refused(request: Request, told: Told) -> Response:
    """The page of an error; where nobody is signed in and somebody must be, the sign-in form."""
    if told.status == HTTPStatus.UNAUTHORIZED:
        asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        onward = asked if request.method == "GET" else "/"
        return page(
            request, "sign_in.html", told.status, onward=onward, ended=bool(cookie(request, SESSION)), wrong=False
        )
    return page(request, "refused.html", told.status, told=told, signed_in=visitor_of(request) is not None)
