"""Collects every reason why a query cannot be answered, each with its place in the SQL and a way out."""

from __future__ import annotations

from sqlglot import exp

from dpstats.errors import QueryRefused, Refusal
from dpstats.plan.dialect import DIALECT

_SNIPPET_MAX = 60

NAMED_REFUSALS: dict[type[exp.Expr], tuple[str, str]] = {
    exp.Subquery: ("a subquery inside an expression", "Join a subquery that is grouped by the privacy unit instead"),
    exp.Select: ("a subquery inside an expression", "Join a subquery that is grouped by the privacy unit instead"),
    exp.Exists: ("EXISTS", "Join the other table on the privacy unit instead"),
    exp.Window: ("a window function", "Aggregate in a subquery grouped by the privacy unit instead"),
    exp.Star: ("*", "Name the columns"),
    exp.Rollup: ("ROLLUP", "Write one query for each grouping"),
    exp.Cube: ("CUBE", "Write one query for each grouping"),
    exp.GroupingSets: ("GROUPING SETS", "Write one query for each grouping"),
    exp.First: ("FIRST depends on the order of rows", "Use MIN or MAX in a subquery grouped by the privacy unit"),
    exp.Last: ("LAST depends on the order of rows", "Use MIN or MAX in a subquery grouped by the privacy unit"),
    exp.AnyValue: ("ANY_VALUE depends on the order of rows", "Use MIN or MAX in a subquery grouped by the unit"),
    exp.ArrayAgg: ("LIST depends on the order of rows", "Use COUNT, SUM or AVG"),
    exp.GroupConcat: ("STRING_AGG depends on the order of rows", "Use COUNT, SUM or AVG"),
    exp.ArgMax: ("ARG_MAX depends on the order of rows", "Use MAX in a subquery grouped by the privacy unit"),
    exp.ArgMin: ("ARG_MIN depends on the order of rows", "Use MIN in a subquery grouped by the privacy unit"),
    exp.Rand: ("a volatile function", "Remove it: an answer may depend on the data and the parameters only"),
    exp.CurrentDate: ("a volatile function", "Give the date as a parameter"),
    exp.CurrentTimestamp: ("a volatile function", "Give the time as a parameter"),
    exp.WithinGroup: ("WITHIN GROUP", "Write QUANTILE_CONT(x, p)"),
    exp.Quantile: ("QUANTILE, which gives a row's own value", "Write QUANTILE_CONT(x, p)"),
    exp.PercentileDisc: ("QUANTILE_DISC, which gives a row's own value", "Write QUANTILE_CONT(x, p)"),
    exp.ApproxQuantile: ("APPROX_QUANTILE", "Write QUANTILE_CONT(x, p)"),
    exp.Variance: ("the sample variance", "Write VAR_POP"),
    exp.Stddev: ("the sample standard deviation", "Write STDDEV_POP"),
    exp.StddevSamp: ("the sample standard deviation", "Write STDDEV_POP"),
}
VOLATILE = {
    "now",
    "random",
    "uuid",
    "gen_random_uuid",
    "today",
    "current_timestamp",
    "nextval",
    "setseed",
    "txid_current",
}


class Refusals:
    """The reasons found so far in one query's text; `raise_if_any` ends the analysis."""

    def __init__(self, query: str, sql: str) -> None:
        self._query, self._sql = query, sql
        self._found: dict[Refusal, None] = {}

    def add(self, node: exp.Expr | None, what: str, instead: str) -> None:
        """Records one reason; `node` is where it stands, None for the query as a whole."""
        line, column, snippet = self._place(node)
        self._found.setdefault(Refusal(what, instead, line, column, snippet))

    def __len__(self) -> int:
        """How many reasons there are."""
        return len(self._found)

    def raise_if_any(self) -> None:
        """Raises QueryRefused with every reason, in the order of the text."""
        if self._found:
            raise QueryRefused(self._query, sorted(self._found, key=lambda r: (r.line, r.column)))

    def _place(self, node: exp.Expr | None) -> tuple[int, int, str]:
        if node is None:
            return 0, 0, ""
        starts = [part.meta["start"] for part in node.walk() if "start" in part.meta]
        snippet = node.sql(dialect=DIALECT)
        snippet = snippet if len(snippet) <= _SNIPPET_MAX else snippet[: _SNIPPET_MAX - 3] + "..."
        if not starts:
            return 0, 0, snippet
        before = self._sql[: min(starts)]
        return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1, snippet
