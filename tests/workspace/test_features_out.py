"""What leaves a view for other tools: the rule of its segments, and Parquet for a feature store."""

from __future__ import annotations

import io
from datetime import datetime

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from feature_gym import ME, MONTHS, SPAN, Gym

from dpstats.workspace.features_table import for_feature_store


def test_a_segment_s_rule_puts_each_customer_where_the_query_counts_it(gym: Gym) -> None:
    gym.submit(SPAN)
    told = gym.workspace.features.segments(ME, "first_half")
    assert told["privacy_unit"] == "member"
    assert told["keys"] == {"plan": ["basic", "plus"]}
    rule = told["rules"]["minutes_by_plan"]
    assert rule["tables"] == {"members": ["member", "plan"], "visits": ["at", "member"]}
    assert rule["bounds"] == {}
    own = duckdb.connect()
    own.execute('CREATE TABLE visits (member BIGINT, "at" TIMESTAMP)')
    own.execute("INSERT INTO visits VALUES (1, '2017-02-01'), (3, '2018-05-01')")
    own.execute("CREATE TABLE members (member BIGINT, plan VARCHAR)")
    own.execute("INSERT INTO members VALUES (1, 'plus'), (2, 'basic'), (3, 'basic')")
    assert own.execute(rule["sql"], rule["parameters"]).fetchall() == [(1, "plus")]
    every = own.execute(told["rules"]["members_by_plan"]["sql"]).fetchall()
    assert sorted(every) == [(1, "plus"), (2, "basic"), (3, "basic")]
    assert gym.charges() == []


def test_a_segment_s_rules_have_a_version_that_changes_with_the_view_and_its_queries(gym: Gym) -> None:
    gym.submit(SPAN)
    gym.refresh()
    first = gym.workspace.features.segments(ME, "first_half")["view_version"]
    assert first == gym.wide("first_half")["view_version"]
    gym.submit(SPAN.replace("2017-07-01", "2017-06-01"))
    assert gym.workspace.features.segments(ME, "first_half")["view_version"] != first


def test_a_feature_store_gets_entities_features_and_two_moments_in_utc(gym: Gym) -> None:
    """As Feast's FileSource reads it: one row an entity, `timestamp_field` and `created_timestamp_column` in UTC."""
    gym.submit(MONTHS)
    gym.refresh()
    features = gym.workspace.features
    wide = features.wide(features.find(ME, "by_month"))
    table = pq.read_table(io.BytesIO(for_feature_store(wide)))
    assert table.column("plan").to_pylist() == ["basic", "plus"]
    for name in ("event_timestamp", "created_timestamp"):
        assert table.schema.field(name).type == pa.timestamp("us", tz="UTC")
        assert table.schema.field(name).name == name
    assert set(table.column("event_timestamp").to_pylist()) == {datetime.fromisoformat(wide.head["as_of"])}
    assert table.schema.field("members").type == pa.int64()
    assert table.schema.field("minutes_3").type == pa.float64()
    assert table.schema.field("minutes_3_reliable").type == pa.bool_()
