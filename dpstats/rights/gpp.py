"""The US sections of a Global Privacy Platform string: what they refuse. They never consent to anything.

A string that cannot be read says nothing, and nothing here raises. Of a field, 0 is no signal, 1 a refusal, and 2 ("did
not opt out") is no opt-in. A section that cannot be read takes nothing from what another refuses.

Read are the national section (versions 1 and 2) and those of the states 8 to 27, California's to Rhode Island's
(version 1): whoever refuses sale, sharing or targeted advertising under any of them refuses it here. Sensitive data and
children are read from California's alone, and children from the national one: elsewhere the same fields tell that a
business has no consent, which is no wish to limit anything. The specifications of Maryland, Indiana, Kentucky and Rhode
Island (24 to 27) are out for comment: they are read as the bureau's own encoder writes them, which begins with the
agreement's version. A section that begins with anything else says nothing.

Source: IAB Tech Lab, Global Privacy Platform, "Consent String Specification", "MSPA US National" (versions 1 and 2),
and the technical specification of each state (version 1); 24 to 27: `@iabgpp/cmpapi` 3.2.0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

LONGEST = 10_000
"""Characters of a string that is looked at."""
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_VALUES = {letter: f"{place:06b}" for place, letter in enumerate(_ALPHABET)}
_HEADER_TYPE, _GPP_VERSION, _SECTIONS_MAX = 3, 1, 100
_GPC_SEGMENT = 1
_REFUSED = 1


@dataclass(frozen=True)
class _Layout:
    """Where a section's core segment has its fields, in bits from its start, after six bits of version.

    `bits`: how long it is. `sold`: refusals of sale, sharing and targeted advertising. `has_gpc`: a segment of it may
    ask for the control; else its second one holds consents, without a type.
    """

    bits: int
    sold: tuple[int, ...]
    sensitive: range = range(0)
    child: range = range(0)
    has_gpc: bool = True


_LAYOUTS: Mapping[tuple[int, int], _Layout] = {
    (7, 1): _Layout(60, (18, 20, 22), child=range(48, 52, 2)),
    (7, 2): _Layout(70, (18, 20, 22), child=range(56, 62, 2)),
    (8, 1): _Layout(48, (12, 14), sensitive=range(16, 34, 2), child=range(34, 38, 2)),
    (9, 1): _Layout(40, (12, 14)),
    (10, 1): _Layout(38, (12, 14)),
    (11, 1): _Layout(42, (14, 16)),
    (12, 1): _Layout(44, (12, 14)),
    (13, 1): _Layout(46, (12, 14)),
    (14, 1): _Layout(46, (12, 14)),
    (15, 1): _Layout(52, (12, 14)),
    (16, 1): _Layout(42, (12, 14)),
    (17, 1): _Layout(52, (12, 14)),
    (18, 1): _Layout(42, (14, 16)),
    (19, 1): _Layout(42, (12, 14)),
    (20, 1): _Layout(46, (12, 14)),
    (21, 1): _Layout(54, (12, 14)),
    (22, 1): _Layout(42, (12, 14)),
    (23, 1): _Layout(42, (12, 14)),
    (24, 1): _Layout(22, (16, 18)),
    (25, 1): _Layout(24, (16, 18), has_gpc=False),
    (26, 1): _Layout(24, (16, 18), has_gpc=False),
    (27, 1): _Layout(24, (16, 18), has_gpc=False),
}
"""By a section's number and version: 7 is national, then California, Virginia, Colorado, Utah, Connecticut, Florida,
Montana, Oregon, Texas, Delaware, Iowa, Nebraska, New Hampshire, New Jersey, Tennessee, Minnesota, Maryland, Indiana,
Kentucky, Rhode Island."""
_NUMBERS = frozenset(number for number, _ in _LAYOUTS)


@dataclass(frozen=True)
class Said:
    """What a string's sections refuse, and whether they tell of a child known to be under 16."""

    sale_or_sharing: bool = False
    sensitive: bool = False
    known_child: bool = False


NOTHING = Said()


def said_by(text: str) -> Said:
    """What a GPP string says; `NOTHING` if it has no section that is known, or cannot be read."""
    try:
        return _together(list(_known_sections(text))) if len(text) <= LONGEST else NOTHING
    except (ValueError, KeyError, IndexError):
        return NOTHING


def _known_sections(text: str) -> Iterator[Said]:
    header, *sections = text.split("~")
    for number, section in zip(_section_ids(_bits(header)), sections, strict=False):
        if number in _NUMBERS:
            with suppress(ValueError, KeyError, IndexError):
                yield _section(number, section)


def _together(found: list[Said]) -> Said:
    """Any one refusal will do."""
    return Said(
        any(each.sale_or_sharing for each in found),
        any(each.sensitive for each in found),
        any(each.known_child for each in found),
    )


def _section(number: int, section: str) -> Said:
    core, *segments = section.split(".")
    bits = _bits(core)
    layout = _LAYOUTS[number, int(bits[:6], 2)]
    if len(bits) < layout.bits:
        raise ValueError("cut short")
    asked = layout.has_gpc and any(_is_gpc(segment) for segment in segments)
    sold = asked or any(_field(bits, at) == _REFUSED for at in layout.sold)
    limited = any(_field(bits, at) == _REFUSED for at in layout.sensitive)
    # Consent for a known child (2) tells of a known child as well as its refusal (1) does.
    child = any(_field(bits, at) in {1, 2} for at in layout.child)
    return Said(sold, limited, child)


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
