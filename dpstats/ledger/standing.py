"""Whether an answer may be given out now: its dataset is not frozen, and its query's version is approved.

Asked in the transaction that charges or gives, and not only before it: a steward's word counts for what is under way
too. An approval that is not there, or that has expired, is none.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from dpstats.errors import Frozen, NotApproved
from dpstats.ledger import histories, schema
from dpstats.ledger.approvals import ruling


def check_standing(connection: Connection, dataset: str, query: str, version: str, now: datetime) -> None:
    """Lets pass what the stewards allow as of the caller's transaction.

    Raises:
      Frozen: the dataset is frozen. NotApproved: the query's version has no approval, or it was revoked or is expired.
    """
    freeze = histories.newest(connection, schema.freezes, dataset)
    if freeze is not None and freeze["frozen"]:
        raise Frozen(dataset)
    approval = ruling(connection, query, version)
    if approval is None or not approval.holds(now):
        raise NotApproved(query, version)
