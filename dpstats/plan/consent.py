"""Whom a query counts: the people out of its purpose are left out before anything else looks at a row.

Stability. Claim: with the filter, every personal table still is a function that treats each privacy unit alone, so the
claims of `relations.py` and `sql.py`, and the price, stand as they are.
Precondition: `CONSENT` has, for each unit, truths that were worked out from that unit's own decisions, as of the last
closed epoch (`rights/roll.py`); it is made with the data version and does not change.
Argument: a row of unit u is kept if u is among the units whose truths hold, and, for a use that is newer than some
data, if the row's own time is not older than it or u agreed since. `IN` looks at u's id and u's truths, at
nobody else's, and multiplies no row. So u's rows are kept by u's alone, and adding or removing u, with its
rows and its decisions, adds or removes u's own rows or nothing: stability 1 per unit. A unit's decisions are part of
its rows: changing them alone is no more than taking u out or putting it in, so what a unit decided is protected as its
rows are. A unit that is missing there, or twice, is counted as its rows say or not at all, never twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from dpstats.catalog.consented import ASKED, CONSENT, UNIT, UNLIMITED, agreed_column, consent_column
from dpstats.catalog.purposes import Consent, Kind
from dpstats.plan.typed import quoted

NEVER = "DATE '10000-01-01'"
"""After all days that a calendar has; a time that is infinite is after it."""


@dataclass(frozen=True)
class Consented:
    """A query that counts only some people, or some of their rows.

    `sensitive`: it reads a sensitive column, so nobody who limited that. `began`: the day from which on data were
    collected for the purpose, see `Purpose.needs_consent_since`. `times`: then, each table that is read and the column
    that says how old its rows are; None: there is none, and every row counts as old.
    """

    purpose: str
    consent: Consent
    kind: Kind
    sensitive: bool
    began: date | None = None
    times: tuple[tuple[str, str | None], ...] = ()

    def condition(self, unit: str, table: str) -> str:
        """SQL that keeps a row of a table whose unit, in the column `unit`, may be counted."""
        conditions = []
        if self.consent in ASKED:
            truths = [consent_column(self.purpose, self.consent), *([UNLIMITED] if self.sensitive else [])]
            conditions.append(_is_one_who(unit, truths))
        if self.began is not None:
            agreed = _is_one_who(unit, [agreed_column(self.purpose)])
            # A row without a time, or of one that no calendar has, is not known to be newer: NULL keeps nothing.
            day = f"DATE '{self.began.isoformat()}'"
            time = dict(self.times)[table]
            newer = f"{quoted(time)} >= {day} AND {quoted(time)} < {NEVER}" if time is not None else ""
            conditions.append(f"({newer} OR {agreed})" if newer else agreed)
        return " AND ".join(conditions)

    @property
    def in_words(self) -> str:
        """Who is counted, for a proof."""
        older = "" if self.began is None else f"rows from before {self.began} only of units that opted in since"
        if self.consent not in ASKED:
            return f"{older} to {self.purpose}, as of the last closed epoch; left out before bounding"
        who = "units that opted in to" if self.consent == "opt_in" else "units that did not opt out of"
        limited = ", and did not limit the use of sensitive columns" if self.sensitive else ""
        rows = f"left out with all rows; {older}; all that" if older else "left out with all rows,"
        return f"only {who} {self.purpose}{limited}, as of the last closed epoch; {rows} before bounding"

    @property
    def content(self) -> dict[str, object]:
        """What a query's version depends on here."""
        said: dict[str, object] = {"consent": self.consent, "kind": self.kind, "sensitive": self.sensitive}
        return said if self.began is None else said | {"needs_consent_since": self.began, "times": dict(self.times)}


def _is_one_who(unit: str, truths: Sequence[str]) -> str:
    where = " AND ".join(map(quoted, truths))
    return f"{quoted(unit)} IN (SELECT {quoted(UNIT)} FROM {quoted(CONSENT)} WHERE {where})"
