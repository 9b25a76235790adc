"""What every engine can do: answer plans exactly, behind one opaque record, over one data version.

Two satisfy it: `duck.DuckEngine` and `spark.SparkEngine`; the tests of `tests/spark` ask both the same.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from dpstats.catalog.types import Value
from dpstats.engine.meta import ConsentMeta
from dpstats.engine.noise import Exact
from dpstats.plan.plan import Plan


class Engine(Protocol):
    """One open data version. Threads may share it."""

    @property
    def fingerprint(self) -> str:
        """The load fingerprint of the dataset file with which this data version was loaded."""
        ...

    @property
    def consent(self) -> ConsentMeta | None:
        """As of when this data version knows its people's consent; None if it does not."""
        ...

    @property
    def is_answering(self) -> bool:
        """Whether it can be asked still; one that cannot is opened anew, before anything is charged."""
        ...

    def changed(self, tables: Collection[str]) -> tuple[str, ...]:
        """Those of these tables that are read in place, and whose files are not those that were noted any more.

        Looked at before anything is charged: what reads one fails.
        """
        ...

    def run(self, plan: Plan) -> Exact:
        """The plan's exact answer, closed; `noise.add_noise` opens it.

        Raises:
          Unavailable: whatever went wrong: the reason may depend on rows, so there is none.
        """
        ...

    def public_values(self, table: str, column: str) -> tuple[Value, ...]:
        """The distinct values of a public table's column, sorted, without NULL.

        Raises:
          NotFound: there is no such public column. Unavailable: it could not be read now.
        """
        ...

    def public_count(self, sql: str, parameters: Mapping[str, object]) -> int:
        """The whole number that a SELECT over public tables alone gives.

        Raises:
          NotFound: it reads something else. Unavailable: it could not be counted now.
        """
        ...

    def close(self) -> None:
        """Closes it. Nobody may be running."""
        ...
