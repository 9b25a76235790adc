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

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

from sqlglot import exp

from dpstats.catalog.dataset import DatasetFile
from dpstats.plan.expressions import Compiler
from dpstats.plan.refusals import Refusals
from dpstats.plan.relation import Relation
from dpstats.plan.sources import Sources
from dpstats.plan.typed import Typed, quoted


@dataclass(frozen=True)
class Joined:
    """One item of a FROM clause.

    `optional`: it may be absent (right of a LEFT JOIN). `plain`: it is joined on the unit alone.
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

    @property
    def refusals(self) -> Refusals:
        return self.compiler.refusals

    @property
    def personal(self) -> bool:
        return any(item.relation.personal for item in self.items)

    @property
    def one_row(self) -> bool:
        """At most one row a unit: every personal item has at most one, and nothing public multiplies them."""
        return all(item.relation.personal and item.relation.one_row for item in self.items)

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
        fact = item.relation.personal and item.relation.one_row and item.plain
        return replace(column, sql=f"{quoted(item.alias)}.{column.sql}", fact=fact)

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

    @property
    def refusals(self) -> Refusals:
        return self.compiler.refusals

    def add_cte(self, name: str, sql: str) -> str:
        """Adds `name AS (sql)` to the WITH clause and gives its quoted name; names are made unique."""
        unique = quoted(f"dp_{len(self.ctes)}_{name}")
        self.ctes.append((unique, sql))
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
        where = select.args.get("where")
        if where:
            clause.where.append(self.compiler.condition(where.this, clause))
        return clause

    def _item(self, node: exp.Expr, subquery: SubqueryCompiler) -> Joined | None:
        if isinstance(node, exp.Table):
            return self._table(node)
        if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Select):
            unexpected = [k for k, v in node.args.items() if v and k not in {"this", "alias"}]
            if not node.alias or unexpected:
                self.refusals.add(node, "a subquery without a name", "Write (SELECT ..) AS name")
                return None
            return Joined(node.alias, subquery.compile(node.this, node.alias))
        self.refusals.add(node, "something in FROM that is not a table or a SELECT", "Read a table of the dataset")
        return None

    def _table(self, node: exp.Table) -> Joined | None:
        unexpected = [k for k, v in node.args.items() if v and k not in {"this", "alias"}]
        alias = node.args.get("alias")
        if unexpected or not isinstance(node.this, exp.Identifier) or (alias and alias.args.get("columns")):
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
        joined = replace(item, optional=left, plain=plain)
        clause.items.append(joined)
        word = "LEFT JOIN" if left else "JOIN"
        clause.sql += f" {word} {item.relation.sql} AS {quoted(item.alias)} ON {' AND '.join(conditions) or 'TRUE'}"

    def _is_left(self, join: exp.Join) -> bool | None:
        """Whether a join keeps all left rows; None for a join that is not understood."""
        unexpected = [k for k, v in join.args.items() if v and k not in {"this", "on", "using", "side", "kind"}]
        side, kind = join.side.upper(), join.kind.upper()
        if unexpected or side not in {"", "LEFT"} or kind not in {"", "INNER", "OUTER", "CROSS"}:
            return None
        return side == "LEFT"

    def _conditions(self, clause: FromClause, join: exp.Join, item: Joined) -> tuple[list[str], bool, bool]:
        """The join's conditions as SQL; whether one equates the units; whether that is all there is."""
        conditions: list[str] = []
        on_unit, plain = False, True
        for column in join.args.get("using") or []:
            name = column.name
            pair = exp.EQ(
                this=self._named_column(clause, name),
                expression=exp.column(column.copy(), table=item.alias),
            )
            clause.using.add(name.lower())
            sql, is_unit = self._equality(clause, item, pair)
            conditions.append(sql)
            on_unit, plain = on_unit or is_unit, plain and is_unit
        on = join.args.get("on")
        for part in on.flatten() if isinstance(on, exp.And) else [on] if on is not None else []:
            sql, is_unit = self._equality(clause, item, part)
            conditions.append(sql)
            on_unit, plain = on_unit or is_unit, plain and is_unit
        return conditions, on_unit, plain

    def _named_column(self, clause: FromClause, name: str) -> exp.Column:
        owner = next((i.alias for i in clause.items if name.lower() in i.relation.columns), None)
        return exp.column(name, table=owner)

    def _equality(self, clause: FromClause, item: Joined, part: exp.Expr) -> tuple[str, bool]:
        """One conjunct of ON, and whether it equates the new item's unit with the unit of what is there already."""
        scope = replace(clause, items=[*clause.items, item])
        part = part.unnest()
        if isinstance(part, exp.EQ) and isinstance(part.this, exp.Column) and isinstance(part.expression, exp.Column):
            sides = [self.compiler.compile(side, scope, unit=True) for side in (part.this, part.expression)]
            if all(side.unit for side in sides):
                owners = {side.sql.split(".")[0] == quoted(item.alias) for side in sides}
                return f"({sides[0].sql} = {sides[1].sql})", owners == {True, False}
        return self.compiler.condition(part, scope), False

    def _check_unit(self, clause: FromClause, join: exp.Join, item: Joined, on_unit: bool) -> None:
        if item.relation.personal and clause.personal and not on_unit:
            unit = self.dataset.privacy_unit
            self.refusals.add(
                join,
                "a join of personal tables that is not on the privacy unit",
                f"Write JOIN .. USING ({unit}), or ON a.{unit} = b.{unit}",
            )
