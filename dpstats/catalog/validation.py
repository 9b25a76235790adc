"""From a file's plain values to its frozen model, every problem told with its file, line and key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from difflib import get_close_matches
from typing import TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from dpstats.catalog.fields import FileModel, ProblemsError
from dpstats.catalog.source import KeyPath, Problem, SourceMap
from dpstats.catalog.text import quoted

Model = TypeVar("Model", bound=FileModel)

_MESSAGES = {
    "missing": "this key is missing: add it",
    "extra_forbidden": "there is no such key: remove it, or check its spelling",
    "string_type": "must be text, not {}",
    "int_type": "must be a whole number, not {}",
    "bool_type": "must be true or false, not {}",
    "tuple_type": "must be a list, not {}",
    "mapping_type": "must be a mapping, not {}",
    "dict_type": "must be a mapping, not {}",
    "model_type": "must be a mapping, not {}",
}


def validate(model: type[Model], source: SourceMap) -> Model:
    """The model made of a file's values.

    Raises:
      FileError: every problem, in the order of the file.
    """
    if not isinstance(source.value, dict):
        raise source.error([((), f"the file must be a mapping of keys, not {quoted(source.value)}")])
    try:
        return model.model_validate(source.value)
    except ValidationError as error:
        details = error.errors(include_url=False)
    raise source.error(problem for detail in details for problem in _problems(source, detail))


def _problems(source: SourceMap, detail: ErrorDetails) -> Iterator[Problem]:
    path = _path(source, detail["loc"])
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, ProblemsError):
        yield from ((path + below, what) for below, what in cause.problems)
    elif isinstance(cause, ValueError):
        yield path, str(cause)
    else:
        yield path, _message(detail)


def _message(detail: ErrorDetails) -> str:
    if detail["type"] == "extra_forbidden":
        near = get_close_matches(str(detail["loc"][-1]), _keys(FileModel), n=1, cutoff=0.75)
        return _MESSAGES["extra_forbidden"] + (f" ({near[0]}?)" if near else "")
    known = _MESSAGES.get(detail["type"])
    if known is not None:
        quotes_help = detail["type"] == "string_type" and isinstance(detail["input"], int | Decimal)
        return known.format(quoted(detail["input"])) + (": put it in quotes" if quotes_help else "")
    what = detail["msg"].replace("Input should be", "must be")
    return what if isinstance(detail["input"], Mapping | list | tuple) else f"{what}, not {quoted(detail['input'])}"


def _keys(model: type[FileModel]) -> set[str]:
    """The keys of every part of every file."""
    below = (_keys(part) for part in model.__subclasses__())
    return {field.alias or name for name, field in model.model_fields.items()}.union(*below)


def _path(source: SourceMap, loc: tuple[int | str, ...]) -> KeyPath:
    """Pydantic's place without the steps that are not in the file: `<kind>` of a union and `[key]` of a mapping."""
    path: KeyPath = ()
    for part in loc:
        if (*path, part) in source.lines or not (isinstance(part, str) and part[:1] in ("<", "[")):
            path = (*path, part)
    return path
