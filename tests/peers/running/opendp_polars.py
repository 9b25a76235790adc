"""OpenDP's Context API on Polars: groups and rows dropped; Laplace by (epsilon, delta), Gaussian by rho.

`truncate_num_groups(k)` of 0.16.0 keeps k - 1 groups of a unit with `keep="first"`, and fails without. Sums are of
whole cents: a sum of floats is priced for 100,000 rows a group.
"""

from __future__ import annotations

import opendp.prelude as dp
import polars as pl
from asked import answer, asked

dp.enable_features("contrib")
ask = asked()
KEYS = ["segment", "region"]
CENTS = 100

rows = pl.scan_parquet(ask.parquet).select(
    "customer_id",
    *(pl.col(key).cast(pl.Int32) for key in KEYS),
    (pl.col("amount") * CENTS).round(0).cast(pl.Int64).alias("cents"),
)
keys = pl.LazyFrame(
    {"segment": [g // ask.regions for g in range(ask.groups)], "region": [g % ask.regions for g in range(ask.groups)]},
    schema=dict.fromkeys(KEYS, pl.Int32),
)
loss = dp.loss_of(rho=ask.rho) if ask.noise == "gaussian" else dp.loss_of(epsilon=ask.epsilon, delta=ask.delta)
context = dp.Context.compositor(
    data=rows,
    privacy_unit=dp.unit_of(contributions=1, identifier=pl.col("customer_id")),
    privacy_loss=loss,
    split_evenly_over=2,
    margins=[
        dp.polars.Margin(max_length=100_000),
        dp.polars.Margin(by=KEYS, max_length=100_000, max_groups=ask.groups),
    ],
)


def released(bounds: dict[str, float], expression: pl.Expr, unit: float) -> dict[str, object]:
    """One query at its half: the scale that it states, and its answers."""
    query = (
        context.query()
        .truncate_per_group(int(bounds["rows"]), by=KEYS)
        .truncate_num_groups(int(bounds["groups"]), by=KEYS, keep="first")
        .group_by(KEYS)
        .agg(expression.alias("answer"))
        .with_keys(keys)
    )
    scale = query.summarize()["scale"][0] / unit
    found = {a * ask.regions + b: value / unit for a, b, value in query.release().collect().rows()}
    return {"scale": scale, "answers": [found[g] for g in range(ask.groups)]}


high = int(ask.sum.get("high", 0) * CENTS)
answer(
    version=dp.__version__ if hasattr(dp, "__version__") else "0.16",
    count=released(ask.count, dp.len(), 1),
    sum=released(ask.sum, pl.col("cents").fill_null(0).dp.sum((0, high)), CENTS),
)
