"""Text from outside: which characters are let in, and how a value is shown in a one-line message."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date

_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but tab and line feed
    "\u2028\u2029"  # line breaks that an editor does not show as such
    "\u202a-\u202e\u2066-\u2069"  # bidirectional overrides: what a steward reads must be what runs
    "\ud800-\udfff\ufffe\uffff]"  # not characters at all
)
_LONGEST_SHOWN = 60


def forbidden_position(text: str) -> int | None:
    """Where the first character stands that no name, value or SQL may hold; None if there is none.

    Forbidden: control characters (but tab and line feed), Unicode line separators, bidirectional overrides, lone
    surrogates and non-characters.
    """
    found = _FORBIDDEN.search(text)
    return found.start() if found else None


def quoted(value: object) -> str:
    """`value` as it is shown in a message: one printable line of at most about 60 characters."""
    if isinstance(value, str):
        return repr(value) if len(value) <= _LONGEST_SHOWN else repr(value[:_LONGEST_SHOWN]) + "..."
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    text = _scalar_text(value)
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "..."


def _scalar_text(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    if isinstance(value, int) and value.bit_length() > 1000:
        return "a number too large to show"  # Python refuses to print integers past a length
    return value.isoformat() if isinstance(value, date) else str(value)
