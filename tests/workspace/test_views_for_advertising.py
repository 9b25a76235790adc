"""A view of answers for advertising is given no longer than the answers are: who opts out meanwhile counts no more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from feature_gym import DATASET, ME, MONTHS, QUERIES, SPAN, Gym

from dpstats.errors import InvalidParameters, TooOld
from dpstats.release import Ask

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


BLOCKS = MONTHS.replace("max_age: 20d", "max_age: 15d")


def test_blocks_of_a_view_for_advertising_age_and_are_renewed_before_they_are_too_old(ads: Gym) -> None:
    ads.submit(BLOCKS)
    ads.workspace.epochs.close(ME)
    ads.refresh()
    ads.clock.advance(days=7)
    assert ads.refresh().state == "skipped", "7 days later it will be 14 days old"
    ads.clock.advance(days=2)
    made = ads.refresh()
    assert "would pass its maximal age" in made.why
    assert len(made.releases) == 4
    assert ads.wide("by_month")["age_s"] == 0


def test_epochs_make_no_block_due_before_its_time(ads: Gym) -> None:
    ads.submit(BLOCKS)
    states = []
    for _ in range(15):
        ads.workspace.epochs.close(ME)
        states.append(ads.refresh().state)
        ads.clock.advance(days=1)
    assert [day for day, state in enumerate(states) if state == "renewed"] == [0, 7, 14]


def test_an_old_block_for_advertising_is_not_given_beside_a_new_one(ads: Gym) -> None:
    ads.submit(BLOCKS)
    ads.workspace.epochs.close(ME)
    ads.refresh()
    ads.clock.advance(days=10)
    ads.load(blocks=("2017-12", "2017-12"))
    newest = Ask(ME, "minutes_by_plan", {"since": "2017-12-01", "until": "2018-01-01"}, fresh=True)
    ads.workspace.releases.make(newest)
    ads.workspace.releases.make(Ask(ME, "members_by_plan", {}, fresh=True))
    assert ads.wide("by_month")["age_s"] == timedelta(days=10).total_seconds()
    ads.clock.advance(days=6)
    with pytest.raises(TooOld, match="older than the 15 days"):
        ads.wide("by_month")


def test_an_old_block_for_reports_does_not_age(gym: Gym) -> None:
    gym.submit(MONTHS)
    gym.refresh()
    gym.clock.advance(days=19)
    gym.workspace.releases.make(Ask(ME, "members_by_plan", {}, fresh=True))
    gym.clock.advance(days=19)
    assert gym.wide("by_month")["age_s"] == timedelta(days=19).total_seconds()


def test_a_part_without_blocks_ages_beside_blocks_that_do_not(gym: Gym) -> None:
    gym.submit(MONTHS)
    gym.refresh()
    gym.clock.advance(days=19)
    gym.workspace.releases.make(Ask(ME, "minutes_by_plan", {"since": "2017-12-01", "until": "2018-01-01"}, fresh=True))
    gym.clock.advance(days=2)
    with pytest.raises(TooOld):
        gym.wide("by_month")


@pytest.mark.parametrize(
    ("kind", "releases"), [("cross_context_ads", 53 + 3 * 53 + 12), ("first_party_analytics", 53 + 12 + 3)]
)
def test_a_year_of_a_view_over_blocks_counts_their_renewals_where_they_age(
    tmp_path: Path, kind: str, releases: int
) -> None:
    dataset = ADS.replace("kind: cross_context_ads", f"kind: {kind}")
    queries = {name: text.replace("dataset: gym", "dataset: gym\npurpose: ads") for name, text in QUERIES.items()}
    made = Gym(tmp_path, dataset, queries)
    try:
        file = made.file("by_month", BLOCKS, "features")
        (view,) = made.workspace.planning.plan(ME, file.parent.parent).views
        assert view.priced is not None
        assert view.priced.releases == releases
    finally:
        made.workspace.close()
