"""A view of answers for advertising is given no longer than the answers are: who opts out meanwhile counts no more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from feature_gym import DATASET, ME, QUERIES, SPAN, Gym

from dpstats.errors import InvalidParameters, TooOld

ADS = re.sub(r"(\{type: [^{}]*?(?:\[[^]]*\][^{}]*?)?)\}", r"\1, purposes: [ads]}", DATASET).replace(
    "tables:", "purposes:\n  ads: {title: Ads, kind: cross_context_ads}\ntables:"
)
YOUNG = SPAN.replace("max_age: 20d", "max_age: 15d")


@pytest.fixture
def ads(tmp_path: Path) -> Iterator[Gym]:
    queries = {name: text.replace("dataset: gym", "dataset: gym\npurpose: ads") for name, text in QUERIES.items()}
    made = Gym(tmp_path, ADS, queries)
    yield made
    made.workspace.close()


def test_a_view_for_advertising_that_may_be_older_than_15_days_is_refused(ads: Gym) -> None:
    with pytest.raises(InvalidParameters, match="make `max_age` and `refresh` 15d or less, or leave the query out"):
        ads.submit(SPAN)
    with pytest.raises(InvalidParameters, match="members_by_plan is for advertising"):
        ads.submit(SPAN.replace("refresh: 7d", "refresh: 16d"))
    ads.submit(YOUNG)


def test_a_view_for_reports_may_be_as_old_as_it_says(gym: Gym) -> None:
    gym.submit(SPAN.replace("max_age: 20d", "max_age: 90d"))


def test_a_view_from_before_the_rule_is_given_for_15_days_all_the_same(ads: Gym) -> None:
    ads.submit(YOUNG)
    ads.workspace.epochs.close(ME)
    assert ads.refresh().state == "renewed"
    older = SPAN.replace("max_age: 20d", "max_age: 90d")
    ads.workspace.store.registry.submit_view("first_half", "gym", older, "tests")
    ads.clock.advance(days=15)
    assert ads.wide("first_half")["max_age_s"] == timedelta(days=15).total_seconds()
    ads.clock.advance(days=1)
    with pytest.raises(TooOld, match="older than the 15 days"):
        ads.wide("first_half")
