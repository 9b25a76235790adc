"""Where rows come from: tables, joins, CTEs and subqueries, each proven to keep one unit's rows to that unit.

The claim that everything else stands on: every relation made here is a function that treats each privacy unit alone.
Its rows for unit u depend on u's own rows (in all personal tables) and on public tables, on nobody else's. By
induction:

- a personal table: its rows carry the unit's id, and each is saturated by itself (`sources.py`);
- a row-wise SELECT or WHERE looks at one row at a time, and passes the unit's id along;
- a join of two personal relations demands equality of their ids, so rows of two units never meet; a join with a public
  table looks at one personal row at a time;
- a subquery that aggregates is grouped by the unit's id, so an aggregate sees one unit's rows, as integers on a grid
  before any sum, so that neither the order of rows nor the other units' presence can change a bit of it.

Hence adding or removing one unit with all its rows adds or removes exactly its rows in every relation, and changes no
other: stability 1 per unit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

from sqlglot import exp

from dpstats.catalog.dataset import DatasetFile
from dpstats.catalog.fields import RESERVED_PREFIX
from dpstats.plan.expressions import Compiler, parts_of
from dpstats.plan.fanout import Fanout
from dpstats.plan.matches import Condition, conjuncts, matches_of
from dpstats.plan.refusals import Refusals
from dpstats.plan.relation import Relation
from dpstats.plan.sources import Sources
from dpstats.plan.typed import Typed, quoted

ITEMS_MAX = 20
"""Tables in one FROM; DuckDB plans for seconds where there are a hundred."""
SUBQUERIES_MAX = 40
"""CTEs and subqueries of one query, for the same reason."""


@dataclass(frozen=True)
class Joined:
    """One item of a FROM clause.

    `optional`: it may be absent (right of a LEFT JOIN). `plain`: it is joined on the unit alone, and on the id of an
    item that is never absent, so that all rows of a unit meet the same of its rows.
    """

    alias: str
    relation: Relation
    optional: bool = False
    plain: bool = True


@dataclass
class FromClause:
    """The FROM and WHERE of one SELECT: what its columns are and the SQL that they become."""

    compiler: Compiler
    sources: Sources
    items: list[Joined] = field(default_factory=list)
    using: set[str] = field(default_factory=set)
    sql: str = ""
    where: list[str] = field(default_factory=list)
    conditions: list[Condition] = field(default_factory=list)
    fanout: Fanout = field(default_factory=Fanout)

    @property
    def refusals(self) -> Refusals:
        return self.compiler.refusals

    @property
    def personal(self) -> bool:
        return any(item.relation.personal for item in self.items)

    @property
    def rows(self) -> float:
        """The most rows that one unit can have: joins multiply them; infinite where a public table may."""
        return math.prod(item.relation.rows for item in self.items)

    @property
    def unit(self) -> str | None:
        """The SQL of the unit's id: of the first personal item that is never absent."""
        for item in self.items:
            if item.relation.personal and not item.optional:
                return next(f"{quoted(item.alias)}.{c.sql}" for c in item.relation.columns.values() if c.unit)
        return None

    @property
    def body(self) -> str:
        """FROM ... WHERE ...; rows whose unit is NULL count nowhere."""
        conditions = [*([f"{self.unit} IS NOT NULL"] if self.unit else []), *self.where]
        return f"FROM {self.sql}" + (f" WHERE {' AND '.join(conditions)}" if conditions else "")

    def replace(self, node: exp.Expr) -> Typed | None:
        """Nothing is replaced among plain rows."""
        return None

    def column(self, node: exp.Column) -> Typed | None:
        """Looks a column up by name, or by table and name; records what is read."""
        if node.args.get("db") or isinstance(node.this, exp.Star):
            self.refusals.add(node, "a column that is not understood", "Write it as column or table.column")
            return None
        found = [(item, item.relation.columns[node.name.lower()]) for item in self._candidates(node)]
        if not found:
            have = ", ".join(sorted({name for item in self.items for name in item.relation.columns}))
            self.refusals.add(node, f"there is no column {node.sql(dialect='duckdb')} here", f"The columns are: {have}")
            return None
        if len(found) > 1 and node.name.lower() not in self.using:
            self.refusals.add(
                node, f"the column {node.name} is in several tables", f"Write it as {found[0][0].alias}.{node.name}"
            )
            return None
        item, column = found[0]
        self.sources.read(item.relation.table, node.name.lower())
        fact = item.relation.personal and item.relation.rows == 1 and item.plain
        # Not sure: right of a LEFT JOIN anything may be NULL.
        return replace(column, sql=f"{quoted(item.alias)}.{column.sql}", fact=fact, sure=False)

    def owner(self, node: exp.Column) -> Joined:
        """The item of a column that is there."""
        return next(self._candidates(node))

    def _candidates(self, node: exp.Column) -> Iterator[Joined]:
        name, table = node.name.lower(), node.table.lower()
        return (i for i in self.items if name in i.relation.columns and (not table or i.alias.lower() == table))


class SubqueryCompiler(Protocol):
    """What `Relations` needs of the compiler of subqueries."""

    def compile(self, select: exp.Select, name: str) -> Relation:
        """The relation that a SELECT in FROM or WITH makes."""
        ...


class Relations:
    """Compiles FROM clauses; `selects` compiles the subqueries found in them."""

    def __init__(self, dataset: DatasetFile, compiler: Compiler, sources: Sources) -> None:
        self.dataset, self.compiler, self.sources = dataset, compiler, sources
        self.named: dict[str, Relation] = {}
        self.ctes: list[tuple[str, str]] = []
        self.public_ctes: list[tuple[str, str]] = []
        self.fanouts: dict[Fanout, None] = {}
        self.timed: list[tuple[FromClause, Joined, exp.Select]] = []
        """Every use of the table that has blocks: the clause, its item and the SELECT."""

    @property
    def refusals(self) -> Refusals:
        return self.compiler.refusals

    def add_cte(self, name: str, sql: str, *, public: bool) -> str:
        """Adds `name AS (sql)` to the WITH clause and gives its quoted name; names are made unique."""
        unique = quoted(f"dp_{len(self.ctes)}_{name}")
        self.ctes.append((unique, sql))
        if public:
            self.public_ctes.append((unique, sql))
        if len(self.ctes) == SUBQUERIES_MAX + 1:
            self.refusals.add(None, f"more than {SUBQUERIES_MAX} CTEs and subqueries", "Split it into several queries")
        return unique

    def from_clause(self, select: exp.Select, subquery: SubqueryCompiler) -> FromClause:
        """FROM, JOIN and WHERE of a SELECT."""
        clause = FromClause(self.compiler, self.sources)
        start = select.args.get("from_")
        if start is None:
            self.refusals.add(select, "a SELECT without FROM", "Name the table to read")
            return clause
        first = self._item(start.this, subquery)
        if first:
            clause.items.append(first)
            clause.sql = f"{first.relation.sql} AS {quoted(first.alias)}"
        for join in select.args.get("joins") or []:
            self._join(clause, join, subquery)
        if len(clause.items) > ITEMS_MAX:
            self.refusals.add(select, f"more than {ITEMS_MAX} tables in one FROM", "Split it into several queries")
        where = select.args.get("where")
        if where:
            clause.where.append(self.compiler.condition(where.this, clause))
            clause.conditions += [Condition(part) for part in conjuncts(where.this)]
        self._count(clause)
        if self.dataset.blocks is not None:
            table = self.dataset.blocks.table
            self.timed += [(clause, item, select) for item in clause.items if item.relation.table == table]
        return clause

    def _count(self, clause: FromClause) -> None:
        """Works out what multiplies one unit's rows in a clause, and keeps it to be capped."""
        if self.refusals or not clause.personal:
            return
        for item in clause.items:
            clause.fanout = clause.fanout.times(item.relation.fanout)
        clause.fanout = clause.fanout.times(Fanout((), matches_of(clause)))
        if clause.fanout.multiplies:
            self.fanouts[clause.fanout] = None

    def _item(self, node: exp.Expr, subquery: SubqueryCompiler) -> Joined | None:
        alias = node.args.get("alias")
        if isinstance(alias, exp.TableAlias) and (alias.args.get("columns") or reserved(alias.name)):
            self.refusals.add(node, "a name that renames columns or starts with dp_", "Write .. AS name")
            return None
        if isinstance(node, exp.Table):
            return self._table(node)
        if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Select):
            if not node.alias or parts_of(node) - {"this", "alias"}:
                self.refusals.add(node, "a subquery without a name", "Write (SELECT ..) AS name")
                return None
            return Joined(node.alias, subquery.compile(node.this, node.alias))
        self.refusals.add(node, "something in FROM that is not a table or a SELECT", "Read a table of the dataset")
        return None

    def _table(self, node: exp.Table) -> Joined | None:
        if parts_of(node) - {"this", "alias"} or not isinstance(node.this, exp.Identifier):
            self.refusals.add(node, "a table that is not named plainly", "Write FROM table or FROM table AS name")
            return None
        name = node.name.lower()
        relation = self.named.get(name) or self.sources.relation(name)
        if relation is None:
            known = ", ".join([*self.named, *self.dataset.tables])
            self.refusals.add(node, f"there is no table {node.name}", f"The tables are: {known}")
            return None
        return Joined(node.alias or node.name, relation)

    def _join(self, clause: FromClause, join: exp.Join, subquery: SubqueryCompiler) -> None:
        item = self._item(join.this, subquery)
        if item is None:
            return
        left = self._is_left(join)
        if left is None or item.alias.lower() in {i.alias.lower() for i in clause.items}:
            self.refusals.add(
                join,
                "a kind of join that is not understood, or a name used twice",
                "Use JOIN or LEFT JOIN, each table under a name of its own",
            )
            return
        conditions, on_unit, plain = self._conditions(clause, join, item)
        self._check_unit(clause, join, item, on_unit)
        if left and not clause.personal:
            self.refusals.add(join, "a LEFT JOIN that keeps public rows", "Put the personal table first")
        clause.items.append(replace(item, optional=left, plain=plain))
        word = "LEFT JOIN" if left else "JOIN"
        clause.sql += f" {word} {item.relation.sql} AS {quoted(item.alias)} ON {' AND '.join(conditions) or 'TRUE'}"

    def _is_left(self, join: exp.Join) -> bool | None:
        """Whether a join keeps all left rows; None for a join that is not understood."""
        unexpected = parts_of(join) - {"this", "on", "using", "side", "kind"}
        side, kind = join.side.upper(), join.kind.upper()
        if unexpected or side not in {"", "LEFT"} or kind not in {"", "INNER", "OUTER", "CROSS"}:
            return None
        return side == "LEFT"

    def _conditions(self, clause: FromClause, join: exp.Join, item: Joined) -> tuple[list[str], bool, bool]:
        """The join's conditions as SQL; whether one equates the units; whether it is plain (`Joined`)."""
        equal = [self._equal_columns(clause, item, column) for column in join.args.get("using") or []]
        parts = [*equal, *conjuncts(join.args.get("on"))]
        found = [self._equality(clause, item, part) for part in parts]
        only = item.alias if self._is_left(join) else None
        clause.conditions += [Condition(part, only) for part in parts]
        owners = [owner for _, owner in found]
        on_unit = any(owner is not None for owner in owners)
        plain = on_unit and all(owner is not None and not owner.optional for owner in owners)
        return [sql for sql, _ in found], on_unit, plain

    def _equal_columns(self, clause: FromClause, item: Joined, column: exp.Identifier) -> exp.EQ:
        clause.using.add(column.name.lower())
        mine = exp.column(column.copy(), table=exp.to_identifier(item.alias, quoted=True))
        return exp.EQ(this=self._named_column(clause, column.name), expression=mine)

    def _named_column(self, clause: FromClause, name: str) -> exp.Column:
        owner = next((i.alias for i in clause.items if name.lower() in i.relation.columns), None)
        table = exp.to_identifier(owner, quoted=True) if owner is not None else None
        return exp.column(exp.to_identifier(name, quoted=True), table=table)

    def _equality(self, clause: FromClause, item: Joined, part: exp.Expr) -> tuple[str, Joined | None]:
        """One conjunct of ON; where it equates the new item's unit with that of an item there already, that item."""
        scope = replace(clause, items=[*clause.items, item])
        if isinstance(part, exp.EQ) and isinstance(part.this, exp.Column) and isinstance(part.expression, exp.Column):
            sides = [self.compiler.compile(side, scope, unit=True) for side in (part.this, part.expression)]
            if all(side.unit for side in sides):
                sql = f"({sides[0].sql} = {sides[1].sql})"
                owners = [scope.owner(side) for side in (part.this, part.expression)]
                others = [owner for owner in owners if owner is not item]
                return sql, others[0] if len(others) == 1 else None
        return self.compiler.condition(part, scope), None

    def _check_unit(self, clause: FromClause, join: exp.Join, item: Joined, on_unit: bool) -> None:
        if item.relation.personal and clause.personal and not on_unit:
            unit = self.dataset.privacy_unit
            self.refusals.add(
                join,
                "a join of personal tables that is not on the privacy unit",
                f"Write JOIN .. USING ({unit}), or ON a.{unit} = b.{unit}",
            )


def reserved(name: str) -> bool:
    """Whether a name is kept for the SQL that is generated."""
    return name.lower().startswith(RESERVED_PREFIX)
