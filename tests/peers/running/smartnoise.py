"""SmartNoise SQL: rows of a unit dropped, over all groups; Laplace noise (its Gaussian fails at such sensitivities)."""

from __future__ import annotations

import math
from importlib.metadata import version

import numpy as np
import pandas as pd
import snsql
from asked import answer, asked
from snsql import Mechanism, Privacy, Stat

ask = asked()
frame = pd.read_parquet(ask.parquet, columns=["customer_id", "g", "amount"])
ALPHA = 0.05


def released(bounds: dict[str, float], measure: str) -> dict[str, object]:
    """One query at its half: the scale behind its half-width, and its answers."""
    columns = {
        "customer_id": {"type": "int", "private_id": True},
        "g": {"type": "int"},
        "amount": {"type": "float", "lower": 0.0, "upper": float(bounds.get("high", 1.0))},
    }
    table = {
        "row_privacy": False,
        "max_ids": int(bounds["rows_of_unit"]),
        "censor_dims": False,
        "clamp_counts": False,
        "rows": len(frame),
        **columns,
    }
    privacy = Privacy(epsilon=ask.epsilon / 2, delta=ask.delta / 2)
    kind = Mechanism.laplace if ask.noise == "laplace" else Mechanism.gaussian
    for statistic in (Stat.count, Stat.sum_float, Stat.sum_large_float):
        privacy.mechanisms.map[statistic] = kind
    reader = snsql.from_df(frame, privacy=privacy, metadata={"": {"": {"f": table}}})
    sql = f"SELECT g, {measure} AS answer FROM f GROUP BY g"
    half_width = reader.get_simple_accuracy(sql, alpha=ALPHA)[1]
    found = {int(g): float(value) for g, value in reader.execute(sql)[1:]}
    scale = float(half_width) / (-math.log(ALPHA) if ask.noise == "laplace" else 1.959964)
    return {"scale": scale, "answers": [found.get(g, 0.0) for g in range(ask.groups)]}


answer(
    version=version("smartnoise-sql"),
    numpy=np.__version__,
    count=released(ask.count, "COUNT(*)"),
    sum=released(ask.sum, "SUM(amount)"),
)
