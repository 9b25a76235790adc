"""PipelineDP on its local backend: groups dropped, and rows or a group's total bounded; both noises, PLD accounting."""

from __future__ import annotations

import math
from importlib.metadata import version

import pipeline_dp
import pyarrow.parquet as pq
from asked import answer, asked

ask = asked()
table = pq.read_table(ask.parquet)
rows = list(zip(*(table[name].to_pylist() for name in ("customer_id", "g", "amount")), strict=True))
# The tighter of its two accountants for each noise: joint for the Gaussian, plain sums of epsilon for Laplace.
Accountant = pipeline_dp.PLDBudgetAccountant if ask.noise == "gaussian" else pipeline_dp.NaiveBudgetAccountant
accountant = Accountant(total_epsilon=ask.epsilon, total_delta=ask.delta)
engine = pipeline_dp.DPEngine(accountant, pipeline_dp.LocalBackend())
extractors = pipeline_dp.DataExtractors(
    privacy_id_extractor=lambda row: row[0],
    partition_extractor=lambda row: row[1],
    value_extractor=lambda row: row[2],
)


def asking(metric: object, bounds: dict[str, float], **more: float) -> object:
    """One aggregation; its budget is fixed when both have been asked for."""
    parameters = pipeline_dp.AggregateParams(
        metrics=[metric],
        noise_kind=pipeline_dp.NoiseKind.GAUSSIAN if ask.noise == "gaussian" else pipeline_dp.NoiseKind.LAPLACE,
        max_partitions_contributed=int(bounds["groups"]),
        max_contributions_per_partition=int(bounds["rows"]),
        output_noise_stddev=True,
        **more,
    )
    return engine.aggregate(rows, parameters, extractors, public_partitions=list(range(ask.groups)))


def released(found: object, measure: str) -> dict[str, object]:
    """The scale that it states, and its answers."""
    metrics = dict(found)
    deviation = getattr(metrics[0], f"{measure}_noise_stddev")
    scale = deviation if ask.noise == "gaussian" else deviation / math.sqrt(2)
    return {"scale": scale, "answers": [getattr(metrics[g], measure) for g in range(ask.groups)]}


counts = asking(pipeline_dp.Metrics.COUNT, ask.count)
sums = asking(pipeline_dp.Metrics.SUM, ask.sum, min_sum_per_partition=0.0, max_sum_per_partition=ask.sum["total"])
accountant.compute_budgets()
answer(version=version("pipeline-dp"), count=released(counts, "count"), sum=released(sums, "sum"))
