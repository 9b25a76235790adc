"""Tumult Analytics on Spark: groups and rows dropped; Gaussian by rho, Laplace by epsilon."""

from __future__ import annotations

import os
import sys
import tempfile
from importlib.metadata import version

os.environ["PYSPARK_PYTHON"] = sys.executable  # else the workers are the first python3 on the path

from asked import answer, asked, began
from pyspark.sql import SparkSession
from pyspark.sql.functions import col
from tmlt.analytics import (
    AddRowsWithID,
    KeySet,
    MaxGroupsPerID,
    MaxRowsPerGroupPerID,
    PureDPBudget,
    QueryBuilder,
    RhoZCDPBudget,
    Session,
)

ask = asked()
spark = (
    SparkSession.builder.master("local[2]")
    .config("spark.driver.memory", "4g")
    .config("spark.sql.shuffle.partitions", "8")
    .config("spark.ui.enabled", "false")
    .config("spark.sql.warehouse.dir", tempfile.mkdtemp())
    .getOrCreate()
)
spark.sparkContext.setLogLevel("ERROR")
began()
frame = spark.read.parquet(ask.parquet).select("customer_id", col("g").cast("long").alias("g"), "amount")
gaussian = ask.noise == "gaussian"
session = Session.from_dataframe(
    privacy_budget=RhoZCDPBudget(ask.rho) if gaussian else PureDPBudget(ask.epsilon),
    source_id="f",
    dataframe=frame,
    protected_change=AddRowsWithID("customer_id"),
)
half = RhoZCDPBudget(ask.rho / 2) if gaussian else PureDPBudget(ask.epsilon / 2)
keys = KeySet.from_dict({"g": list(range(ask.groups))})


def released(bounds: dict[str, float], measure: str) -> dict[str, object]:
    """One query at its half: the scale that it states (of a Gaussian, the square), and its answers."""
    bounded = (
        QueryBuilder("f")
        .enforce(MaxGroupsPerID("g", int(bounds["groups"])))
        .enforce(MaxRowsPerGroupPerID("g", int(bounds["rows"])))
        .groupby(keys)
    )
    query = (
        bounded.count(name="answer")
        if measure == "count"
        else bounded.sum("amount", 0.0, float(bounds["high"]), name="answer")
    )
    stated = float(session._noise_info(query, half)[0]["noise_parameter"])
    found = {row["g"]: row["answer"] for row in session.evaluate(query, half).collect()}
    return {"scale": stated**0.5 if gaussian else stated, "answers": [float(found[g]) for g in range(ask.groups)]}


answer(version=version("tmlt.analytics"), count=released(ask.count, "count"), sum=released(ask.sum, "sum"))
