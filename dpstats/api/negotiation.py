"""`Accept`: which of the formats a release is sent in (RFC 9110, 12.5.1)."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Depends, Request

from dpstats.api.problems import Problem, RequestRefused
from dpstats.formats import Format

_QUALITY = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")


def chosen(accept: str) -> Format:
    """The format of the highest quality that `accept` gives; of equal ones, the first of `Format`. Empty means any.

    Raises:
      RequestRefused: it accepts none of them.
    """
    ranges = [_range(item) for item in accept.split(",")] if accept.strip() else [("*/*", 1.0)]
    best = max(Format, key=lambda form: _quality(form.media_type, ranges))
    if _quality(best.media_type, ranges) <= 0:
        offered = ", ".join(form.media_type for form in Format)
        raise RequestRefused(Problem("not-acceptable", f"releases come as {offered}: accept one of these"))
    return best


async def _wanted(request: Request) -> Format:
    return chosen(",".join(request.headers.getlist("accept")))


Wanted = Annotated[Format, Depends(_wanted)]
"""The format that a request accepts; refused before the route begins, so that nothing is charged for it."""


def _range(item: str) -> tuple[str, float]:
    """A media range and its quality, 0 if it is malformed. Parameters but `q` do not tell our formats apart."""
    name, *parameters = (part.strip().lower() for part in item.split(";"))
    quality = next((part[2:].strip() for part in parameters if part.startswith("q=")), "1")
    return name, float(quality) if _QUALITY.fullmatch(quality) else 0.0


def _quality(media_type: str, ranges: list[tuple[str, float]]) -> float:
    """What the most specific range that covers the type says of it."""
    for pattern in (media_type, media_type.partition("/")[0] + "/*", "*/*"):
        qualities = [quality for name, quality in ranges if name == pattern]
        if qualities:
            return max(qualities)
    return 0.0
