"""A feature view as a job holds it: one row a segment, and how sure and how old its numbers are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from dpstats import formats
from dpstats.client import shown
from dpstats.client.errors import BadAnswer
from dpstats.client.frames import Framed
from dpstats.client.needs import needed
from dpstats.client.signals import PROBABILITY, Segment, Signal, rank

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, repr=False)
class Features(Framed):
    """One wide table by segment: a feature view as it was last renewed, or queries side by side.

    Attributes:
      view: its name, None for queries side by side.
      rows: a mapping for each segment: its keys' values, and for each feature `value`, `low`, `high` (95 % interval)
        and `reliable`.
      measures: by feature, how the numbers were made: `mechanism`, `scale`, `query`, `release_id`.
      keys: names and types of what a segment is told by.
      releases: by query (and block), the release that its numbers are of.
      cost: what its releases cost in all. charged: what was paid for it now; nothing for a view.
      created_at, renewed_at: when the oldest and the newest of its releases were made. as_of: when data were loaded.
      stale: it was to be renewed, and was not.
      etag: by which the service tells whether it has anything else; empty for queries side by side.
      received_at: when the service gave it. json: as the service sent it.
    """

    view: str | None
    dataset: str
    keys: tuple[Mapping[str, str], ...]
    measures: Mapping[str, Mapping[str, Any]]
    rows: tuple[Mapping[str, Any], ...]
    releases: Mapping[str, str]
    cost: Mapping[str, Any]
    charged: Mapping[str, Any]
    budget: Mapping[str, Any]
    created_at: datetime
    renewed_at: datetime
    as_of: datetime
    stale: bool
    etag: str
    received_at: datetime
    json: Mapping[str, Any] = field(compare=False)

    @classmethod
    def from_json(cls, body: Mapping[str, Any], etag: str = "") -> Features:
        """The wide table that a service sent.

        Raises:
          BadAnswer: it is not one.
        """
        try:
            fields: dict[str, Any] = {name: body[name] for name in _PLAIN}
            fields |= {name: datetime.fromisoformat(body[name]) for name in ("created_at", "renewed_at", "as_of")}
            fields |= {"keys": tuple(body["keys"]), "rows": tuple(body["rows"])}
            return cls(**fields, etag=etag, received_at=datetime.now(UTC), json=body)
        except (KeyError, TypeError, ValueError) as error:
            raise BadAnswer(f"the answer is not a wide table that this client knows ({error})") from error

    @property
    def sandbox(self) -> bool:
        """Whether a sandbox made it, of invented data."""
        return bool(self.json.get("sandbox", False))

    @property
    def age(self) -> timedelta:
        """How old its numbers are by now, by the service: from its oldest release; over blocks, its newest."""
        told = self.json["age_s"]
        then = self.created_at if told is None else self.received_at - timedelta(seconds=told)
        return datetime.now(UTC) - then

    @property
    def max_age(self) -> timedelta | None:
        """Past this age the service refuses the view; None for queries side by side."""
        told = self.json["max_age_s"]
        return None if told is None else timedelta(seconds=told)

    def signals(self, segment: Segment, *, probability: float = PROBABILITY) -> list[Signal]:
        """What stands out for a segment, the surest first; nothing where noise rules.

        Args:
          segment: a value for each key, by their names; of a view with one key, that value alone will do.
          probability: how likely a signal must be real given the noise, from 0.5 to below 1.

        Raises:
          ValueError: there is no such segment.
        """
        return rank(self.json, segment, probability=probability)

    def to_arrow(self) -> pa.Table:
        """The table: the keys, then `f`, `f_low`, `f_high` and `f_reliable` for each feature `f`.

        Raises:
          ModuleNotFoundError: pyarrow is not installed.
        """
        needed("pyarrow", "arrow")
        return formats.table(self.json, (*formats.ENDS, formats.RELIABLE))

    def __repr__(self) -> str:
        return shown.as_text(self, _title(self), _notes(self))

    def _repr_html_(self) -> str:
        return shown.as_html(self, _title(self), _notes(self))


def _title(table: Features) -> str:
    name = table.view or "queries side by side"
    return f"{name}, renewed {table.renewed_at:%Y-%m-%d}{', to be renewed' if table.stale else ''}"


def _notes(table: Features) -> list[str]:
    paid = table.charged["epsilon"]
    return [f"? marks what is not reliable; {f'cost epsilon {paid:g}' if paid else 'nothing was paid for it now'}"]


_PLAIN = ("view", "dataset", "measures", "releases", "cost", "charged", "budget", "stale")
