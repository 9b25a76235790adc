"""Feast reads what `dpstats features export` writes, as an offline source and into an online store.

Run by hand, in a virtual environment of its own that has Feast (0.67 was tried): `python feast_store.py FILE.parquet`.
"""

from __future__ import annotations

import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
from feast import Entity, FeatureStore, FeatureView, FileSource
from feast.repo_config import RepoConfig
from feast.value_type import ValueType

file = Path(sys.argv[1]).resolve()
rows = pq.read_table(file).to_pandas()
keys = [name for name in rows.columns[: list(rows.columns).index("event_timestamp")] if rows[name].dtype == object]
features = [name for name in rows.columns if f"{name}_low" in rows.columns]
entities = [Entity(name=key, join_keys=[key], value_type=ValueType.STRING) for key in keys]
source = FileSource(path=str(file), timestamp_field="event_timestamp", created_timestamp_column="created_timestamp")
view = FeatureView(name="view", entities=entities, ttl=timedelta(days=365), source=source)
with tempfile.TemporaryDirectory() as folder:
    config = RepoConfig(
        project="dpstats",
        provider="local",
        registry=f"{folder}/registry.db",
        online_store={"type": "sqlite", "path": f"{folder}/online.db"},
        offline_store={"type": "file"},
        entity_key_serialization_version=3,
    )
    store = FeatureStore(config=config)
    store.apply([*entities, view])
    wanted = [f"view:{name}" for name in features]
    asked = rows[keys].assign(event_timestamp=pd.Timestamp.now(tz="UTC"))
    past = store.get_historical_features(entity_df=asked, features=wanted).to_df().set_index(keys).sort_index()
    there = rows.set_index(keys).sort_index()
    pd.testing.assert_frame_equal(past[features], there[features], check_dtype=False)
    store.materialize(datetime.now(UTC) - timedelta(days=90), datetime.now(UTC))
    first = rows.iloc[0]
    online = store.get_online_features(features=wanted, entity_rows=[{key: first[key] for key in keys}]).to_dict()
    print(len(rows), "segments,", len(features), "features: read back as they were written; online:", online)
