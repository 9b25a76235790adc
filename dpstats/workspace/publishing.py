"""What is public: the privacy notice, and the report of what was asked of the data and what it cost.

Nobody is asked who they are here, so nothing in it may depend on a person's row: it is made from the registered files,
from approvals and from the ledger, which hold none. Numbers of people or rows are nowhere in it; those of requests are
rounded, of years that are over, and said to be outside the guarantee.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from threading import Lock
from typing import Any

import dpstats
from dpstats import views
from dpstats.access import Action, check, operator
from dpstats.catalog.dataset import DatasetFile
from dpstats.catalog.query import QueryFile
from dpstats.ledger.chain import Kind
from dpstats.ledger.records import DaySum
from dpstats.ledger.store import Store
from dpstats.ledger.tokens import Identity
from dpstats.library import Known, Library
from dpstats.privacy.loss import AMOUNT_STEPS, DELTA_STEPS
from dpstats.rights.notice import PAST_STATISTICS, SIGNALS, Business, notice_of
from dpstats.rights.notices_at_load import NoticesAtLoad
from dpstats.rights.notices_built import NoticesBuilt
from dpstats.rights.request_log import RequestLog
from dpstats.rights.totals import OUTSIDE, Total, rounded, totals, year_of
from dpstats.workspace.spending import Spending

_PUBLIC = operator("the public")
KEPT_S = 2.0
"""How old the report may be: making it adds up the whole ledger, and anybody may ask for it."""
UNKNOWN = "unknown"
"""The purpose of charges for a query whose text says none any more."""


class Publishing:
    """What a workspace tells everybody. `business` is who speaks, and where requests go."""

    def __init__(
        self,
        store: Store,
        library: Library,
        spending: Spending,
        business: Business,
        requests: RequestLog,
        built: NoticesBuilt,
        notices: NoticesAtLoad,
    ) -> None:
        self._registry, self._ledger, self._library = store.registry, store.ledger, library
        self._spending, self._business = spending, business
        self._requests, self._built, self._notices = requests, built, notices
        self._making = Lock()
        self._report: tuple[float, dict[str, Any] | None] = (0.0, None)

    def notice(self) -> dict[str, Any]:
        """The notice, from the definitions in force."""
        return notice_of(self._business, self._library.datasets(_PUBLIC))

    def note_built(self, identity: Identity, version: str) -> None:
        """Notes that the notice of this version was built, so that it is told when it is a year old.

        Raises:
          Forbidden: the caller is no steward.
        """
        check(identity, Action.STEWARD)
        self._built.note(version, datetime.now(UTC))

    def note_collection(self, identity: Identity, version: str) -> None:
        """Notes that the notice at collection of this version was built, so that loads may name it.

        Raises:
          Forbidden: the caller is no steward.
        """
        check(identity, Action.STEWARD)
        self._notices.note_built(version, datetime.now(UTC))

    def overdue_notice(self, now: datetime) -> str:
        """What is wrong with the notice that was built last; empty if nothing is, or none was."""
        return self._built.overdue(self.notice()["version"], now)

    def _totals(self) -> tuple[Total, ...]:
        return totals(kept.standing for kept in self._requests.all())

    def _requests_told(self) -> dict[str, Any]:
        """Rounded totals, of years that are over."""
        this_year = year_of(datetime.now(UTC))
        years = [
            {
                "year": total.year,
                "type": str(total.kind),
                "received": rounded(total.received),
                "complied": rounded(total.complied),
                "denied": rounded(total.denied),
            }
            for total in self._totals()
            if total.year < this_year
        ]
        return {"says": OUTSIDE, "years": years}

    def transparency(self) -> dict[str, Any]:
        """The report: datasets, questions, budgets and every raise of one, and the promise not to re-identify.

        It is made anew at most every `KEPT_S` seconds, however often it is asked for.
        """
        with self._making:
            made_at, report = self._report
            if report is None or time.monotonic() - made_at >= KEPT_S:
                report = self._made()
                self._report = (time.monotonic(), report)
        return report

    def _made(self) -> dict[str, Any]:
        datasets = self._by_name()
        notice = notice_of(self._business, datasets)
        return {
            "business": notice["business"],
            "contact": notice["contact"],
            "acts_as": notice["acts_as"],
            "disk_encryption": self._business.disk_encryption or None,
            "notice_version": notice["version"],
            "software": f"dpstats {dpstats.__version__}",
            "public_key": self._ledger.public_key,
            "datasets": [self._dataset(*pair) for pair in zip(datasets, notice["datasets"], strict=True)],
            "reidentification_commitment": notice["reidentification_commitment"],
            "requests": self._requests_told(),
            "how_to_opt_out": SIGNALS,
            "past_statistics": PAST_STATISTICS,
        }

    def _by_name(self) -> list[DatasetFile]:
        return sorted(self._library.datasets(_PUBLIC), key=lambda dataset: dataset.dataset)

    def _dataset(self, dataset: DatasetFile, told: dict[str, Any]) -> dict[str, Any]:
        lineage = dataset.lineage
        state, terms, head = self._ledger.budget(lineage), self._ledger.terms(lineage), self._ledger.head(lineage)
        sums = self._ledger.by_day(lineage)
        return told | {
            "unit_of_privacy": f"one {unit_named(dataset.privacy_unit)}: all rows with the same {dataset.privacy_unit}",
            "queries": [self._query(known) for known in self._approved(dataset.dataset)],
            "budget": views.budget(state, terms),
            "spent": self._spent(sums),
            "grants": [_grant(item) for item in sums if item.kind == Kind.GRANT],
            "who_may_raise": "Stewards, each time with a reason that is written into the ledger for good.",
            "ledger_head": {"seq": head.seq, "hash": head.hash, "signature": head.signature},
        }

    def _approved(self, dataset: str) -> Iterator[Known]:
        for known in self._library.all(_PUBLIC):
            if known.record.dataset == dataset and known.approved and known.analysis is not None:
                yield known

    def _query(self, known: Known) -> dict[str, Any]:
        query, analysis = known.query, known.analysis
        groups = [key.name for key in analysis.keys] if analysis else []
        price = self._spending.price(known)
        return {
            "query": query.query,
            "query_version": known.version,
            "says": _sentence(query, groups),
            "purpose": query.purpose,
            "cadence": query.cadence,
            "cost": None if price is None else views.cost(price, known.dataset.conversion_delta),
            "significant_decision": query.significant_decision,
            "smallest_group": analysis.floor.at if analysis and analysis.floor else None,
        }

    def _spent(self, sums: tuple[DaySum, ...]) -> list[dict[str, Any]]:
        """What was charged to the lineage, by month (UTC) and purpose, oldest first."""
        charges = [item for item in sums if item.kind == Kind.CHARGE]
        purposes = self._spending.purposes(item.query for item in charges if item.query is not None)
        found: dict[tuple[str, str], tuple[int, int, int]] = {}
        for item in charges:
            cause = (f"{item.day:%Y-%m}", purposes.get((str(item.query), str(item.query_version)), UNKNOWN))
            answers, amount, delta = found.get(cause, (0, 0, 0))
            found[cause] = (answers + item.entries, amount + item.amount, delta + item.delta)
        return [
            {
                "month": month,
                "purpose": purpose,
                "answers": answers,
                "amount": amount / AMOUNT_STEPS,
                "delta": delta / DELTA_STEPS,
            }
            for (month, purpose), (answers, amount, delta) in sorted(found.items())
        ]


def unit_named(column: str) -> str:
    """Whom a privacy unit's column names: `household_id` is a household."""
    return column.removesuffix("_id").replace("_", " ") or column


def _sentence(query: QueryFile, groups: list[str]) -> str:
    """What a query tells, and by what: the title that its steward gave it, and the groups that this does not name."""
    title = (query.title or query.query.replace("_", " ")).rstrip(".")
    _, _, named = title.lower().partition(" by ")
    words = [name.replace("_", " ") for name in groups]
    others = [text for text in words if not re.search(rf"\b{re.escape(text.lower())}\b", named)]
    return f"{title}, by {' and '.join(others)}." if others else f"{title}."


def _grant(item: DaySum) -> dict[str, Any]:
    return {"day": item.day.isoformat(), "grants": item.entries, "amount": item.amount / AMOUNT_STEPS}
