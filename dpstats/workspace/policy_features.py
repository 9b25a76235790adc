"""Feature views as policy: what their files would change, and what renewing each for a year takes at most.

A view is compared with the queries as the files would leave them, so that it may come in one step with its queries.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

from dpstats.catalog.differences import differences
from dpstats.catalog.features import FeatureView
from dpstats.errors import DpstatsError, InvalidParameters, NotFound
from dpstats.ledger.registry import QueryRecord, Registry, ViewRecord
from dpstats.library import Known, Library
from dpstats.plan.cadence import blocks_a_year, renewals_a_year
from dpstats.privacy.loss import Loss, no_loss
from dpstats.release import Road, is_for_ads, loaded_on
from dpstats.workspace.features import view_of
from dpstats.workspace.features_parts import Part, Query, check_view, is_windowed, parts_of
from dpstats.workspace.features_refresh import envelope_of
from dpstats.workspace.policy_changes import Change, QueryChange
from dpstats.workspace.policy_files import PolicyFiles, ViewText

MONTHS = 12
"""A year's monthly envelopes."""


@dataclass(frozen=True)
class PricedView:
    """What a view costs. `renewal`: all of its queries once. `releases`: how many a year brings.

    `year`: what they cost, at most what twelve monthly envelopes let through; `held`: whether those are what limits it.
    """

    queries: tuple[Query, ...]
    renewal: Loss
    releases: int
    year: Loss
    held: bool


@dataclass(frozen=True)
class ViewChange:
    """A view's file against what is registered. `said` None: it has no file any more. `priced` None: it cannot be."""

    name: str
    dataset: str
    change: Change
    said: ViewText | None
    priced: PricedView | None = None
    before: PricedView | None = None
    parts: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class _WaitsError(Exception):
    """A query of the view answers nothing yet; the message says why."""


class ViewPlanning:
    """Compares views' files with the register. Of the data it reads public tables alone, for the values of keys."""

    def __init__(self, registry: Registry, road: Road) -> None:
        self._registry, self._road, self._library = registry, road, Library(registry)

    def changes(self, files: PolicyFiles, queries: Mapping[str, QueryChange]) -> Iterator[ViewChange]:
        """What each file means, and each registered view of the folder's datasets that has none.

        Args:
          queries: what becomes of queries, by name.
        """
        known = {record.name: record for record in self._registry.views()}
        for name, said in sorted(files.views.items()):
            yield self._change(said, known.get(name), queries)
        there = {*files.views, *(wrong.file.stem for wrong in files.wrong)}
        for name, record in known.items():
            if record.dataset in files.datasets and name not in there:
                yield ViewChange(name, record.dataset, Change.WITHDRAWN, None, before=self._before(record))

    def _change(self, said: ViewText, registered: ViewRecord | None, planned: Mapping[str, QueryChange]) -> ViewChange:
        view = said.view
        if registered is not None and registered.dataset != view.dataset:
            reason = f"a feature view of dataset {registered.dataset} has this name: choose another"
            return ViewChange(view.view, view.dataset, Change.REFUSED, said, reasons=(reason,))
        try:
            queries = tuple(self._query(name, planned) for name in view.queries)
            check_view(view, queries, self._loaded_on(view.dataset))
            priced = self._priced(view, queries, begins=registered is None)
        except _WaitsError as error:
            return ViewChange(view.view, view.dataset, Change.WAITING, said, reasons=(str(error),))
        except InvalidParameters as error:
            return ViewChange(view.view, view.dataset, Change.REFUSED, said, reasons=tuple(_told(error)))
        except DpstatsError as error:
            return ViewChange(view.view, view.dataset, Change.REFUSED, said, reasons=(str(error),))
        parts = () if registered is None else differences(view_of(registered), view)
        change = Change.NEW if registered is None else Change.CHANGED if parts else Change.UNCHANGED
        before = None if registered is None else self._before(registered)
        warnings = tuple(_lost(view, planned))
        return ViewChange(view.view, view.dataset, change, said, priced, before, parts, (), warnings)

    # -- queries -------------------------------------------------------------------------------------------------

    def _query(self, name: str, planned: Mapping[str, QueryChange]) -> Query:
        """A query as it will stand, or as it stands where no file is about it."""
        change = planned.get(name)
        if change is None or change.said is None:
            return self._standing(name)
        if change.change is Change.REVOKED:
            raise _WaitsError(f"its query {name} was revoked: approve it again, then plan and apply again")
        if change.priced is None:
            what = "is refused" if change.change is Change.REFUSED else "waits for public data"
            raise _WaitsError(f"its query {name} {what}")
        analysis = change.priced.analysis
        record = QueryRecord(name, change.dataset, change.said.text, datetime.now(UTC), 0, "")
        known = Known(record, analysis.query, analysis.dataset, analysis.version, approved=True, analysis=analysis)
        return known, analysis

    def _standing(self, name: str) -> Query:
        try:
            known = self._library.as_it_stands(self._registry.newest_query(name))
        except NotFound:
            raise InvalidParameters({"queries": f"there is no query {name}, neither here nor registered"}) from None
        if known.analysis is None or not known.approved:
            raise _WaitsError(f"its query {name} is not approved: approve it, then plan and apply again")
        return known, known.analysis

    # -- prices --------------------------------------------------------------------------------------------------

    def _priced(self, view: FeatureView, queries: tuple[Query, ...], *, begins: bool) -> PricedView:
        """The price of a view; one that begins also releases the blocks that it looks back over."""
        by_block = view.blocks is not None
        parts = parts_of(queries, view.parameters, view.rename, by_block=by_block)
        prices = [(self._price(part), _a_year(view, part, begins=begins)) for part in parts]
        none = no_loss(queries[0][0].dataset.measure)
        renewal = sum((price for price, _ in prices), start=none)
        paid = sum((Loss(p.measure, p.amount * times, p.delta * times) for p, times in prices), start=none)
        most = MONTHS * envelope_of(view, queries).amount
        year = Loss(paid.measure, min(paid.amount, most), paid.delta)
        return PricedView(queries, renewal, sum(times for _, times in prices), year, paid.amount > most)

    def _price(self, part: Part) -> Loss:
        return self._road.plan(part.known, part.analysis, part.parameters).loss

    def _before(self, record: ViewRecord) -> PricedView | None:
        """What the view costs as it is registered; None where it is not given now."""
        view = view_of(record)
        try:
            return self._priced(view, tuple(self._standing(name) for name in view.queries), begins=False)
        except (DpstatsError, _WaitsError):
            return None

    def _loaded_on(self, dataset: str) -> date:
        known = {record.name for record in self._registry.datasets()}
        versions = self._registry.data_versions(dataset) if dataset in known else ()
        return loaded_on(versions[-1]) if versions else self._registry.now().date()


def _a_year(view: FeatureView, part: Part, *, begins: bool) -> int:
    """How often a year releases a part: each of a windowed query's blocks once, anything else at every renewal.

    For advertising blocks age, and where only those count who consent, others count at every epoch: so each block that
    is shown is released at every renewal too.
    """
    use = part.analysis.blocks
    if view.blocks is None or use is None or not is_windowed(part.known, part.analysis):
        return renewals_a_year(view.refresh)
    if is_for_ads(part.analysis) or part.analysis.consented is not None:
        return view.blocks * renewals_a_year(view.refresh) + blocks_a_year(use.every)
    return blocks_a_year(use.every) + (view.blocks if begins else 0)


def _told(error: InvalidParameters) -> Iterator[str]:
    yield from (f"{name}: {reason}" for name, reason in error.problems.items())


def _lost(view: FeatureView, planned: Mapping[str, QueryChange]) -> Iterator[str]:
    for name in view.queries:
        if name in planned and planned[name].change is Change.WITHDRAWN:
            yield f"its query {name} has no file: with --prune the view answers nothing"
