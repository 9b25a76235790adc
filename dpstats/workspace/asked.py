"""The log of who asked what, for those who may see it."""

from __future__ import annotations

from typing import Any

from dpstats.access import Action, check
from dpstats.errors import Forbidden
from dpstats.ledger.asked import AskedLog
from dpstats.ledger.tokens import Identity

PAGE = 1000


class Asked:
    """Who asked what of a workspace, over HTTP and on the pages. Commands on its host are not in it."""

    def __init__(self, log: AskedLog) -> None:
        self._log = log

    def after(self, identity: Identity, number: int = 0, *, actor: str = "", query: str = "") -> dict[str, Any]:
        """At most `PAGE` lines with larger numbers, oldest first, and as `next` the number to go on from.

        Raises:
          Forbidden: the caller is no steward, or one of some datasets alone: lines are about all of them.
        """
        _check(identity)
        items = self._log.after(number, PAGE, actor=actor, query=query)
        return {"items": items, "next": str(items[-1]["number"]) if len(items) == PAGE else None}

    def before(
        self, identity: Identity, number: int = 0, limit: int = PAGE, *, actor: str = "", query: str = ""
    ) -> list[dict[str, Any]]:
        """Lines with smaller numbers, newest first; 0: the newest.

        Raises:
          Forbidden: as `after`.
        """
        _check(identity)
        return self._log.before(number, limit, actor=actor, query=query)


def _check(identity: Identity) -> None:
    check(identity, Action.STEWARD)
    if identity.datasets:
        raise Forbidden(str(identity.role), "read the log of all datasets with a token for some of them")
