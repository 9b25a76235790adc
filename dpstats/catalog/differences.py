"""Where two versions of a file say different things."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import BaseModel


def differences(before: BaseModel, after: BaseModel) -> tuple[str, ...]:
    """The keys whose values differ, by their way from the top: `cost.rho`, `tables.visits.columns.spent.bounds`.

    Args:
      before, after: two models of one kind. A part that is only in one of them is one key.
    """
    return tuple(_paths(before, after, ""))


def _paths(before: object, after: object, path: str) -> Iterator[str]:
    one, other = _parts(before), _parts(after)
    if one is None or other is None or type(before) is not type(after):
        if before != after:
            yield path
        return
    for key in sorted({*one, *other}):
        below = f"{path}.{key}" if path else key
        if key in one and key in other:
            yield from _paths(one[key], other[key], below)
        else:
            yield below


def _parts(value: object) -> Mapping[str, object] | None:
    if isinstance(value, BaseModel):
        return {name: getattr(value, name) for name in type(value).model_fields}
    return value if isinstance(value, Mapping) else None
