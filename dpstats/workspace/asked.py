"""The log of who asked what, for those who may see it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dpstats.access import Action, check
from dpstats.catalog.fields import is_name
from dpstats.errors import DpstatsError
from dpstats.ledger.asked import HOST, Asking, Wanted
from dpstats.ledger.store import Store
from dpstats.ledger.tokens import Identity

PAGE = 1000
DONE, FAILED = 0, 1


class Asked:
    """Who asked what of a workspace: over HTTP, on the pages, and with the host's commands that ask."""

    def __init__(self, store: Store) -> None:
        self._log, self._registry = store.asked, store.registry

    def after(self, identity: Identity, number: int = 0, *, actor: str = "", query: str = "") -> dict[str, Any]:
        """At most `PAGE` lines with larger numbers, oldest first, and as `next` the number to go on from.

        A steward of some datasets sees the lines that name one of them, or a query of one; no other line.

        Raises:
          Forbidden: the caller is no steward.
        """
        items = self._log.after(number, PAGE, self._wanted(identity, actor, query))
        return {"items": items, "next": str(items[-1]["number"]) if len(items) == PAGE else None}

    def before(
        self, identity: Identity, number: int = 0, limit: int = PAGE, *, actor: str = "", query: str = ""
    ) -> list[dict[str, Any]]:
        """Lines with smaller numbers, newest first; 0: the newest.

        Raises:
          Forbidden: as `after`.
        """
        return self._log.before(number, limit, self._wanted(identity, actor, query))

    @contextmanager
    def noting(self, identity: Identity, command: str, *, query: str = "") -> Iterator[None]:
        """Notes what a command of the host asks meanwhile, and what became of it.

        Args:
          command: its words, `query run`. query: what it names, if it can be a name.
        """
        outcome = "internal-error"
        try:
            yield
            outcome = ""
        except DpstatsError as refusal:
            outcome = refusal.slug
            raise
        finally:
            named = query if is_name(query) else ""
            status = FAILED if outcome else DONE
            request = f"req_{secrets.token_hex(8)}"
            role = str(identity.role)
            line = Asking(request, identity.name, "", role, HOST, f"dpstats {command}", "", named, status, outcome)
            self._log.note(line)

    def _wanted(self, identity: Identity, actor: str, query: str) -> Wanted:
        check(identity, Action.STEWARD)
        if not identity.datasets:
            return Wanted(actor, query)
        theirs = tuple(record.name for record in self._registry.queries() if record.dataset in identity.datasets)
        return Wanted(actor, query, identity.datasets, theirs)
