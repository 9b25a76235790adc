"""What did we learn? The releases made, and each with its sentence, chart, table, and files to take away."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Request, Response

from dpstats.errors import InvalidParameters, NotFound
from dpstats.formats import Format, encode
from dpstats.web import charts
from dpstats.web.calls import calls_of
from dpstats.web.reading import Column, column, summary
from dpstats.web.rendering import page
from dpstats.web.visiting import Visit, Visitor, page_router
from dpstats.workspace.declared import declared_order

PAGE = 50
ROWS_MAX = 500
"""Rows that a page shows; all of them are in the files."""
_AFTER = re.compile(r"[-+:.T0-9]{32}~[0-9a-f]{32}")

router = page_router()


@router.get("/releases")
def learned(request: Request, visit: Visit, query: str = "", after: str = "") -> Response:
    """Releases, newest first; of one query, if the address says so."""
    if after and not _AFTER.fullmatch(after):
        raise InvalidParameters({"after": "must be as the page before has it"})
    found = visit.workspace.releases.all(visit.identity, query=query or None, after=after or None, limit=PAGE)
    queries = {item["query"]: item for item in visit.workspace.review.all(visit.identity, approved_only=True)}
    return page(
        request,
        "learned.html",
        releases=found["items"],
        next=found["next"],
        queries=queries,
        query=query,
        first=not after,
        datasets=visit.workspace.datasets.all(visit.identity),
    )


@router.get("/releases/{release_id}")
def answer(request: Request, visit: Visit, release_id: str, measure: str = "") -> Response:
    """One release: the sentence, the chart and the table of a measure, and how to take it away."""
    release = visit.workspace.releases.earlier(visit.identity, release_id)
    query = visit.workspace.review.one(visit.identity, release["query"])
    found = _measure(release, measure or next(iter(release["measures"])))
    columns = [column(release, name) for name in release["measures"]]
    return page(
        request,
        "answer.html",
        release=release,
        query=query,
        found=found,
        columns=columns,
        summary=summary(found),
        drawn=len(charts.drawn(release, found)),
        frames={size: charts.frame(release, found, size) for size in charts.WIDTHS},
        rows=_rows(visit, release, columns)[:ROWS_MAX],
        formats=[str(form) for form in Format],
        calls=calls_of(str(request.base_url).rstrip("/"), release["query"], release["parameters"]),
    )


@router.get("/releases/{release_id}/chart/{measure}.{form}")
def chart(visit: Visit, release_id: str, measure: str, form: str, theme: str = "light", size: str = "wide") -> Response:
    """A measure's chart, as SVG or PNG, for a light or a dark ground."""
    release = visit.workspace.releases.earlier(visit.identity, release_id)
    found, themes = _measure(release, measure), {str(item): item for item in charts.Theme}
    if form not in charts.DRAWN_AS or theme not in themes or size not in charts.WIDTHS:
        raise NotFound("chart", f"{measure}.{form}")
    columns = [found]
    order = [str(row["label"]) for row in _rows(visit, release, columns)]
    draw, media_type = charts.DRAWN_AS[form]
    drawn = draw(charts.spec(release, found, order, themes[theme], size))
    return Response(drawn, media_type=media_type, headers=_named(release, f"{measure}.{form}", inline=True))


@router.get("/releases/{release_id}/file.{form}")
def file(visit: Visit, release_id: str, form: str) -> Response:
    """The release as a file: JSON, CSV, Arrow or Parquet, the same bytes as the API sends."""
    release = visit.workspace.releases.earlier(visit.identity, release_id)
    if form not in set(Format):
        raise NotFound("file", form)
    wanted = Format(form)
    return Response(encode(release, wanted), media_type=wanted.media_type, headers=_named(release, form, inline=False))


def _named(release: Mapping[str, Any], ending: str, *, inline: bool) -> dict[str, str]:
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", f"{release['query']}.{release['release_id'][:8]}.{ending}")
    return {"Content-Disposition": f'{"inline" if inline else "attachment"}; filename="{name}"'}


def _measure(release: Mapping[str, Any], name: str) -> Column:
    if name not in release["measures"]:
        raise NotFound("measure", name)
    return column(release, name)


def _rows(visit: Visitor, release: Mapping[str, Any], columns: Sequence[Column]) -> list[dict[str, Any]]:
    """The rows as a table shows them, in the order that the dataset's file gives the keys' values."""
    dataset = visit.workspace.datasets.one(visit.identity, release["dataset"])
    order = declared_order(dataset, [key["name"] for key in release["keys"]])
    rows = [
        {
            "place": place,
            "label": columns[0].cells[place].label,
            "keys": [row[key["name"]] for key in release["keys"]],
            "cells": [found.cells[place] for found in columns],
        }
        for place, row in enumerate(release["rows"])
    ]
    return sorted(rows, key=lambda row: order(row["keys"]))
