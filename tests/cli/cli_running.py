"""A small shop's files, and how a command ended."""

from __future__ import annotations

import sys
from collections.abc import Callable

from typer.testing import CliRunner

from dpstats.cli.main import app

DATASET = """\
dataset: shop
title: A small shop
privacy_unit: customer_id
budget: {epsilon: 3.0, delta: 1.0e-6}
tables:
  visits:
    columns:
      customer_id: {type: bigint}
      spent: {type: double, bounds: [0, 100], unit: USD}
      day: {type: date}
  customers:
    one_row_per_unit: true
    columns:
      customer_id: {type: bigint}
      town: {type: varchar, values: [Ash, "O'Hara", Ørsted]}
"""

QUERY = """\
query: by_town
dataset: shop
title: Customers and spend by town
sql: |
  SELECT c.town, COUNT(DISTINCT v.customer_id) AS customers, SUM(v.spent) AS spend
  FROM visits v JOIN customers c USING (customer_id)
  WHERE v.day >= $since
  GROUP BY c.town
parameters:
  since: {type: date, min: 2025-01-01, max: 2025-12-31, default: 2025-01-01}
bounds: {spend: [0, 500]}
cost: {rho: 0.01}
"""

REFUSED = """\
query: refused
dataset: shop
sql: |
  SELECT v.day, COUNT(*) AS n, SUM(v.nothing) AS s
  FROM visits v
  GROUP BY v.day
cost: {rho: 0.01}
"""

PROCESS = [sys.executable, "-c", "from dpstats.cli.main import main; main()"]


class Ran:
    """How a command ended: its exit status and what it wrote."""

    def __init__(self, status: int, out: bytes, err: bytes) -> None:
        self.status, self.content = status, out
        self.out, self.err = out.decode("utf-8", "replace"), err.decode()

    def refused(self, *words: str) -> None:
        """Checks that it ended with status 1, nothing on stdout and one line on stderr that has these words."""
        assert (self.status, self.out) == (1, ""), self.err
        self.one_line(*words)

    def wrong_usage(self, *words: str) -> None:
        """The same for status 2."""
        assert (self.status, self.out) == (2, ""), self.err
        self.one_line(*words)

    def one_line(self, *words: str) -> None:
        assert self.err.startswith("dpstats: ")
        assert self.err.count("\n") == 1
        assert "Traceback" not in self.err
        for word in words:
            assert word in self.err

    def done(self) -> Ran:
        assert self.status == 0, self.err
        return self


Run = Callable[..., Ran]


def run_here(*args: object) -> Ran:
    """Runs a command in this process."""
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    return Ran(result.exit_code, result.stdout_bytes, result.stderr_bytes)
