"""Feature views and wide tables: registered, listed, given out. What is given costs nothing; what is made is charged.

A view is given from releases that are there (`get`): it is renewed by `features_refresh` alone. `make` is the one that
may charge, for queries that a caller names: all or nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from dpstats import views
from dpstats.access import Action, check, sees
from dpstats.catalog.canonical import canonical_json
from dpstats.catalog.dataset import DatasetFile
from dpstats.catalog.features import QUERIES_MAX, FeatureView, parse_view
from dpstats.catalog.source import load_file
from dpstats.errors import InvalidParameters, NotFound, TooOld
from dpstats.formats import Format
from dpstats.ledger.packed import unpacked
from dpstats.ledger.records import ReleaseMark
from dpstats.ledger.registry import ViewRecord
from dpstats.ledger.store import Store
from dpstats.ledger.tokens import Identity
from dpstats.library import Library
from dpstats.plan.answer import json_value
from dpstats.privacy.loss import AMOUNT_STEPS, DELTA_STEPS, Loss, Measure
from dpstats.release import Ask, Road, is_for_ads, loaded_on
from dpstats.workspace.budgets import Budgets
from dpstats.workspace.features_parts import (
    Part,
    Query,
    check_dataset,
    check_view,
    oldest,
    parts_of,
    parts_of_view,
    version_of,
)
from dpstats.workspace.features_segments import rule_of
from dpstats.workspace.features_table import ColumnStore, DifferentSegmentsError, Placed, Wide

RELIABILITY = Decimal("0.5")
"""What is called reliable where no view says otherwise."""
LOOKED_BACK = 12
"""How many blocks back a view is looked for that was never released of its newest blocks."""


@dataclass(frozen=True)
class Found:
    """A view's newest whole set of releases. `back`: how many blocks it is behind what could be asked."""

    record: ViewRecord
    view: FeatureView
    queries: tuple[Query, ...]
    parts: tuple[Part, ...]
    stored: tuple[ReleaseMark, ...]
    back: int

    @property
    def renewed_at(self) -> datetime:
        """When the newest of its releases was made."""
        return max(item.created_at for item in self.stored)

    @property
    def aged_since(self) -> datetime:
        """Since when it ages: the oldest release. Blocks do not age, so where there are no others it is the newest; for
        advertising they do, since who opts out is counted in old blocks too.
        """
        parts = zip(self.parts, self.stored, strict=True)
        ageing = [item for part, item in parts if part.block is None or is_for_ads(part.analysis)]
        return min((item.created_at for item in ageing), default=self.renewed_at)

    @property
    def version(self) -> str:
        """SHA-256 over what the view's file says and its queries' versions."""
        return version_of(self.view, self.queries)

    def tag(self, form: Format) -> str:
        """A weak entity tag: the same releases of the same view in the same format."""
        releases = [[part.label, item.release_id] for part, item in zip(self.parts, self.stored, strict=True)]
        digest = hashlib.sha256(canonical_json([self.version, releases, str(form)])).hexdigest()
        return f'W/"{digest[:32]}"'


class Features:
    """The feature views of a workspace, and wide tables. Those of a sandbox say so."""

    def __init__(self, store: Store, library: Library, road: Road, budgets: Budgets, *, sandbox: bool) -> None:
        self._mark = {"sandbox": True} if sandbox else {}
        self._registry, self._ledger = store.registry, store.ledger
        self._library, self._road, self._budgets = library, road, budgets
        self._columns = ColumnStore()

    # -- views ---------------------------------------------------------------------------------------------------

    def submit(self, identity: Identity, file: Path) -> str:
        """Makes a view's file the current one; gives its name. It brings no query that was not approved.

        Raises:
          FileError: the file is wrong. NotFound, NotApproved, Frozen: of its queries. Conflict: its name is taken.
          InvalidParameters: its queries do not go together, or its parameters are wrong.
        """
        return self.submit_text(identity, load_file(file), str(file))

    def submit_text(self, identity: Identity, text: str, file: str) -> str:
        """As `submit`, of a text that was read before; `file` is its name in messages."""
        check(identity, Action.STEWARD)
        view = parse_view(text, file)
        self._check(identity, view)
        self._registry.submit_view(view.view, view.dataset, text, identity.name)
        return view.view

    def withdraw(self, identity: Identity, name: str) -> None:
        """Ends a view: it is neither given nor renewed from then on. Its releases stay, and so does what it has spent.

        Raises:
          NotFound: there is none, or it is withdrawn already.
        """
        check(identity, Action.STEWARD)
        self.known(identity, name)
        self._registry.withdraw_view(name, identity.name)

    def _check(self, identity: Identity, view: FeatureView) -> None:
        self._library.dataset(identity, view.dataset)
        check_view(view, self.queries_of(identity, view), self.loaded_on(view.dataset))

    def all(self, identity: Identity) -> list[dict[str, Any]]:
        """The views that the caller may see, by name, without numbers."""
        check(identity, Action.READ)
        seen = [record for record in self._registry.views() if sees(identity, record.dataset)]
        return [_described(record, view_of(record)) for record in seen]

    def one(self, identity: Identity, name: str) -> dict[str, Any]:
        """A view as its file says it, and what renewing it was charged this calendar month (UTC)."""
        check(identity, Action.READ)
        record, view = self.known(identity, name)
        dataset = self._library.dataset(identity, view.dataset)
        steps = self._ledger.spent_this_month(dataset.lineage, reason_of(name))
        spent = Loss(dataset.measure, steps)
        told = views.cost(spent, dataset.conversion_delta) if steps else _cost(dataset, ())
        return _described(record, view) | {"spent_this_month": told}

    def segments(self, identity: Identity, name: str) -> dict[str, Any]:
        """The rule by which each of a view's queries puts a customer into a segment; nobody's data are read.

        Raises:
          NotFound, NotApproved, Frozen.
        """
        check(identity, Action.READ)
        _, view = self.known(identity, name)
        queries = self.queries_of(identity, view)
        parts = parts_of_view(view, queries, self.loaded_on(view.dataset))
        rules = {part.label: rule_of(part.analysis, part.parameters) for part in parts}
        return {
            "view": view.view,
            "view_version": version_of(view, queries),
            "dataset": view.dataset,
            "privacy_unit": queries[0][0].dataset.privacy_unit,
            "segment": list(view.segment),
            "keys": self._keys(parts[0]),
            "rules": rules,
        }

    def _keys(self, part: Part) -> dict[str, list[Any]]:
        """Every value that each key may have: declared, or of a public table."""
        plan = self._road.plan(part.known, part.analysis, part.parameters)
        return {key.name: [json_value(value) for value in key.values] for key in plan.keys}

    def known(self, identity: Identity, name: str) -> tuple[ViewRecord, FeatureView]:
        """A view's current text and what it says.

        Raises:
          NotFound: there is none, or its dataset is hidden from the caller.
        """
        record = self._registry.view(name)
        if not sees(identity, record.dataset):
            raise NotFound("view", name)
        return record, view_of(record)

    def queries_of(self, identity: Identity, view: FeatureView) -> tuple[Query, ...]:
        """A view's queries, which may be asked.

        Raises:
          Forbidden, NotFound, NotApproved, Frozen. InvalidParameters: one is of another dataset.
        """
        queries = tuple(self._library.runnable(identity, name) for name in view.queries)
        check_dataset(view, queries)
        return queries

    def loaded_on(self, dataset: str) -> date:
        """The day of the load whose blocks are asked about; today where nothing is loaded."""
        versions = self._registry.data_versions(dataset)
        return loaded_on(versions[-1]) if versions else self._registry.now().date()

    # -- numbers -------------------------------------------------------------------------------------------------

    def find(self, identity: Identity, name: str) -> Found:
        """The newest releases that make the view whole, young enough to be given; free.

        Raises:
          TooOld: it was never released whole, or is past its maximal age. Forbidden, NotFound, NotApproved, Frozen.
        """
        check(identity, Action.READ)
        record, view = self.known(identity, name)
        queries = self.queries_of(identity, view)
        found = self._newest_whole(record, view, queries)
        if found is None:
            raise TooOld(name, "was not released yet in its present version")
        may_be = oldest(view, queries)  # the queries may have been for something else when it was submitted
        if self._registry.now() - found.aged_since > may_be:
            raise TooOld(name, f"is older than the {_days(may_be)} days that it may be")
        return found

    def _newest_whole(self, record: ViewRecord, view: FeatureView, queries: tuple[Query, ...]) -> Found | None:
        day = self.loaded_on(view.dataset)
        for back in range(LOOKED_BACK + 1 if view.blocks else 1):
            parts = parts_of_view(view, queries, day, back)
            stored = [self._ledger.find_newest(part.question) for part in parts]
            there = tuple(item for item in stored if item is not None)
            if parts and len(there) == len(parts):
                return Found(record, view, queries, parts, there, back)
        return None

    def wide(self, found: Found) -> Wide:
        """A view's wide table."""
        view = found.view
        age = self._registry.now() - found.aged_since
        about = {
            "view": view.view,
            "view_version": found.version,
            "title": view.title,
            "per": view.per,
            "age_s": max(0, int(age.total_seconds())),
            "max_age_s": int(oldest(view, found.queries).total_seconds()),
            "stale": found.back > 0 or (view.blocks is None and age > view.refresh),
        }
        release_ids = [item.release_id for item in found.stored]
        try:
            return self._wide(found.parts, release_ids, view.segment, view.reliability, about, made_now=())
        except DifferentSegmentsError:
            raise TooOld(view.view, "has releases of different segments") from None

    def make(self, identity: Identity, names: Sequence[str], parameters: Mapping[str, object]) -> tuple[Wide, bool]:
        """One wide table of the named queries, and whether anything was charged for it: all or nothing.

        Raises:
          InvalidParameters: they do not go together, or a parameter is wrong. Whatever a release raises.
        """
        if not 1 <= len(names) <= QUERIES_MAX or len(set(names)) < len(names):
            raise InvalidParameters({"queries": f"must be 1 to {QUERIES_MAX} names, none twice"})
        queries = tuple(self._library.runnable(identity, name) for name in names)
        parts = parts_of(queries, parameters, {})
        answers = self._road.release_all(
            [Ask(identity, part.known.query.query, part.parameters.canonical) for part in parts]
        )
        stored = [answer.stored.release_id for answer in answers]
        segment = tuple(key.name for key in queries[0][1].keys)
        about: dict[str, Any] = {"view": None, "view_version": None, "title": "", "per": None}
        about |= {"age_s": None, "max_age_s": None, "stale": False}
        made_now = tuple(answer.stored.release_id for answer in answers if answer.made_now)
        try:
            return self._wide(parts, stored, segment, RELIABILITY, about, made_now=made_now), bool(made_now)
        except DifferentSegmentsError:
            # Keys of a public table that was loaded again, while one of the answers before is still fresh.
            what = "their answers are of different segments: ask for each of them by itself until both are new"
            raise InvalidParameters({"queries": what}) from None

    def _body(self, release_id: str) -> bytes:
        return b"".join(unpacked(self._ledger.release(release_id).body))

    def _wide(
        self,
        parts: Sequence[Part],
        release_ids: Sequence[str],
        segment: Sequence[str],
        reliability: Decimal,
        about: Mapping[str, Any],
        *,
        made_now: Sequence[str],
    ) -> Wide:
        columns = [self._columns.of(release_id, partial(self._body, release_id)) for release_id in release_ids]
        placed = [Placed(c, part.names, part.block) for c, part in zip(columns, parts, strict=True)]
        keys, features, known = self._columns.beside(placed, segment, reliability)
        heads = [c.head for c in columns]
        dataset = parts[0].known.dataset
        types = {key["name"]: key["type"] for key in heads[0]["keys"]}
        labels = [part.label for part in parts]
        head = {
            **self._mark,
            **about,
            "dataset": dataset.dataset,
            "releases": {label: h["release_id"] for label, h in zip(labels, heads, strict=True)},
            "query_versions": {h["query"]: h["query_version"] for h in heads},
            "data_versions": {label: h["data_version"] for label, h in zip(labels, heads, strict=True)},
            "parameters": {label: h["parameters"] for label, h in zip(labels, heads, strict=True)},
            "created_at": min(h["created_at"] for h in heads),
            "renewed_at": max(h["created_at"] for h in heads),
            "as_of": min(h["as_of"] for h in heads),
            "replayed": not made_now,
            "cost": _cost(dataset, [h["cost"] for h in heads]),
            "charged": _cost(dataset, [h["cost"] for h in heads if h["release_id"] in made_now]),
            "budget": self._budgets.of_release(dataset.lineage, heads[0]["release_id"]),
            "privacy_unit": dataset.privacy_unit,
            "reliability": float(reliability),
            "keys": [{"name": name, "type": types[name]} for name in segment],
            "measures": known,
        }
        return Wide(head, keys, features)


def reason_of(view: str) -> str:
    """What the ledger writes beside a charge that renews a view."""
    return f"renews feature view {view}"


def view_of(record: ViewRecord) -> FeatureView:
    """What a recorded view says."""
    return parse_view(record.text, f"{record.name}.yaml")


def _cost(dataset: DatasetFile, costs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What several releases cost together: rho adds up, epsilon is of the sum."""
    pure = dataset.measure is Measure.PURE
    amount = sum(_steps(cost["epsilon" if pure else "rho"], AMOUNT_STEPS) for cost in costs)
    delta = sum(_steps(cost["delta"], DELTA_STEPS) for cost in costs)
    if not amount:
        return {"rho": None if pure else 0.0, "delta": 0.0, "epsilon": 0.0}
    return views.cost(Loss(dataset.measure, amount, delta), dataset.conversion_delta)


def _steps(amount: float, in_one: int) -> int:
    return round(Decimal(str(amount)) * in_one)


def _days(span: timedelta) -> str:
    return f"{span.total_seconds() / 86400:g}"


def _described(record: ViewRecord, view: FeatureView) -> dict[str, Any]:
    monthly = view.monthly
    return {
        "view": view.view,
        "dataset": view.dataset,
        "title": view.title,
        "description": view.description,
        "segment": list(view.segment),
        "queries": list(view.queries),
        "parameters": {name: json.loads(canonical_json(value)) for name, value in view.parameters.items()},
        "blocks": view.blocks,
        "per": view.per,
        "refresh_s": int(view.refresh.total_seconds()),
        "max_age_s": int(view.max_age.total_seconds()),
        "reliability": float(view.reliability),
        "monthly": {
            "rho": None if monthly.rho is None else float(monthly.rho),
            "epsilon": None if monthly.epsilon is None else float(monthly.epsilon),
        },
        "revision": record.revision,
        "submitted_by": record.actor,
        "submitted_at": record.submitted_at.isoformat(),
    }
