"""The built-in cases: many canaries in one release, each alone able to move one cell as far as its bounds allow.

A release over 1,000 declared groups holds 1,000 independent runs: each group has two people who are always in and one
canary, who touches no other group and is in by a fair coin, drawn before. The groups are parallel, so each is one
release of neighbouring data, charged once (Steinke, Nasr and Jagielski 2023, made tight by the groups being disjoint).
The coins are drawn anew, and the data loaded anew, for every release. The exact answers are known because the rows are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dpstats.audit.attack import Attack, Feature, Tally, coins
from dpstats.audit.bench import Tables, bench
from dpstats.audit.claims import Claim
from dpstats.audit.findings import DeltaFinding, EpsilonFinding, Finding

GROUPS = 1000
"""Groups, and so independent runs, of one release."""
WHOLE = 40
"""One run in so many is also made as a release of its own."""
ROWS, AMOUNT = 10, 100
"""Rows of a canary, more than any bound below keeps, and the amount of each."""

Progress = Callable[[str, float], None]

_DATASET = """
dataset: {dataset}
privacy_unit: person
budget: {{epsilon: 1000, delta: {delta}}}
min_units: 1
tables:
  visits:
    columns:
      person: {{type: bigint}}
      cell: {{type: bigint}}
      amount: {{type: double, bounds: [0, 100]}}
  cells:
    public: true
    columns:
      cell: {{type: bigint}}
"""
_QUERY = """
query: {name}
dataset: {dataset}
sql: SELECT cell, {measure} AS m FROM visits GROUP BY cell
keys: {{cell: {keys}}}
bounds: {{{bounds}}}
contribution: {{{contribution}}}
cost: {{{cost}}}
"""
_DECLARED, _ONE_GROUP = "{from: cells.cell}", "max_groups: 1"
_PRIVATE_DELTA = "0.005"


@dataclass(frozen=True)
class Case:
    """A measure whose canary is tight: it moves its cell by exactly what the charge pays for, in its own units."""

    name: str
    measure: str
    bounds: str
    without: float
    moves: float
    contribution: str = _ONE_GROUP

    def query(self, dataset: str, cost: str) -> str:
        """Its query's file."""
        return _QUERY.format(
            name=self.name,
            dataset=dataset,
            measure=self.measure,
            keys=_DECLARED,
            bounds=self.bounds,
            contribution=self.contribution,
            cost=cost,
        )

    def attack(self, claim: Claim) -> Attack:
        """The test on one cell."""
        (noise,) = claim.draws
        scale = float(noise.scale * noise.grid)
        return Attack((Feature(self.without, self.without + self.moves, scale),), laplace=noise.laplace)


@dataclass(frozen=True)
class Family:
    """The cases of one kind of budget: its noise, the delta of its dataset and the price of a release."""

    name: str
    noise: str
    delta: str
    cost: str


CASES = (
    Case("units", "COUNT(DISTINCT person)", "", 2, 1),
    Case("rows", "COUNT(*)", "m: [0, 7]", 2, 7),
    Case("sum", "SUM(amount)", "m: [0, 250]", 200, 250),
    Case("norm", "SUM(amount)", "", 200, 250, "max_norm: 250"),
)
FAMILIES = (
    Family("audit_gaussian", "Gaussian", "1.0e-6", "rho: 1"),
    Family("audit_laplace", "Laplace", "0", "epsilon: 2"),
)


def audit_canaries(runs: int, progress: Progress) -> Iterator[Finding]:
    """Every built-in case.

    Args:
      runs: runs a side on average, with the canary in and with it out; >= 1.
      progress: told what is done, and how much of it.
    """
    for family in FAMILIES:
        yield from _parallel(family, runs, progress)
    for family in FAMILIES:
        yield _whole(family, max(1, runs // WHOLE), progress)
    yield _private_keys(runs, progress)


def _parallel(family: Family, runs: int, progress: Progress) -> Iterator[Finding]:
    queries = {case.name: case.query(family.name, family.cost) for case in CASES}
    claims: dict[str, Claim] = {}
    tallies = {case.name: Tally() for case in CASES}
    with bench(_DATASET.format(dataset=family.name, delta=family.delta), queries) as at:
        for done in range(0, 2 * runs, GROUPS):
            progress(f"{family.noise}, canaries in parallel groups", done / (2 * runs))
            inside = tuple(coins(min(GROUPS, 2 * runs - done)))
            at.load(visits(inside))
            for case in CASES:
                release = at.ask(case.name)
                claim = (
                    claims.setdefault(case.name, at.claim(release)) if case.name not in claims else claims[case.name]
                )
                tallies[case.name] = _guessed(tallies[case.name], case.attack(claim), release, inside)
    for case in CASES:
        yield EpsilonFinding(f"{family.noise}, {case.name}", claims[case.name], tallies[case.name])


def _guessed(tally: Tally, attack: Attack, release: dict, inside: tuple[bool, ...]) -> Tally:  # type: ignore[type-arg]
    for row, canary in zip(release["rows"], inside, strict=True):
        tally = tally.with_run(attack.guess([row["m"]["value"]]), canary=canary)
    return tally


def _whole(family: Family, runs: int, progress: Progress) -> Finding:
    """One group: every run is a release of its own, on the data with the canary or on the data without it."""
    case, tally, claim = CASES[2], Tally(), None
    ins = sum(coins(2 * runs))
    with bench(
        _DATASET.format(dataset=family.name, delta=family.delta), {case.name: case.query(family.name, family.cost)}
    ) as at:
        for canary, count in ((True, ins), (False, 2 * runs - ins)):
            at.load(visits((canary,)))
            for run in range(count):
                progress(f"{family.noise}, one release a run", (run + (not canary) * ins) / (2 * runs))
                release = at.ask(case.name)
                claim = claim or at.claim(release)
                tally = _guessed(tally, case.attack(claim), release, (canary,))
    if claim is None:
        raise ValueError("no run was made")
    return EpsilonFinding(f"{family.noise}, {case.name}, whole releases", claim, tally)


def visits(inside: tuple[bool, ...]) -> Tables:
    """Two people in every cell, who come once, and the canaries that are in, who come more often than bounds allow."""
    rows = [(3 * cell + k, cell) for cell in range(len(inside)) for k in (1, 2)]
    rows += [(3 * cell, cell) for cell, canary in enumerate(inside) if canary for _ in range(ROWS)]
    people, cells = zip(*rows, strict=True)
    return {
        "visits": {"person": people, "cell": cells, "amount": [float(AMOUNT)] * len(rows)},
        "cells": {"cell": range(len(inside))},
    }


def _private_keys(runs: int, progress: Progress) -> Finding:
    """2 * runs canaries, each alone in a group whose key nobody declared: does the threshold hide it?"""
    progress("keys found in the data", 0.0)
    query = _QUERY.format(
        name="keys",
        dataset="audit_keys",
        measure="COUNT(DISTINCT person)",
        keys=f"{{private: true, delta: {_PRIVATE_DELTA}}}",
        bounds="",
        contribution=_ONE_GROUP,
        cost="rho: 0.02",
    )
    alone = range(2 * runs)
    tables: Tables = {"visits": {"person": alone, "cell": alone, "amount": [1.0] * len(alone)}, "cells": {"cell": [0]}}
    with bench(_DATASET.format(dataset="audit_keys", delta="0.01"), {"keys": query}) as at:
        at.load(tables)
        release = at.ask("keys")
        claim = at.claim(release)
    named = {row["cell"] for row in release["rows"]}
    return DeltaFinding("keys found in the data", claim, len(alone), len(named & set(alone)), len(named - set(alone)))
