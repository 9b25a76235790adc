"""The work that everybody does: a skewed retail table, made the same way each time, and what is true of it.

1,000,000 rows of about 100,000 customers in 20 segments x 50 regions. The customer of a row is N u^2.5 with u uniform,
so that the heaviest has about 1 % of the rows; four rows in five are in the customer's home region; segments are
skewed; amounts are lognormal, rounded to cents. That gives 7.3 groups a customer, 31 at the 99th percentile.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

SEGMENTS, REGIONS = 20, 50
GROUPS = SEGMENTS * REGIONS
AMOUNT_MAX = 1000.0
"""No amount is larger: public knowledge, and the bounds of the column."""
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Work:
    """Rows, one entry each; `group` is segment * 50 + region."""

    customer: Ints
    group: Ints
    amount: Floats

    def write(self, path: Path) -> Path:
        """As Parquet, with the group also in its two parts."""
        columns = {
            "customer_id": self.customer,
            "segment": self.group // REGIONS,
            "region": self.group % REGIONS,
            "g": self.group,
            "amount": self.amount,
        }
        pq.write_table(pa.table(columns), path)
        return path


def skewed(rows: int = 1_000_000, customers: int = 100_000) -> Work:
    """The table described above; the same for the same sizes."""
    made = np.random.default_rng(1)
    customer = (customers * made.random(rows) ** 2.5).astype(np.int64)
    segment = (SEGMENTS * made.random(rows) ** 1.5).astype(np.int64)
    elsewhere = (REGIONS * made.random(rows)).astype(np.int64)
    home = (customer * 611_953 + 12_345) % REGIONS
    region = np.where(made.random(rows) < 0.8, home, elsewhere)
    amount = np.minimum(AMOUNT_MAX, np.round(np.exp(2 + made.standard_normal(rows)), 2))
    return Work(customer, segment * REGIONS + region, amount)
