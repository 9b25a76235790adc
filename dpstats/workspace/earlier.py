"""What was released before of a dataset, as advice uses it: published numbers only, of queries as they stand approved.

A release of an older version is passed over: what has since been declared, a smallest group, say, was not held to then.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from dpstats.access import operator
from dpstats.errors import NotFound
from dpstats.ledger.packed import is_packed
from dpstats.ledger.records import StoredRelease
from dpstats.ledger.store import Store
from dpstats.library import Library
from dpstats.plan.advice import Earlier, Shown
from dpstats.plan.analysis import Analysis
from dpstats.plan.arithmetic import Drawn

LOOKED_AT = 20
"""The newest releases that are looked at."""
BODY_MAX = 1_000_000
"""Bytes of a release above which it is passed over, so that advice is quick."""


def earlier_releases(store: Store, library: Library, dataset: str, query: str | None = None) -> tuple[Earlier, ...]:
    """The newest releases of a dataset, or of one of its queries, that would be given out now; newest first."""
    if store.registry.is_frozen(dataset):
        return ()
    page = store.ledger.releases(dataset, query, limit=LOOKED_AT)
    small = [item for item in page.items if len(item.body) <= BODY_MAX and not is_packed(item.body)]
    standing = {name: analysis for name in {item.query for item in small} if (analysis := _standing(library, name))}
    return tuple(
        _record(item, _kinds(standing[item.query]))
        for item in small
        if item.query in standing
        and standing[item.query].version == item.query_version
        and store.registry.approval(item.query, item.query_version) is not None
    )


def _standing(library: Library, name: str) -> Analysis | None:
    """A query in its newest text, against its dataset as it is now; None where there is none that can be answered."""
    with suppress(NotFound):
        return library.known(operator("advice"), name).analysis
    return None


def _kinds(analysis: Analysis) -> dict[str, str]:
    """The kinds of a query's measures that are a single draw."""
    drawn = {o.name: o.expression for o in analysis.outputs}
    return {n: analysis.draws[e.index].kind for n, e in drawn.items() if isinstance(e, Drawn)}


def _record(item: StoredRelease, kinds: Mapping[str, str]) -> Earlier:
    body = json.loads(item.body)
    return Earlier(
        release_id=item.release_id,
        query=item.query,
        day=item.created_at.date(),
        parameters=body["parameters"],
        keys=tuple(key["name"] for key in body["keys"]),
        measures={
            name: Shown(
                kind=kinds.get(name, ""),
                unit=measure.get("unit"),
                half_width_95=measure["half_width_95"],
                values=_values(body["rows"], name),
            )
            for name, measure in body["measures"].items()
        },
    )


def _values(rows: list[dict[str, Any]], name: str) -> tuple[float, ...]:
    return tuple(float(row[name]["value"]) for row in rows if row[name]["value"] is not None)
