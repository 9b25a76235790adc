"""The California section of a Global Privacy Platform string: what it refuses. It never consents to anything.

A string that cannot be read says nothing, and nothing here raises. Of a field, 0 is no signal, 1 a refusal, and 2 ("did
not opt out") is no opt-in.

Source: IAB Tech Lab, Global Privacy Platform, "Consent String Specification" and "US Privacy / US-CA" (version 1).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

LONGEST = 10_000
"""Characters of a string that is looked at."""
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_VALUES = {letter: f"{place:06b}" for place, letter in enumerate(_ALPHABET)}
_HEADER_TYPE, _GPP_VERSION, _CALIFORNIA, _SECTIONS_MAX = 3, 1, 8, 100
_GPC_SEGMENT = 1
_REFUSED = 1
# Bits of the core segment, from its start: version 6; notices 3 x 2; then what is read here.
_CORE_BITS, _SALE, _SHARING, _SENSITIVE, _CHILD = 48, 12, 14, slice(16, 34, 2), slice(34, 38, 2)


@dataclass(frozen=True)
class California:
    """What a string's section for California refuses, and whether it tells of a child known to be under 16."""

    sale_or_sharing: bool = False
    sensitive: bool = False
    known_child: bool = False


NOTHING = California()


def california(text: str) -> California:
    """What a GPP string says for California; `NOTHING` if it has no such section, or cannot be read."""
    try:
        return _section(text) if len(text) <= LONGEST else NOTHING
    except (ValueError, KeyError, IndexError):
        return NOTHING


def _section(text: str) -> California:
    header, *sections = text.split("~")
    place = _section_ids(_bits(header)).index(_CALIFORNIA)
    core, *segments = sections[place].split(".")
    bits = _bits(core)
    if int(bits[:6], 2) != 1 or len(bits) < _CORE_BITS:
        raise ValueError("another version of the section")
    gpc = any(_is_gpc(segment) for segment in segments)
    sold = _field(bits, _SALE) == _REFUSED or _field(bits, _SHARING) == _REFUSED
    limited = any(_field(bits, at) == _REFUSED for at in range(*_SENSITIVE.indices(_CORE_BITS)))
    # Consent for a known child (2) tells of a known child as well as its refusal (1) does.
    child = any(_field(bits, at) in {1, 2} for at in range(*_CHILD.indices(_CORE_BITS)))
    return California(sold or gpc, limited, child)


def _is_gpc(segment: str) -> bool:
    """Whether a segment asks for the control; one that cannot be read takes nothing from what the core refuses."""
    try:
        bits = _bits(segment)
        return int(bits[:2], 2) == _GPC_SEGMENT and bits[2] == "1"
    except (ValueError, KeyError, IndexError):
        return False


def _field(bits: str, at: int) -> int:
    return int(bits[at : at + 2], 2)


def _bits(text: str) -> str:
    return "".join(_VALUES[letter] for letter in text.rstrip("="))


def _section_ids(bits: str) -> list[int]:
    """The ids of the sections that a header announces: a list of numbers and ranges, each by how much it goes on."""
    if int(bits[:6], 2) != _HEADER_TYPE or int(bits[6:12], 2) != _GPP_VERSION:
        raise ValueError("another kind of header")
    ids: list[int] = []
    at, last = 24, 0
    for _ in range(int(bits[12:24], 2)):
        is_range, at = bits[at] == "1", at + 1
        first, at = _fibonacci(bits, at)
        end, at = _fibonacci(bits, at) if is_range else (0, at)
        if len(ids) + end > _SECTIONS_MAX:
            raise ValueError("too many sections")
        ids += range(last + first, last + first + end + 1)
        last += first + end
    return ids


def _fibonacci(bits: str, at: int) -> tuple[int, int]:
    """A number in Fibonacci code, which ends with 11, and where it ends."""
    total = 0
    for value, place in zip(_fibonacci_numbers(), range(at, len(bits) - 1), strict=False):
        if bits[place] == "1":
            total += value
            if bits[place + 1] == "1":
                return total, place + 2
    raise ValueError("a number that does not end")


def _fibonacci_numbers() -> Iterator[int]:
    one, other = 1, 2
    while True:
        yield one
        one, other = other, one + other
