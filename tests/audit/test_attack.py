"""The adversary's test."""

from __future__ import annotations

from dpstats.audit.attack import Attack, Feature, Tally, coins


def test_under_gaussian_noise_it_guesses_by_the_middle() -> None:
    attack = Attack((Feature(10, 14, 3),), laplace=False)
    assert [attack.guess([value]) for value in (-5, 11.9, 12, 40)] == [False, False, True, True]


def test_a_canary_that_takes_away_is_guessed_the_other_way_round() -> None:
    attack = Attack((Feature(14, 10, 3),), laplace=False)
    assert [attack.guess([value]) for value in (-5, 40)] == [True, False]


def test_several_numbers_are_weighed_by_what_each_tells() -> None:
    attack = Attack((Feature(0, 1, 1), Feature(0, 1, 10)), laplace=False)
    assert attack.guess([1.0, -10.0]) is True
    assert attack.guess([0.0, 10.0]) is False


def test_under_laplace_noise_it_says_nothing_between_the_exact_answers() -> None:
    attack = Attack((Feature(10, 14, 3),), laplace=True)
    assert [attack.guess([value]) for value in (-5, 10, 12, 14, 40)] == [False, False, None, True, True]


def test_where_nothing_moves_it_says_nothing_of_use() -> None:
    assert Attack((), laplace=True).guess([]) is None
    assert Attack((), laplace=False).guess([]) is True


def test_a_tally_counts_runs_and_guesses() -> None:
    tally = Tally()
    for guess, canary in ((True, True), (False, True), (None, True), (True, False), (False, False), (None, False)):
        tally = tally.with_run(guess, canary=canary)
    assert tally == Tally(3, 3, 1, 1, 1, 1)
    assert (tally.right, tally.guesses) == (2, 4)


def test_coins_are_fair_and_new_each_time() -> None:
    """Off by 6 standard deviations once in 5e8."""
    assert list(coins(0)) == []
    heads = sum(coins(100_000))
    assert abs(heads - 50_000) < 6 * 158.2
    assert list(coins(256)) != list(coins(256))
