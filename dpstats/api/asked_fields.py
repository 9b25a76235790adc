"""Which fields a request's body may have where it has one that is none: for whoever misspelt it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from pydantic import BaseModel, Tag

Location = tuple[int | str, ...]
"""Where in a request something stands, as pydantic says it: `("body", "events", 0, "unitt")`."""


def fields_at(endpoint: Callable[..., Any], location: Location) -> tuple[str, ...]:
    """The names that may stand where the last part of `location` does; none where that is not known."""
    hints = get_type_hints(endpoint, include_extras=True)
    found = [hint for name, hint in hints.items() if name != "return"]
    for part in location[1:-1]:
        found = [inner for hint in found for inner in _below(hint, part)]
    return tuple(dict.fromkeys(name for hint in found for model in _models(hint) for name in model.model_fields))


def _below(hint: Any, part: int | str) -> Iterator[Any]:
    """What a part of a location leads to: a place in a list to the list itself, a tag to the form that has it."""
    if isinstance(part, int):
        yield hint
    elif part.startswith("("):
        yield from _tagged(hint, part)
    else:
        yield from (model.model_fields[part].annotation for model in _models(hint) if part in model.model_fields)


def _tagged(hint: Any, tag: str) -> Iterator[Any]:
    if get_origin(hint) is Annotated and any(isinstance(said, Tag) and said.tag == tag for said in get_args(hint)[1:]):
        yield hint
    else:
        for inner in get_args(hint):
            yield from _tagged(inner, tag)


def _models(hint: Any) -> Iterator[type[BaseModel]]:
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        yield hint
    else:
        for inner in get_args(hint):
            yield from _models(inner)
