"""Where a dataset's budget goes and until when it lasts: its burn-down, its forecasts, and who spends it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from dpstats.access import Action, check, operator
from dpstats.errors import FileError, NotFound, NotLoaded, QueryRefused
from dpstats.ledger.records import BudgetState, DaySum
from dpstats.ledger.store import Store
from dpstats.ledger.tokens import Identity
from dpstats.library import Known, Library, query_of
from dpstats.privacy.loss import AMOUNT_STEPS, DELTA_STEPS, Loss
from dpstats.workspace import budget_words as words
from dpstats.workspace.burndown import Left, Outlook, burn_down, outlook_of_pace, outlook_of_year, pace
from dpstats.workspace.review import Review
from dpstats.workspace.spenders import Naming, spenders
from dpstats.workspace.yearly import Year, together, year_of

_PRICES_KEPT = 4096


class Spending:
    """The spending of a workspace's datasets."""

    def __init__(self, store: Store, library: Library, review: Review) -> None:
        self._registry, self._ledger, self._tokens = store.registry, store.ledger, store.tokens
        self._library, self._review = library, review
        self._prices: dict[tuple[str, str], Loss] = {}

    def of(self, identity: Identity, name: str) -> dict[str, Any]:
        """The budget of a dataset's lineage over time, two forecasts, and the charges by query, purpose, role, actor.

        What was charged for datasets that the caller may not see is told as one sum.

        Raises:
          NotFound: no such dataset. Forbidden: the caller is no steward.
        """
        check(identity, Action.STEWARD)
        lineage = self._library.dataset(identity, name).lineage
        state, sums = self._ledger.budget(lineage), self._ledger.by_day(lineage)
        by = spenders(sums, self._naming(identity, lineage, sums))
        return {
            "dataset": name,
            "measure": state.measure.unit,
            "today": self._ledger.today().isoformat(),
            "burn_down": [_left(item) for item in burn_down(sums)],
            "forecast": self._forecast(lineage, state, sums),
            "spent_by": {way: [one.view(state.spent.amount) for one in found] for way, found in by.items()},
        }

    def forecast(self, identity: Identity, name: str) -> dict[str, Any]:
        """Until when a dataset's budget lasts: at the pace of late, and at the approved queries' cadences.

        Raises:
          NotFound: no such dataset. Forbidden: the caller is no steward.
        """
        check(identity, Action.STEWARD)
        lineage = self._library.dataset(identity, name).lineage
        return self._forecast(lineage, self._ledger.budget(lineage), self._ledger.by_day(lineage))

    def _forecast(self, lineage: str, state: BudgetState, sums: tuple[DaySum, ...]) -> dict[str, Any]:
        return {"from_spending": self._at_pace(state, sums), "from_cadences": self._at_cadence(lineage, state)}

    def _at_pace(self, state: BudgetState, sums: tuple[DaySum, ...]) -> dict[str, Any]:
        today = self._ledger.today()
        found = pace(sums, today)
        outlook = None if found is None else outlook_of_pace(found, state.remaining, today)
        return {
            "since": found.since.isoformat() if found else None,
            "days": found.days if found else None,
            "charges": found.charges if found else None,
            "amount": found.amount / AMOUNT_STEPS if found else None,
            **_outlook(outlook, state),
            "says": words.pace_says(found, outlook, today),
            "assumes": words.pace_assumes(found),
        }

    def _at_cadence(self, lineage: str, state: BudgetState) -> dict[str, Any]:
        approved = list(self._approved(lineage))
        years = [year_of(known.query, known.dataset, price) for known, price in approved]
        year = together(state.measure, years)
        outlook = outlook_of_year(year, state.remaining, self._ledger.today())
        without = sum(known.query.cadence in (None, "once") for known, _ in approved)
        return {
            "queries": len(approved),
            "charges": sum(item.charges for item in years),
            "amount": year.amount / AMOUNT_STEPS,
            **_outlook(outlook, state),
            "says": words.cadence_says(outlook, len(approved), without),
            "assumes": words.cadence_assumes(len(approved), without),
        }

    def _approved(self, lineage: str) -> Iterator[tuple[Known, Loss]]:
        """The approved queries of a lineage that can be priced, and the price of each at default parameters."""
        datasets = [record.name for record in self._registry.datasets() if record.lineage == lineage]
        for record in (record for dataset in datasets for record in self._registry.queries(dataset)):
            known = self._library.known(operator("forecast"), record.name)
            price = self.price(known) if known.approved else None
            if price is not None:
                yield known, price

    def price(self, known: Known) -> Loss | None:
        """What one release costs at default parameters: known by the version, and by the public data of the load."""
        try:
            key = (known.version, self._registry.data_version(known.record.dataset).data_version)
        except NotFound:
            return None
        if key not in self._prices:
            price = price_of(self._review, known)
            if price is None:
                return None
            if len(self._prices) >= _PRICES_KEPT:
                self._prices.clear()
            self._prices[key] = price
        return self._prices[key]

    def _naming(self, identity: Identity, lineage: str, sums: tuple[DaySum, ...]) -> Naming:
        roles = {record.identity.token_id: str(record.identity.role) for record in self._tokens.list()}
        purposes = self.purposes(item.query for item in sums if item.query is not None)
        return Naming(identity.datasets, purposes, roles)

    def purposes(self, queries: Iterable[str]) -> Mapping[tuple[str, str], str]:
        """The purpose that each approved version of these queries names, by query and version."""
        return {(name, version): found for name in set(queries) for version, found in self._purposes(name)}

    def _purposes(self, query: str) -> Iterator[tuple[str, str]]:
        """The purpose that each approved version of a query names."""
        for approval in self._registry.approvals(query):
            text = self._registry.query_revision(query, approval.revision).text
            with suppress(FileError):  # a text that an earlier dpstats read, and this one does not
                yield approval.version, query_of(text, query).purpose


def price_of(review: Review, known: Known) -> Loss | None:
    """What one release of a query costs at default parameters; None where it cannot be priced now."""
    if known.analysis is None:
        return None
    try:
        plan = review.plan_of_defaults(known.analysis)
    except (NotLoaded, QueryRefused):
        return None
    return None if plan is None else plan.loss


def year_view(year: Year, state: BudgetState, cadence: str | None) -> dict[str, Any]:
    """A year of a query, against its lineage's whole budget."""
    share = year.loss.amount / state.cap.amount if state.cap.amount else 0.0
    return {
        "charges": year.charges,
        "amount": year.loss.amount / AMOUNT_STEPS,
        "delta": year.loss.delta / DELTA_STEPS,
        "share": share,
        "covered": year.loss.fits(state.remaining),
        "says": words.year_says(year, cadence, share),
    }


def _left(item: Left) -> dict[str, Any]:
    return {
        "day": item.day.isoformat(),
        "granted": item.granted / AMOUNT_STEPS,
        "spent": item.charged / AMOUNT_STEPS,
        "remaining": item.remaining / AMOUNT_STEPS,
        "delta_remaining": (item.granted_delta - item.charged_delta) / DELTA_STEPS,
    }


def _outlook(outlook: Outlook | None, state: BudgetState) -> dict[str, Any]:
    if outlook is None:
        return dict.fromkeys(("runs_out", "ends_on", "earliest", "latest"))
    days = {"ends_on": outlook.ends_on, "earliest": outlook.earliest, "latest": outlook.latest}
    told = {name: day.isoformat() if day else None for name, day in days.items()}
    return {"runs_out": words.part_named(outlook.first, state.measure) if outlook.ends_on else None} | told
