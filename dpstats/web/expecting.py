"""What an answer will be like before it is asked for, in words: how sure, against what is typical, and at which price.

From the query's files and from earlier releases only; the data are never looked at.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dpstats.errors import DpstatsError
from dpstats.plan.wording import about, exactly, noun, plural, share
from dpstats.web.reading import rounded
from dpstats.web.visiting import Visitor
from dpstats.web.words import amount, day, in_words
from dpstats.words import counted

_JOINED = re.compile("of one unit at most (.+) in joins")
_NUMBER = re.compile("[0-9]+(?= rows)")
_SPAN = re.compile(r"\[([^,\]]+), ([^\]]+)\]")
LOOKED_AT = 50
"""The newest releases of a query among which one is looked for."""


@dataclass(frozen=True)
class Expected:
    """One measure: how sure it will be, and what that is next to."""

    words: str
    sureness: str
    beside: str


@dataclass(frozen=True)
class Earlier:
    """A release made before: of the same question where `same`, and whether it is `free` to show again."""

    release_id: str
    created_at: str
    same: bool
    free: bool


def earlier_of(visitor: Visitor, preview: Mapping[str, Any]) -> Earlier | None:
    """The newest release of this very question, else of this query in this version."""
    listed = visitor.workspace.releases.all(visitor.identity, query=preview["query"], limit=LOOKED_AT)
    found = [item for item in listed["items"] if item["query_version"] == preview["query_version"]]
    same = [item for item in found if item["parameters"] == preview["parameters"]]
    newest = next(iter(same or found), None)
    if newest is None:
        return None
    fresh = datetime.fromisoformat(newest["fresh_until"]) > datetime.now(UTC)
    return Earlier(newest["release_id"], newest["created_at"], bool(same), bool(same) and fresh)


def expected(
    visitor: Visitor, query: Mapping[str, Any], preview: Mapping[str, Any], unit: str, earlier: Earlier | None
) -> list[Expected]:
    """Each measure's sureness, next to a typical value of an earlier release, else to its bounds.

    Args:
      unit: the name of the privacy unit's column.
    """
    release: Mapping[str, Any] = {}
    if earlier is not None:
        with suppress(DpstatsError):
            release = visitor.workspace.releases.earlier(visitor.identity, earlier.release_id)
    return [
        Expected(
            in_words(name), _sureness(name, measure, noun(unit)), _beside(name, measure, query, release, noun(unit))
        )
        for name, measure in preview["measures"].items()
    ]


def _sureness(name: str, measure: Mapping[str, Any], one: str) -> str:
    unit = measure.get("unit") or (in_words(name) if measure["type"] == "integer" else None)
    if measure.get("rank_error_95") is not None:
        return f"its place in the order is right to {counted(measure['rank_error_95'], 'row')}"
    if measure["half_width_95"] is not None:
        return f"give or take {amount(measure['half_width_95'], unit)}"
    told = [(size, width) for size, width in measure.get("half_width_95_at", {}).items() if width is not None]
    if not told:
        return "each number will say how sure it is"
    size, width = told[len(told) // 2] if len(told) > 2 else told[0]
    of = {"denominator": "in the denominator", "units": plural(one)}.get(measure["denominator"], measure["denominator"])
    return f"give or take {amount(width, measure.get('unit'))} where there are {float(size):,.0f} {of}"


def _beside(
    name: str, measure: Mapping[str, Any], query: Mapping[str, Any], release: Mapping[str, Any], unit: str
) -> str:
    width, values = measure["half_width_95"], _values(release, name)
    if values:
        middle = statistics.median(values)
        where = "The release" if len(values) == 1 else "The middle group in the release"
        text = f"{where} of {day(release['created_at'])} had about {_about(middle, width, measure.get('unit'))}"
        return f"{text}; this is {share(width, abs(middle))}." if width and abs(middle) > width else f"{text}."
    bound = max((abs(end) for end in query["bounds"].get(name, ())), default=0)
    if not width or not bound or measure.get("rank_error_95") is not None:
        return ""
    most = exactly(bound, measure.get("unit"))
    return f"As much as {counted(round(width / bound), unit, plural(unit))} with {most}, the most that one counts for."


def _about(value: float, width: float | None, unit: str | None) -> str:
    """A noisy number to the scale of its noise where that is known, else to three digits."""
    if not width:
        return about(value, unit)
    return f"{rounded(value, width)} {unit or ''}".strip()


def _values(release: Mapping[str, Any], name: str) -> list[float]:
    if name not in release.get("measures", {}):
        return []
    return [float(row[name]["value"]) for row in release["rows"] if row[name]["value"] is not None]


def limits(preview: Mapping[str, Any], unit: str) -> list[str]:
    """What one unit can add to each measure at most, in words."""
    one = noun(unit)
    said: dict[str, list[str]] = {}
    adding = "added up" if preview["cost"]["rho"] is None else "taken together as the root of the sum of their squares"
    for name, measure in preview["measures"].items():
        limit = _limit(measure["bounding"], one, measure.get("unit"), adding)
        said.setdefault(limit, []).append(in_words(name))
    return [f"{' and '.join(names)}: {text}" if len(said) > 1 else text for text, names in said.items()]


def _grouped(bound: str) -> str:
    """A bound with its thousands set apart: `6,000`; what is no number stays as it is."""
    try:
        return exactly(float(bound)) or bound
    except ValueError:
        return bound


def _limit(bounding: str, one: str, unit: str | None, adding: str) -> str:
    """One measure's bounding in words; `adding`: how a norm takes the numbers of several groups together."""
    is_normed = bounding.startswith("max_norm")
    if is_normed and "; " in bounding:  # of a measure that is computed from several
        first, *others = (_limit(each, one, unit, adding) for each in bounding.split("; "))
        return f"of one part, {first}" + "".join(f"; of another, {other}" for other in others)
    parts = []
    for part in re.split(r", (?![^\[]*\])", bounding):
        head, _, number = part.partition(" ")
        if head == "max_groups" and number.isdecimal():
            parts.append(f"one {one} counts in at most {counted(int(number), 'group')}")
        elif head == "max_rows" and number.isdecimal():
            parts.append(f"with at most {counted(int(number), 'row')} of its own")
        elif part.startswith("max_norm"):
            counts = "rows" if "values clipped to" in bounding else unit or ""  # an average weighs rows
            most = f"{_grouped(part.removeprefix('max_norm '))} {counts}".strip()
            parts.append(f"what one {one} adds to all groups, {adding}, is at most {most}")
        elif joined := _JOINED.fullmatch(part):
            most = _NUMBER.sub(lambda number: _grouped(number[0]), in_words(joined[1]))
            parts.append(f"in joins with at most {most}")
        else:
            kept = part.replace("values clipped to", "each value kept between")
            kept = kept.replace("clipped to", "in one group kept between" if is_normed else "kept between")
            first, *others = kept.split("; ")  # of a measure that is computed from several
            kept = f"one part {first}" + "".join(f" and another {other}" for other in others) if others else first
            parts.append(
                _SPAN.sub(lambda span: f"{_grouped(span[1])} and {_grouped(span[2])} {unit or ''}".strip(), kept)
            )
    return ", ".join(parts).strip()
