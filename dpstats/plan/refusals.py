"""Collects every reason why a query cannot be answered, each with its place in the SQL and a way out."""

from __future__ import annotations

from sqlglot import exp

from dpstats.errors import QueryRefused, Refusal

_SNIPPET_MAX = 60


class Refusals:
    """The reasons found so far in one query's text; `raise_if_any` ends the analysis."""

    def __init__(self, query: str, sql: str) -> None:
        self._query, self._sql = query, sql
        self._found: dict[Refusal, None] = {}

    def add(self, node: exp.Expr | None, what: str, instead: str) -> None:
        """Records one reason; `node` is where it stands, None for the query as a whole."""
        line, column, snippet = self._place(node)
        self._found.setdefault(Refusal(what, instead, line, column, snippet))

    def __bool__(self) -> bool:
        return bool(self._found)

    def raise_if_any(self) -> None:
        """Raises QueryRefused with every reason, in the order of the text."""
        if self._found:
            raise QueryRefused(self._query, sorted(self._found, key=lambda r: (r.line, r.column)))

    def _place(self, node: exp.Expr | None) -> tuple[int, int, str]:
        if node is None:
            return 0, 0, ""
        starts = [part.meta["start"] for part in node.walk() if "start" in part.meta]
        snippet = node.sql(dialect="duckdb")
        snippet = snippet if len(snippet) <= _SNIPPET_MAX else snippet[: _SNIPPET_MAX - 3] + "..."
        if not starts:
            return 0, 0, snippet
        before = self._sql[: min(starts)]
        return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1, snippet
