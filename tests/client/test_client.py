"""The client against the real service, in memory."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from api_town import BANDS, ME, Town

import dpstats
from dpstats.client import Client, Release, errors
from dpstats.client.listing import Listing
from dpstats.client.needs import needed
from dpstats.client.page import EDGE, WIDTH, Scale

PLAIN_TAGS = {"div", "table", "caption", "thead", "tbody", "tr", "th", "td", "p", "br", "svg", "path", "circle"}

RELEASE_COLUMNS = ["band"] + [
    f"{name}{end}" for name in ("households", "spend", "mean") for end in ("", "_low", "_high")
]


def test_the_seven_lines_of_the_readme_run(town: Town) -> None:
    with dpstats.Client("http://town/", town.token(), transport=town.transport) as client:
        assert client.preview("spend_by_band")["cost"]["rho"] == 0.03
        release = client.run("spend_by_band", since="2017-01-01", until="2017-07-01")
        assert list(release.to_pandas().columns) == RELEASE_COLUMNS
        assert release.budget["rho_remaining"] == town.budget()["rho_remaining"]


def test_what_can_be_asked_is_listed_and_shown(analyst: Client) -> None:
    assert [dataset["dataset"] for dataset in analyst.datasets()] == ["harbour", "town"]
    assert analyst.dataset("town")["title"] == "A small town"
    assert [query["query"] for query in analyst.queries()] == ["boats", "by_shop", "costly", "spend_by_band"]
    assert list(analyst.query("spend_by_band")["parameters"]) == ["since", "until"]
    assert analyst.budget("harbour")["rho"] is None


def test_a_release_holds_everything_that_was_sent(town: Town, analyst: Client) -> None:
    release = analyst.run("spend_by_band")
    sent = town.ask("GET", f"/v1/releases/{release.release_id}", role="analyst").json()
    assert {**release.json, "replayed": True} == sent
    assert release.rows == tuple(sent["rows"])
    assert release.measures == sent["measures"]
    assert release.cost == sent["cost"]
    assert release.created_at == datetime.fromisoformat(sent["created_at"])
    assert release.created_at.tzinfo == release.as_of.tzinfo == UTC
    assert (release.query, release.dataset, release.replayed) == ("spend_by_band", "town", False)
    assert analyst.release(release.release_id).rows == release.rows


def test_the_same_question_again_is_the_same_answer_free(town: Town, analyst: Client) -> None:
    first, again = analyst.run("spend_by_band"), analyst.run("spend_by_band")
    assert (first.replayed, again.replayed, town.charges()) == (False, True, 1)
    assert first.rows == again.rows
    anew = analyst.run("spend_by_band", reuse="never")
    assert (anew.replayed, town.charges()) == (False, 2)
    assert anew.rows != first.rows


def test_a_key_is_sent_as_it_is_given(town: Town, analyst: Client) -> None:
    made = [analyst.run("spend_by_band", reuse="never", idempotency_key="k").release_id for _ in range(2)]
    assert made[0] == made[1]
    with pytest.raises(errors.IdempotencyConflict):
        analyst.run("spend_by_band", since="2017-02-01", reuse="never", idempotency_key="k")
    assert town.charges() == 1


@pytest.mark.parametrize("since", [date(2017, 3, 1), "2017-03-01", pd.Timestamp("2017-03-01").date()])
def test_a_date_may_be_a_date_or_its_text(analyst: Client, since: Any) -> None:
    assert analyst.preview("spend_by_band", since=since)["parameters"]["since"] == "2017-03-01"
    assert analyst.preview("spend_by_band", {"since": since}, until="2017-04-01")["parameters"]["until"] == "2017-04-01"


def test_whole_numbers_of_other_libraries_are_numbers(analyst: Client) -> None:
    with pytest.raises(errors.InvalidParameters) as refused:
        analyst.preview("spend_by_band", since=np.int64(3))
    assert refused.value.problems == {"since": "must be a date YYYY-MM-DD, not 3"}


@pytest.mark.parametrize("value", [object(), [1], {"a": 1}, b"x", Decimal("0.5")])
def test_what_is_no_parameter_is_said_before_anything_is_sent(analyst: Client, value: object) -> None:
    with pytest.raises(TypeError, match="since must be a date"):
        analyst.run("spend_by_band", since=value)
    with pytest.raises(TypeError, match="given twice: since"):
        analyst.run("spend_by_band", {"since": "2017-01-01"}, since="2017-01-01")


def test_the_table_is_typed(analyst: Client) -> None:
    frame = analyst.run("spend_by_band").to_pandas()
    assert list(frame["band"]) == sorted(BANDS)
    assert [str(kind) for kind in frame.dtypes[1:]] == ["int64"] * 3 + ["float64"] * 6
    assert (frame["households_low"] < frame["households"]).all()
    assert analyst.run("spend_by_band").to_arrow().column_names == RELEASE_COLUMNS


def test_polars_has_the_same_table(analyst: Client) -> None:
    release = analyst.run("spend_by_band")
    frame = release.to_polars()
    assert frame.columns == RELEASE_COLUMNS
    assert frame.to_dicts() == release.to_arrow().to_pylist()


def test_what_is_not_installed_is_named_with_what_brings_it() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'dpstats\[polars\]'"):
        needed("a_library_that_nobody_wrote", "polars")


def test_a_release_without_keys_is_one_row(analyst: Client) -> None:
    frame = analyst.run("costly").to_pandas()
    assert frame.shape == (1, 3)


def test_releases_are_listed_newest_first_as_many_as_wanted(analyst: Client) -> None:
    made = [analyst.run("spend_by_band", since=f"2017-0{month}-01").release_id for month in (1, 2, 3)]
    made.append(analyst.run("boats").release_id)
    assert [item["release_id"] for item in analyst.releases()] == made[::-1]
    assert [item["release_id"] for item in analyst.releases(limit=2)] == made[:1:-1]
    assert [item["release_id"] for item in analyst.releases(query="boats")] == made[3:]
    assert [item["release_id"] for item in analyst.releases("town", limit=1)] == made[2:3]
    assert analyst.releases(limit=0) == []


def test_lists_are_gone_through_page_by_page(analyst: Client, steward: Client) -> None:
    made = [analyst.run("spend_by_band", since=f"2017-0{month}-01").release_id for month in (1, 2, 3)]
    each = analyst.each_release(query="spend_by_band")
    assert next(each)["release_id"] == made[-1]
    assert [item["release_id"] for item in each] == made[1::-1]
    assert list(steward.each_entry("town")) == steward.ledger("town")["entries"]


def test_a_steward_grants_exactly_what_is_given(steward: Client) -> None:
    for rho, steps in ((Decimal("0.000000000001"), 1), (0.1, 10**11), ("1e-3", 10**9), (2, 2 * 10**12)):
        assert steward.grant("town", rho=rho, reason='a "reason"\n')["content"]["amount"] == steps
    assert steward.grant("town", epsilon=0.5, reason="ü")["epsilon"] == 0.5
    with pytest.raises(errors.InvalidParameters):
        steward.grant("town", rho=1, epsilon=1, reason="both")
    for wrong in ("much", float("nan"), float("inf")):
        with pytest.raises(ValueError, match="is not an amount"):
            steward.grant("town", rho=wrong, reason="r")


def test_a_steward_freezes_thaws_approves_and_revokes(steward: Client, analyst: Client) -> None:
    analyst.run("spend_by_band")
    assert steward.freeze("town")["frozen"] is True
    with pytest.raises(errors.Frozen):
        analyst.run("spend_by_band")
    assert steward.thaw("town")["frozen"] is False
    version = steward.query("draft")["query_version"]
    assert steward.approve("draft", version)["approved"] is True
    assert analyst.run("draft").query_version == version
    steward.revoke("draft", version)
    with pytest.raises(errors.NotApproved):
        analyst.run("draft")
    with pytest.raises(errors.NotFound):
        steward.revoke("draft", version)


def test_the_ledger_comes_whole_and_from_any_entry(town: Town, steward: Client) -> None:
    for number in range(3):
        steward.grant("town", rho="0.001", reason=f"grant {number}")
    ledger = steward.ledger("town")
    assert [entry["seq"] for entry in ledger["entries"]] == [1, 2, 3, 4]
    assert ledger["head"]["hash"] == ledger["entries"][-1]["hash"]
    assert steward.ledger("town", after=2)["entries"] == ledger["entries"][2:]
    assert steward.ledger("town", after=9)["entries"] == []
    assert town.workspace.budgets.verify(ME).findings == ()


def test_each_refusal_is_an_error_of_its_own_that_carries_its_numbers(
    town: Town, client_of: Callable[[str], Client]
) -> None:
    analyst = client_of("analyst")
    analyst.run("costly")
    with pytest.raises(errors.BudgetExhausted) as exhausted:
        analyst.run("costly", reuse="never")
    error = exhausted.value
    assert (error.requested, error.measure, error.scope, error.status) == (0.5, "rho", "dataset", 409)
    assert error.remaining == town.budget()["rho_remaining"]
    assert str(error) == error.detail == error.problem["detail"]
    with pytest.raises(errors.Forbidden):
        analyst.ledger("town")
    with pytest.raises(errors.NotFound):
        analyst.run("nothing/../of \N{SNOWMAN} this?name#")
    with pytest.raises(errors.Conflict):
        client_of("steward").approve("draft", f"sha256:{'0' * 64}")
    with pytest.raises(errors.Forbidden):
        client_of("collector").datasets()


def test_a_client_that_nobody_knows_is_unauthorized(town: Town) -> None:
    with Client("http://town", "dps_nobody", transport=town.transport) as client:
        with pytest.raises(errors.Unauthorized) as refused:
            client.datasets()
        assert refused.value.status == 401


def test_a_client_does_not_show_its_token(town: Town) -> None:
    with Client("http://town", f" {town.token()}\n", transport=town.transport) as client:
        assert repr(client) == "Client('http://town')"
        assert client.datasets()


@pytest.mark.parametrize("url", ["", "town", "ftp://town", "http://", "127.0.0.1:8471", None])
def test_an_address_that_is_none_is_refused(url: Any) -> None:
    with pytest.raises(ValueError, match="is not the address of a service"):
        Client(url, "dps_x")


@pytest.mark.parametrize("token", ["", " ", "two words", "dps_\N{SNOWMAN}", "dps\nx", "dps\x00"])
def test_a_token_that_is_none_is_refused_without_being_shown(token: str) -> None:
    with pytest.raises(ValueError, match="that is not a token") as refused:
        Client("http://town", token)
    assert not token.strip() or token not in str(refused.value)


def test_the_client_stands_alone() -> None:
    code = (
        "import sys, dpstats.client;"
        "heavy = 'pandas polars pyarrow numpy pydantic fastapi uvicorn duckdb sqlalchemy opendp sqlglot yaml'.split();"
        "print([name for name in sys.modules if name.split('.')[0] in heavy]);"
        "print(sorted(name for name in sys.modules if name.startswith('dpstats.') and '.client' not in name))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.splitlines() == ["[]", "['dpstats.formats']"]


def test_a_release_is_shown_with_its_intervals_and_its_price(analyst: Client) -> None:
    release = analyst.run("spend_by_band")
    text = repr(release)
    first = text.splitlines()[0]
    assert first.startswith("spend_by_band(since=2017-01-01, until=2018-01-02), ")
    assert first.endswith("a new answer")
    assert "spend (USD)" in text
    for row in release.rows:
        assert row["spend"]["display"] in text
    assert "cost epsilon 1.1542; epsilon 1.1542 of 6 was spent" in text
    assert "an earlier answer, free" in repr(analyst.run("spend_by_band"))


def test_a_release_in_a_notebook_is_a_table_with_everything_escaped(analyst: Client) -> None:
    release = analyst.run("spend_by_band")
    page = release._repr_html_()
    assert "under &quot;15K&quot;" in page
    assert page.count("<tr>") == 1 + len(release.rows)
    hostile = Release.from_json({**release.json, "query": "<script>"})
    assert "<script>" not in hostile._repr_html_()


def test_each_number_of_a_notebook_has_its_interval_drawn(analyst: Client) -> None:
    release = analyst.run("spend_by_band")
    page = ET.fromstring(f"<div>{release._repr_html_().replace('<br>', '<br/>')}</div>")
    assert len(page.findall(".//svg")) == len(release.rows) * len(release.measures)
    assert {part.tag for part in page.iter()} <= PLAIN_TAGS
    drawn = [float(dot.get("cx", "")) for dot in page.findall(".//circle")]
    assert all(0 <= place <= WIDTH for place in drawn)


def test_an_interval_that_is_not_there_is_not_drawn(analyst: Client) -> None:
    body = dict(analyst.run("costly").json)
    (row,) = body["rows"]
    unsure = {**row, "households": {**row["households"], "low": None, "high": None}}
    assert "<svg" not in Release.from_json({**body, "rows": [unsure]})._repr_html_()


def test_a_scale_holds_zero_and_every_end() -> None:
    assert [Scale.over([-2.0, 6.0]).at(value) for value in (-2.0, 0.0, 6.0)] == [EDGE, 33.0, WIDTH - EDGE]
    assert Scale.over([]).at(0.0) == EDGE


def test_lists_and_budgets_are_tables_in_a_notebook(analyst: Client) -> None:
    analyst.run("spend_by_band")
    assert "A small town" in analyst.datasets()._repr_html_()
    assert "since=2017-01-01, until=2018-01-02" in analyst.releases()._repr_html_()
    assert "for life" in analyst.budget("town")._repr_html_()
    hostile = Listing([{"title": "<script>"}])._repr_html_()
    assert "&lt;script&gt;" in hostile
    assert "<script" not in hostile
    assert list(analyst.releases().to_pandas()["query"]) == ["spend_by_band"]


def test_what_a_sandbox_answered_says_so_wherever_it_is_shown(analyst: Client) -> None:
    body = analyst.run("spend_by_band").json
    invented = Release.from_json({**body, "sandbox": True})
    assert invented.sandbox
    assert "SANDBOX" in repr(invented)
    assert "SANDBOX" in invented._repr_html_()
    assert "SANDBOX" not in repr(Release.from_json(body))


def test_a_long_release_is_shown_in_part_and_says_so(analyst: Client) -> None:
    body = analyst.run("spend_by_band").json
    many = Release.from_json({**body, "rows": body["rows"] * 30})
    assert "and 70 more rows" in repr(many)
    assert many._repr_html_().count("<tr>") == 21


@pytest.mark.parametrize("missing", ["release_id", "rows", "created_at", "keys", "measures"])
def test_an_answer_that_is_no_release_is_a_bad_answer(analyst: Client, missing: str) -> None:
    body = dict(analyst.run("spend_by_band").json)
    del body[missing]
    with pytest.raises(errors.BadAnswer, match=missing):
        Release.from_json(body)


def test_fields_that_a_newer_service_adds_do_no_harm(analyst: Client) -> None:
    body = {**analyst.run("spend_by_band").json, "new_field": [1]}
    assert Release.from_json(body).json["new_field"] == [1]
