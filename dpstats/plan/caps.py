"""Reads as much of each table as the caps on joins allow, now that public tables are at hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from dpstats.catalog.parameters import BoundParameters
from dpstats.errors import QueryRefused, Refusal
from dpstats.plan.analysis import Analysis
from dpstats.plan.blocks import blocks_read
from dpstats.plan.fanout import Matches, Readings, TooManyMatchesError, readings
from dpstats.plan.sources import table_cte, texts_of

PublicCount = Callable[[str, Mapping[str, object]], int]
"""(SQL, parameters) over public tables alone -> the whole number that it gives."""


def nothing_counted(_sql: str, _parameters: Mapping[str, object]) -> int:
    """For a plan that is priced or explained and never run: one public row for each."""
    return 1


def within_caps(
    analysis: Analysis, parameters: BoundParameters, public_count: PublicCount
) -> tuple[Analysis, Readings]:
    """The query, reading of each table only what its joins can take, and what that is.

    Raises:
      QueryRefused: public tables alone multiply a row past the cap.
    """

    def count(matches: Matches) -> int:
        clauses = ", ".join(f"{name} AS ({sql})" for name, sql in analysis.public_ctes)
        return public_count(f"WITH {clauses} {matches.sql}", parameters.values)

    try:
        texts = {table for table, columns in analysis.reads.items() if texts_of(analysis.dataset, table, columns)}
        blocks = blocks_read(analysis.dataset, analysis.query)
        found = readings(analysis.fanouts, analysis.dataset.max_rows_per_unit, texts, count, blocks)
    except TooManyMatchesError as error:
        instead = "Join public tables by equality on columns that tell their rows apart, or aggregate them first"
        reasons = [Refusal(str(error), instead)]
    else:
        return _read(analysis, found), found
    raise QueryRefused(analysis.query.query, reasons)


def _read(analysis: Analysis, found: Readings) -> Analysis:
    limited = dict(
        table_cte(analysis.dataset, t, analysis.reads[t], reading, analysis.consented) for t, reading in found.items()
    )
    ranks = [
        f"{reading.rank} rows of {t}{' in each block' * reading.by_block}"
        for t, reading in sorted(found.items())
        if reading.rank is not None
    ]
    words = f"of one unit at most {' and '.join(ranks)} in joins" if ranks else ""
    return replace(
        analysis,
        ctes=tuple((name, limited.get(name, sql)) for name, sql in analysis.ctes),
        outputs=tuple(replace(o, words=", ".join(filter(None, (o.words, words)))) for o in analysis.outputs),
    )
