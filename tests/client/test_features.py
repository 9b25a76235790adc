"""A feature view in the client's hands: a table of segments, its age, and nothing sent twice."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta

import anyio
import httpx
import pyarrow as pa
import pytest
from api_town import BANDS, ME, Town

from dpstats.client import AsyncClient, Client, errors, shown
from dpstats.client.features import Features


@pytest.fixture
def job(client_of: Callable[[str], Client]) -> Client:
    return client_of("job")


@pytest.fixture
def bands(town: Town, job: Client) -> Features:
    """The town's view, renewed."""
    town.workspace.refreshing.refresh(ME)
    return job.features("bands")


def test_a_view_that_was_never_renewed_is_refused_in_words(job: Client) -> None:
    with pytest.raises(errors.ClientError, match="was not released yet"):
        job.features("bands")
    assert [view["view"] for view in job.feature_views()] == ["bands"]


def test_its_columns_are_those_of_the_service_s_own_arrow(town: Town, bands: Features) -> None:
    wanted = {"Accept": "application/vnd.apache.arrow.stream"}
    sent = town.ask("GET", "/v1/features/bands", role="job", headers=wanted).content
    theirs = pa.ipc.open_stream(io.BytesIO(sent)).read_all()
    ours = bands.to_arrow()
    assert ours.schema.remove_metadata() == theirs.schema.remove_metadata()
    assert ours.to_pylist() == theirs.to_pylist()
    assert bands.to_pandas().shape == bands.to_polars().shape == (len(BANDS), theirs.num_columns)


def test_it_says_how_old_it_is_and_shows_its_intervals(bands: Features) -> None:
    assert timedelta(0) <= bands.age < timedelta(hours=1)
    assert (bands.max_age, bands.stale, bands.charged["epsilon"]) == (timedelta(days=30), False, 0)
    assert bands.rows[0]["band"] in repr(bands)
    assert "nothing was paid for it now" in repr(bands)
    assert "<svg" in bands._repr_html_()


def test_what_did_not_change_is_given_back_and_not_sent_again(town: Town, job: Client, bands: Features) -> None:
    assert job.features("bands", unless=bands) is bands

    async def again() -> Features:
        async with AsyncClient("http://town", town.token("job"), transport=httpx.ASGITransport(town.app)) as client:
            return await client.features("bands", unless=bands)

    assert anyio.run(again) is bands
    town.workspace.refreshing.refresh(ME)
    assert job.features("bands", unless=bands) is bands, "nothing was due"


def test_its_signals_are_the_client_s(job: Client, bands: Features) -> None:
    for band in BANDS:
        assert bands.signals({"band": band}) == job.signals("bands", {"band": band})


def test_queries_side_by_side_are_paid_once(town: Town, job: Client) -> None:
    first = job.make_features(["spend_by_band"])
    paid = town.charges()
    again = job.make_features(["spend_by_band"])
    assert (first.charged["epsilon"] > 0, again.charged["epsilon"], again.rows) == (True, 0, first.rows)
    assert town.charges() == paid
    assert (first.view, first.etag, first.max_age) == (None, "", None)


def test_the_rule_of_its_segments_is_told(job: Client) -> None:
    told = job.segments("bands")
    assert told["segment"] == ["band"]
    assert "SELECT" in told["rules"]["spend_by_band"]["sql"]


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ((103_746.744, 35_851.6, 171_641.888), "100,000 (30,000 to 180,000)"),
        ((33, 22, 44), "33 (22 to 44)"),
        ((0.1234, 0.1034, 0.1434), "0.12 (0.10 to 0.15)"),
        ((None, None, None), "too noisy to tell"),
    ],
)
def test_a_number_is_shown_with_no_digit_that_its_interval_makes_meaningless(
    cell: tuple[float | None, ...], text: str
) -> None:
    assert shown._rounded(*cell) == text
