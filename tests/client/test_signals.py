"""What stands out is more often true than a ranking of raw noisy values; nothing stands out where noise rules."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import pytest
from api_town import BANDS, ME, Town

from dpstats.client import Client
from dpstats.client.signals import Z95, Seen, Segment, between_variance, rank, shrink

TRIALS = 60


def cell(value: float, deviation: float) -> dict[str, float]:
    return {"value": value, "low": value - Z95 * deviation, "high": value + Z95 * deviation}


def town(chance: random.Random, segments: int, spread: float) -> tuple[list[float], list[Seen]]:
    """True values, and what is seen of them under noise of very different size, as of small and large segments."""
    truth = [chance.gauss(100.0, spread) for _ in range(segments)]
    deviations = [math.exp(chance.uniform(math.log(1.0), math.log(40.0))) for _ in range(segments)]
    return truth, [Seen(chance.gauss(t, d), d) for t, d in zip(truth, deviations, strict=True)]


def wrong_calls(seen: list[Seen], truth: list[float], calls: list[tuple[int, bool]]) -> int:
    """How many segments are called above or below everybody, and are not."""
    middle = sum(truth) / len(truth)
    return sum((truth[place] > middle) is not above for place, above in calls)


def test_fewer_calls_are_wrong_than_of_as_many_by_the_raw_values() -> None:
    """The draws are fixed, so this is a fact and no chance: 60 towns of 40 segments whose truth is known."""
    chance = random.Random(20261125)
    ours = raw = made = 0
    for _ in range(TRIALS):
        truth, seen = town(chance, 40, spread=10.0)
        found = shrink(seen)
        assert found is not None
        middle, beside = found
        calls = [(n, s.above > 0.5) for n, s in enumerate(beside) if max(s.above, 1 - s.above) >= 0.9]
        largest = sorted(range(len(seen)), key=lambda n: -abs(seen[n].value - middle))[: len(calls)]
        ours += wrong_calls(seen, truth, calls)
        raw += wrong_calls(seen, truth, [(n, seen[n].value > middle) for n in largest])
        made += len(calls)
    assert made > 400
    assert ours / made <= 0.1, "what is called 90 % sure is wrong at most one time in ten"
    assert ours * 3 < raw


def test_the_probabilities_are_as_often_right_as_they_say() -> None:
    chance = random.Random(7)
    sure: dict[int, list[bool]] = {}
    for _ in range(TRIALS):
        truth, seen = town(chance, 40, spread=10.0)
        found = shrink(seen)
        assert found is not None
        for value, beside in zip(truth, found[1], strict=True):
            right = (value > 100.0) is (beside.above > 0.5)
            sure.setdefault(int(10 * max(beside.above, 1 - beside.above)), []).append(right)
    for tenth, outcomes in sure.items():
        if tenth < 10 and len(outcomes) >= 100:
            assert abs(sum(outcomes) / len(outcomes) - (tenth + 0.5) / 10) < 0.1


def test_shrunk_values_are_nearer_to_the_truth_than_noisy_ones() -> None:
    chance = random.Random(11)
    ours = raw = 0.0
    for _ in range(TRIALS):
        truth, seen = town(chance, 40, spread=10.0)
        found = shrink(seen)
        assert found is not None
        ours += sum((s.value - t) ** 2 for s, t in zip(found[1], truth, strict=True))
        raw += sum((s.value - t) ** 2 for s, t in zip(seen, truth, strict=True))
    assert ours * 2 < raw


def test_where_segments_do_not_differ_nothing_is_said_but_one_time_in_twenty() -> None:
    chance = random.Random(3)
    said = [shrink(town(chance, 40, spread=0.0)[1]) is not None for _ in range(400)]
    assert sum(said) <= 33  # of 400 at one in twenty; more than that by chance once in 200 times


def test_the_spread_solves_its_equation_and_is_known_where_noise_is_even() -> None:
    seen = [Seen(value, 2.0) for value in (1.0, 5.0, 9.0, 13.0)]
    # With even noise it is the values' variance less the noise's.
    assert between_variance(seen) == pytest.approx(80 / 3 - 4)
    assert between_variance([Seen(value, 10.0) for value in (1.0, 5.0, 9.0, 13.0)]) == 0


def test_a_noisier_value_is_shrunk_more_and_is_less_sure() -> None:
    seen = [Seen(0.0, 1.0), Seen(10.0, 1.0), Seen(10.0, 20.0), Seen(-10.0, 1.0), Seen(5.0, 1.0)]
    found = shrink(seen)
    assert found is not None
    middle, (_, exact, noisy, *_) = found
    assert middle < noisy.value < exact.value <= 10.0
    assert 0.5 < noisy.above < exact.above


def view(**changed: Any) -> dict[str, Any]:
    """Four segments: `d` spends twice as much by person; shares are alike."""
    people, spend, share = [200, 100, 150, 120], [2000, 1010, 1480, 2400], [0.2, 0.21, 0.19, 0.2]
    rows = [
        {"segment": name, "people": cell(p, 3), "spend": cell(s, 60), "share": cell(q, 0.05), "half": cell(5, 1)}
        for name, p, s, q in zip("abcd", people, spend, share, strict=True)
    ]
    measures: dict[str, dict[str, Any]] = {
        "people": {"mechanism": "discrete_gaussian"},
        "spend": {"mechanism": "discrete_gaussian"},
        "share": {"mechanism": "derived"},
        "half": {"mechanism": "exponential", "rank_error_95": 4},
    }
    return {"per": "people", "keys": [{"name": "segment"}], "measures": measures, "rows": rows} | changed


def test_a_segment_s_signals_have_share_lift_and_probability() -> None:
    (found,) = rank(view(), {"segment": "d"})
    assert (found.feature, found.per) == ("spend", "people")
    assert found.value == pytest.approx(20, abs=1)
    assert found.lift == pytest.approx(20 / 12.5, abs=0.2)
    assert found.share == pytest.approx(2400 / 6890)
    assert found.probability > 0.99


def test_a_sum_of_unknown_many_people_and_a_quantile_are_no_signals() -> None:
    assert rank(view(per=None), {"segment": "d"}) == []


def test_nothing_is_said_of_a_segment_whose_people_are_lost_in_noise() -> None:
    hidden = view()
    hidden["rows"][3]["people"] = cell(5, 3)
    assert rank(hidden, {"segment": "d"}) == []


def test_of_a_view_with_one_key_its_value_alone_will_do() -> None:
    assert rank(view(), "d") == rank(view(), {"segment": "d"}) != []
    two = view(keys=[{"name": "segment"}, {"name": "region"}])
    with pytest.raises(ValueError, match=r"for each key \(segment, region\)"):
        rank(two, "d")


@pytest.mark.parametrize("segment", [{"segment": "z"}, {}, {"segment": "a", "other": 1}, "z", None])
def test_a_segment_that_is_not_there_is_refused(segment: Segment) -> None:
    with pytest.raises(ValueError, match="there is no such segment"):
        rank(view(), segment)


def test_a_probability_out_of_its_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"at least 0\.5"):
        rank(view(), {"segment": "a"}, probability=1.0)


def test_a_client_ranks_a_view_as_the_service_gives_it(town: Town, client_of: Callable[[str], Client]) -> None:
    town.workspace.refreshing.refresh(ME)
    before = town.charges()
    job = client_of("job")
    table = town.ask("GET", "/v1/features/bands", role="job").json()
    for band in BANDS:
        assert job.signals("bands", {"band": band}) == rank(table, {"band": band})
    assert town.charges() == before
