"""SELECTs: from a plan's SQL to Spark's, with the names of what is bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from dpstats.catalog.consented import CONSENT, UNIT, consent_columns
from dpstats.catalog.dataset import DatasetFile
from dpstats.plan.dialect import DIALECT
from dpstats.plan.sources import BLOCK_RANK, RANK
from dpstats.plan.spark import aggregates, rows
from dpstats.plan.spark.casts import SORTS
from dpstats.plan.spark.dates import YEARS_MAX
from dpstats.plan.spark.pieces import Columns, Handler, Item, NotOnSpark, Piece, Scope, Sort, named, unknown

LONGEST = 2_000_000
"""Characters of SQL: beyond, Spark would plan for minutes."""
HANDLERS: Mapping[type[exp.Expr], Handler] = {**rows.HANDLERS, **aggregates.HANDLERS}
_IN_JSON = {Sort.INT: "BIGINT", Sort.BOOL: "BOOLEAN"}
Tables = Mapping[str, Mapping[str, Sort]]
"""The dataset's tables in lower case, and the sorts of their columns."""


@dataclass(frozen=True)
class SparkQuery:
    """A plan for Spark. `texts` are to be bound by name; so are the parameters, `dp_key`, and the `keys` `k_<i>`.

    `k_<i>` is bound to the values of the i-th key as a list in JSON, its dates and times as text in ISO format.
    """

    sql: str
    texts: Mapping[str, str]
    parameters: frozenset[str]
    keys: frozenset[int]


def translate(sql: str, tables: Tables) -> SparkQuery:
    """The plan's SQL for Spark.

    Args:
      sql: as `plan/sql.py` wrote it.
      tables: every table of the dataset, that of consent too, and its columns.

    Raises:
      NotOnSpark: something in it cannot be said to Spark so that it means the same.
    """
    try:
        parsed = sqlglot.parse_one(sql, read=DIALECT)
    except (SqlglotError, ValueError):
        raise NotOnSpark("this query", "Use DuckDB") from None
    translator = _Translator(tables)
    made, _ = translator.select(parsed, {})
    if len(made) > LONGEST:
        raise NotOnSpark("a query as long as this", "Split it into several queries")
    parameters = frozenset(p.name for p in parsed.find_all(exp.Placeholder) if not p.name.startswith("k_"))
    return SparkQuery(made, translator.texts, parameters, frozenset(translator.keys))


def sort_of(type_name: str) -> Sort:
    """The sort of a column of that DuckDB type in a data version; decimals are read as doubles."""
    name = type_name.partition("(")[0]
    return {"DECIMAL": Sort.DOUBLE, "INTEGER": Sort.INT, "UUID": Sort.UUID}.get(name) or SORTS[name]


Relations = Mapping[str, Columns]


class _Translator:
    """One translation: what is bound, and how far dates are moved."""

    def __init__(self, tables: Tables) -> None:
        self._tables: Relations = {
            table: {column: Piece(named(column), sort) for column, sort in columns.items()}
            for table, columns in tables.items()
        }
        self._bound: dict[str, str] = {}
        self._years = 0.0
        self._relations: Relations = {}
        self.keys: set[int] = set()

    @property
    def texts(self) -> Mapping[str, str]:
        return {name: text for text, name in self._bound.items()}

    # -- what handlers ask -------------------------------------------------------------------------------------

    def piece(self, node: exp.Expr, scope: Scope) -> Piece:
        handler = HANDLERS.get(type(node))
        if handler is None:
            raise unknown(node)
        return handler(self, node, scope)

    def text(self, value: str) -> str:
        return ":" + self._bound.setdefault(value, f"dp_text_{len(self._bound)}")

    def moves(self, years: float) -> None:
        self._years += years
        if self._years > YEARS_MAX:
            raise NotOnSpark(f"moving dates by more than {YEARS_MAX} years on Spark", "Move them by less")

    def subquery(self, node: exp.Expr) -> str:
        return self.select(node, self._relations)[0]

    # -- relations ---------------------------------------------------------------------------------------------

    def select(self, node: exp.Expr, known: Relations) -> tuple[str, Columns]:
        """A SELECT or a UNION ALL, and its columns."""
        clauses, known = self._with(node, known)
        self._relations = known
        if isinstance(node, exp.Union) and node.args.get("distinct") is False:
            (left, columns), (right, _) = self.select(node.this, known), self.select(node.expression, known)
            return f"{clauses}{left} UNION ALL {right}", columns
        if not isinstance(node, exp.Select):
            raise unknown(node)
        sql, columns = self._histogram(node, known) or self._keys(node) or self._plain(node, known)
        return clauses + sql, columns

    def _with(self, node: exp.Expr, known: Relations) -> tuple[str, Relations]:
        clause, made = node.args.get("with_"), []
        for cte in clause.expressions if clause is not None else ():
            sql, columns = self.select(cte.this, known)
            made.append(f"{named(cte.alias)} AS (\n  {sql}\n)")
            known = {**known, cte.alias.lower(): columns}
        return ("WITH " + ",\n".join(made) + "\n" if made else ""), known

    def _plain(self, node: exp.Select, known: Relations) -> tuple[str, Columns]:
        body, scope = self._from(node, known)
        where = node.args.get("where")
        if where is not None:
            body += f" WHERE {self.piece(where.this, scope).condition}"
        listed = [each for item in node.expressions for each in self._projected(item, scope)]
        columns = {name.lower(): Piece(named(name), p.sort, p.fields) for name, p in listed}
        body += self._grouping(node, scope)
        word = "SELECT DISTINCT" if node.args.get("distinct") else "SELECT"
        cells = [f"{piece.sql} AS {named(name)}" for name, piece in listed]
        qualify = node.args.get("qualify")
        if qualify is None:
            return f"{word} {', '.join(cells)} {body}".rstrip(), columns
        place = self.piece(qualify.this.this, scope).sql
        most = self.piece(qualify.this.expression, scope).sql
        if not isinstance(qualify.this, exp.LTE):
            raise unknown(qualify)
        names = ", ".join(column.sql for column in columns.values())
        inner = f"{word} {', '.join([*cells, f'{place} AS `dp_place`'])} {body}"
        return f"SELECT {names} FROM ({inner}) WHERE `dp_place` <= {most}", columns

    def _grouping(self, node: exp.Select, scope: Scope) -> str:
        group, having = node.args.get("group"), node.args.get("having")
        sql = ""
        if group is not None:
            by = [each.this if isinstance(each, exp.Literal) else self.piece(each, scope).sql
                  for each in group.expressions]  # fmt: skip
            sql += f" GROUP BY {', '.join(by)}"
        return sql + (f" HAVING {self.piece(having.this, scope).condition}" if having is not None else "")

    def _projected(self, item: exp.Expr, scope: Scope) -> list[tuple[str, Piece]]:
        if isinstance(item, exp.Star):
            return [(column.sql.strip("`"), column) for each in scope for column in each.columns.values()]
        piece = self.piece(item.unalias(), scope)
        return [(item.alias or item.name or "dp_unnamed", piece)]

    # -- FROM --------------------------------------------------------------------------------------------------

    def _from(self, node: exp.Select, known: Relations) -> tuple[str, Scope]:
        start = node.args.get("from_")
        if start is None:
            return "", ()
        sql, first = self._item(start.this, known)
        scope: Scope = (first,)
        for join in node.args.get("joins") or ():
            more, scope = self._join(join, scope, known)
            sql += more
        return f"FROM {sql}", scope

    def _item(self, node: exp.Expr, known: Relations) -> tuple[str, Item]:
        if isinstance(node, exp.Subquery):
            alias = node.alias or f"dp_from_{id(node) % 10**6}"
            sql, columns = self.select(node.this, known)
            return f"({sql}) AS {named(alias)}", Item(alias, columns)
        found = known.get(node.name.lower()) or self._tables.get(node.name.lower())
        if not isinstance(node, exp.Table) or found is None:
            raise unknown(node)
        alias = node.alias or node.name
        return f"{named(node.name)} AS {named(alias)}", Item(alias, found)

    def _join(self, join: exp.Join, scope: Scope, known: Relations) -> tuple[str, Scope]:
        sql, item = self._item(join.this, known)
        side, kind, method = (str(join.args.get(part) or "").upper() for part in ("side", "kind", "method"))
        if method == "ASOF" and side == "LEFT":
            return self._closest(join, sql, item, scope)
        words = {("", ""): "JOIN", ("LEFT", ""): "LEFT JOIN", ("", "SEMI"): "LEFT SEMI JOIN",
                 ("", "ANTI"): "LEFT ANTI JOIN"}  # fmt: skip
        if method or (side, kind) not in words:
            raise unknown(join)
        wide = (*scope, item)
        using, on = join.args.get("using"), join.args.get("on")
        if using:
            matched = f"USING ({', '.join(named(each.name) for each in using)})"
        else:
            matched = f"ON {'TRUE' if on is None else self.piece(on, wide).condition}"
        return f" {words[side, kind]} {sql} {matched}", scope if kind in {"SEMI", "ANTI"} else wide

    def _closest(self, join: exp.Join, sql: str, item: Item, scope: Scope) -> tuple[str, Scope]:
        """ASOF LEFT JOIN points p ON x >= p.c, of points c, rising, at places j: the one between it and the next."""
        on = join.args["on"]
        value = self.piece(on.this, scope).sql
        if not isinstance(on, exp.GTE) or set(item.columns) != {"c", "j"}:
            raise unknown(join)
        alias = named(item.alias)
        points = f"(SELECT `c`, `j`, lead(`c`) OVER (ORDER BY `j`) AS `dp_next` FROM {sql}) AS {alias}"
        near = f"{value} >= {alias}.`c` AND ({alias}.`dp_next` IS NULL OR {value} < {alias}.`dp_next`)"
        return f" LEFT JOIN {points} ON {near}", (*scope, item)

    # -- SELECTs of a form of their own --------------------------------------------------------------------------

    def _keys(self, node: exp.Select) -> tuple[str, Columns] | None:
        """SELECT unnest(list) AS v, unnest(range(n)) AS c: the values of a key, or a quantile's candidates."""
        items = node.expressions
        if len(items) != 2 or not all(isinstance(item.unalias(), exp.Explode) for item in items):
            return None
        (first, second), cast = (item.alias for item in items), items[0].unalias().this
        inner = cast.args["to"].expressions[0].this.value if isinstance(cast, exp.Cast) else ""
        if inner not in SORTS or not isinstance(items[1].unalias().this, exp.GenerateSeries):
            raise unknown(node)
        columns = {first: Piece(named(first), SORTS[inner]), second: Piece(named(second), Sort.INT)}
        if isinstance(cast.this, exp.Placeholder):
            place = int(cast.this.name.removeprefix("k_"))
            self.keys.add(place)
            sort = SORTS[inner]
            listed = f"from_json(:k_{place}, 'ARRAY<{_IN_JSON.get(sort, 'STRING')}>')"
            value = f"CAST(`dp_value` AS {sort.value}) AS {named(first)}"
            numbered = f"SELECT posexplode({listed}) AS (`dp_place`, `dp_value`)"
            return f"SELECT {value}, CAST(`dp_place` AS BIGINT) AS {named(second)} FROM ({numbered})", columns
        if not isinstance(cast.this, exp.Array):
            raise unknown(node)
        values = ", ".join(f"({self.piece(each, ()).sql}, {i}L)" for i, each in enumerate(cast.this.expressions))
        return f"SELECT * FROM VALUES {values} AS `dp_points`({named(first)}, {named(second)})", columns

    def _histogram(self, node: exp.Select, known: Relations) -> tuple[str, Columns] | None:
        """SELECT g, histogram(x) AS c FROM .. GROUP BY g: a map from x to how many rows have it."""
        counted = [
            i for i in node.expressions if isinstance(i.unalias(), exp.Anonymous) and i.unalias().name == "histogram"
        ]
        if not counted:
            return None
        if len(node.expressions) != 2 or counted != [node.expressions[1]] or node.args.get("joins"):
            raise unknown(node)
        key, item = node.expressions
        body, scope = self._from(node, known)
        group, value = self.piece(key, scope), self.piece(item.unalias().expressions[0], scope)
        inner = f"SELECT {group.sql} AS `g`, {value.sql} AS `x`, count(*) AS `n` {body} GROUP BY 1, 2"
        cells = "map_from_entries(collect_list(named_struct('x', `x`, 'n', `n`)))"
        columns = {"g": Piece("`g`", group.sort, group.fields), item.alias: Piece(named(item.alias), Sort.CELLS)}
        return f"SELECT `g`, {cells} AS {named(item.alias)} FROM ({inner}) GROUP BY `g`", columns


def relations_of(tables: Mapping[str, Sequence[tuple[str, str]]]) -> Tables:
    """Tables from the names and DuckDB types of their columns."""
    return {
        table.lower(): {column.lower(): sort_of(kind) for column, kind in columns} for table, columns in tables.items()
    }


def declared(dataset: DatasetFile) -> Tables:
    """The tables of a dataset as a load writes them: with the ranks of rows, and whom purposes count."""
    ranks = [(RANK, "INTEGER"), (BLOCK_RANK, "INTEGER")]
    listed = {
        name: [*((column, spec.type.sql) for column, spec in table.columns.items()), *ranks]
        for name, table in dataset.tables.items()
    }
    truths = [(column, "BOOLEAN") for column in consent_columns(dataset)]
    return relations_of(listed | {CONSENT: [(UNIT, dataset.unit_type.sql), *truths]})
