"""Tokens: made, listed and ended by stewards."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from dpstats.access import Action, check
from dpstats.errors import NotFound
from dpstats.ledger.store import Store
from dpstats.ledger.tokens import Identity
from dpstats.library import Library
from dpstats.privacy.loss import AMOUNT_STEPS


class TokenDesk:
    """The tokens of a workspace."""

    def __init__(self, store: Store, library: Library) -> None:
        self._tokens, self._library = store.tokens, library

    def create(
        self,
        identity: Identity,
        name: str,
        role: str,
        *,
        datasets: tuple[str, ...] = (),
        cap_rho: Decimal | None = None,
    ) -> str:
        """Makes a token; its text is never to be had again.

        Raises:
          NotFound: no such dataset. Conflict: the name is in use. ValueError: no such role, or a wrong cap.
        """
        check(identity, Action.STEWARD)
        for dataset in datasets:
            self._library.dataset(identity, dataset)
        return self._tokens.create(name, role, datasets, cap_rho, identity.name)

    def all(self, identity: Identity) -> list[dict[str, Any]]:
        """Every token ever made, without its text."""
        check(identity, Action.STEWARD)
        return [
            {
                "token_id": record.identity.token_id,
                "name": record.identity.name,
                "role": str(record.identity.role),
                "datasets": list(record.identity.datasets),
                "cap_rho": None if record.identity.cap_steps is None else record.identity.cap_steps / AMOUNT_STEPS,
                "prefix": record.prefix,
                "created_at": record.created_at.isoformat(),
                "revoked_at": record.revoked_at.isoformat() if record.revoked_at else None,
            }
            for record in self._tokens.list()
        ]

    def revoke(self, identity: Identity, name: str) -> None:
        """Ends a live token, at once.

        Raises:
          NotFound: no live token of this name or id.
        """
        check(identity, Action.STEWARD)
        if not self._tokens.revoke(name):
            raise NotFound("live token", name)
