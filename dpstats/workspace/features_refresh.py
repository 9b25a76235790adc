"""Renewing feature views: what is due is released anew, all of a view or none of it, within its monthly envelope.

What is due follows from the clock, from what was released and from what each load said that it brought; no row is
looked at. Two who renew one view at once pay once: their charges are made under one key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from dpstats.access import Action, check
from dpstats.catalog.features import FeatureView
from dpstats.errors import DpstatsError
from dpstats.ledger.chain import canonical_json, sha256
from dpstats.ledger.records import Envelope, ReleaseMark
from dpstats.ledger.store import Store
from dpstats.ledger.tokens import Identity
from dpstats.privacy.conversion import rho_within
from dpstats.privacy.loss import Measure, amount_down
from dpstats.release import Ask, Road, is_for_ads
from dpstats.workspace.features import Features, reason_of
from dpstats.workspace.features_parts import Part, Query, from_public_table, oldest, parts_of_view

KEYS_OF = "renewals of feature views"
"""Among whose keys a renewal's key is, whoever renews: so two stewards who renew at once pay once."""
RENEWED, SKIPPED, REFUSED = "renewed", "skipped", "refused"


@dataclass(frozen=True)
class Renewal:
    """What became of a view: RENEWED, SKIPPED (nothing was due) or REFUSED (it was, and could not be), and why.

    `releases`: those made now, by query and block. `left`: releases of the view that were kept as they are.
    """

    view: str
    state: str
    why: str
    releases: Mapping[str, str] = field(default_factory=dict)
    left: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """As JSON."""
        made = dict(self.releases)
        return {"view": self.view, "state": self.state, "why": self.why, "releases": made, "left": list(self.left)}


@dataclass(frozen=True)
class _Due:
    part: Part
    earlier: ReleaseMark | None
    why: str


class Refreshing:
    """Renews the feature views of a workspace."""

    def __init__(self, store: Store, road: Road, features: Features) -> None:
        self._registry, self._ledger = store.registry, store.ledger
        self._road, self._features = road, features

    def refresh(self, identity: Identity, names: Sequence[str] = ()) -> list[Renewal]:
        """Renews what is due of the named views, or of all; one that cannot be renewed stops no other.

        Raises:
          Forbidden: the caller is no steward. NotFound: there is no such view.
        """
        check(identity, Action.STEWARD)
        known = [self._features.known(identity, name)[1] for name in names]
        every = known or [self._features.known(identity, record.name)[1] for record in self._registry.views()]
        return [self._renewed(identity, view) for view in every]

    def _renewed(self, identity: Identity, view: FeatureView) -> Renewal:
        try:
            queries = self._features.queries_of(identity, view)
            parts = parts_of_view(view, queries, self._features.loaded_on(view.dataset))
            if not parts:
                return Renewal(view.view, REFUSED, f"there are no {view.blocks} whole blocks to look back over yet")
            due, kept = self._due(view, parts)
            left = tuple(part.label for part in kept)
            if not due:
                return Renewal(view.view, SKIPPED, self._why_not(view, parts), left=left)
            asks = [self._ask(identity, item) for item in due]
            answers = self._road.release_all(asks, envelope_of(view, queries))
        except DpstatsError as error:
            return Renewal(view.view, REFUSED, str(error))
        made = {item.part.label: answer.stored.release_id for item, answer in zip(due, answers, strict=True)}
        why = "; ".join(dict.fromkeys(item.why for item in due))
        return Renewal(view.view, RENEWED, why, made, left)

    def _due(self, view: FeatureView, parts: Sequence[Part]) -> tuple[list[_Due], list[Part]]:
        due, kept = [], []
        may_be = oldest(view, [(part.known, part.analysis) for part in parts])
        for part in parts:
            earlier = self._ledger.find_newest(part.question)
            why = self._why(view, part, earlier, may_be)
            if why:
                due.append(_Due(part, earlier, why))
            else:
                kept.append(part)
        if due and any(from_public_table(part.analysis) for part in parts):
            # Keys are a public table's rows: releases of two loads of it may be of different segments.
            due += [_Due(p, self._ledger.find_newest(p.question), f"{p.label} goes with the others") for p in kept]
            kept = []
        return due, kept

    def _why(self, view: FeatureView, part: Part, earlier: ReleaseMark | None, may_be: timedelta) -> str:
        """Why a release is to be made anew; empty if it is not. `may_be`: how old the view may be."""
        if earlier is None:
            return f"{part.label} was never released"
        brought = self._brought(part, earlier)
        if part.block is not None and brought:
            return f"{part.label} was loaded again"
        age = self._registry.now() - earlier.created_at
        if age < view.refresh:
            return ""
        if brought:
            return f"{part.label} is due, and data were loaded since"
        if self._counts_others(part, earlier):
            return f"{part.label} is due, and consent was looked at since"
        if part.block is not None and not is_for_ads(part.analysis):
            return ""  # it does not age
        return f"{part.label} would pass its maximal age" if age + view.refresh > may_be else ""

    def _counts_others(self, part: Part, earlier: ReleaseMark) -> bool:
        """Whether an epoch closed since, of a part that counts only those who consent: who they are may have changed.

        However often one closes, that makes nothing due before its time: each release of it is paid for.
        """
        manifests = self._registry.manifests()
        is_new = any(not manifests[version].tables for version in self._since(part, earlier) if version in manifests)
        return part.analysis.consented is not None and is_new

    def _since(self, part: Part, earlier: ReleaseMark) -> list[str]:
        """The data versions after the one that a release is of."""
        versions = [record.data_version for record in self._registry.data_versions(part.known.dataset.dataset)]
        return versions[versions.index(earlier.data_version) + 1 :] if earlier.data_version in versions else versions

    def _brought(self, part: Part, earlier: ReleaseMark) -> bool:
        """Whether a load since brought anything of what the part reads, as far as its steward said.

        An epoch brings no table.
        """
        manifests, blocks = self._registry.manifests(), part.known.dataset.blocks
        timed = blocks.table if blocks is not None else None
        return any(
            version not in manifests
            or any(manifests[version].brings(table, part.block if table == timed else None) for table in _reads(part))
            for version in self._since(part, earlier)
        )

    def _why_not(self, view: FeatureView, parts: Sequence[Part]) -> str:
        if view.blocks is not None:
            return "every whole block was released, and none was loaded since"
        stored = [self._ledger.find_newest(part.question) for part in parts]
        oldest = min(item.created_at for item in stored if item is not None)
        due = oldest + view.refresh
        if due > self._registry.now():
            return f"it is due on {due:%Y-%m-%d %H:%M} UTC"
        return "nothing that it reads was loaded since it was released"

    def _ask(self, identity: Identity, due: _Due) -> Ask:
        """A first release may be one that somebody else made or paid; a renewal is drawn anew, under a key.

        Claim: whoever renews the same release of the same data uses the same key, and a key pays once.
        Argument: the key is of the question, the data version and how often the question was answered; the last one
        changes only when a new answer is stored, and then the renewal is done.
        """
        part = due.part
        if due.earlier is None:
            return Ask(identity, part.known.query.query, part.parameters.canonical)
        versions = self._registry.data_versions(part.known.dataset.dataset)
        newest = versions[-1].data_version if versions else ""
        asked = part.question
        key = sha256(canonical_json(["refresh", asked.query, asked.hash, newest, self._ledger.times_released(asked)]))
        return Ask(
            identity,
            part.known.query.query,
            part.parameters.canonical,
            fresh=True,
            idempotency_key=key,
            key_shared_by=KEYS_OF,
        )


def envelope_of(view: FeatureView, queries: Sequence[Query]) -> Envelope:
    """What renewing a view may cost in a month; an epsilon buys the largest rho whose conversion stays within it."""
    dataset = queries[0][0].dataset
    if view.monthly.rho is None and dataset.measure is not Measure.PURE:
        return Envelope(reason_of(view.view), rho_within(view.monthly.amount, dataset.conversion_delta))
    return Envelope(reason_of(view.view), amount_down(view.monthly.amount))


def _reads(part: Part) -> list[str]:
    return sorted(part.analysis.reads)
