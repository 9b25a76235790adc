"""A view is renewed when it is due, whole, for what is new, within its month's envelope; else it grows old openly."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from feature_gym import ME, MONTHS, SPAN, Gym

from dpstats.access import operator
from dpstats.errors import FileError, InvalidParameters, TooOld


def test_a_view_is_released_whole_and_then_not_before_it_is_due(gym: Gym) -> None:
    gym.submit(SPAN)
    first = gym.refresh()
    assert (first.state, sorted(first.releases)) == ("renewed", ["members_by_plan", "minutes_by_plan"])
    assert len(gym.charges()) == 2
    gym.clock.advance(days=6)
    gym.load()
    again = gym.refresh()
    assert again.state == "skipped"
    assert again.why.startswith("it is due on")
    assert len(gym.charges()) == 2


def test_a_view_that_is_due_is_drawn_anew_only_if_something_was_loaded(gym: Gym) -> None:
    gym.submit(SPAN)
    first = gym.refresh()
    gym.clock.advance(days=8)
    assert (gym.refresh().state, gym.refresh().why) == (
        "skipped",
        "nothing that it reads was loaded since it was released",
    )
    assert gym.wide("first_half")["stale"] is True
    gym.load()
    renewed = gym.refresh()
    assert (renewed.state, list(renewed.releases), renewed.left) == (
        "renewed",
        ["minutes_by_plan"],
        ("members_by_plan",),
    )
    assert renewed.releases["minutes_by_plan"] != first.releases["minutes_by_plan"]
    assert gym.wide("first_half")["releases"]["minutes_by_plan"] == renewed.releases["minutes_by_plan"]


def test_a_view_is_renewed_on_the_same_data_before_it_would_be_too_old(gym: Gym) -> None:
    gym.submit(SPAN)
    gym.refresh()
    gym.clock.advance(days=14)
    renewed = gym.refresh()
    assert renewed.state == "renewed"
    assert "would pass its maximal age" in renewed.why


def test_the_envelope_of_a_month_is_never_passed_and_the_view_is_given_until_its_maximal_age(gym: Gym) -> None:
    gym.submit(SPAN)
    gym.refresh()
    for _ in range(2):
        gym.clock.advance(days=8)
        gym.load()
        found = gym.refresh()
    assert found.state == "renewed"
    gym.clock.advance(days=8)
    gym.load()
    refused = gym.refresh()
    assert refused.state == "refused"
    assert "the envelope's privacy budget does not cover this" in refused.why
    assert gym.workspace.features.one(ME, "first_half")["spent_this_month"]["rho"] == 0.08
    told = gym.wide("first_half")
    assert told["stale"] is True
    assert told["age_s"] > 0
    gym.clock.advance(days=21)
    with pytest.raises(TooOld, match="is older than the 20 days that it may be"):
        gym.wide("first_half")
    assert gym.refresh().state == "renewed", "another month began"
    assert gym.wide("first_half")["stale"] is False


def test_stewards_who_renew_at_once_pay_once(gym: Gym) -> None:
    gym.submit(SPAN)
    gym.refresh()
    gym.clock.advance(days=8)
    gym.load()
    before = len(gym.charges())
    with ThreadPoolExecutor(4) as pool:
        stewards = (operator(name) for name in ("ada", "bob", "cyd", "dan"))
        found = list(pool.map(lambda who: gym.refresh(steward=who), stewards))
    assert {item.state for item in found} <= {"renewed", "skipped"}
    assert len(gym.charges()) == before + 1
    assert gym.workspace.budgets.verify(ME).ok


def test_a_view_over_blocks_pays_for_each_whole_block_once(gym: Gym) -> None:
    gym.submit(MONTHS)
    made = gym.refresh()
    assert sorted(made.releases) == [
        "members_by_plan",
        "minutes_by_plan 2017-10",
        "minutes_by_plan 2017-11",
        "minutes_by_plan 2017-12",
    ]
    assert list(gym.wide("by_month")["measures"]) == ["members", "minutes_1", "minutes_2", "minutes_3"]
    assert gym.wide("by_month")["measures"]["minutes_1"]["block"] == "2017-12"
    gym.clock.advance(days=10)
    assert (gym.refresh().state, len(gym.charges())) == ("skipped", 4)


@pytest.mark.parametrize(
    ("said", "paid"),
    [
        ({"blocks": ("2017-11", "2017-11")}, ["2017-11"]),
        ({"blocks": ("2017-11", "2017-12")}, ["2017-12", "2017-11"]),
        ({"blocks": ("2017-01", "2017-09")}, []),
        ({}, ["2017-12", "2017-11", "2017-10"]),
        ({"blocks": ("2017-11", "2017-11"), "append": True}, ["2017-11"]),
    ],
)
def test_only_blocks_that_a_load_said_it_brought_are_paid_again(
    gym: Gym, said: dict[str, object], paid: list[str]
) -> None:
    gym.submit(MONTHS)
    gym.refresh()
    before = len(gym.charges())
    gym.load(**said)
    found = gym.refresh()
    assert found.state == ("renewed" if paid else "skipped")
    assert gym.charges()[before:] == [("minutes_by_plan", month) for month in paid]


def test_a_load_of_a_table_that_every_block_is_joined_to_renews_them_all(gym: Gym) -> None:
    gym.submit(MONTHS)
    gym.refresh()
    gym.workspace.datasets.load(ME, "gym", {"members": gym.members()})
    assert len(gym.refresh().releases) == 3


def test_what_a_load_says_of_blocks_must_be_theirs(gym: Gym) -> None:
    for wrong in (("2017-13", "2017-13"), ("2017-12", "2017-01"), ("2017", "2018")):
        with pytest.raises(ValueError, match=r"is not the name of a month|must be in|name the earlier block first"):
            gym.load(blocks=wrong)


def test_one_view_that_cannot_be_renewed_stops_no_other(gym: Gym) -> None:
    gym.submit(SPAN.replace("monthly: {rho: 0.08}", "monthly: {rho: 0.001}"))
    gym.submit(MONTHS)
    found = {item.view: item.state for item in gym.workspace.refreshing.refresh(ME)}
    assert found == {"by_month": "renewed", "first_half": "refused"}
    assert ("minutes_by_plan", "2017-01") not in gym.charges()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (("max_age: 20d", "max_age: 3d"), "must be at least `refresh`"),
        (("monthly: {rho: 0.08}", "monthly: {rho: 1, epsilon: 1}"), "give either rho or epsilon"),
        (("monthly: {rho: 0.08}", ""), "this key is missing"),
        (("view: first_half", "view: other"), "the file's name must be the view's"),
        (("segment: [plan]", "segment: [plan, plan]"), "none twice"),
        (("refresh: 7d", "refresh: 7d\nnoise: 0"), "there is no such key"),
        (("refresh: 7d", "refresh: 7d\nrename: {nobody.members: m}"), "its query is none of the view's"),
    ],
)
def test_a_file_that_says_something_else_is_refused_with_its_place(
    gym: Gym, change: tuple[str, str], error: str
) -> None:
    file = gym.file("first_half", SPAN.replace(*change), "features")
    with pytest.raises(FileError, match=error):
        gym.workspace.features.submit(ME, file)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (("segment: [plan]", "segment: [age]"), "must name the keys"),
        (("refresh: 7d", "refresh: 7d\nrename: {members_by_plan.members: minutes}"), "two features are called"),
        (("refresh: 7d", "refresh: 7d\nrename: {members_by_plan.nothing: n}"), "has the measure"),
        (("refresh: 7d", "refresh: 7d\nrename: {members_by_plan.members: plan}"), "is a key and a feature"),
        (("since: 2017-01-01", "since: 2019-01-01"), "since"),
        (("refresh: 7d", "refresh: 7d\nblocks: 2"), "it is set by `blocks`"),
    ],
)
def test_a_view_whose_parts_do_not_go_together_is_refused(gym: Gym, change: tuple[str, str], error: str) -> None:
    file = gym.file("first_half", SPAN.replace(*change), "features")
    with pytest.raises(InvalidParameters, match=error):
        gym.workspace.features.submit(ME, file)
