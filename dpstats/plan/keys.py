"""The grouping keys of a query: which they are, and where their values come from.

A key's values must be known without a person's rows, or an answer's rows would tell who is in the data: they are
declared in the query's file, by the expression itself (its literals, its range, the window's dates), or read off a
public column. Where they are `private`, a threshold on noise decides which are released (`privacy/threshold.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlglot import exp

from dpstats.catalog.query import KeysFrom, PrivateKeys, QueryFile
from dpstats.plan.first_bounds import keys_line
from dpstats.plan.relations import FromClause, Relations
from dpstats.plan.subqueries import group_expressions, has_aggregate
from dpstats.plan.typed import Kind, Typed
from dpstats.privacy.loss import Measure

BINS_MAX = 10_000
"""The most whole numbers that a key's own range declares as its values."""
KEY_KINDS = {Kind.INT, Kind.TEXT, Kind.BOOL, Kind.DATE, Kind.TIMESTAMP}


@dataclass(frozen=True)
class TruncatedSpan:
    """The dates that DATE_TRUNC gives in the window's half-open span: a `$parameter` or a date at either end."""

    unit: str
    since: date | str
    until: date | str


KeySource = tuple[object, ...] | KeysFrom | TruncatedSpan | PrivateKeys
"""Declared values, a public column, the window's dates, or what a threshold finds in the data."""


@dataclass(frozen=True)
class KeySpec:
    """One grouping key: its name, kind, the SQL of its value over rows, and where its declared values come from."""

    name: str
    kind: Kind
    sql: str
    fact: bool
    source: KeySource


class Keys:
    """Understands the keys of one query, or refuses them.

    `grouped_by`: the columns, `table.column`, that they are made of.
    """

    def __init__(self, query: QueryFile, relations: Relations) -> None:
        self._query, self._dataset, self._relations = query, relations.dataset, relations
        self._compiler, self._sources, self._refusals = relations.compiler, relations.sources, relations.refusals
        self.grouped_by: set[str] = set()

    def of(self, select: exp.Select, clause: FromClause) -> list[KeySpec]:
        """The keys of a SELECT, in the order of its list; what is no key is refused."""
        columns = {name for item in clause.items for name in item.relation.columns}
        grouped = {}
        for node in group_expressions(select, self._relations, columns):
            grouped[self._key_typed(node, clause).sql] = node
        keys: list[KeySpec] = []
        for item in select.expressions:
            if has_aggregate(item):
                continue
            key = self._key(item, clause, grouped)
            if key is not None:
                keys.append(key)
        for node in grouped.values():
            self._refusals.add(node, "a GROUP BY key that is not selected", "Add it to the SELECT list")
        return keys

    def _key_typed(self, node: exp.Expr, clause: FromClause) -> Typed:
        value = self._compiler.compile(node, clause, unit=True)
        if value.unit:
            self._refusals.add(node, "the privacy unit's id as a key", "Group by something that many units share")
        columns = [column for column in map(clause.column, node.find_all(exp.Column)) if column is not None]
        if any(column.identifies for column in columns):
            self._refusals.add(node, "an identifier as a key", "Group by something that many units share")
        self.grouped_by |= {name for column in columns for name in column.made_of}
        return value

    def _key(self, item: exp.Expr, clause: FromClause, grouped: dict[str, exp.Expr]) -> KeySpec | None:
        node = item.unalias()
        name = item.alias if isinstance(item, exp.Alias) else node.name if isinstance(node, exp.Column) else ""
        value = self._key_typed(node, clause)
        if value.sql not in grouped:
            if value.kind is not Kind.UNKNOWN:
                self._refusals.add(
                    item,
                    "a selected value that is neither a key nor an aggregate",
                    "Add it to GROUP BY, or aggregate it",
                )
            return None
        del grouped[value.sql]
        if value.unit:
            return None
        if not name:
            self._refusals.add(item, "a key without a name", "Write .. AS name")
            return None
        if value.kind not in KEY_KINDS:
            if value.kind is not Kind.UNKNOWN:
                self._refusals.add(
                    item, f"a key of type {value.kind}", "CAST it to BIGINT or VARCHAR, or bin it with WIDTH_BUCKET"
                )
            return None
        source = self._key_source(name, value, item, clause)
        return KeySpec(name, value.kind, value.sql, value.fact, source or ())  # where it was refused, for other reasons

    def _key_source(self, name: str, value: Typed, item: exp.Expr, clause: FromClause) -> KeySource | None:
        declared = self._query.keys.get(name)
        if isinstance(declared, PrivateKeys):
            return self._private_source(declared, item)
        if isinstance(declared, KeysFrom):
            return self._public_source(declared, name, item)
        if declared is not None:
            return declared.values
        binned = self._binned(value, item)
        if binned:
            return binned
        private = self._dataset.measure is not Measure.PURE and self._query.contribution.max_norm is None
        line = keys_line(name, item.unalias(), clause, private=private)
        if _is_truncated(value, item):
            line = f"Write window: {{from: $since, until: $until}}, whose dates they are then. Or w{line[1:]}"
        elif value.kind in {Kind.DATE, Kind.TIMESTAMP} and isinstance(item.unalias(), exp.Column):
            line += (
                f". Days or months need no list: select DATE_TRUNC('day', {item.unalias().sql()}) AS {name}, and write "
                "window: {from: $since, until: $until}, whose dates they are then"
            )
        self._refusals.add(item, f"the values of the key {name} are not declared", line)
        return None

    def _binned(self, value: Typed, item: exp.Expr) -> KeySource | None:
        """The values that the expression itself declares: literals, whole numbers in a range, dates of the window."""
        if value.values:
            return value.values
        if value.kind is Kind.BOOL:
            return (False, True)
        if value.kind is Kind.INT and value.bounded and value.high - value.low < BINS_MAX:
            return tuple(range(int(value.low), int(value.high) + 1))
        window = self._query.window
        if _is_truncated(value, item) and window is not None:
            return TruncatedSpan(item.unalias().args["unit"].name.lower(), window.since, window.until)
        return None

    def _private_source(self, source: PrivateKeys, item: exp.Expr) -> PrivateKeys | None:
        if self._dataset.measure is Measure.PURE:
            self._refusals.add(
                item, "private keys in a dataset with delta 0", "Declare their values: thresholds cost delta"
            )
            return None
        if self._query.contribution.max_norm is not None:
            self._refusals.add(item, "private keys with max_norm", "Write contribution: {max_groups: ..}")
            return None
        return source

    def _public_source(self, source: KeysFrom, name: str, item: exp.Expr) -> KeysFrom | None:
        table = self._dataset.tables.get(source.table)
        if table is None or not table.public or source.column not in table.columns:
            self._refusals.add(
                item,
                f"keys of {name} from {source.table}.{source.column}, which is not a public column",
                "Name a column of a table declared `public: true`",
            )
            return None
        self._sources.relation(source.table.lower())
        self._sources.read(source.table, source.column.lower())
        return source


def _is_truncated(value: Typed, item: exp.Expr) -> bool:
    """Whether a key is a DATE_TRUNC, whose values are known where its query names a window."""
    return value.kind is Kind.DATE and isinstance(item.unalias(), exp.TimestampTrunc | exp.DateTrunc)
