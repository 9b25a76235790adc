"""`<query>.yaml`: one approved aggregate SELECT, its parameters, keys, bounds and price.

The SQL is kept as text: what it means and whether it can be answered is for `plan` to say.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from dpstats.catalog.clauses import (
    AccuracyAt,
    Candidates,
    Contribution,
    Cost,
    CostAccuracy,
    CostEpsilon,
    CostRho,
    DateParameter,
    DeclaredKeys,
    EnumParameter,
    IntegerParameter,
    Keys,
    KeysFrom,
    Parameter,
    Positive,
    PrivateKeys,
    Scalar,
    Window,
)
from dpstats.catalog.dataset import DEFAULT_PURPOSE
from dpstats.catalog.fields import Bounds, Duration, FileModel, FrozenMap, Items, Line, Name, ProblemsError, Prose, Sql
from dpstats.catalog.source import Problem, load_file, read_yaml
from dpstats.catalog.validation import validate
from dpstats.errors import FileError

__all__ = [
    "AccuracyAt",
    "Cadence",
    "Contribution",
    "CostAccuracy",
    "CostEpsilon",
    "CostRho",
    "DateParameter",
    "DeclaredKeys",
    "EnumParameter",
    "IntegerParameter",
    "KeysFrom",
    "PrivateKeys",
    "QueryFile",
    "Scalar",
    "Window",
    "load_query",
    "named_query",
    "parse_query",
]

Cadence = Literal["once", "daily", "weekly", "monthly", "quarterly"]
"""How often a query is meant to be asked, each time with the same parameters; it limits nothing."""


def _some_bounds(bounds: tuple[Decimal, Decimal]) -> tuple[Decimal, Decimal]:
    if not any(bounds):
        raise ValueError("the bounds are both 0, so that the measure is 0 whatever the data: widen them")
    return bounds


def _tags_once(tags: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(tags)) < len(tags):
        raise ValueError("a tag is given twice: remove one")
    return tags


class QueryFile(FileModel):
    """A query. `fresh_for` None: the dataset's. `keys`, `bounds` and `why` are by the name of the key or measure.

    `weights`: each measure's share of the cost relative to the others', 1 where unsaid. `candidates`: the values that a
    median or quantile may take. `cadence` None: it is not said how often it will be asked. `significant_decision`: its
    answers serve decisions about people's finance, housing, education, work or health (11 CCR 7001(ddd)).
    """

    query: Name
    dataset: Name
    title: Line = ""
    description: Prose = ""
    tags: Annotated[Items[Line], AfterValidator(_tags_once)] = ()
    purpose: Name = DEFAULT_PURPOSE
    sql: Sql
    parameters: FrozenMap[Name, Parameter] = Field(default_factory=dict, validate_default=True)
    keys: FrozenMap[Name, Keys] = Field(default_factory=dict, validate_default=True)
    bounds: FrozenMap[Name, Annotated[Bounds, AfterValidator(_some_bounds)]] = Field(
        default_factory=dict, validate_default=True
    )
    contribution: Contribution = Contribution()
    candidates: FrozenMap[Name, Candidates] = Field(default_factory=dict, validate_default=True)
    weights: FrozenMap[Name, Positive] = Field(default_factory=dict, validate_default=True)
    window: Window | None = None
    cost: Cost
    fresh_for: Duration | None = None
    cadence: Cadence | None = None
    significant_decision: bool = False
    why: FrozenMap[Name, Prose] = Field(default_factory=dict, validate_default=True)

    @model_validator(mode="after")
    def _check(self) -> QueryFile:
        problems = list(_query_problems(self))
        if problems:
            raise ProblemsError(problems)
        return self


def parse_query(text: str, file: str) -> QueryFile:
    """The query that the text of a file describes; `file` is its name in messages.

    Raises:
      FileError: with every problem found.
    """
    return validate(QueryFile, read_yaml(text, file))


def load_query(path: str | Path) -> QueryFile:
    """The query in a file, whose stem must be the query's name.

    Raises:
      FileError: the file cannot be read, is wrong, or bears another name.
    """
    if Path(path).name == "dataset.yaml":
        raise FileError(str(path), "dataset.yaml describes a dataset: give a query's file")
    return named_query(load_file(path), path)


def named_query(text: str, path: str | Path) -> QueryFile:
    """The query that `text`, read from the file at `path`, describes; the file's stem must be the query's name.

    Raises:
      FileError: the text is wrong, or the file bears another name.
    """
    source = read_yaml(text, str(path))
    query = validate(QueryFile, source)
    if Path(path).stem != query.query:
        what = f"the file's name must be the query's: call it {query.query}.yaml, or the query as the file"
        raise source.error([(("query",), what)])
    return query


def _query_problems(query: QueryFile) -> Iterator[Problem]:
    if query.query == "dataset":
        yield ("query",), "a query must not be called dataset: dataset.yaml is the dataset's file"
    if query.window is None:
        return
    since, until = query.window.since, query.window.until
    for key, edge in (("from", since), ("until", until)):
        if isinstance(edge, str) and not isinstance(query.parameters.get(edge[1:]), DateParameter):
            yield ("window", key), f"there is no date parameter {edge[1:]}: declare it under `parameters`"
    if isinstance(since, date) and isinstance(until, date) and since >= until:
        yield ("window", "until"), f"must be after {since}, not {until}"
