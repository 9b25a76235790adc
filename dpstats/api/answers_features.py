"""What answers about feature views and wide tables hold, for OpenAPI."""

from __future__ import annotations

from typing import Any

from dpstats.api.answers import Answer, Budget, Cost, Key, Measure


class Monthly(Answer):
    rho: float | None
    epsilon: float | None


class FeatureView(Answer):
    """A feature view as its file says it; spans are in seconds."""

    view: str
    dataset: str
    title: str
    description: str
    segment: list[str]
    queries: list[str]
    parameters: dict[str, Any]
    blocks: int | None
    per: str | None
    refresh_s: int
    max_age_s: int
    reliability: float
    monthly: Monthly
    revision: int
    submitted_by: str
    submitted_at: str


class FeatureViews(Answer):
    items: list[FeatureView]
    next: str | None


class Feature(Measure):
    """A measure of a release, which one it is, and the time block that it is about, if any."""

    query: str
    measure: str
    release_id: str
    block: str | None = None
    smallest_group: int | None = None


class WideTable(Answer):
    """Releases side by side, one row a segment: its keys, and for each feature value, low, high and reliable.

    `releases` and `parameters` are by query, or by query and block. `cost`: of all releases together; `charged`: of
    those made now. `stale`: it was to be renewed, and was not; `age_s` and `max_age_s` are of a view.
    """

    view: str | None
    view_version: str | None
    title: str
    per: str | None
    age_s: int | None
    max_age_s: int | None
    stale: bool
    dataset: str
    releases: dict[str, str]
    query_versions: dict[str, str]
    data_versions: dict[str, str]
    parameters: dict[str, dict[str, str | int]]
    created_at: str
    renewed_at: str
    as_of: str
    replayed: bool
    cost: Cost
    charged: Cost
    budget: Budget
    privacy_unit: str
    reliability: float
    keys: list[Key]
    measures: dict[str, Feature]
    rows: list[dict[str, Any]]


class Rule(Answer):
    """The per-unit part of a query: SQL of the unit and its keys, over tables that the caller has."""

    query_version: str
    sql: str
    parameters: dict[str, str | int]
    tables: dict[str, list[str]]
    bounds: dict[str, dict[str, list[float]]]
    one_segment_per_unit: bool


class Segments(Answer):
    """The rules of a view's segments, and every value that its keys may have."""

    view: str
    view_version: str
    dataset: str
    privacy_unit: str
    segment: list[str]
    keys: dict[str, list[Any]]
    rules: dict[str, Rule]
