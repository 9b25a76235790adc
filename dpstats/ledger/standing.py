"""Whether an answer may be given out now: its dataset is not frozen, its query's version is approved, and the token of
whoever asks is live.

Asked in the transaction that charges or gives, and not only before it: a steward's word counts for what is under way
too. An approval that is not there, or that has expired, is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, select

from dpstats.errors import Frozen, NotApproved, Unauthorized
from dpstats.ledger import schema
from dpstats.ledger.approvals import Approval, ruling
from dpstats.ledger.clock import stamp
from dpstats.ledger.prepared import Prepared

_FREEZES = schema.freezes.c
_FROZEN = Prepared(
    select(_FREEZES.frozen).where(_FREEZES.dataset == bindparam("of_dataset")).order_by(_FREEZES.number.desc()).limit(1)
)
_TOKENS = schema.tokens.c
_CALLER = Prepared(select(_TOKENS.revoked_at, _TOKENS.expires_at).where(_TOKENS.token_id == bindparam("of_token")))


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


@dataclass(frozen=True)
class Caller:
    """What became of a caller's token."""

    known: bool
    revoked_at: str | None
    expires_at: str | None

    def check(self, now: datetime) -> None:
        """Lets pass a token that is live at a moment.

        Raises:
          Unauthorized: it was revoked, is expired, or was never made.
        """
        if not self.known or self.revoked_at is not None:
            raise Unauthorized
        if self.expires_at is not None and self.expires_at <= stamp(now):
            raise Unauthorized


def read_caller(connection: Connection, token_id: str) -> Caller:
    """The token as of the caller's transaction."""
    row = _CALLER.one(connection, of_token=token_id)
    return Caller(False, None, None) if row is None else Caller(True, row["revoked_at"], row["expires_at"])


def read(connection: Connection, dataset: str, query: str, version: str) -> Standing:
    """The stewards' words as of the caller's transaction."""
    freeze = _FROZEN.one(connection, of_dataset=dataset)
    frozen = freeze is not None and bool(freeze["frozen"])
    return Standing(dataset, query, version, frozen, ruling(connection, query, version))


def check_standing(connection: Connection, dataset: str, query: str, version: str, now: datetime) -> None:
    """Lets pass what the stewards allow as of the caller's transaction.

    Raises:
      Frozen: the dataset is frozen. NotApproved: the query's version has no approval, or it was revoked or is expired.
    """
    read(connection, dataset, query, version).check(now)
