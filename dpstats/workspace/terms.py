"""The terms that recipients accept: published by a steward, accepted once for each version before data are given."""

from __future__ import annotations

from typing import Any

from dpstats.access import Action, check
from dpstats.errors import Conflict, Forbidden, InvalidParameters, NotFound
from dpstats.ledger.recipients import Acceptance, Recipients, Terms
from dpstats.ledger.store import Store
from dpstats.ledger.tokens import Identity, State


class TermsDesk:
    """The terms of a workspace."""

    def __init__(self, store: Store) -> None:
        self._recipients: Recipients = store.recipients
        self._tokens = store.tokens

    def publish(self, identity: Identity, text: str) -> dict[str, Any]:
        """Puts a text in force. From then on a token is given data only once it accepted this version.

        Raises:
          Forbidden: the caller is no steward of all datasets. InvalidParameters: it is no text.
        """
        check(identity, Action.STEWARD)
        if identity.datasets:
            raise Forbidden(str(identity.role), "publish terms for datasets that it does not see")
        try:
            return _told(self._recipients.publish(text, identity.name))
        except ValueError as error:
            raise InvalidParameters({"text": str(error)}) from None

    def public(self) -> dict[str, Any] | None:
        """The terms in force, for everybody; None if none were ever published."""
        found = self._recipients.current()
        return None if found is None else _told(found)

    def one(self, identity: Identity) -> dict[str, Any]:
        """The terms in force, and whether the caller still owes their acceptance; all None where none are in force."""
        found = self.public() or dict.fromkeys(("version", "sha256", "text", "published_at", "published_by"))
        return found | {"owed": self._recipients.owed(identity) is not None}

    def accept(self, identity: Identity, version: int) -> dict[str, Any]:
        """The caller accepts a version for itself.

        Raises:
          Conflict: another version is in force, or none is.
        """
        return _noted(self._recipients.accept(identity, version, actor=identity.name))

    def accept_for(self, identity: Identity, name: str) -> dict[str, Any]:
        """A steward notes that the holder of a live token accepted what is in force, on paper say.

        Raises:
          Forbidden: the caller is no steward. NotFound: no live token of this name. Conflict: no terms are in force.
        """
        check(identity, Action.STEWARD)
        terms = self._recipients.current()
        if terms is None:
            raise Conflict("no terms are in force: `dpstats terms publish FILE` puts some in force")
        for record in self._tokens.list():
            seen = not identity.datasets or set(record.identity.datasets) & set(identity.datasets)
            if record.state is State.LIVE and seen and name in {record.identity.name, record.identity.token_id}:
                return _noted(self._recipients.accept(record.identity, terms.version, actor=identity.name))
        raise NotFound("live token", name)

    def acceptances(self, identity: Identity) -> list[dict[str, Any]]:
        """Who accepted which version, oldest first.

        Raises:
          Forbidden: the caller is no steward of all datasets.
        """
        check(identity, Action.STEWARD)
        if identity.datasets:
            raise Forbidden(str(identity.role), "read whom the terms of all datasets bind")
        return [_noted(each) for each in self._recipients.acceptances()]


def _told(terms: Terms) -> dict[str, Any]:
    return {
        "version": terms.version,
        "sha256": terms.sha256,
        "text": terms.text,
        "published_at": terms.published_at.isoformat(),
        "published_by": terms.published_by,
    }


def _noted(acceptance: Acceptance) -> dict[str, Any]:
    return {
        "token": acceptance.name,
        "version": acceptance.version,
        "sha256": acceptance.sha256,
        "accepted_by": acceptance.actor,
        "accepted_at": acceptance.at.isoformat(),
    }
