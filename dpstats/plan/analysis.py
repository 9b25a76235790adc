"""Understands a query: its keys, its aggregates, its bounds; or refuses it with every reason.

Nothing here depends on data or on parameter values: the result says everything about the query but the values of keys
that are read off public tables, and the price, which `build` adds.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

import sqlglot
from sqlglot import TokenType, exp
from sqlglot.errors import SqlglotError

from dpstats.catalog.canonical import canonical_json, dataset_content, query_content
from dpstats.catalog.dataset import DatasetFile
from dpstats.catalog.query import CostAccuracy, PrivateKeys, QueryFile
from dpstats.errors import QueryRefused, Refusal
from dpstats.plan.arithmetic import Expression
from dpstats.plan.blocks import BLOCKS_MAX, BlockUse, blocks_read, lacking, use_of
from dpstats.plan.consent import Consented
from dpstats.plan.dialect import DIALECT
from dpstats.plan.expressions import Compiler
from dpstats.plan.fanout import Fanout, Readings, TooManyMatchesError, in_words, one_each, readings
from dpstats.plan.filters import Filters, filters_of
from dpstats.plan.first_bounds import groups_line
from dpstats.plan.keys import Keys, KeySpec
from dpstats.plan.limits import Limits
from dpstats.plan.moments import DrawSpec
from dpstats.plan.plan import Floor
from dpstats.plan.purpose import check_purpose, consented
from dpstats.plan.refusals import Refusals
from dpstats.plan.relations import FromClause, Relations
from dpstats.plan.sources import Sources, texts_of
from dpstats.plan.statistics import MAX_ROWS, Statistic, Statistics
from dpstats.plan.subqueries import Subqueries, check_parts, has_aggregate
from dpstats.plan.targets import wrong_targets
from dpstats.plan.top import TopSpec, top_of

logging.getLogger("sqlglot").addHandler(logging.NullHandler())  # what it warns of is refused, with its place
SQL_MAX = 100_000
GENERATED_MAX = 1_000_000
GROUPS_MAX = 1_000_000
"""Groups that one query may answer."""


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
    only the groups with the largest values are released. `floor`: groups of fewer units tell nothing. `consented`: only
    some people are counted. `filters`: `body`'s WHERE, with and without parameters.
    """

    query: QueryFile
    dataset: DatasetFile
    version: str
    reads: Mapping[str, frozenset[str]]
    ctes: tuple[tuple[str, str], ...]
    body: str
    filters: Filters
    unit: str
    keys: tuple[KeySpec, ...]
    statistics: tuple[Statistic, ...]
    draws: tuple[DrawSpec, ...]
    outputs: tuple[OutputSpec, ...]
    deciding: int | None
    floor: Floor | None
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
        self.keys = Keys(query, self.relations)

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
        keys = self.keys.of(select, clause)
        statistics = self._statistics(clause)
        outputs = self._outputs(select, statistics, {key.name for key in keys})
        facts = all(key.fact for key in keys)
        max_groups = self._max_groups(outputs, statistics, keys, facts=facts)
        self._check_names([key.name for key in keys], [output.name for output in outputs])
        self._check_file(statistics, {output.name for output in outputs}, {key.name for key in keys})
        names = [key.name for key in keys]
        check_purpose(self.query, self.dataset, self.sources.reads, names, self.keys.grouped_by, self.refusals)
        top = top_of(select, {o.name: o.expression for o in outputs}, statistics.draws, self.refusals)
        if top is not None and not keys:
            self.refusals.add(None, "LIMIT without groups", "Remove it: the answer has one row")
        self._check_window()
        self._check_caps()
        private = any(isinstance(key.source, PrivateKeys) for key in keys)
        deciding = statistics.deciding_units() if private else None
        floor = self._floor(statistics)
        self.refusals.raise_if_any()
        self._check_targets(outputs, statistics.draws)
        counted = consented(self.query, self.dataset, self.sources.reads)
        made = Analysis(
            query=self.query,
            dataset=self.dataset,
            version=self._version(counted, floor),
            reads={table: frozenset(columns) for table, columns in self.sources.reads.items()},
            ctes=(*self.sources.ctes(counted), *self.relations.ctes),
            body=clause.body,
            filters=filters_of(select, clause, self.compiler),
            unit=clause.unit or "",
            keys=tuple(keys),
            statistics=tuple(statistics.found),
            draws=tuple(statistics.draws),
            outputs=tuple(outputs),
            deciding=deciding,
            floor=floor,
            top=top,
            max_groups=max_groups,
            facts=facts,
            used_parameters=frozenset(self.compiler.used_parameters),
            warnings=tuple(self._warnings()),
            fanouts=tuple(self.relations.fanouts),
            public_ctes=(*self.sources.ctes(public=True), *self.relations.public_ctes),
            blocks=use_of(self.dataset, self.query, frozenset(self.sources.reads)),
            consented=counted,
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

    # -- measures ----------------------------------------------------------------------------------------------

    def _statistics(self, clause: FromClause) -> Statistics:
        max_rows = self.query.contribution.max_rows or MAX_ROWS
        norms, candidates = self.query.contribution.max_norm, self.query.candidates
        limits = Limits(self.refusals, self.query.bounds, norms, candidates)
        return Statistics(clause, limits, max_rows, clause.rows == 1)

    def _outputs(self, select: exp.Select, statistics: Statistics, taken: set[str]) -> list[OutputSpec]:
        items = [item for item in select.expressions if has_aggregate(item)]
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
        return [self._output(name, node, statistics) for name, node in named]

    def _output(self, name: str, node: exp.Expr, statistics: Statistics) -> OutputSpec:
        before = len(self.refusals)
        made = OutputSpec(name, *statistics.measure(name, node))
        if len(self.refusals) > before:
            statistics.limits.refused.add(name)
        return made

    def _max_groups(
        self, outputs: Sequence[OutputSpec], statistics: Statistics, keys: Sequence[KeySpec], *, facts: bool
    ) -> int:
        contribution = self.query.contribution
        if contribution.max_norm is not None:
            if contribution.max_groups is not None or contribution.max_rows is not None:
                self.refusals.add(None, "max_norm beside max_groups or max_rows", "Give one way of bounding")
            return GROUPS_MAX
        if facts:
            return 1
        if contribution.max_groups is None:
            found = {output.name: output.expression for output in outputs}
            private = any(isinstance(key.source, PrivateKeys) for key in keys)
            most = math.prod((len(key.source) if isinstance(key.source, tuple) else 0) or GROUPS_MAX for key in keys)
            line = groups_line({} if private else found, statistics.draws, contribution, self.dataset.measure, most)
            self.refusals.add(None, "no bound on the groups that one unit may touch", line)
        return contribution.max_groups or 1

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
        refused = (
            statistics.limits.refused
        )  # of these it is told what is wrong with them, not with what is said of them
        for name in self.query.bounds.keys() - statistics.limits.used_bounds - refused:
            what = "bounds are not needed" if name in measures else "there is no such measure"
            self.refusals.add(None, f"bounds: {name}: {what}", f"The measures are: {', '.join(sorted(measures))}")
        for name in self.query.candidates.keys() - statistics.limits.used_candidates - refused:
            self.refusals.add(None, f"candidates: {name} is not a median or quantile of the query", "Remove it")
        for name in self.query.weights.keys() - measures:
            known = ", ".join(sorted(measures))
            self.refusals.add(None, f"weights: {name} is not a measure", f"The measures are: {known}")
        if self.query.weights and isinstance(self.query.cost, CostAccuracy):
            self.refusals.add(None, "weights beside cost: {accuracy: ..}", "Give one: the targets decide the shares")
        norms = self.query.contribution.max_norm
        for name in (norms.keys() if isinstance(norms, Mapping) else set()) - statistics.limits.used_norms - refused:
            self.refusals.add(None, f"contribution: max_norm: {name} is not an aggregate of the query", "Remove it")
        targets = getattr(self.query.cost, "accuracy", {})
        for name in set(targets) - measures:
            self.refusals.add(
                None, f"cost: accuracy: {name} is not a measure", f"The measures are: {', '.join(sorted(measures))}"
            )

    def _check_targets(self, outputs: Sequence[OutputSpec], draws: Sequence[DrawSpec]) -> None:
        targets = getattr(self.query.cost, "accuracy", {})
        wrong = wrong_targets([(output.name, output.expression) for output in outputs], targets, draws)
        if wrong:
            raise QueryRefused(self.query.query, wrong)

    def _floor(self, statistics: Statistics) -> Floor | None:
        """Below how many units a group tells nothing, and the draw by which that is decided."""
        at = None if self.refusals else self.dataset.smallest_group_of(self.query.purpose)
        if at is None:
            return None
        before = len(statistics.draws)
        draw = statistics.counted_units()
        if draw is not None:
            return Floor(draw, at, added=draw >= before)
        unit = self.dataset.privacy_unit
        self.refusals.add(
            None,
            f"smallest_group {at} needs a count of each group's units, and max_norm says nothing of one",
            f"Select COUNT(DISTINCT {unit}) AS units, and write max_norm: {{units: ..}} beside the others",
        )
        return None

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

    def _version(self, consented: Consented | None, floor: Floor | None) -> str:
        content = {
            "query": query_content(self.query) | {"sql": canonical_sql(self.query.sql)},
            "dataset": dataset_content(self.dataset, self.sources.reads),
            # Where everybody is counted there is nothing to say, and the version is what it was before consent was.
            **({} if consented is None else {"consented": consented.content}),
            **({} if floor is None else {"smallest_group": floor.at}),
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


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:120] if lines else type(error).__name__
