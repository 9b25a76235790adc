"""CTEs and subqueries in FROM: row by row, or grouped by the privacy unit.

A grouped one is compiled in two steps: the aggregates of one unit's rows as integers on a grid, then the expressions
over them. Aggregates are saturated to what the most rows of a unit, within their columns' bounds, can give; the clip
looks at one unit's total alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from sqlglot import exp

from dpstats.plan.expressions import parts_of
from dpstats.plan.fanout import Fanout
from dpstats.plan.grid import Grid, grid_for
from dpstats.plan.relation import Relation
from dpstats.plan.relations import FromClause, Relations, reserved
from dpstats.plan.typed import INT_RANGE, UNKNOWN, Kind, Typed, one_zero, product, quoted

ROWS_MAX = 10**9
"""Rows of one unit that a subquery's aggregates count to where joins with public tables leave them without a bound."""
AGGREGATES = (exp.Count, exp.Sum, exp.Avg, exp.Min, exp.Max)
SELECT_PARTS = {"expressions", "from_", "joins", "where", "group", "with_", "having"}
PART_NAMES = {
    "distinct": ("SELECT DISTINCT", "Group by the columns instead"),
    "limit": ("LIMIT in a subquery", "Remove it"),
    "offset": ("OFFSET", "Remove it: every declared group is answered"),
    "order": ("ORDER BY in a subquery", "Remove it: rows come sorted by key"),
    "qualify": ("QUALIFY (a window function)", "Aggregate in a subquery grouped by the privacy unit instead"),
    "having": ("HAVING on exact values", "Filter in an outer WHERE over a subquery grouped by the privacy unit"),
    "sample": ("SAMPLE", "Remove it: the noise already protects"),
}


def check_parts(select: exp.Select, relations: Relations, *, ordered: bool = False) -> None:
    """Refuses, by name, every clause of a SELECT that is not understood; `ordered`: ORDER BY and LIMIT are."""
    for key, value in select.args.items():
        if ordered and key in {"order", "limit"}:
            continue
        if value and (key not in SELECT_PARTS or key in PART_NAMES):
            what, instead = PART_NAMES.get(key, (f"the clause {key.upper()}", "Remove it"))
            node = value if isinstance(value, exp.Expr) else select
            relations.refusals.add(node, what, instead)
    group = select.args.get("group")
    if group and any(value for key, value in group.args.items() if key not in {"expressions", "all"}):
        relations.refusals.add(group, "GROUPING SETS, ROLLUP or CUBE", "Write one query for each grouping")


def has_aggregate(node: exp.Expr) -> bool:
    return node.find(exp.AggFunc) is not None


def group_expressions(select: exp.Select, relations: Relations, row_columns: set[str]) -> list[exp.Expr]:
    """The expressions of GROUP BY, with ordinals, aliases and ALL resolved."""
    group = select.args.get("group")
    if group is None:
        return []
    if group.args.get("all"):
        return [item.unalias() for item in select.expressions if not has_aggregate(item)]
    aliases = {item.alias.lower(): item.unalias() for item in select.expressions if isinstance(item, exp.Alias)}
    found: list[exp.Expr] = []
    for node in group.expressions:
        if isinstance(node, exp.Literal) and not node.is_string:
            place = int(node.this) if node.this.isdigit() else 0
            if not 1 <= place <= len(select.expressions):
                relations.refusals.add(node, "GROUP BY of a column number that is not there", "Name the column")
                continue
            found.append(select.expressions[place - 1].unalias())
        elif isinstance(node, exp.Column) and not node.table and node.name.lower() in aliases.keys() - row_columns:
            found.append(aliases[node.name.lower()])
        else:
            found.append(node)
    return found


@dataclass
class GroupedScope:
    """Names inside a grouped subquery: its group keys and the aggregates of one unit's rows."""

    clause: FromClause
    rows_cap: int
    keys: list[tuple[exp.Expr, Typed, Typed]] = field(default_factory=list)
    """(as written, as compiled over rows, as the inner SELECT's column)."""
    aggregates: list[tuple[str, str]] = field(default_factory=list)
    """(name, SQL) of the inner SELECT's aggregates."""

    def column(self, node: exp.Column) -> Typed | None:
        self.clause.refusals.add(node, "a column that is neither grouped nor aggregated", "Add it to GROUP BY")
        return None

    def replace(self, node: exp.Expr) -> Typed | None:
        key = self._key(node)
        if key is not None:
            return key
        if isinstance(node, exp.Filter) and isinstance(node.this, AGGREGATES):
            condition = self.clause.compiler.condition(node.expression.this, self.clause)
            return self._aggregate(node.this, f" FILTER (WHERE {condition})")
        return self._aggregate(node, "") if isinstance(node, AGGREGATES) else None

    def _key(self, node: exp.Expr) -> Typed | None:
        for written, compiled, column in self.keys:
            if node == written:
                return column
            if (
                isinstance(node, exp.Column)
                and isinstance(written, exp.Column)
                and node.name.lower() == written.name.lower()
            ):
                found = self.clause.column(node)
                if found is not None and found.sql == compiled.sql:
                    return column
        return None

    def _named(self, sql: str) -> str:
        for name, known in self.aggregates:
            if known == sql:
                return name
        name = quoted(f"dp_a{len(self.aggregates)}")
        self.aggregates.append((name, sql))
        return name

    def _aggregate(self, node: exp.Expr, where: str) -> Typed:
        compiler, argument = self.clause.compiler, node.this
        if isinstance(node, exp.Count) and argument == exp.Star() and not parts_of(node) - {"this"}:
            return self._count(f"count(*){where}")
        if isinstance(node, exp.Count) and isinstance(argument, exp.Distinct) and len(argument.expressions) == 1:
            value = compiler.compile(argument.expressions[0], self.clause)
            return self._count(f"count(DISTINCT {value.sql}){where}")
        if argument is None or isinstance(argument, exp.Distinct | exp.Order) or parts_of(node) - {"this"}:
            self.clause.refusals.add(node, "an aggregate that is not understood", "Use COUNT, SUM, AVG, MIN or MAX")
            return UNKNOWN
        value = compiler.compile(argument, self.clause)
        if isinstance(node, exp.Count):
            return self._count(f"count({value.sql}){where}")
        if isinstance(node, exp.Min | exp.Max):
            name = self._named(f"{node.key}({one_zero(value)}){where}")
            return Typed(
                name,
                value.kind,
                value.low,
                value.high,
                measured_in=value.measured_in,
                identifies=value.identifies,
            )
        return self._total(node, value, where)

    def _count(self, sql: str) -> Typed:
        name = self._named(f"least({self.rows_cap}, {sql})::BIGINT")
        return Typed(name, Kind.INT, 0, self.rows_cap, sure=True)

    def _total(self, node: exp.Expr, value: Typed, where: str) -> Typed:
        """SUM or AVG of one unit's rows, coded on a grid first; order and rounding cannot matter."""
        if not value.kind.is_number or value.kind is Kind.UNKNOWN:
            if value.kind is not Kind.UNKNOWN:
                self.clause.refusals.add(node, f"{node.key.upper()} of something that is not a number", "CAST it first")
            return UNKNOWN
        if not value.bounded:
            self.clause.refusals.add(
                node,
                f"{node.key.upper()} of a value without proven bounds",
                "Give its columns `bounds` in dataset.yaml, or write LEAST(GREATEST(x, low), high)",
            )
            return UNKNOWN
        largest = max(abs(value.low), abs(value.high)) or 1.0
        grid = grid_for(largest, largest, whole=value.kind is Kind.INT)
        inner = replace(value, sql="dp_x")
        code = grid.code(inner, grid.down(value.low), grid.up(value.high))
        total = f"sum({_substituted(code, value.sql)}){where}"
        low, high = min(0.0, product(self.rows_cap, value.low)), max(0.0, product(self.rows_cap, value.high))
        if isinstance(node, exp.Avg):
            low, high = value.low, value.high
            count = f"count({_substituted(code, value.sql)}){where}"
            return self._clipped(Grid(grid.step).value(total) + f" / {count}", Kind.DOUBLE, low, high, value)
        if value.kind is Kind.INT and grid.step == 1 and max(-low, high) <= INT_RANGE:
            return self._clipped(total, Kind.INT, low, high, value)
        return self._clipped(grid.value(total), Kind.DOUBLE, low, high, value)

    def _clipped(self, sql: str, kind: Kind, low: float, high: float, value: Typed) -> Typed:
        raw = self._named(sql)
        ends = [f"{int(e)}::HUGEINT" if kind is Kind.INT else f"{e!r}::DOUBLE" for e in (low, high)]
        clipped = f"CAST(greatest({ends[0]}, least({ends[1]}, {raw})) AS {kind.value})"
        return Typed(f"CASE WHEN {raw} IS NOT NULL THEN {clipped} END", kind, low, high, measured_in=value.measured_in)


def _made_of(node: exp.Expr, clause: FromClause) -> frozenset[str]:
    """The columns of tables that an expression reads, also inside aggregates and their conditions."""
    if clause.refusals:  # some column may not be there, and is not to be refused twice
        return frozenset()
    found = map(clause.column, node.find_all(exp.Column))
    return frozenset(name for column in found if column is not None for name in column.made_of)


def _substituted(code: str, sql: str) -> str:
    return code.replace("dp_x", f"({sql})")


class Subqueries:
    """Compiles the SELECTs of WITH and FROM into relations that treat each unit alone."""

    def __init__(self, relations: Relations) -> None:
        self._relations = relations

    def compile_with(self, select: exp.Select) -> None:
        """The CTEs of a SELECT, in order; each may use those before it."""
        clause = select.args.get("with_")
        if clause is None:
            return
        if clause.args.get("recursive"):
            self._relations.refusals.add(clause, "WITH RECURSIVE", "Write plain CTEs")
        for cte in clause.expressions:
            name = cte.alias.lower()
            taken = {t.lower() for t in self._relations.dataset.tables} | self._relations.named.keys()
            plain = isinstance(cte.this, exp.Select) and parts_of(cte) <= {"this", "alias", "materialized"}
            if name in taken or reserved(name) or not plain or cte.args["alias"].args.get("columns"):
                self._relations.refusals.add(
                    cte, "a CTE that is not a plain SELECT with a new name", "Write name AS (SELECT ..)"
                )
                continue
            self._relations.named[name] = self.compile(cte.this, name)

    def compile(self, select: exp.Select, name: str) -> Relation:
        """One SELECT as a relation, added to the WITH clause of the SQL that runs."""
        check_parts(select, self._relations)
        if select.args.get("with_"):
            self._relations.refusals.add(select, "WITH inside a subquery", "Move it to the front of the query")
        clause = self._relations.from_clause(select, self)
        columns_of_rows = {c for item in clause.items for c in item.relation.columns}
        groups = group_expressions(select, self._relations, columns_of_rows)
        if groups or any(has_aggregate(item) for item in select.expressions):
            return self._grouped(select, clause, groups, name)
        return self._row_wise(select, clause, name)

    def _row_wise(self, select: exp.Select, clause: FromClause, name: str) -> Relation:
        columns, sql = self._columns(select, clause, clause)
        return self._finish(select, clause, columns, f"SELECT {sql} {clause.body}", name, clause.rows, clause.fanout)

    def _grouped(self, select: exp.Select, clause: FromClause, groups: list[exp.Expr], name: str) -> Relation:
        scope = GroupedScope(clause, int(min(clause.rows, ROWS_MAX)))
        for i, node in enumerate(groups):
            compiled = clause.compiler.compile(node, clause, unit=True)
            column = replace(compiled, sql=quoted(f"dp_g{i}"), fact=False, constant=False)
            scope.keys.append((node, compiled, column))
        if clause.personal and not any(key.unit for _, key, _ in scope.keys):
            self._relations.refusals.add(
                select,
                "a subquery over personal rows that is not grouped by the privacy unit",
                f"Add {self._relations.dataset.privacy_unit} to its GROUP BY",
            )
        columns, sql = self._columns(select, clause, scope)
        inner = [f"{one_zero(key)} AS {column.sql}" for _, key, column in scope.keys]
        inner += [f"{aggregate} AS {alias}" for alias, aggregate in scope.aggregates]
        grouping = f" GROUP BY {', '.join(str(i + 1) for i in range(len(groups)))}" if groups else ""
        body = f"SELECT {sql} FROM (SELECT {', '.join(inner) or '1'} {clause.body}{grouping}) AS dp_inner"
        if clause.personal and len(groups) == 1:
            return self._finish(select, clause, columns, body, name, 1, clause.fanout.merged())
        return self._finish(select, clause, columns, body, name, clause.rows, clause.fanout)

    def _columns(
        self, select: exp.Select, clause: FromClause, scope: FromClause | GroupedScope
    ) -> tuple[dict[str, Typed], str]:
        columns: dict[str, Typed] = {}
        parts: list[str] = []
        for item in select.expressions:
            label = item.alias if isinstance(item, exp.Alias) else item.name if isinstance(item, exp.Column) else ""
            node = item.unalias()
            if not label or label.lower() in columns or reserved(label):
                clause.refusals.add(item, "a column without a name of its own", "Write .. AS name")
                continue
            value = clause.compiler.compile(node, scope, unit=True)
            if value.kind in {Kind.NULL, Kind.INTERVAL}:
                clause.refusals.add(item, f"a column of type {value.kind}", "CAST it to the type that it should have")
            parts.append(f"{value.sql} AS {quoted(label)}")
            made_of = _made_of(node, clause) or frozenset({label})
            columns[label.lower()] = replace(value, sql=quoted(label), fact=False, constant=False, made_of=made_of)
        return columns, ", ".join(parts) or "1"

    def _finish(
        self,
        select: exp.Select,
        clause: FromClause,
        columns: dict[str, Typed],
        sql: str,
        name: str,
        rows: float,
        fanout: Fanout,
    ) -> Relation:
        if clause.personal and not any(column.unit for column in columns.values()):
            unit = self._relations.dataset.privacy_unit
            self._relations.refusals.add(
                select, "a subquery that does not pass the privacy unit on", f"Select {unit} in it"
            )
            columns = columns | {"dp_no_unit": Typed('"dp_no_unit"', Kind.UNKNOWN, unit=True)}
        safe_name = "".join(c for c in name if c.isalnum() or c == "_")
        unique = self._relations.add_cte(safe_name, sql, public=not clause.personal)
        return Relation(unique, columns, clause.personal, rows, fanout=fanout)
