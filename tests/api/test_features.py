"""Wide tables by segment: all or nothing, free when they were released, the same in every format."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from api_town import BANDS, ME, Town

from dpstats.errors import InvalidParameters, NotApproved

MORE = {
    "homes_by_band": """
query: homes_by_band
dataset: town
sql: SELECT h.band, COUNT(DISTINCT h.household) AS homes FROM homes h GROUP BY h.band
cost: {rho: 0.02}
""",
    "dear_by_band": """
query: dear_by_band
dataset: town
sql: |
  SELECT h.band, COUNT(DISTINCT s.household) AS households
  FROM sales s JOIN homes h USING (household) WHERE s.value > 100 GROUP BY h.band
cost: {rho: 0.5}
""",
}
VIEW = """
view: bands
dataset: town
title: What bands buy
segment: [band]
queries: [spend_by_band, homes_by_band]
rename: {spend_by_band.mean: mean_sale}
per: homes
refresh: 7d
max_age: 30d
monthly: {rho: 0.1}
"""


@pytest.fixture
def wide_town(town: Town, tmp_path: Path) -> Town:
    """The town with two more queries and a view that was not renewed yet."""
    for name, text in MORE.items():
        file = tmp_path / f"{name}.yaml"
        file.write_text(text, encoding="utf-8")
        town.workspace.review.submit(ME, file)
        town.workspace.review.approve(ME, name)
    submit(town, tmp_path, VIEW)
    return town


def submit(town: Town, folder: Path, text: str, name: str = "bands") -> str:
    (folder / "features").mkdir(exist_ok=True)
    file = folder / "features" / f"{name}.yaml"
    file.write_text(text, encoding="utf-8")
    return town.workspace.features.submit(ME, file)


def asked(town: Town, *queries: str, accept: str = "application/json", **parameters: str):
    body = {"queries": list(queries), "parameters": parameters}
    return town.ask("POST", "/v1/features", role="job", json=body, headers={"Accept": accept})


def test_a_wide_table_is_charged_once_for_all_its_releases_and_then_free(wide_town: Town) -> None:
    first = asked(wide_town, "spend_by_band", "homes_by_band")
    assert first.status_code == 201
    body = first.json()
    assert sorted(body["releases"]) == ["homes_by_band", "spend_by_band"]
    assert list(body["measures"]) == ["households", "spend", "mean", "homes"]
    assert sorted(row["band"] for row in body["rows"]) == sorted(BANDS)
    assert body["charged"]["rho"] == body["cost"]["rho"] == pytest.approx(0.05)
    assert wide_town.charges() == 2
    again = asked(wide_town, "spend_by_band", "homes_by_band")
    assert again.status_code == 200
    assert again.json()["rows"] == body["rows"]
    assert again.json()["charged"]["rho"] == 0
    assert wide_town.charges() == 2


def test_its_numbers_are_those_of_the_releases(wide_town: Town) -> None:
    body = asked(wide_town, "spend_by_band", "homes_by_band").json()
    for label, release_id in body["releases"].items():
        release = wide_town.ask("GET", f"/v1/releases/{release_id}", role="job").json()
        of_band = {row["band"]: row for row in release["rows"]}
        for row in body["rows"]:
            for feature, measure in body["measures"].items():
                if measure["query"] == label:
                    there = of_band[row["band"]][measure["measure"]]
                    assert {end: row[feature][end] for end in ("value", "low", "high")} == {
                        end: there[end] for end in ("value", "low", "high")
                    }


def test_if_one_release_is_not_affordable_none_is_charged(wide_town: Town) -> None:
    for _ in range(20):
        if wide_town.run("costly", json={"reuse": "never"}).status_code != 201:
            break
    before = wide_town.charges()
    answer = asked(wide_town, "homes_by_band", "dear_by_band")
    assert answer.status_code == 409
    assert answer.json()["type"] == "/problems/budget-exhausted"
    assert answer.json()["requested"] == pytest.approx(0.52)
    assert wide_town.charges() == before


@pytest.mark.parametrize(
    ("queries", "parameters", "field"),
    [
        (["spend_by_band", "by_shop"], {}, "queries"),
        (["spend_by_band", "spend_by_band"], {}, "queries"),
        (["costly"], {}, "queries"),
        (["spend_by_band"], {"nobody": "1"}, "nobody"),
        (["spend_by_band"], {"since": "1999-01-01"}, "since"),
    ],
)
def test_what_does_not_go_together_is_refused_before_a_charge(
    wide_town: Town, queries: list[str], parameters: dict[str, str], field: str
) -> None:
    answer = asked(wide_town, *queries, **parameters)
    assert answer.status_code == 422
    assert field in answer.json()["problems"]
    assert wide_town.charges() == 0


def test_every_format_holds_the_same_table(wide_town: Town) -> None:
    wide_town.workspace.refreshing.refresh(ME)
    plain = wide_town.ask("GET", "/v1/features/bands", role="job").json()
    arrow, parquet, text = (
        wide_town.ask("GET", "/v1/features/bands", role="job", headers={"Accept": kind})
        for kind in ("application/vnd.apache.arrow.stream", "application/vnd.apache.parquet", "text/csv")
    )
    table = pa.ipc.open_stream(arrow.content).read_all()
    assert table.column_names[:5] == ["band", "households", "households_low", "households_high", "households_reliable"]
    assert table.to_pylist() == pq.read_table(io.BytesIO(parquet.content)).to_pylist()
    for row, said in zip(table.to_pylist(), plain["rows"], strict=True):
        assert row["band"] == said["band"]
        for feature in plain["measures"]:
            ends = {"": "value", "_low": "low", "_high": "high", "_reliable": "reliable"}
            assert {row[feature + suffix] == said[feature][end] for suffix, end in ends.items()} == {True}
    assert text.text.splitlines()[0].split(",") == table.column_names
    head = json.loads(table.schema.metadata[b"dpstats"])
    assert head["releases"] == plain["releases"] == json.loads(text.headers["Dpstats-Release"])["releases"]


def test_a_view_is_refused_until_it_is_renewed_and_reading_it_never_charges(wide_town: Town) -> None:
    refused = wide_town.ask("GET", "/v1/features/bands", role="job")
    assert refused.status_code == 503
    assert "was not released yet" in refused.json()["detail"]
    wide_town.workspace.refreshing.refresh(ME)
    before = wide_town.charges()
    given = wide_town.ask("GET", "/v1/features/bands", role="analyst")
    assert given.status_code == 200
    assert list(given.json()["measures"]) == ["households", "spend", "mean_sale", "homes"]
    assert given.json()["stale"] is False
    assert wide_town.charges() == before


def test_who_has_the_table_already_is_told_so_until_it_is_another(wide_town: Town) -> None:
    wide_town.workspace.refreshing.refresh(ME)
    tag = wide_town.ask("GET", "/v1/features/bands", role="job").headers["ETag"]
    for sent in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
        had = wide_town.ask("GET", "/v1/features/bands", role="job", headers={"If-None-Match": sent})
        assert (had.status_code, had.content, had.headers["ETag"]) == (304, b"", tag)
    other_form = {"If-None-Match": tag, "Accept": "text/csv"}
    assert wide_town.ask("GET", "/v1/features/bands", role="job", headers=other_form).status_code == 200
    release = wide_town.ask("GET", "/v1/features/bands", role="job").json()["releases"]["homes_by_band"]
    wide_town.workspace.releases.withdraw(ME, release, "a mistake")
    gone = wide_town.ask("GET", "/v1/features/bands", role="job", headers={"If-None-Match": tag})
    assert gone.status_code == 503


def test_a_freeze_and_a_revocation_count_before_what_the_caller_has(wide_town: Town) -> None:
    wide_town.workspace.refreshing.refresh(ME)
    tag = wide_town.ask("GET", "/v1/features/bands", role="job").headers["ETag"]
    wide_town.workspace.budgets.freeze(ME, "town", frozen=True)
    frozen = wide_town.ask("GET", "/v1/features/bands", role="job", headers={"If-None-Match": tag})
    assert (frozen.status_code, frozen.json()["type"]) == (409, "/problems/frozen")
    wide_town.workspace.budgets.freeze(ME, "town", frozen=False)
    wide_town.workspace.review.revoke(ME, "homes_by_band")
    revoked = wide_town.ask("GET", "/v1/features/bands", role="job", headers={"If-None-Match": tag})
    assert (revoked.status_code, revoked.json()["type"]) == (409, "/problems/not-approved")


def test_a_view_of_queries_that_are_not_approved_or_do_not_go_together_is_refused(town: Town, tmp_path: Path) -> None:
    with pytest.raises(NotApproved):
        submit(town, tmp_path, VIEW.replace("spend_by_band, homes_by_band", "draft").replace("rename", "#"))
    with pytest.raises(InvalidParameters, match="do not have the same keys"):
        submit(town, tmp_path, VIEW.replace("homes_by_band", "by_shop"))
    with pytest.raises(InvalidParameters, match="no feature of the view is called homes"):
        submit(town, tmp_path, VIEW.replace(", homes_by_band", ""))
    assert [view["revision"] for view in town.workspace.features.all(ME)] == [1], "the town's own is as it was"


def test_a_view_of_a_dataset_that_the_token_may_not_see_does_not_exist(wide_town: Town) -> None:
    stranger = wide_town.token("job", "harbour")
    assert wide_town.ask("GET", "/v1/features", token=stranger).json()["items"] == []
    for path in ("/v1/features/bands", "/v1/features/bands/segments", "/v1/features/nothing"):
        assert wide_town.ask("GET", path, token=stranger).status_code == 404


def test_a_segment_s_rule_is_sql_with_its_keys_and_parameters(wide_town: Town) -> None:
    told = wide_town.ask("GET", "/v1/features/bands/segments", role="job").json()
    rule = told["rules"]["spend_by_band"]
    assert rule["one_segment_per_unit"] is True
    assert rule["parameters"] == {"since": "2017-01-01", "until": "2018-01-02"}
    assert rule["sql"].startswith("SELECT DISTINCT")
    assert "SUM" not in rule["sql"]
    assert sorted(told["keys"]["band"]) == sorted(BANDS)
    assert wide_town.charges() == 0
