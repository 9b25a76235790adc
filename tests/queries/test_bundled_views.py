"""The bundled feature views go with the bundled queries; their rules put households where the queries count them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import duckdb
import pytest
from bundle import FOLDER, Bundle

from dpstats.catalog.features import parse_view
from dpstats.catalog.parameters import bind_parameters
from dpstats.cli.bundled import bundled_views
from dpstats.workspace.features_segments import rule_of
from dpstats.workspace.policy_files import read_policy

VIEWS = sorted((FOLDER / "features").glob("*.yaml"))


@pytest.mark.parametrize("file", VIEWS, ids=lambda file: file.stem)
def test_a_view_is_of_bundled_queries_with_the_same_keys_and_its_envelope_renews_it_once_a_month(
    bundle: Bundle, file: Path
) -> None:
    view = parse_view(file.read_text(encoding="utf-8"), str(file))
    analyses = [bundle.analyses[name] for name in view.queries]
    assert all({key.name for key in analysis.keys} == set(view.segment) for analysis in analyses)
    cost = sum(bundle.queries[name].cost.rho for name in view.queries)  # type: ignore[union-attr]
    assert view.monthly.rho == cost


def test_views_are_no_queries_to_whoever_reads_the_folder() -> None:
    names = {file.stem for file in bundled_views("complete_journey")}
    assert names == {file.stem for file in VIEWS}
    for folder in (FOLDER, FOLDER.parent):
        files = read_policy(folder)
        assert files.wrong == ()
        assert not names & files.queries.keys()


@pytest.mark.parametrize("name", ["spend_by_income", "spend_tiers"])
def test_a_rule_counts_each_household_as_the_query_does(bundle: Bundle, sources: Mapping[str, Path], name: str) -> None:
    query, analysis = bundle.queries[name], bundle.analyses[name]
    parameters = bind_parameters(query, {})
    raw = duckdb.connect()
    for table, path in sources.items():
        raw.execute(f"CREATE VIEW {table} AS SELECT * FROM read_parquet('{path}')")
    rule = rule_of(analysis, parameters)
    pairs = raw.execute(rule["sql"], rule["parameters"]).fetchall()
    assert len({unit for unit, _ in pairs}) == len(pairs)
    if name == "spend_tiers":
        assert rule["bounds"] == {"transactions": {"sales_value": [0.0, 100.0]}}
    counted = raw.execute(query.sql, parameters.canonical).fetchall()
    assert Counter(segment for _, segment in pairs) == {segment: households for segment, households, _ in counted}
