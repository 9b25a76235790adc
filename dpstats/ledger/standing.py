"""Whether an answer may be given out now: its dataset is not frozen, and its query's version is approved.

Asked in the transaction that charges or gives, and not only before it: a steward's word counts for what is under way
too. An approval that is not there is none.
"""

from __future__ import annotations

from sqlalchemy import Connection, select

from dpstats.errors import Frozen, NotApproved
from dpstats.ledger import histories, schema

_APPROVALS = schema.approvals.c


def check_standing(connection: Connection, dataset: str, query: str, version: str) -> None:
    """Lets pass what the stewards allow as of the caller's transaction.

    Raises:
      Frozen: the dataset is frozen. NotApproved: the query's version has no approval, or it was revoked.
    """
    freeze = histories.newest(connection, schema.freezes, dataset)
    if freeze is not None and freeze["frozen"]:
        raise Frozen(dataset)
    live = select(_APPROVALS.number).where(
        _APPROVALS.query == query, _APPROVALS.version == version, _APPROVALS.revoked_at.is_(None)
    )
    if connection.execute(live.limit(1)).first() is None:
        raise NotApproved(query, version)
