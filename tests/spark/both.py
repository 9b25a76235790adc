"""Plans on DuckDB and on Spark, from one data version: what each says before noise, which no door of dpstats gives."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bundle import Bundle

from dpstats.catalog.parameters import bind_parameters
from dpstats.engine.duck import open_engine
from dpstats.engine.noise import _open_groups
from dpstats.engine.port import Engine
from dpstats.engine.spark.engine import open_spark
from dpstats.plan.analysis import analyse
from dpstats.plan.build import build
from dpstats.plan.plan import Plan

ADDRESS = "local[2]"
"""Of the Spark that tests start in their own process."""
PATIENCE_S = 1200
"""No test is timed: a machine may be busy, and Spark starts slowly."""
WIDE = 100_000
"""More groups and rows than a unit of the real data has."""


class Both:
    """One data version, open in both engines."""

    def __init__(self, file: Path, key: bytes, address: str = ADDRESS) -> None:
        self._stack = ExitStack()
        self.duck: Engine = open_engine(file, key=key)
        self._stack.callback(self.duck.close)
        self.spark: Engine = open_spark(file, address=address, key=key, memory_limit_mb=1024, deadline_s=PATIENCE_S)
        self._stack.callback(self.spark.close)

    def close(self) -> None:
        """Closes both."""
        self._stack.close()

    def answers(self, plan: Plan) -> tuple[dict[Any, Any], dict[Any, Any]]:
        """What each says of the plan: for each group, each draw's exact whole numbers."""
        return exactly(plan, self.duck), exactly(plan, self.spark)


def exactly(plan: Plan, engine: Engine) -> dict[Any, Any]:
    """The exact bounded answer: for each group that it names, each draw's whole numbers."""
    groups, vectors = _open_groups(plan, engine.run(plan))
    return {
        group: tuple(
            vector[place * draw.cells : (place + 1) * draw.cells]
            for draw, vector in zip(plan.draws, vectors, strict=True)
        )
        for place, group in enumerate(groups)
    }


def opened_wide(bundle: Bundle, name: str) -> Plan:
    """A bundled query with bounds under which no hash chooses: what both engines must say alike."""
    query = bundle.queries[name]
    contribution = query.contribution
    if contribution.max_norm is None:
        facts = bundle.analyses[name].facts
        wide = {"max_groups": contribution.max_groups if facts else WIDE, "max_rows": WIDE}
        query = query.model_copy(update={"contribution": contribution.model_copy(update=wide)})
    parameters = bind_parameters(query, {})
    analysis = analyse(query, bundle.dataset)
    return build(analysis, parameters, bundle.engine.public_values, bundle.engine.public_count)
