"""What tests of refusals share."""

from __future__ import annotations

from dpstats.errors import Refusal


def only(found: list[Refusal], what: str) -> Refusal:
    """The one reason that says `what`."""
    said = [reason for reason in found if what in reason.what]
    assert len(said) == 1, [str(reason) for reason in found]
    return said[0]
