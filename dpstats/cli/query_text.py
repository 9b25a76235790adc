"""A query's view as lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dpstats.cli.words import moment_text, number


def query_lines(query: Mapping[str, Any]) -> list[str]:
    """Everything that a steward reviews but the SQL, a fact a line."""
    lines = [f"{query['query']}: {query['title'] or 'no title'}"]
    lines += [f"  {line}" for line in query["description"].splitlines()]
    lines += [
        f"  dataset  {query['dataset']}",
        f"  version  {query['query_version']}",
        f"  state    {_state_text(query)}",
        f"  purpose  {query['purpose']}",
        f"  cost     {_cost_text(query['cost'])}",
        f"  keys     {', '.join(query['keys']) or '-'}",
        f"  measures {', '.join(query['measures']) or '-'}",
    ]
    if query["cadence"]:
        lines.append(f"  cadence  {query['cadence']}")
    if query["tags"]:
        lines.append(f"  tags     {', '.join(query['tags'])}")
    return [*lines, *_parameters(query), *_bounds(query), *_approvals(query), "SQL"]


def state_of(query: Mapping[str, Any]) -> str:
    """How a query's present version stands: approved, and until when; or submitted, expired or revoked."""
    ruling = [item for item in query["approvals"] if item["version"] == query["query_version"]][-1:]
    if not ruling:
        return "submitted"
    if query["approved"]:
        return f"approved until {moment_text(ruling[0]['expires_at'])}" if ruling[0]["expires_at"] else "approved"
    return "revoked" if ruling[0]["revoked_at"] else "expired"


def _state_text(query: Mapping[str, Any]) -> str:
    return state_of(query) if query["approved"] else f"not approved ({state_of(query)}): it answers nothing"


def _cost_text(cost: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_value_text(value)}" for name, value in cost.items())


def _value_text(value: object) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{name}={_value_text(item)}" for name, item in value.items())
    return number(value) if isinstance(value, float) else str(value)


def _parameters(query: Mapping[str, Any]) -> Iterator[str]:
    for name, spec in query["parameters"].items():
        if spec["type"] == "enum":
            allowed = "one of " + ", ".join(str(value) for value in spec["values"])
        else:
            allowed = f"{spec['type']} from {spec['min']} to {spec['max']}"
        default = "must be given" if spec["default"] is None else f"{spec['default']} unless given"
        yield f"Parameter {name}: {allowed}; {default}"


def _bounds(query: Mapping[str, Any]) -> Iterator[str]:
    for name, (low, high) in query["bounds"].items():
        yield f"Bounds of {name}: [{number(low)}, {number(high)}]"
    for name, why in query["why"].items():
        yield f"Why {name}: {' '.join(why.split())}"


def _approvals(query: Mapping[str, Any]) -> Iterator[str]:
    for item in query["approvals"]:
        ended = f", until {moment_text(item['expires_at'])}" if item["expires_at"] else ""
        ended += f", revoked {moment_text(item['revoked_at'])}" if item["revoked_at"] else ""
        when = moment_text(item["approved_at"])
        yield f"Approved {when} by {item['approved_by']}: {item['version'][:19]}...{ended}"


def sql_lines(query: Mapping[str, Any]) -> list[str]:
    """The SQL, line by line."""
    return [f"  {line}" for line in query["sql"].strip().splitlines()]
