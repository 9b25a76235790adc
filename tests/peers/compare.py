"""dpstats beside the peers that install, on the same work at the same (1, 1e-6): `python tests/peers/compare.py`.

`--work skewed`: total error, bias and noise together, against the raw truth. Each peer's bounds are tuned on a grid by
the model (`bounding.py`), then the peer runs at its best, and what was measured stands beside the model's word. Ratios
are the model's: one run's error varies by some 2 % with its noise.
`--work fixed`: the noise alone, with the same bounds for all (5 groups, 10 rows a group, amounts up to 20).
`--work speed`: seconds of one answer with these bounds: a peer's from its open session to its numbers; ours a release,
charge included, from the rows and from what is kept at rest (the median of several).

The peers are installed by name, each in its own virtual environment under `--cache` (unsaid: a temporary folder).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from bounding import Cells, noise_error
from ours import Shop
from peers import PEERS, NotRun, run
from sweep import DELTA, EPSILON, MEASURES, Best, rho, truth_of, tuned, tuned_norm
from work import Work, skewed

FIXED = {"groups": 5, "rows": 10, "rows_of_unit": 50}
FIXED_BOUNDS = {"count": [0, 10], "sum": [0, 200]}
BOTH = ("count", "sum")
TOTAL_BARS, NOISE_BAR, SPEED_BAR = {"count": 0.75, "sum": 0.95}, 1.10, 20
RELEASES = 5
Row = Sequence[str]


def main(words: Sequence[str] | None = None) -> None:
    """Runs what is asked and prints its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", choices=["skewed", "fixed", "speed", "all"], default="all")
    parser.add_argument("--peers", nargs="*", choices=[*PEERS, []], default=list(PEERS), help="none: the model alone")
    parser.add_argument("--cache", type=Path, help="a folder for the peers' virtual environments")
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as folder:
        cache = options.cache or Path(folder) / "environments"
        work = skewed(options.rows, options.rows // 10)
        parquet = work.write(Path(folder) / "work.parquet")
        if options.work in {"fixed", "all"}:
            _print(fixed(options.peers, cache, Path(folder)))
        if options.work in {"speed", "all"}:
            _print(speed(options.peers, cache, Path(folder), parquet))
        if options.work in {"skewed", "all"}:
            _print(total(options.peers, cache, Path(folder), parquet, work))


# -- the noise alone -------------------------------------------------------------------------------------------------


def fixed(peers: Sequence[str], cache: Path, folder: Path) -> Iterator[Row]:
    """What each peer states as its noise on fixed bounds; a scale looks at no row, so 1,000 rows are enough."""
    yield "noise on fixed bounds, at (1, 1e-6)", "noise", "count", "sum", ""
    few = skewed(1000, 100).write(folder / "few.parquet")
    least = dict.fromkeys(BOTH, float("inf"))
    for name in peers:
        for noise in PEERS[name].noises:
            bounds = {"count": FIXED, "sum": {**FIXED, "high": 20.0, "total": 200.0}}
            answered = _run(name, cache, _ask(few, noise, bounds))
            if isinstance(answered, str):
                yield PEERS[name].name, noise, "-", "-", answered
                continue
            errors = {m: noise_error(noise, answered[m]["scale"]) for m in BOTH}
            least = {m: min(least[m], errors[m]) for m in BOTH}
            yield PEERS[name].name, noise, *(f"{errors[m]:,.1f}" for m in BOTH), f"version {answered['version']}"
    for pure in (False, True):
        yield _noise_of_dpstats(folder, few, least, pure=pure)


def _noise_of_dpstats(folder: Path, few: Path, least: Mapping[str, float], *, pure: bool) -> Row:
    shop = Shop(folder / f"fixed{pure}", few, pure=pure)
    shop.approve("fixed", contribution={"max_groups": FIXED["groups"]}, bounds=FIXED_BOUNDS)
    measures, noise = shop.ask("fixed").measures, "laplace" if pure else "gaussian"
    shop.close()
    errors = {m: noise_error(noise, measures[m]["scale"]) for m in BOTH}
    said = "delta 0" if pure else "zCDP"
    return (
        f"dpstats, {said}",
        noise,
        *(f"{errors[m]:,.1f}" for m in BOTH),
        _ratios(errors, least, dict.fromkeys(BOTH, NOISE_BAR)),
    )


# -- the time of one answer ------------------------------------------------------------------------------------------


def speed(peers: Sequence[str], cache: Path, folder: Path, parquet: Path) -> Iterator[Row]:
    """Seconds of a count and a sum by all groups, with the same bounds for all."""
    yield "seconds of one answer on fixed bounds", "", "seconds", "of ours", ""
    shop = Shop(folder / "speed", parquet)
    shop.approve("fixed", contribution={"max_groups": FIXED["groups"]}, bounds=FIXED_BOUNDS)
    ours = {"from the rows": _seconds_of(shop)}
    shop.prepare()
    ours["kept at rest"] = _seconds_of(shop)
    shop.close()
    for said, seconds in ours.items():
        yield "dpstats", "", f"{seconds:,.3f}", "", said
    for name in peers:
        bounds = {"count": FIXED, "sum": {**FIXED, "high": 20.0, "total": 200.0}}
        answered = _run(name, cache, _ask(parquet, PEERS[name].noises[0], bounds))
        if isinstance(answered, str):
            yield PEERS[name].name, "", "-", "-", answered
            continue
        times = [answered["seconds"] / seconds for seconds in ours.values()]
        said = f"version {answered['version']} (bar {SPEED_BAR})"
        yield PEERS[name].name, "", f"{answered['seconds']:,.1f}", " / ".join(f"{each:,.0f}" for each in times), said


def _seconds_of(shop: Shop) -> float:
    return statistics.median(shop.ask("fixed").seconds for _ in range(RELEASES))


# -- bias and noise together -----------------------------------------------------------------------------------------


def total(peers: Sequence[str], cache: Path, folder: Path, parquet: Path, work: Work) -> Iterator[Row]:
    """Each peer at its best bounds, then dpstats."""
    yield "total error against the raw truth", "measure", "model", "measured", "bounds"
    cells = Cells.of(work)
    least = dict.fromkeys(BOTH, float("inf"))
    for name, peer in PEERS.items():
        best = {m: tuned(peer, m, cells) for m in BOTH}
        least = {m: min(least[m], best[m].error) for m in BOTH}
        measured = _measured(name, cache, parquet, best, cells) if name in peers else dict.fromkeys(BOTH, "not run")
        yield from _rows(peer.name, best, measured)
    best = {m: tuned_norm(m, cells) for m in BOTH}
    shop = Shop(folder / "total", parquet)
    norms = {m: best[m].setting["max_norm"] for m in BOTH}
    shop.approve("normed", contribution={"max_norm": norms})
    shop.approve("dropped", contribution={"max_groups": 30}, bounds={"count": [0, 3], "sum": [0, 60]})
    for query, modelled in (("normed", best), ("dropped", None)):
        answered = shop.ask(query)
        for m in BOTH:
            error = float(np.mean(np.abs(answered.answers[m] - truth_of(m, cells))))
            said = f"{modelled[m].error:,.1f}" if modelled else ""
            ratio = f"; {_ratios({m: modelled[m].error}, least, TOTAL_BARS)}" if modelled else ""
            yield "dpstats", m, said, f"{error:,.1f}", f"{answered.measures[m]['bounding']}{ratio}"
        engine = shop.engine_seconds(query)
        yield "", "", "", "", f"released in {answered.seconds:.1f} s, of it {engine:.1f} s in the engine"
    shop.close()


def _measured(name: str, cache: Path, parquet: Path, best: Mapping[str, Best], cells: Cells) -> dict[str, str]:
    """The peer's own errors at its best settings, one run for each noise that is best somewhere."""
    found: dict[str, str] = {}
    for noise in {best[m].noise for m in BOTH}:
        answered = _run(name, cache, _ask(parquet, noise, {m: best[m].setting for m in BOTH}))
        for m in BOTH:
            if best[m].noise == noise:
                found[m] = answered if isinstance(answered, str) else _error(answered[m], best[m], truth_of(m, cells))
    return found


def _error(answered: Mapping[str, Any], best: Best, truth: np.ndarray[Any, Any]) -> str:
    error = float(np.mean(np.abs(np.array(answered["answers"]) - truth)))
    off = answered["scale"] / best.scale
    return f"{error:,.1f}" + ("" if abs(off - 1) < 0.01 else f" (scale {off:.3f} of the model's)")


def _rows(name: str, best: Mapping[str, Best], measured: Mapping[str, str]) -> Iterator[Row]:
    for m in BOTH:
        bounds = ", ".join(f"{key} {value:g}" for key, value in best[m].setting.items())
        yield name, m, f"{best[m].error:,.1f}", measured[m], f"{bounds}; {best[m].noise}"


# -- asking and printing ---------------------------------------------------------------------------------------------


def _ask(parquet: Path, noise: str, bounds: Mapping[str, Mapping[str, float]]) -> dict[str, object]:
    return {"parquet": str(parquet), "noise": noise, "epsilon": EPSILON, "delta": DELTA, "rho": rho(), **bounds}


def _run(name: str, cache: Path, ask: Mapping[str, object]) -> dict[str, Any] | str:
    """What the peer answers, or in words why it does not."""
    try:
        return run(name, cache, ask)
    except NotRun as reason:
        return f"does not run: {reason}"


def _ratios(errors: Mapping[str, float], least: Mapping[str, float], bars: Mapping[str, float]) -> str:
    words = [f"{m} {errors[m] / least[m]:.3f} of the least peer's (bar {bars[m]:.2f})" for m in errors]
    return "; ".join(words) if all(np.isfinite(least[m]) for m in errors) else ""


def _print(rows: Iterator[Row]) -> None:
    show: Callable[[Row], None] = lambda row: print("{:<36}{:<10}{:>12}{:>14}  {}".format(*row), flush=True)  # noqa: E731
    print(f"\n{MEASURES} measures by 1,000 groups")
    for row in rows:
        show(row)


if __name__ == "__main__":
    main()
