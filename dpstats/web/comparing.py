"""Is one number truly above another? Two rows of a release, or of two releases of one query, the noise counted in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import Request, Response

from dpstats.errors import NotFound
from dpstats.web.answering import PAGE
from dpstats.web.reading import Cell, Column, column, verdict
from dpstats.web.rendering import done, page
from dpstats.web.visiting import Visit, page_router

CHOICES_MAX = 500
"""Rows that may be chosen from."""
router = page_router()


@router.get("/compare")
def compare(
    request: Request, visit: Visit, left: str = "", right: str = "", measure: str = "", a: int = 0, b: int = 1
) -> Response:
    """Row `a` of the release `left` against row `b` of the release `right` (or the same one), by one measure.

    Without `left` there is nothing to compare yet: it leads to the answers, each of whose pages begins a comparison.
    """
    if not left:
        return done(request, "/releases", "Choose an answer: what can be compared begins on its page.")
    one = visit.workspace.releases.earlier(visit.identity, left)
    other = one if right in {"", left} else visit.workspace.releases.earlier(visit.identity, right)
    if other["query"] != one["query"]:
        raise NotFound(f"release of {one['query']}", right)
    shared = [name for name in one["measures"] if name in other["measures"]]
    name = measure or next(iter(shared), "")
    if name not in shared:
        raise NotFound("measure", name)
    first, second = column(one, name), column(other, name)
    b = 0 if other is not one and "b" not in request.query_params else b
    cell, against = _cell(first, a), _cell(second, b)
    same = other is one and (cell is None or against is None or cell.row == against.row)
    found = None if same or cell is None or against is None else verdict((first, cell), (second, against))
    listed = visit.workspace.releases.all(visit.identity, query=one["query"], limit=PAGE)["items"]
    return page(
        request,
        "compare.html",
        query=visit.workspace.review.one(visit.identity, one["query"]),
        one=one,
        other=other,
        first=first,
        second=second,
        a=cell,
        b=against,
        names=_names(one, other, cell, against),
        found=found,
        same=same,
        shared=shared,
        releases=listed,
        choices=CHOICES_MAX,
    )


def _cell(found: Column, place: int) -> Cell | None:
    """A row's number; the last one where there are not so many."""
    return found.cells[min(max(0, place), len(found.cells) - 1)] if found.cells else None


def _names(
    one: Mapping[str, Any], other: Mapping[str, Any], cell: Cell | None, against: Cell | None
) -> tuple[str, str]:
    """What the two numbers are called: by their rows, or by their releases where the rows are the same."""
    labels = (cell.label if cell else "", against.label if against else "")
    if one is other or labels[0] != labels[1]:
        return labels
    changed = [key for key in one["parameters"] if one["parameters"][key] != other["parameters"].get(key)]
    told = [", ".join(f"{key} {body['parameters'].get(key)}" for key in changed) for body in (one, other)]
    return (told[0] or f"released {one['created_at'][:10]}", told[1] or f"released {other['created_at'][:10]}")
