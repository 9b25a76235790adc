"""Tokens: made, listed, given a new secret and ended by stewards."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from dpstats.access import Action, check
from dpstats.errors import Forbidden, NotFound
from dpstats.ledger.store import Store
from dpstats.ledger.tokens import AT_ONCE, Identity, State, TokenRecord
from dpstats.library import Library
from dpstats.privacy.loss import AMOUNT_STEPS


class TokenDesk:
    """The tokens of a workspace."""

    def __init__(self, store: Store, library: Library) -> None:
        self._tokens, self._asked, self._library = store.tokens, store.asked, library

    def create(
        self,
        identity: Identity,
        name: str,
        role: str,
        *,
        datasets: tuple[str, ...] = (),
        cap_rho: Decimal | None = None,
        life: timedelta | None = None,
    ) -> str:
        """Makes a token; its text is never to be had again. `life` None: it lives until it is revoked.

        Raises:
          NotFound: no such dataset. Conflict: the name is in use. ValueError: no such role, a wrong cap or life.
          Forbidden: a token for all datasets, by a steward of some.
        """
        check(identity, Action.STEWARD)
        if identity.datasets and not datasets:
            raise Forbidden(str(identity.role), "make a token for datasets that it does not see")
        for dataset in datasets:
            self._library.dataset(identity, dataset)
        return self._tokens.create(name, role, datasets, cap_rho, identity.name, life=life)

    def rotate(
        self, identity: Identity, name: str, *, grace: timedelta = AT_ONCE, life: timedelta | None = None
    ) -> str:
        """Gives a live token a new secret; the present one is taken for `grace` more. `life` None: its end stands.

        Raises:
          NotFound: no live token of this name or id. ValueError: a wrong grace or life.
        """
        check(identity, Action.STEWARD)
        self._seen(identity, name)
        return self._tokens.rotate(name, grace=grace, life=life)

    def all(self, identity: Identity) -> list[dict[str, Any]]:
        """Every token ever made, without its text; to a steward of some datasets those for these alone."""
        check(identity, Action.STEWARD)
        used = self._asked.last_used()
        return [
            _shown(record) | {"last_used": _day(used.get(record.identity.token_id))}
            for record in self._tokens.list()
            if _within(identity, record)
        ]

    def _seen(self, identity: Identity, name: str) -> None:
        """Passes over whom the caller may decide.

        Raises:
          NotFound: no live token of this name or id is for the caller's datasets alone.
        """
        live = [record for record in self._tokens.list() if record.state is State.LIVE]
        if not any(name in (x.identity.name, x.identity.token_id) and _within(identity, x) for x in live):
            raise NotFound("live token", name)

    def revoke(self, identity: Identity, name: str) -> None:
        """Ends a live token, at once.

        Raises:
          NotFound: no live token of this name or id.
        """
        check(identity, Action.STEWARD)
        self._seen(identity, name)
        if not self._tokens.revoke(name):
            raise NotFound("live token", name)


def _within(identity: Identity, record: TokenRecord) -> bool:
    """Whether a token is for no dataset that the caller does not see."""
    theirs = record.identity.datasets
    return not identity.datasets or (bool(theirs) and set(theirs) <= set(identity.datasets))


def _shown(record: TokenRecord) -> dict[str, Any]:
    identity = record.identity
    return {
        "token_id": identity.token_id,
        "name": identity.name,
        "role": str(identity.role),
        "datasets": list(identity.datasets),
        "cap_rho": None if identity.cap_steps is None else identity.cap_steps / AMOUNT_STEPS,
        "prefix": record.prefix,
        "state": str(record.state),
        "created_at": record.created_at.isoformat(),
        "expires_at": _iso(record.expires_at),
        "rotated_at": _iso(record.rotated_at),
        "earlier_until": _iso(record.earlier_until),
        "revoked_at": _iso(record.revoked_at),
    }


def _day(day: date | None) -> str | None:
    return day.isoformat() if day else None


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
