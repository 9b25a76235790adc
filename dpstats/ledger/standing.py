"""Whether an answer may be given out now: its dataset is not frozen, and its query's version is approved.

Asked in the transaction that charges or gives, and not only before it: a steward's word counts for what is under way
too. An approval that is not there, or that has expired, is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, select

from dpstats.errors import Frozen, NotApproved
from dpstats.ledger import schema
from dpstats.ledger.approvals import Approval, ruling

_FREEZES = schema.freezes.c
_FROZEN = (
    select(_FREEZES.frozen).where(_FREEZES.dataset == bindparam("of_dataset")).order_by(_FREEZES.number.desc()).limit(1)
)


@dataclass(frozen=True)
class Standing:
    """What the stewards' newest words on a query's version are: its approval (None: never given), and the dataset's."""

    dataset: str
    query: str
    version: str
    frozen: bool
    approval: Approval | None

    def check(self, now: datetime) -> None:
        """Lets pass what they allow at a moment.

        Raises:
          Frozen: the dataset is frozen. NotApproved: the version has no approval, or it was revoked or is expired.
        """
        if self.frozen:
            raise Frozen(self.dataset)
        if self.approval is None or not self.approval.holds(now):
            raise NotApproved(self.query, self.version)


def read(connection: Connection, dataset: str, query: str, version: str) -> Standing:
    """The stewards' words as of the caller's transaction."""
    freeze = connection.execute(_FROZEN, {"of_dataset": dataset}).scalar()
    return Standing(dataset, query, version, bool(freeze), ruling(connection, query, version))


def check_standing(connection: Connection, dataset: str, query: str, version: str, now: datetime) -> None:
    """Lets pass what the stewards allow as of the caller's transaction.

    Raises:
      Frozen: the dataset is frozen. NotApproved: the query's version has no approval, or it was revoked or is expired.
    """
    read(connection, dataset, query, version).check(now)
