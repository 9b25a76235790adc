"""`features/<view>.yaml`: a feature view, one wide table by segment out of approved queries with the same keys.

What its columns are called, how often it is renewed and for how much, how old it may be, and below which reliability a
number is marked. It adds no SQL, no bounds and no noise: its numbers are the queries' releases.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from dpstats.catalog.clauses import Positive, Scalar
from dpstats.catalog.fields import (
    Duration,
    FileModel,
    FrozenMap,
    Items,
    Line,
    Name,
    Number,
    ProblemsError,
    Prose,
    between,
    is_name,
)
from dpstats.catalog.source import Problem, read_yaml
from dpstats.catalog.text import quoted
from dpstats.catalog.validation import validate

FOLDER = "features"
"""The folder beside a dataset's queries that holds its views, and no queries."""
QUERIES_MAX = 100
"""Queries that one wide table may have."""
BLOCKS_MAX = 36
"""Blocks that a view may look back over."""


def _measure_of_query(text: str) -> str:
    if text.count(".") != 1 or not all(is_name(part) for part in text.split(".")):
        raise ValueError(f"{quoted(text)} does not name a measure: write query.measure")
    return text


def _once(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names or len(set(names)) < len(names):
        raise ValueError("must name at least one, and none twice")
    return names


class Monthly(FileModel):
    """What renewing a view may cost in a calendar month (UTC): rho, or epsilon where the dataset counts that."""

    rho: Positive | None = None
    epsilon: Positive | None = None

    @model_validator(mode="after")
    def _one(self) -> Monthly:
        if (self.rho is None) == (self.epsilon is None):
            raise ValueError("give either rho or epsilon")
        return self

    @property
    def amount(self) -> Decimal:
        """The amount, in rho or in epsilon."""
        return self.rho or self.epsilon or Decimal(0)


class FeatureView(FileModel):
    """A feature view. `segment`: the names of the keys. `rename`: `query.measure` -> the feature's name.

    `blocks`: the last so many whole time blocks, each a column of its own; None: one span of time, by `parameters`.
    `per`: the feature that counts a segment's people, by which sums and counts are compared. `reliability`: a number is
    marked reliable where the half-width of its 95 % interval is at most (1 - reliability) of it.
    """

    view: Name
    dataset: Name
    title: Line = ""
    description: Prose = ""
    segment: Annotated[Items[Name], AfterValidator(_once)]
    queries: Annotated[Items[Name], AfterValidator(_once)]
    parameters: FrozenMap[Name, Scalar] = Field(default_factory=dict, validate_default=True)
    blocks: Annotated[int, between(1, BLOCKS_MAX)] | None = None
    rename: FrozenMap[Annotated[str, AfterValidator(_measure_of_query)], Name] = Field(
        default_factory=dict, validate_default=True
    )
    per: Name | None = None
    refresh: Duration
    max_age: Duration
    reliability: Annotated[Number, between(0, "0.99")] = Decimal("0.5")
    monthly: Monthly

    @model_validator(mode="after")
    def _check(self) -> FeatureView:
        problems = list(_problems(self))
        if problems:
            raise ProblemsError(problems)
        return self


def parse_view(text: str, file: str) -> FeatureView:
    """The view that the text of a file describes; `file` is its name in messages.

    Raises:
      FileError: with every problem found, or the file bears another name than the view.
    """
    source = read_yaml(text, file)
    view = validate(FeatureView, source)
    if Path(file).stem != view.view:
        what = f"the file's name must be the view's: call it {view.view}.yaml, or the view as the file"
        raise source.error([(("view",), what)])
    return view


def feature_names(measures: dict[str, tuple[str, ...]], rename: dict[str, str]) -> dict[str, dict[str, str]]:
    """The name of each feature, by query and measure: the measure's own, or `query_measure` where two share one.

    Raises:
      ValueError: two features have one name, or a rename is of a measure that is not there.
    """
    every = [name for names in measures.values() for name in names]
    unknown = set(rename) - {f"{query}.{name}" for query, names in measures.items() for name in names}
    if unknown:
        raise ValueError(f"no query here has the measure {quoted(min(unknown))}")
    named = {
        query: {
            name: rename.get(f"{query}.{name}") or (name if every.count(name) == 1 else f"{query}_{name}")
            for name in names
        }
        for query, names in measures.items()
    }
    made = [name for names in named.values() for name in names.values()]
    twice = sorted({name for name in made if made.count(name) > 1})
    if twice:
        raise ValueError(f"two features are called {quoted(twice[0])}: rename one")
    return named


def _problems(view: FeatureView) -> Iterator[Problem]:
    if len(view.queries) > QUERIES_MAX:
        yield ("queries",), f"must be at most {QUERIES_MAX} queries: split the view"
    if view.max_age < view.refresh:
        yield ("max_age",), "must be at least `refresh`, or the view would be refused before it is renewed"
    for renamed in view.rename:
        if renamed.partition(".")[0] not in view.queries:
            yield ("rename", renamed), "its query is none of the view's"
