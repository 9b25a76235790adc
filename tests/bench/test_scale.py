"""`dpstats bench scale` measures each of its curves; how steep they are is for people to read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dpstats.bench.scale import AXES, Point, steepness, steps, table
from dpstats.cli.main import app

SMALL = ["--rows", "10000", "--units", "1000", "--groups", "10", "--entries", "20"]


def test_every_curve_is_measured_beside_the_plain_one_and_drawn(tmp_path: Path) -> None:
    plot = tmp_path / "curves.svg"
    ended = CliRunner().invoke(app, ["bench", "scale", *SMALL, "--plot", str(plot), "--json"])
    assert ended.exit_code == 0, ended.output
    points = json.loads(ended.stdout)["points"]
    assert {point["axis"]: max(p["size"] for p in points if p["axis"] == point["axis"]) for point in points} == {
        "rows": 10_000,
        "units": 1000,
        "groups": 10,
        "ledger": 20,
    }
    assert all(point["engine_s"] > 0 for point in points)
    assert all(point["plain_s"] > 0 and point["kept_s"] > 0 and point["release_s"] > 0 for point in points)
    drawn = plot.read_text(encoding="utf-8")
    assert drawn.startswith("<svg")
    assert all(word in drawn for word in ("rows", "units", "groups", "entries of the ledger", "at rest", "release"))


@pytest.mark.parametrize(
    ("first", "most", "sizes"),
    [(1, 1, [1]), (1, 100, [1, 3, 10, 30, 100]), (10, 50, [10, 30, 50]), (1000, 20, [20]), (10, 99, [10, 30, 99])],
)
def test_sizes_go_by_threes_to_the_last(first: int, most: int, sizes: list[int]) -> None:
    assert steps(first, most) == sizes


def test_how_steep_a_curve_is_is_the_power_of_its_size() -> None:
    points = [Point("rows", size, 1.0, 2.0 * size, 3.0, size**0.5) for size in (1, 10, 100)]
    assert steepness(points, lambda point: point.engine_s) == pytest.approx(1)
    assert steepness(points, lambda point: point.release_s) == pytest.approx(0.5)
    assert table(points)[-1] == ("rows, grow as", "size to the", "0.00", "1.00", "", "0.00", "", "0.50")
    assert set(AXES) == {"rows", "units", "groups", "ledger"}


def test_a_plot_is_an_svg_or_a_png() -> None:
    assert CliRunner().invoke(app, ["bench", "scale", "--plot", "curves.jpg"]).exit_code == 2
