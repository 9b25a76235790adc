"""A release as a person reads it: each number with its interval, how it was bounded, what it cost, what is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from dpstats.cli.output import Table, plain, printable, show, tell
from dpstats.cli.words import (
    at_size,
    day,
    give_or_take,
    moment_text,
    number,
    rank_error,
    settings_text,
    sureness,
    told,
    told_at,
)
from dpstats.words import age, at_least, counted

Release = Mapping[str, Any]
Measure = Mapping[str, Any]
"""One of a release's or a preview's measures."""


def show_answer(release: Release, title: str, now: datetime, times: int) -> None:
    """A release on stdout, its rows in the order that they come in.

    Args:
      now: carries the zone in which its day is told.
      times: how many more answers like it are covered.
    """
    tell(*head(release, title), "")
    show(table(release))
    tell("", *foot(release, now, times))


def answer_text(release: Release, title: str, now: datetime, times: int) -> str:
    """The same as plain text, for a file."""
    above, below = ([printable(line) for line in lines] for lines in (head(release, title), foot(release, now, times)))
    return "\n".join([*above, "", plain(table(release)), "", *below, ""])


def for_people(release: Release, dataset: Mapping[str, Any]) -> dict[str, Any]:
    """The release with its rows in the order in which the dataset's file lists the values of their keys."""
    from dpstats.workspace.declared import declared_order

    keys = [key["name"] for key in release["keys"]]
    order = declared_order(dataset, keys)
    return {**release, "rows": sorted(release["rows"], key=lambda row: order([row[key] for key in keys]))}


def head(release: Release, title: str) -> list[str]:
    """What was asked, of which data."""
    parameters = settings_text(release["parameters"])
    asked = f"{release['query']}({parameters})" if parameters else release["query"]
    invented = ["SANDBOX: these numbers are of invented data and mean nothing."] if release.get("sandbox") else []
    return [
        *invented,
        title or release["query"],
        f"{asked} of {release['dataset']}, as of {moment_text(release['as_of'])}",
    ]


def table(release: Release) -> Table:
    """A row a group: its keys, then each measure with its 95 % interval."""
    keys = [key["name"] for key in release["keys"]]
    heads = (*keys, *(_head(name, measure) for name, measure in release["measures"].items()))
    rows = (
        (*(_key_text(row[key]) for key in keys), *(row[name]["display"] for name in release["measures"]))
        for row in release["rows"]
    )
    return Table(heads, tuple(rows))


def _head(name: str, measure: Mapping[str, Any]) -> str:
    return f"{name} ({measure['unit']})" if measure.get("unit") else name


def _key_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def foot(release: Release, now: datetime, times: int) -> list[str]:
    """How it was bounded, what it cost, whether it is new, and what is left."""
    return [
        "Brackets hold 95 % intervals of the bounded answer; clipping to these bounds may bias it:",
        *(f"  {name}: {bounding(measure)}" for name, measure in release["measures"].items()),
        *withheld(release),
        paid(release, now),
        left(release, times),
    ]


def withheld(release: Release) -> list[str]:
    """How many groups are withheld, and below which number."""
    found = release.get("smallest_group")
    if found is None:
        return []
    return [f"Withheld: {found['withheld']:,} of {counted(len(release['rows']), 'group')}, below {found['floor']:,}."]


def bounding(measure: Mapping[str, Any]) -> str:
    """`± 28; max_groups 1`: a measure's 95 % error, and how one unit's part in it was bounded."""
    if measure.get("rank_error_95") is not None:
        return f"{rank_error(measure['rank_error_95'])}; {measure['bounding']}"
    unit = f" {measure['unit']}" if measure.get("unit") and measure["half_width_95"] is not None else ""
    return f"{give_or_take(measure['half_width_95'])}{unit}; {measure['bounding']}"


def sure(measure: Mapping[str, Any]) -> str:
    """The same beforehand: an error that differs by row is told for a row of some size."""
    known = measure["half_width_95"] is not None or told_at(measure) is not None
    unit = f" {measure['unit']}" if measure.get("unit") and known else ""
    return f"{sureness(measure, unit)}; {measure['bounding']}"


def costs_table(costs: Sequence[Mapping[str, Any]], measures: Mapping[str, Measure]) -> Table:
    """A row a cost: what it is, and the 95 % error of each measure that it buys."""
    amounts = ("epsilon",) if any(cost["rho"] is None for cost in costs) else ("rho", "epsilon")
    heads = (*amounts, *(_head_at(name, measure) for name, measure in measures.items()))
    rows = (
        (*(number(cost[name]) for name in amounts), *(_error(cost, name, measures[name]) for name in measures))
        for cost in costs
    )
    return Table(heads, tuple(rows), frozenset(heads))


def _head_at(name: str, measure: Measure) -> str:
    size = told_at(measure)
    return _head(name, measure) if size is None else f"{_head(name, measure)} {at_size(measure, size)}"


def _error(cost: Mapping[str, Any], name: str, measure: Measure) -> str:
    size = told_at(measure)
    if name in cost["rank_error_95"]:
        return rank_error(cost["rank_error_95"][name])
    return give_or_take(cost["measures"][name]) if size is None else told(cost["half_width_95_at"][name].get(size))


def paid(release: Release, now: datetime) -> str:
    """What it cost; for an answer given before, when that was, and that it is free."""
    if not release["replayed"]:
        return f"This answer is new and cost {price(release['cost'])}."
    created = datetime.fromisoformat(release["created_at"])
    when = f"{day(created, now)} ({age(created, now)})"
    return f"This answer was already released on {when}; showing it again is free."


def price(cost: Mapping[str, Any]) -> str:
    """`rho 0.005 (epsilon 0.4452 alone)`; for pure DP `epsilon 0.1`."""
    if cost["rho"] is None:
        return f"epsilon {number(cost['epsilon'])}"
    delta = f" and delta {number(cost['delta'])}" if cost["delta"] else ""
    return f"rho {number(cost['rho'])}{delta} (epsilon {number(cost['epsilon'])} alone)"


def left(release: Release, times: int) -> str:
    """What is left of the dataset's budget, and for how many such answers it, its blocks and every cap are enough."""
    budget, cost = release["budget"], release["cost"]
    spent, cap, rest = (number(budget[key]) for key in ("epsilon_spent", "epsilon", "epsilon_remaining"))
    rho = "" if cost["rho"] is None else f" (rho {at_least(budget['rho_remaining'])})"
    return f"Of the budget, epsilon {spent} of {cap} is spent; {rest}{rho} is left, {enough(times)}."


def enough(times: int) -> str:
    """`enough for about 121 more answers like this`."""
    if times < 1:
        return "not enough for another answer like this"
    return f"enough for about {times:,} more {'answer' if times == 1 else 'answers'} like this"
