"""A release tells whether somebody is in the data no better than its charge says.

How it is tried: many cells, each with a person of its own who moves it as far as anybody can, and two data versions,
without these people and with them. Each cell (or pair of cells, where a person touches two) is then one independent
release of neighbouring datasets, and an attacker who knows both exact answers guesses from the noisy one, by likelihood
ratio: the best test there is (Neyman and Pearson). The claim is read off the charge, not off the noise scale.

A check raises a false alarm once in 1e7 (`ALPHA`, one side; `Z` is the same as a normal deviate), this file, with some
hundred checks, once in 1e4. Noise a fifth too small escapes the attacker less than once in 1e6.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from desk import Desk
from numpy.typing import NDArray
from scipy.stats import binomtest, norm

from dpstats.engine.noise import Exact, Vectors, add_noise
from dpstats.plan.plan import Plan
from dpstats.privacy.loss import Measure
from dpstats.privacy.mechanism import Mechanism, Noise, Sensitivity

Numbers = NDArray[np.float64]

PEOPLE = 4096
"""People who move a cell most; each has a pair of cells for itself."""
CELLS = 2 * PEOPLE
ALPHA = 1e-7
Z = float(norm.isf(ALPHA))

DATASET = """
dataset: {dataset}
privacy_unit: person
budget: {{epsilon: 1000.0, delta: {delta}}}
tables:
  visits:
    columns:
      person: {{type: bigint}}
      cell: {{type: bigint}}
      amount: {{type: double, bounds: [-100, 100]}}
  cells: {{public: true, columns: {{cell: {{type: bigint}}}}}}
"""
QUERY = """
query: {dataset}_{name}
dataset: {dataset}
sql: SELECT cell, {measures} FROM visits GROUP BY cell
keys: {{cell: {{from: cells.cell}}}}
bounds: {{{bounds}}}
contribution: {{max_groups: {max_groups}, max_rows: 3}}
cost: {{{cost}}}
"""
MEASURES = {
    "people": ("COUNT(DISTINCT person) AS people", ""),
    "visits": ("COUNT(*) AS visits", "visits: [0, 3]"),
    "total": ("SUM(amount) AS total", "total: [-50, 250]"),
    "mean": ("AVG(amount) AS mean", ""),
}
EVERYTHING = (", ".join(sql for sql, _ in MEASURES.values()), "visits: [0, 3], total: [-50, 250]")
COSTS = {"people": "rho: 0.05", "visits": "rho: 0.5", "total": "rho: 2", "mean": "rho: 1", "everything": "rho: 2"}
"""Of Gaussian answers. Counts get scales of 3 and more: coarser ones tell a little more than their rho's profile."""
GRID = 0.002
"""What the coarsest of them tells more (computed from the two distributions' sums, for `visits`)."""


@dataclass(frozen=True)
class Neighbours:
    """A plan with its exact answers, without and with the people who move it most."""

    plan: Plan
    without: Vectors
    with_them: Vectors

    def drawn(self, plan: Plan | None = None) -> tuple[Numbers, Numbers]:
        """Noisy answers without and with them, by the plan or by a mutated one: for each draw, its cells."""
        return _noisy(plan or self.plan, self.without), _noisy(plan or self.plan, self.with_them)


def _noisy(plan: Plan, exact: Vectors) -> Numbers:
    return np.array(add_noise(plan, Exact(plan, exact)).vectors, float)


def _visits(*, with_them: bool) -> dict[str, list[float]]:
    """Two people a cell who visit once; and for each pair of cells, one who visits both ten times at the top price."""
    rows = [(10 * cell + k, cell, 10.0 * k) for cell in range(CELLS) for k in (0, 1)]
    if with_them:
        rows += [(10 * cell - cell % 2 * 10 + 9, cell, 100.0) for cell in range(CELLS) for _ in range(10)]
    return dict(zip(("person", "cell", "amount"), map(list, zip(*rows, strict=True)), strict=True))


@pytest.fixture(scope="module", params=["gaussian", "laplace"])
def neighbours(request: pytest.FixtureRequest, new_desk: Callable[..., Desk]) -> dict[str, Neighbours]:
    """For one person a cell, each measure alone; and all at once for a person who touches two cells."""
    desk, dataset = new_desk(), request.param
    delta = "1.0e-6" if dataset == "gaussian" else "0"
    text = DATASET.format(dataset=dataset, delta=delta)
    desk.add(text, visits=_visits(with_them=False), cells={"cell": list(range(CELLS))})
    for name, (measures, bounds) in (MEASURES | {"everything": EVERYTHING}).items():
        asked = {"measures": measures, "bounds": bounds, "max_groups": 2 if name == "everything" else 1}
        cost = COSTS[name] if dataset == "gaussian" else "epsilon: 2"
        desk.approve(QUERY.format(dataset=dataset, name=name, cost=cost, **asked))
    plans = {name: desk.plan(f"{dataset}_{name}") for name in (*MEASURES, "everything")}
    without = {name: desk.truth(plan) for name, plan in plans.items()}
    desk.load(dataset, visits=_visits(with_them=True))
    return {name: Neighbours(plan, without[name], desk.truth(plan)) for name, plan in plans.items()}


# -- what is checked -------------------------------------------------------------------------------------------------


def check_release(claim: Plan, case: Neighbours, without: Numbers, with_them: Numbers) -> None:
    """That noisy answers keep what the plan and its charge say; `without` and `with_them` are draws of any plan."""
    check_spread(claim, without, case.without)
    check_spread(claim, with_them, case.with_them)
    check_distinguishing(claim, case, without, with_them)


def check_spread(claim: Plan, noisy: Numbers, exact: Vectors) -> None:
    """The noise of each draw has the claimed distribution: as many values inside its quantiles as there should be."""
    for draw, noise in zip(claim.draws, np.abs(noisy - np.array(exact, float)), strict=True):
        for quantile in (0.1, 0.5, 0.7, 0.9, 0.99):
            reach, expected = _reach(draw.mechanism, quantile)
            inside = int((noise <= reach).sum())
            found = binomtest(inside, noise.size, expected)
            assert found.pvalue > ALPHA, f"{draw.name}: {inside / noise.size:.3f} within {reach}, not {expected:.3f}"


def _reach(mechanism: Mechanism, quantile: float) -> tuple[int, float]:
    """The least k with P(|noise| <= k) >= quantile, and that probability, from the distribution's definition."""
    scale = mechanism.scale
    if scale > 1000:  # a grid so fine beside the scale that it cannot be seen
        standard = norm.isf((1 - quantile) / 2) if mechanism.noise is Noise.GAUSSIAN else -math.log(1 - quantile)
        return round(scale * standard), quantile
    k = np.arange(-math.ceil(60 * scale), math.ceil(60 * scale) + 1)
    weights = np.exp(-(k**2) / (2 * scale**2)) if mechanism.noise is Noise.GAUSSIAN else np.exp(-np.abs(k) / scale)
    inside = np.cumsum(weights[k >= 0] * np.where(k[k >= 0] == 0, 1, 2)) / weights.sum()
    reach = int(np.searchsorted(inside, quantile))
    return reach, float(inside[reach])


def check_distinguishing(claim: Plan, case: Neighbours, without: Numbers, with_them: Numbers) -> None:
    """P(says "in" | in) - e^x P(says "in" | out) is within the charge, for several x, and the other way round."""
    score_out, score_in = (_likelihood_ratio(claim, case, noisy) for noisy in (without, with_them))
    for x in (0.0, 0.5, 1.0, 2.0):
        least = x - 1e-9  # the score of most Laplace draws is the full epsilon, to within rounding
        _check_advantage(claim, x, score_in > least, score_out > least)
        _check_advantage(claim, x, score_out < -least, score_in < -least)


def _likelihood_ratio(claim: Plan, case: Neighbours, noisy: Numbers) -> Numbers:
    """log P(noisy | with) / P(noisy | without), of each pair of cells, which are one person's."""
    total = np.zeros(noisy.shape[1])
    exact = np.array([case.without, case.with_them], float)
    for draw, values, out, inside in zip(claim.draws, noisy, *exact, strict=True):
        scale = draw.mechanism.scale
        if draw.mechanism.noise is Noise.GAUSSIAN:
            total += ((values - out) ** 2 - (values - inside) ** 2) / (2 * scale**2)
        else:
            total += (np.abs(values - out) - np.abs(values - inside)) / scale
    return total.reshape(-1, 2).sum(axis=1)


def _check_advantage(claim: Plan, x: float, hits: NDArray[np.bool_], misses: NDArray[np.bool_]) -> None:
    hit, miss, n = float(hits.mean()), float(misses.mean()), hits.size
    deviation = math.sqrt((hit * (1 - hit) + math.exp(2 * x) * miss * (1 - miss) + 1 / n) / n)
    gained, allowed = hit - math.exp(x) * miss, _delta(claim, x)
    assert gained <= allowed + Z * deviation, f"distinguished by {gained:.4f} at x = {x}, {allowed:.4f} is paid for"


def _delta(claim: Plan, x: float) -> float:
    """The most that the charge allows: delta(x) of the Gaussian mechanism that costs this rho, or of a pure epsilon.

    Source: Dong, Roth and Su 2022, Cor. 1, with mu^2 = 2 rho; Kairouz, Oh and Viswanath 2017, Thm. 2.
    """
    if claim.measure is Measure.ZCDP:
        mu = math.sqrt(2 * float(claim.loss.amount_decimal))
        return float(norm.cdf(mu / 2 - x / mu) - math.exp(x) * norm.cdf(-mu / 2 - x / mu)) + GRID
    epsilon = float(claim.loss.amount_decimal)
    return max(0.0, (math.exp(epsilon) - math.exp(x)) / (1 + math.exp(epsilon)))


def _scaled(plan: Plan, factor: float) -> Plan:
    """The plan with another noise scale, at the same price."""
    mechanisms = [replace(draw.mechanism, scale=draw.mechanism.scale * factor) for draw in plan.draws]
    draws = tuple(replace(d, mechanism=m) for d, m in zip(plan.draws, mechanisms, strict=True))
    return replace(plan, draws=draws)


# -- the promise -----------------------------------------------------------------------------------------------------

CASES = [*MEASURES, "everything"]


@pytest.mark.parametrize("name", CASES)
def test_a_release_tells_no_more_about_one_person_than_it_was_charged_for(neighbours, name):
    case = neighbours[name]
    check_release(case.plan, case, *case.drawn())


@pytest.mark.parametrize("name", CASES)
def test_noise_a_fifth_too_small_would_be_noticed(neighbours, name):
    case = neighbours[name]
    drawn = case.drawn(_scaled(case.plan, 0.8))
    with pytest.raises(AssertionError, match="within"):
        check_spread(case.plan, drawn[0], case.without)
    with pytest.raises(AssertionError):
        check_release(case.plan, case, *drawn)


@pytest.mark.parametrize("name", CASES)
def test_the_person_who_moves_a_cell_most_moves_it_by_the_claimed_sensitivity_and_no_more(neighbours, name):
    case = neighbours[name]
    moved = np.abs(np.array(case.with_them) - np.array(case.without)).reshape(len(case.plan.draws), -1, 2)
    for draw, of_people in zip(case.plan.draws, moved, strict=True):
        assert (of_people.max(axis=1) == draw.mechanism.sensitivity.per_cell).all()
        assert ((of_people > 0).sum(axis=1) == draw.mechanism.sensitivity.cells).all()


def test_a_person_who_moves_it_further_than_claimed_would_be_noticed(neighbours):
    case = neighbours["total"]
    further = tuple(
        tuple(out + 5 * (inside - out) // 4 for out, inside in zip(*vectors, strict=True))
        for vectors in zip(case.without, case.with_them, strict=True)
    )
    mutated = replace(case, with_them=further)
    with pytest.raises(AssertionError, match="distinguished"):
        check_distinguishing(case.plan, mutated, *mutated.drawn())


def test_a_charge_too_small_for_its_noise_would_be_noticed(neighbours):
    """The attacker is held against the charge: noise that matches its own claim is not enough."""
    case = neighbours["total"]
    smaller = replace(case.plan, loss=replace(case.plan.loss, amount=case.plan.loss.amount * 16 // 25))
    drawn = case.drawn()
    check_spread(smaller, drawn[0], case.without)
    with pytest.raises(AssertionError, match="distinguished"):
        check_distinguishing(smaller, case, *drawn)


def test_every_cell_draw_and_release_has_noise_of_its_own(neighbours):
    """Noise that is shared, between cells or between releases, would cancel in a difference."""
    case = neighbours["everything"]
    exact = np.array(case.without, float)
    noise, again = (_noisy(case.plan, case.without) - exact for _ in range(2))
    between_draws = np.corrcoef(np.vstack([noise, again])) - np.eye(2 * len(noise))
    assert np.abs(between_draws).max() * math.sqrt(CELLS) < Z
    for lag in (1, 2, PEOPLE):
        between_cells = [np.corrcoef(one[:-lag], one[lag:])[0, 1] for one in noise]
        assert np.abs(between_cells).max() * math.sqrt(CELLS - lag) < Z


def test_what_is_released_is_the_answer_with_noise_of_the_claimed_size(new_desk):
    """The whole road, to the JSON: its numbers spread around the exact answer as the plan says."""
    desk = new_desk()
    desk.add(
        DATASET.format(dataset="shop", delta="1.0e-6"),
        visits=_visits(with_them=False),
        cells={"cell": list(range(CELLS))},
    )
    measures = ", ".join(MEASURES[name][0] for name in ("people", "visits", "total"))
    asked = {"measures": measures, "bounds": EVERYTHING[1], "max_groups": 1, "cost": "rho: 1"}
    desk.approve(QUERY.format(dataset="shop", name="q", **asked))
    plan, body = desk.plan("shop_q"), desk.ask("shop_q")
    noisy = [[round(row[draw.name]["value"] / draw.grid) for row in body["rows"]] for draw in plan.draws]
    check_spread(plan, np.array(noisy, float), desk.truth(plan))
    assert plan.draws[0].mechanism.sensitivity == Sensitivity(per_cell=1, cells=1)
