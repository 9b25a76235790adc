"""A release as an analyst holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dpstats import formats
from dpstats.client import shown
from dpstats.client.errors import BadAnswer
from dpstats.client.frames import Framed
from dpstats.client.needs import needed

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, repr=False)
class Release(Framed):
    """A noisy answer, with everything that is known about it.

    Attributes:
      rows: a mapping for each group, sorted by key: the keys' values, and for each measure `value`, `low` and `high`
        (the 95 % interval) and `display` (what to show to people).
      measures: by name, how the numbers were made: `mechanism`, `scale`, `half_width_95`, `bounding`.
      keys: names and types of the grouping keys.
      cost: what this release cost. budget: what was left when it was sent.
      replayed: it had been made before, and was given again free.
      as_of: when the data were loaded. created_at: when the answer was made.
      json: the release as the service sent it.
    """

    release_id: str
    query: str
    query_version: str
    dataset: str
    data_version: str
    parameters: Mapping[str, Any]
    created_at: datetime
    as_of: datetime
    replayed: bool
    cost: Mapping[str, Any]
    budget: Mapping[str, Any]
    privacy_unit: str
    keys: tuple[Mapping[str, str], ...]
    measures: Mapping[str, Mapping[str, Any]]
    rows: tuple[Mapping[str, Any], ...]
    json: Mapping[str, Any] = field(compare=False)

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Release:
        """The release that a service sent.

        Raises:
          BadAnswer: it is not one.
        """
        try:
            fields: dict[str, Any] = {name: body[name] for name in _PLAIN}
            fields |= {name: datetime.fromisoformat(body[name]) for name in ("created_at", "as_of")}
            return cls(**fields, keys=tuple(body["keys"]), rows=tuple(body["rows"]), json=body)
        except (KeyError, TypeError, ValueError) as error:
            raise BadAnswer(f"the answer is not a release that this client knows ({error})") from error

    @property
    def sandbox(self) -> bool:
        """Whether a sandbox made it, of invented data."""
        return bool(self.json.get("sandbox", False))

    @property
    def smallest_group(self) -> Mapping[str, Any] | None:
        """The `floor` below which a row's numbers are withheld, `counted_by` which measure if any, and how many are."""
        found: Mapping[str, Any] | None = self.json.get("smallest_group")
        return found

    def to_arrow(self) -> pa.Table:
        """The table: the keys, then `m`, `m_low` and `m_high` for each measure `m`; the rest is in the metadata.

        Raises:
          ModuleNotFoundError: pyarrow is not installed.
        """
        needed("pyarrow", "arrow")
        return formats.table(self.json)

    def __repr__(self) -> str:
        return shown.as_text(self, shown.title(self), shown.notes(self))

    def _repr_html_(self) -> str:
        return shown.as_html(self, shown.title(self), shown.notes(self))


_PLAIN = (
    "release_id",
    "query",
    "query_version",
    "dataset",
    "data_version",
    "parameters",
    "replayed",
    "cost",
    "budget",
    "privacy_unit",
    "measures",
)
