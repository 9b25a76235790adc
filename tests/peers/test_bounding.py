"""The model of the comparison says of dpstats what dpstats does; and clipping a norm beats dropping groups."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from bounding import Cells, groups_dropped, levelled, noise_error, rows_of_unit_dropped, scaled, total_error
from ours import Shop
from sweep import gaussian, rho
from work import Floats, skewed

WORK = skewed(20_000, 2_000)
CELLS = Cells.of(WORK)
TRUTH = {"count": CELLS.totals(CELLS.count), "sum": CELLS.totals(CELLS.sums())}
ONE_GROUP = "SELECT segment, region, COUNT(DISTINCT customer_id) AS count FROM f GROUP BY segment, region"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    opened = Shop(folder / "workspace", WORK.write(folder / "work.parquet"), threads=1)
    yield opened
    opened.close()


def bounded(shop: Shop, name: str) -> dict[str, tuple[Floats, float]]:
    """Each measure's exact bounded answer, and the scale of its noise."""
    plan = shop.desk.plan(name)
    exact = shop.desk.truth(plan)
    return {
        draw.name: (np.array([float(v * draw.grid) for v in vector]), draw.mechanism.scale * float(draw.grid))
        for draw, vector in zip(plan.draws, exact, strict=True)
    }


def errors(shop: Shop, name: str) -> dict[str, float]:
    """Each measure's total error: what its exact bounded answer misses, and the noise of its scale."""
    return {m: total_error(TRUTH[m] - kept, "gaussian", scale) for m, (kept, scale) in bounded(shop, name).items()}


@pytest.mark.parametrize("norms", [(2, 30), (9, 120), (10_000, 50_000)])
def test_the_model_of_a_norm_is_what_dpstats_answers(shop: Shop, norms: tuple[float, float]) -> None:
    shop.approve("normed", contribution={"max_norm": {"count": norms[0], "sum": norms[1]}})
    found = bounded(shop, "normed")
    # A cell loses less than a thousandth of a row, or a step of a sum's grid, by truncation.
    for measure, values, norm, step in (
        ("count", CELLS.count, norms[0], 1e-3),
        ("sum", np.minimum(CELLS.sums(), norms[1]), norms[1], 1e-3),
    ):
        kept, scale = found[measure]
        lost = CELLS.totals(levelled(CELLS, values, norm)) - kept
        assert np.all(np.abs(lost) <= step * CELLS.totals(np.ones(len(CELLS.group))) + 1e-6)
        assert scale == pytest.approx(gaussian(norm**2, joint=False), rel=1e-6)


@pytest.mark.parametrize("groups", [1, 3, 8, 10_000])
def test_the_model_of_dropped_groups_is_what_dpstats_answers(shop: Shop, groups: int) -> None:
    """Which groups are kept is chosen by a hash; how many are kept of each customer is not."""
    shop.approve("units", sql=ONE_GROUP, contribution={"max_groups": groups})
    kept, _ = bounded(shop, "units")["count"]
    modelled = CELLS.totals(groups_dropped(CELLS, np.ones(len(CELLS.group)), groups))
    assert kept.sum() == pytest.approx(modelled.sum())


@pytest.mark.parametrize("rows", [1, 4])
def test_the_model_of_clipped_groups_is_what_dpstats_answers(shop: Shop, rows: int) -> None:
    shop.approve("clipped", contribution={"max_groups": 1000}, bounds={"count": [0, rows], "sum": [0, 20 * rows]})
    found = bounded(shop, "clipped")
    assert found["count"][0] == pytest.approx(CELLS.totals(np.minimum(CELLS.count, rows)))
    assert found["sum"][0] == pytest.approx(CELLS.totals(np.minimum(CELLS.sums(), 20 * rows)))
    assert found["count"][1] == pytest.approx(gaussian(1000 * rows**2, joint=False), rel=1e-6)


def test_a_clipped_norm_has_less_error_than_any_way_to_drop_groups(shop: Shop) -> None:
    """Bias by the exact bounded answers, noise by the scales: nothing here is drawn, so nothing can fail by chance."""
    shop.approve("normed", epsilon=10, contribution={"max_norm": {"count": 6, "sum": 80}})
    normed = errors(shop, "normed")
    least = {"count": np.inf, "sum": np.inf}
    for groups in (5, 10, 15, 20, 30):
        for rows in (1, 2, 3):
            bounds = {"count": [0, rows], "sum": [0, 15 * rows]}
            shop.approve("dropped", epsilon=10, contribution={"max_groups": groups}, bounds=bounds)
            least = {m: min(error, least[m]) for m, error in errors(shop, "dropped").items()}
    assert normed["count"] < 0.9 * least["count"]
    assert normed["sum"] < 0.8 * least["sum"]


def test_what_is_kept_never_passes_its_bound() -> None:
    for values in (CELLS.count, CELLS.sums()):
        for kept in (scaled(CELLS, values, 7.0), levelled(CELLS, values, 7.0)):
            assert np.sqrt(CELLS.a_customer(kept**2)).max() <= 7 * (1 + 1e-9)
        assert levelled(CELLS, values, 7.0).sum() > 1.01 * scaled(CELLS, values, 7.0).sum()
    assert CELLS.a_customer(rows_of_unit_dropped(CELLS, CELLS.count, 5)).max() <= 5 * (1 + 1e-9)


@pytest.mark.parametrize("shape", ["gaussian", "laplace"])
@pytest.mark.parametrize("bias", [0.0, 0.3, 5.0])
def test_the_error_of_bias_and_noise_is_their_mean(shape: str, bias: float) -> None:
    """Against the integral, on a grid."""
    x = np.linspace(-60, 60, 400_001)
    density = np.exp(-(x**2) / 8) if shape == "gaussian" else np.exp(-np.abs(x) / 2)
    expected = float((np.abs(x + bias) * density).sum() / density.sum())
    assert total_error(np.array([bias]), shape, 2.0) == pytest.approx(expected, rel=1e-6)
    assert total_error(np.array([0.0]), shape, 2.0) == pytest.approx(noise_error(shape, 2.0))


def test_one_dpstats_release_costs_what_the_peers_may_spend() -> None:
    assert rho() == pytest.approx(0.02436, abs=1e-5)
