"""Understands a query: its keys, its aggregates, its bounds; or refuses it with every reason.

Nothing here depends on data or on parameter values: the result says everything about the query but the values of keys
that are read off public tables, and the price, which `build` adds.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NoReturn

import sqlglot
from sqlglot import TokenType, exp
from sqlglot.errors import SqlglotError

from dpstats.catalog.canonical import canonical_json, dataset_content, query_content
from dpstats.catalog.consented import ASKED
from dpstats.catalog.dataset import DatasetFile
from dpstats.catalog.purposes import Consent, kind_of
from dpstats.catalog.query import CostAccuracy, KeysFrom, PrivateKeys, QueryFile
from dpstats.errors import QueryRefused, Refusal
from dpstats.plan.arithmetic import Expression
from dpstats.plan.blocks import BLOCKS_MAX, BlockUse, blocks_read, lacking, use_of
from dpstats.plan.consent import Consented
from dpstats.plan.dialect import DIALECT
from dpstats.plan.expressions import Compiler
from dpstats.plan.fanout import Fanout, Readings, TooManyMatchesError, in_words, one_each, readings
from dpstats.plan.moments import DrawSpec
from dpstats.plan.refusals import Refusals
from dpstats.plan.relations import FromClause, Relations
from dpstats.plan.sources import Sources, texts_of
from dpstats.plan.statistics import MAX_ROWS, Statistic, Statistics
from dpstats.plan.subqueries import Subqueries, check_parts, group_expressions
from dpstats.plan.top import TopSpec, top_of
from dpstats.plan.typed import Kind, Typed
from dpstats.privacy.loss import Measure

logging.getLogger("sqlglot").addHandler(logging.NullHandler())  # what it warns of is refused, with its place
SQL_MAX = 100_000
GENERATED_MAX = 1_000_000
GROUPS_MAX = 1_000_000
"""Groups that one query may answer."""
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


@dataclass(frozen=True)
class OutputSpec:
    """One measure: an expression over the draws."""

    name: str
    expression: Expression
    words: str
    unit: str | None


@dataclass(frozen=True)
class Analysis:
    """An answerable query, understood. `version` is the SHA-256 of its resolved specification.

    `deciding`: where keys are private, the draw that counts each group's units, by which groups are released. `top`:
    only the groups with the largest values are released. `consented`: only some people are counted.
    """

    query: QueryFile
    dataset: DatasetFile
    version: str
    reads: Mapping[str, frozenset[str]]
    ctes: tuple[tuple[str, str], ...]
    body: str
    unit: str
    keys: tuple[KeySpec, ...]
    statistics: tuple[Statistic, ...]
    draws: tuple[DrawSpec, ...]
    outputs: tuple[OutputSpec, ...]
    deciding: int | None
    top: TopSpec | None
    max_groups: int
    facts: bool
    used_parameters: frozenset[str]
    warnings: tuple[str, ...]
    fanouts: tuple[Fanout, ...]
    public_ctes: tuple[tuple[str, str], ...]
    blocks: BlockUse | None
    consented: Consented | None


def analyse(query: QueryFile, dataset: DatasetFile) -> Analysis:
    """Understands a query against its dataset.

    Raises:
      QueryRefused: with every reason why it cannot be answered.
    """
    try:
        return _Analyser(query, dataset).run()
    except RecursionError:
        deep = Refusal("the SQL is nested too deeply", "Write it flatter, or compute parts of it in CTEs")
    raise QueryRefused(query.query, [deep])


class _Analyser:
    def __init__(self, query: QueryFile, dataset: DatasetFile) -> None:
        self.query, self.dataset = query, dataset
        self.refusals = Refusals(query.query, query.sql)
        self.compiler = Compiler(self.refusals, query.parameters)
        self.sources = Sources(dataset)
        self.relations = Relations(dataset, self.compiler, self.sources)

    def run(self) -> Analysis:
        select = self._parsed()
        subqueries = Subqueries(self.relations)
        check_parts(select, self.relations, ordered=True)
        subqueries.compile_with(select)
        clause = self.relations.from_clause(select, subqueries)
        if not clause.personal and not self.refusals:
            self.refusals.add(None, "it reads no personal table", "A public table needs no differential privacy")
        elif clause.personal and clause.unit is None:
            self.refusals.add(None, "every personal table may be absent", "Put a personal table first in FROM")
        keys = self._keys(select, clause)
        statistics = self._statistics(clause)
        outputs = self._outputs(select, statistics, {key.name for key in keys})
        facts = all(key.fact for key in keys)
        max_groups = self._max_groups(facts=facts)
        self._check_names([key.name for key in keys], [output.name for output in outputs])
        self._check_file(statistics, {output.name for output in outputs}, {key.name for key in keys})
        self._check_purpose()
        top = top_of(select, {o.name: o.expression for o in outputs}, statistics.draws, self.refusals)
        if top is not None and not keys:
            self.refusals.add(None, "LIMIT without groups", "Remove it: the answer has one row")
        self._check_window()
        self._check_caps()
        private = any(isinstance(key.source, PrivateKeys) for key in keys)
        deciding = statistics.deciding_units() if private else None
        self.refusals.raise_if_any()
        consented = self._consented()
        made = Analysis(
            query=self.query,
            dataset=self.dataset,
            version=self._version(consented),
            reads={table: frozenset(columns) for table, columns in self.sources.reads.items()},
            ctes=(*self.sources.ctes(consented), *self.relations.ctes),
            body=clause.body,
            unit=clause.unit or "",
            keys=tuple(keys),
            statistics=tuple(statistics.found),
            draws=tuple(statistics.draws),
            outputs=tuple(outputs),
            deciding=deciding,
            top=top,
            max_groups=max_groups,
            facts=facts,
            used_parameters=frozenset(self.compiler.used_parameters),
            warnings=tuple(self._warnings()),
            fanouts=tuple(self.relations.fanouts),
            public_ctes=(*self.sources.ctes(public=True), *self.relations.public_ctes),
            blocks=use_of(self.dataset, self.query, frozenset(self.sources.reads)),
            consented=consented,
        )
        if _length(made) > GENERATED_MAX:
            self._stop("it is too complex", "Split it into several queries")
        return made

    # -- parsing -----------------------------------------------------------------------------------------------

    def _parsed(self) -> exp.Select:
        if len(self.query.sql) > SQL_MAX:
            self._stop("the SQL is too long", f"Keep it under {SQL_MAX} characters")
        try:
            parsed = sqlglot.parse(self.query.sql, read=DIALECT)
        except (SqlglotError, ValueError) as error:
            self._stop(f"the SQL cannot be parsed ({_first_line(error)})", "Check its syntax")
        statements = [s for s in parsed if s is not None and not isinstance(s, exp.Semicolon)]
        if len(statements) == 1 and isinstance(statements[0], exp.Select):
            return statements[0]
        return self._stop(_not_one_select(statements), "Write one SELECT; UNION, INTERSECT and EXCEPT are not answered")

    def _stop(self, what: str, instead: str) -> NoReturn:
        raise QueryRefused(self.query.query, [Refusal(what, instead)])

    # -- keys --------------------------------------------------------------------------------------------------

    def _keys(self, select: exp.Select, clause: FromClause) -> list[KeySpec]:
        columns = {name for item in clause.items for name in item.relation.columns}
        grouped = {}
        for node in group_expressions(select, self.relations, columns):
            grouped[self._key_typed(node, clause).sql] = node
        keys: list[KeySpec] = []
        for item in select.expressions:
            if _has_aggregate(item):
                continue
            key = self._key(item, clause, grouped)
            if key is not None:
                keys.append(key)
        for node in grouped.values():
            self.refusals.add(node, "a GROUP BY key that is not selected", "Add it to the SELECT list")
        return keys

    def _key_typed(self, node: exp.Expr, clause: FromClause) -> Typed:
        value = self.compiler.compile(node, clause, unit=True)
        if value.unit:
            self.refusals.add(node, "the privacy unit's id as a key", "Group by something that many units share")
        return value

    def _key(self, item: exp.Expr, clause: FromClause, grouped: dict[str, exp.Expr]) -> KeySpec | None:
        node = item.unalias()
        name = item.alias if isinstance(item, exp.Alias) else node.name if isinstance(node, exp.Column) else ""
        value = self._key_typed(node, clause)
        if value.sql not in grouped:
            if value.kind is not Kind.UNKNOWN:
                self.refusals.add(
                    item,
                    "a selected value that is neither a key nor an aggregate",
                    "Add it to GROUP BY, or aggregate it",
                )
            return None
        del grouped[value.sql]
        if value.unit:
            return None
        if not name:
            self.refusals.add(item, "a key without a name", "Write .. AS name")
            return None
        if value.kind not in KEY_KINDS:
            if value.kind is not Kind.UNKNOWN:
                self.refusals.add(
                    item, f"a key of type {value.kind}", "CAST it to BIGINT or VARCHAR, or bin it with WIDTH_BUCKET"
                )
            return None
        source = self._key_source(name, value, item)
        return None if source is None else KeySpec(name, value.kind, value.sql, value.fact, source)

    def _key_source(self, name: str, value: Typed, item: exp.Expr) -> KeySource | None:
        declared = self.query.keys.get(name)
        if isinstance(declared, PrivateKeys):
            return self._private_source(declared, item)
        if isinstance(declared, KeysFrom):
            return self._public_source(declared, name, item)
        if declared is not None:
            return declared.values
        binned = self._binned(value, item)
        if binned:
            return binned
        self.refusals.add(
            item,
            f"the values of the key {name} are not declared",
            f"Write keys: {{{name}: {{values: [..]}}}} or {{from: public_table.column}}",
        )
        return None

    def _binned(self, value: Typed, item: exp.Expr) -> KeySource | None:
        """The values that the expression itself declares: literals, whole numbers in a range, dates of the window."""
        if value.values:
            return value.values
        if value.kind is Kind.BOOL:
            return (False, True)
        if value.kind is Kind.INT and value.bounded and value.high - value.low < BINS_MAX:
            return tuple(range(int(value.low), int(value.high) + 1))
        node, window = item.unalias(), self.query.window
        if value.kind is Kind.DATE and isinstance(node, exp.TimestampTrunc | exp.DateTrunc) and window is not None:
            return TruncatedSpan(node.args["unit"].name.lower(), window.since, window.until)
        return None

    def _private_source(self, source: PrivateKeys, item: exp.Expr) -> PrivateKeys | None:
        if self.dataset.measure is Measure.PURE:
            self.refusals.add(
                item, "private keys in a dataset with delta 0", "Declare their values: thresholds cost delta"
            )
            return None
        if self.query.contribution.max_norm is not None:
            self.refusals.add(item, "private keys with max_norm", "Write contribution: {max_groups: ..}")
            return None
        return source

    def _public_source(self, source: KeysFrom, name: str, item: exp.Expr) -> KeysFrom | None:
        table = self.dataset.tables.get(source.table)
        if table is None or not table.public or source.column not in table.columns:
            self.refusals.add(
                item,
                f"keys of {name} from {source.table}.{source.column}, which is not a public column",
                "Name a column of a table declared `public: true`",
            )
            return None
        self.sources.relation(source.table.lower())
        self.sources.read(source.table, source.column.lower())
        return source

    # -- measures ----------------------------------------------------------------------------------------------

    def _statistics(self, clause: FromClause) -> Statistics:
        max_rows = self.query.contribution.max_rows or MAX_ROWS
        norms, candidates = self.query.contribution.max_norm, self.query.candidates
        return Statistics(clause, self.query.bounds, max_rows, clause.rows == 1, norms, candidates)

    def _outputs(self, select: exp.Select, statistics: Statistics, taken: set[str]) -> list[OutputSpec]:
        items = [item for item in select.expressions if _has_aggregate(item)]
        named: list[tuple[str, exp.Expr]] = []
        for item in items:
            if not isinstance(item, exp.Alias) or item.alias in taken:
                self.refusals.add(item, "a measure without a name of its own", "Write .. AS name")
                continue
            taken = taken | {item.alias}
            named.append((item.alias, item.this))
            statistics.expect(item.alias, item.this)
        if not items:
            self.refusals.add(None, "it has no measure", "Select COUNT(*), COUNT(DISTINCT unit), SUM(..) or AVG(..)")
        return [OutputSpec(name, *statistics.measure(name, node)) for name, node in named]

    def _max_groups(self, *, facts: bool) -> int:
        contribution = self.query.contribution
        if contribution.max_norm is not None:
            if contribution.max_groups is not None or contribution.max_rows is not None:
                self.refusals.add(None, "max_norm beside max_groups or max_rows", "Give one way of bounding")
            return GROUPS_MAX
        if facts:
            return 1
        if contribution.max_groups is None:
            self.refusals.add(None, "no bound on the groups that one unit may touch", self._some_bound())
            return 1
        return contribution.max_groups

    def _some_bound(self) -> str:
        """What to write where groups are not bounded: what drops nothing first, where it can be had."""
        if any(isinstance(key, PrivateKeys) for key in self.query.keys.values()):
            return "Write contribution: {max_groups: ..}"
        return "Write contribution: {max_norm: {measure: ..}}, which drops nothing, or {max_groups: ..}"

    def _check_names(self, keys: list[str], measures: list[str]) -> None:
        """The columns of an answer are its keys, then m, m_low and m_high of each measure; none may come twice."""
        columns = Counter(keys) + Counter(m + end for m in measures for end in ("", "_low", "_high"))
        for name, folded in Counter(name.lower() for name in columns.elements()).items():
            if folded > 1:
                self.refusals.add(None, f"several columns of the answer are named {name}", "Write .. AS another name")

    # -- the file ----------------------------------------------------------------------------------------------

    def _check_file(self, statistics: Statistics, measures: set[str], keys: set[str]) -> None:
        for name in self.query.keys.keys() - keys:
            self.refusals.add(
                None, f"keys: {name} is not a key of the query", f"The keys are: {', '.join(sorted(keys)) or 'none'}"
            )
        for name in self.query.bounds.keys() - statistics.used_bounds:
            what = "bounds are not needed" if name in measures else "there is no such measure"
            self.refusals.add(None, f"bounds: {name}: {what}", f"The measures are: {', '.join(sorted(measures))}")
        for name in self.query.candidates.keys() - statistics.used_candidates:
            self.refusals.add(None, f"candidates: {name} is not a median or quantile of the query", "Remove it")
        for name in self.query.weights.keys() - measures:
            known = ", ".join(sorted(measures))
            self.refusals.add(None, f"weights: {name} is not a measure", f"The measures are: {known}")
        if self.query.weights and isinstance(self.query.cost, CostAccuracy):
            self.refusals.add(None, "weights beside cost: {accuracy: ..}", "Give one: the targets decide the shares")
        norms = self.query.contribution.max_norm
        for name in (norms.keys() if isinstance(norms, Mapping) else set()) - statistics.used_norms:
            self.refusals.add(None, f"contribution: max_norm: {name} is not an aggregate of the query", "Remove it")
        targets = getattr(self.query.cost, "accuracy", {})
        for name in set(targets) - measures:
            self.refusals.add(
                None, f"cost: accuracy: {name} is not a measure", f"The measures are: {', '.join(sorted(measures))}"
            )

    def _check_purpose(self) -> None:
        purpose = self.query.purpose
        if purpose not in self.dataset.purposes:
            known = ", ".join(self.dataset.purposes)
            self.refusals.add(None, f"the purpose {purpose} is not one of the dataset's", f"The purposes are: {known}")
        else:
            self._check_basis()
        for table, column in self._read_columns():
            allowed = self.dataset.allowed_purposes(table, column)
            if purpose not in allowed:
                self.refusals.add(
                    None,
                    f"{table}.{column} may not be read for {purpose}",
                    f"Its purposes are: {', '.join(sorted(allowed))}",
                )

    def _check_basis(self) -> None:
        """Refuses sensitive personal information for a purpose that neither asks for consent nor has a basis."""
        purpose = self.dataset.purposes[self.query.purpose]
        if purpose.basis_7027m is not None or self._consent() not in {"always", "notice"}:
            return
        for table, column in self._read_columns():
            sensitive = self.dataset.tables[table].columns[column].sensitive
            if isinstance(sensitive, str):
                self.refusals.add(
                    None,
                    f"{table}.{column} is sensitive ({sensitive}), and {self.query.purpose} asks for no consent",
                    "Give the purpose `consent: opt_in`, or the `basis_7027m` (1 to 8) that lets it do without",
                )

    def _consent(self) -> Consent:
        """The consent that the query needs, for all that it reads."""
        return self.dataset.consent_of(self.query.purpose, sensitive=self._reads_sensitive())

    def _reads_sensitive(self) -> bool:
        """Whether it reads a sensitive column of people; a public table is nobody's data."""
        personal = self.dataset.personal_tables
        return any(personal[t].columns[column].sensitive for t, column in self._read_columns() if t in personal)

    def _consented(self) -> Consented | None:
        """Whom the query counts, where it does not count everybody."""
        purpose, consent = self.query.purpose, self._consent()
        if consent not in ASKED:
            return None
        kind = kind_of(purpose, self.dataset.purposes[purpose])
        return Consented(purpose, consent, kind, self._reads_sensitive())

    def _read_columns(self) -> list[tuple[str, str]]:
        return [(table, column) for table, columns in sorted(self.sources.reads.items()) for column in sorted(columns)]

    def _warnings(self) -> list[str]:
        found = [
            f"parameter {name} is declared but not used"
            for name in self.query.parameters.keys() - self.compiler.used_parameters
        ]
        found += in_words(self._readings())
        return found

    def _readings(self) -> Readings:
        texts = {table for table, columns in self.sources.reads.items() if texts_of(self.dataset, table, columns)}
        blocks = blocks_read(self.dataset, self.query)
        return readings(self.relations.fanouts, self.dataset.max_rows_per_unit, texts, one_each, blocks)

    # -- time blocks -------------------------------------------------------------------------------------------

    def _check_window(self) -> None:
        """Refuses a window that a use of the blocked table does not keep to, rather than charging every block."""
        window, blocks = self.query.window, self.dataset.blocks
        if window is None or blocks is None or self.refusals:
            return
        for clause, item, select in self.relations.timed:
            why = lacking(clause, item, select.args["where"].this if select.args.get("where") else None, window, blocks)
            if why:
                instead = "Write it there, or remove `window`: then every block that there is is charged"
                self.refusals.add(select, f"`window` does not hold for {item.alias}: {why}", instead)
        self._check_span(blocks.table)

    def _check_span(self, table: str) -> None:
        try:
            count = blocks_read(self.dataset, self.query)[table]
        except ValueError:
            self.refusals.add(None, "`window` has no days, whatever its parameters", "Widen the parameters' ranges")
            return
        if count > BLOCKS_MAX:
            what = f"`window` may touch {count:.0f} blocks, more than {BLOCKS_MAX}"
            self.refusals.add(None, what, "Narrow the ranges of its parameters")

    def _check_caps(self) -> None:
        if self.refusals:
            return
        try:
            self._readings()
        except TooManyMatchesError as error:
            self.refusals.add(None, str(error), "Narrow the ranges of the window's parameters, or aggregate first")

    def _version(self, consented: Consented | None) -> str:
        content = {
            "query": query_content(self.query) | {"sql": canonical_sql(self.query.sql)},
            "dataset": dataset_content(self.dataset, self.sources.reads),
            # Where everybody is counted there is nothing to say, and the version is what it was before consent was.
            **({} if consented is None else {"consented": consented.content}),
        }
        return "sha256:" + hashlib.sha256(canonical_json(content)).hexdigest()


def _length(analysis: Analysis) -> int:
    """Characters of the SQL that was generated."""
    parts = [analysis.body, *(sql for _, sql in analysis.ctes), *(key.sql for key in analysis.keys)]
    parts += [part for statistic in analysis.statistics for part in (statistic.row, statistic.code)]
    return sum(len(part) for part in parts)


def canonical_sql(sql: str) -> str:
    """The SQL of one statement without its comments, layout and closing semicolon: its tokens, one space apart."""
    tokens = [t for t in sqlglot.tokenize(sql, read=DIALECT) if t.token_type is not TokenType.SEMICOLON]
    return " ".join(sql[token.start : token.end + 1] for token in tokens)


def _not_one_select(statements: Sequence[exp.Expr]) -> str:
    return f"{statements[0].key.upper()} instead of SELECT" if len(statements) == 1 else f"{len(statements)} statements"


def _has_aggregate(node: exp.Expr) -> bool:
    return node.find(exp.AggFunc) is not None


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:120] if lines else type(error).__name__
