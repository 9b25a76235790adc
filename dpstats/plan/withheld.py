"""Numbers about too few people, withheld: of a group whose noisy count of units is below the declared floor.

Noise hides whether anyone is in a group; it does not make a group of one an aggregate. So a steward may declare a
`smallest_group`. Claim: withholding costs nothing, and changes nothing of what one unit can do to an answer. Argument:
which numbers are withheld is a function of the noisy vectors, that are paid for, and of the floor, that is public; so
the answer with them withheld is a function of the answer without (post-processing). Exact counts are looked at nowhere.
A count of units that is drawn for the floor alone is part of the query's price, as every draw is.

What is withheld is never written: not into a stored release, so not into a replay or another format of it either.
"""

from __future__ import annotations

import json
import math
from typing import Any, Protocol

from dpstats.plan.arithmetic import Drawn, draws_of
from dpstats.plan.plan import Floor, Noisy, Output, Plan

COUNTS = {"units", "count"}
"""The kinds of draws that say of how many units a number is, or of how many rows at most."""


class Cells(Protocol):
    """A measure's part of rows, by their groups' places."""

    def texts(self, places: range) -> list[str]:
        """The part of each row as JSON, name and cell."""


def withheld_cell(at: int) -> dict[str, Any]:
    """What stands in the place of a number."""
    return {"value": None, "low": None, "high": None, "display": f"withheld (below {at:,})", "withheld": True}


def told_of_floor(plan: Plan, noisy: Noisy) -> dict[str, Any]:
    """What a release says of the floor: what it is, what is counted, and how many rows withhold all their numbers.

    `counted_by`: the measure that is the count; None where no measure is.
    """
    if plan.floor is None:
        return {}
    withheld = len(_below(plan, noisy, plan.floor.draw, plan.floor))
    counted = next((o.name for o in plan.outputs if o.expression == Drawn(plan.floor.draw)), None)
    return {"smallest_group": {"floor": plan.floor.at, "counted_by": counted, "withheld": withheld}}


def masked(plan: Plan, output: Output, noisy: Noisy, cells: Cells) -> Cells:
    """The measure's cells, without the numbers that are withheld: of its groups, and of its own counts.

    A measure that counts some of a group's units or rows (with FILTER), or is computed from such a count, as an average
    is, is about those. Each of these units has a row: fewer rows than the floor are of fewer units.
    """
    if plan.floor is None:
        return cells
    own = {index for index in draws_of(output.expression) if plan.draws[index].kind in COUNTS}
    places = {place for index in own | {plan.floor.draw} for place in _below(plan, noisy, index, plan.floor)}
    return _Masked(output.name, cells, places, plan.floor.at) if places else cells


class _Masked:
    def __init__(self, name: str, cells: Cells, places: set[int], at: int) -> None:
        body = json.dumps(withheld_cell(at), separators=(",", ":"))
        self._cells, self._places = cells, places
        self._instead = f"{json.dumps(name, ensure_ascii=False)}:{body}"

    def texts(self, places: range) -> list[str]:
        told = self._cells.texts(places)
        return [self._instead if place in self._places else text for place, text in zip(places, told, strict=True)]


def _below(plan: Plan, noisy: Noisy, index: int, floor: Floor) -> list[int]:
    """The places of the groups whose noisy count, in steps of its grid, is below the floor."""
    least = math.ceil(floor.at / plan.draws[index].grid)
    return [place for place, steps in enumerate(noisy.vectors[index]) if steps < least]
