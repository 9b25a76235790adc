"""Whom a query counts: the people out of its purpose are left out before anything else looks at a row.

Stability. Claim: with the filter, every personal table still is a function that treats each privacy unit alone, so the
claims of `relations.py` and `sql.py`, and the price, stand as they are.
Precondition: `CONSENT` has, for each unit, truths that were worked out from that unit's own decisions, as of the last
closed epoch (`rights/roll.py`); it is made with the data version and does not change.
Argument: a row of unit u is kept if u is among the units whose truths hold. `IN` looks at u's id and u's truths, at
nobody else's, and multiplies no row. So all of u's rows are kept or none of them, and adding or removing u, with its
rows and its decisions, adds or removes u's own rows or nothing: stability 1 per unit. A unit's decisions are part of
its rows: changing them alone is no more than taking u out or putting it in, so what a unit decided is protected as its
rows are. A unit that is missing there, or twice, is counted as its rows say or not at all, never twice.
"""

from __future__ import annotations

from dataclasses import dataclass

from dpstats.catalog.consented import CONSENT, UNIT, UNLIMITED, consent_column
from dpstats.catalog.purposes import Consent, Kind
from dpstats.plan.typed import quoted


@dataclass(frozen=True)
class Consented:
    """A query that counts only some people. `sensitive`: it reads a sensitive column, so nobody who limited that."""

    purpose: str
    consent: Consent
    kind: Kind
    sensitive: bool

    def condition(self, unit: str) -> str:
        """SQL that keeps a row whose unit, in the column `unit`, may be counted."""
        truths = [consent_column(self.purpose, self.consent), *([UNLIMITED] if self.sensitive else [])]
        where = " AND ".join(map(quoted, truths))
        return f"{quoted(unit)} IN (SELECT {quoted(UNIT)} FROM {quoted(CONSENT)} WHERE {where})"

    @property
    def in_words(self) -> str:
        """Who is counted, for a proof."""
        who = "units that opted in to" if self.consent == "opt_in" else "units that did not opt out of"
        limited = ", and did not limit the use of sensitive columns" if self.sensitive else ""
        return (
            f"only {who} {self.purpose}{limited}, as of the last closed epoch; left out with all rows, before bounding"
        )

    @property
    def content(self) -> dict[str, object]:
        """What a query's version depends on here."""
        return {"consent": self.consent, "kind": self.kind, "sensitive": self.sensitive}
