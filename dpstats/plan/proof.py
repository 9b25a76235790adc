"""The proof that a plan carries: from the privacy unit to the charge, in words a reader can follow. It decides nothing.

Every number in it is one that the plan was made of, so a plan and its proof cannot say different things.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from dpstats.catalog.parameters import BoundParameters
from dpstats.plan.analysis import Analysis
from dpstats.plan.plan import Draw, Top
from dpstats.plan.pricing import Priced
from dpstats.privacy.loss import Measure
from dpstats.privacy.mechanism import price


def proof(analysis: Analysis, paid: Priced, joins: Sequence[str], parameters: BoundParameters) -> tuple[str, ...]:
    """The chain unit -> rows -> groups -> grid -> sensitivity -> mechanism -> charge -> blocks, a line each.

    Args:
      joins: what one personal row may meet in joins, in words.
      parameters: what the blocks that are charged depend on.
    """
    unit, top, found, loss = analysis.dataset.privacy_unit, paid.top, paid.threshold, paid.loss
    lines = [
        f"unit: one {unit}, with all its rows in every personal table, is added or removed",
        f"rows: at most {analysis.dataset.max_rows_per_unit} a unit in each personal table{_in_blocks(analysis)} "
        "(kept so at load); "
        f"values saturated to their columns' bounds; joins on {unit} only",
        *([f"consent: {analysis.consented.in_words}"] if analysis.consented else []),
        *(f"joins: {line}" for line in joins),
        f"groups: {'found in the data' if found else f'{paid.groups} declared'}; {_touched(analysis, paid.max_groups)}",
    ]
    if top is not None:
        lines.append(_top_line(top, paid.draws[top.draw].name))
    lines += [_draw_line(draw) for draw in paid.draws]
    if found is not None:
        lines.append(
            f"keys: a group is released when its noisy count of units is at least {found.at}; a unit alone in "
            f"{found.max_groups} groups is seen with probability at most delta {_exactly(loss.delta_decimal)}"
        )
    if analysis.floor is not None:
        lines.append(
            f"smallest group: numbers are withheld where the noisy count of units is below {analysis.floor.at}; "
            + ("that count is drawn for this, and part of the charge" if analysis.floor.added else "it is drawn anyhow")
        )
    delta = f", delta {_exactly(loss.delta_decimal)}" if loss.delta else ""
    lines.append(f"charge: {loss.measure.unit} {loss.amount_decimal:f}{delta}")
    return (*lines, *_blocks_line(analysis, parameters))


def _in_blocks(analysis: Analysis) -> str:
    blocks = analysis.dataset.blocks
    return f", in each {blocks.every} of {blocks.table}" if blocks else ""


def _blocks_line(analysis: Analysis, parameters: BoundParameters) -> tuple[str, ...]:
    blocks = analysis.blocks
    if blocks is None:
        return ()
    every = f" (one is a {blocks.every})" if blocks.timed else ""
    return (f"blocks: charged to the dataset's cap and, whole, to each of {blocks.in_words(parameters)}{every}",)


def _exactly(delta: Decimal) -> str:
    return f"{delta.normalize():e}"


def _touched(analysis: Analysis, max_groups: int) -> str:
    if analysis.query.contribution.max_norm is not None:
        return "one unit may touch them all; its vector over them is cut to the measure's max_norm"
    why = "every key is a fact about the unit" if analysis.facts else "contribution.max_groups, kept by keyed hash"
    return f"one unit touches at most {max_groups} ({why})"


def _top_line(top: Top, name: str) -> str:
    if top.mechanism is None:
        return f"top: of the groups that are released, the {top.k} with the largest noisy {name}, at no further cost"
    sensitivity, cost = top.mechanism.sensitivity, price(top.mechanism)
    return (
        f"top: the {top.k} groups with the largest {name} are selected ({top.mechanism.noise}); one unit moves two "
        f"groups apart by at most {sensitivity.per_cell} steps; scale {top.mechanism.scale:.6g} steps; what is drawn "
        f"after it changes in at most {top.k} groups; {cost.measure.unit} {cost.amount_decimal:f}"
    )


def _draw_line(draw: Draw) -> str:
    mechanism, cost = draw.mechanism, price(draw.mechanism)
    bound = f", {draw.bounding}" if draw.bounding else ""
    return (
        f"{draw.name}: grid {_step(draw)}{bound}; {_moved(draw, cost.measure)}; "
        f"{mechanism.noise} scale {mechanism.scale:.6g} {'steps' if draw.quantiles is None else 'rows'}; "
        f"{cost.measure.unit} {cost.amount_decimal:f}"
    )


def _moved(draw: Draw, measure: Measure) -> str:
    """How far one unit moves what is drawn, in words."""
    sensitivity, of = draw.mechanism.sensitivity, draw.quantiles
    if of is not None and of.share is not None:
        return (
            f"{len(of.candidates)} candidates scored by {of.share.denominator} times their distance in rows from the "
            f"rank of {of.share}; one unit moves two scores apart by at most {sensitivity.per_cell} in "
            f"{sensitivity.cells} groups"
        )
    norm = f"L2^2 {sensitivity.l2_squared}" if measure is Measure.ZCDP else f"L1 {sensitivity.l1}"
    if of is not None:
        return (
            f"a tree of {of.tree.nodes} counts over {of.tree.bins} bins; one unit moves at most {sensitivity.per_cell} "
            f"rows in each of {of.tree.levels} levels of {sensitivity.cells // of.tree.levels} groups ({norm})"
        )
    return f"sensitivity {sensitivity.per_cell} steps in {sensitivity.cells} cells ({norm})"


def _step(draw: Draw) -> str:
    return f"{Decimal(draw.grid.numerator) / Decimal(draw.grid.denominator):f}"
