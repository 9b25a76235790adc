"""Signals: what they refuse, that they never consent, and that one that cannot be read says nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpstats.rights.gpp import NOTHING, California, california
from dpstats.rights.signals import Signal, is_gpc, refusals

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
CALIFORNIA = "DBABBg"
"""The header of a string with the section for California alone."""


@pytest.mark.parametrize(
    ("value", "is_signal"),
    [
        ("1", True),
        (" 1", True),
        ("1,1", True),  # two headers that a proxy joined
        ("0, 1", True),
        (["0", "1"], True),
        (["1"], True),
        ("0", False),
        ("", False),
        ([], False),
        ("true", False),
        ("11", False),
        ("1.0", False),
        ("?1", False),
        ('"1"', False),
        ("\uff11", False),
        ("on", False),
    ],
)
def test_only_a_1_is_the_global_privacy_control(value: str | list[str], is_signal: bool) -> None:
    assert is_gpc(value) is is_signal
    assert bool(refusals(Signal(gpc=value))) is is_signal


def segment(bits: str) -> str:
    padded = bits + "0" * (-len(bits) % 6)
    return "".join(LETTERS[int(padded[i : i + 6], 2)] for i in range(0, len(padded), 6))


def section(*, sale=0, sharing=0, sensitive=(0,) * 9, child=(0, 0), consents=0, gpc: int | None = None) -> str:
    fields = (1, 1, 1, sale, sharing, *sensitive, *child, consents, 1, 1, 0)
    core = segment("000001" + "".join(f"{field:02b}" for field in fields))
    return core if gpc is None else f"{core}.{segment(f'01{gpc}')}"


@pytest.mark.parametrize("broken", ["", "!", "Q", "\u00e9"])
def test_a_part_that_cannot_be_read_takes_nothing_from_what_another_refuses(broken: str) -> None:
    core = section(sale=1)
    assert california(f"{CALIFORNIA}~{core}.{broken}").sale_or_sharing
    assert california(f"{CALIFORNIA}~{section()}.{broken}.{segment('011')}").sale_or_sharing


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # The section's own test vectors, of the Interactive Advertising Bureau's encoder.
        (f"{CALIFORNIA}~BAAAAAAA.QA", NOTHING),
        (f"{CALIFORNIA}~BUoAAABQ.YA", California(sale_or_sharing=True)),
        (f"{CALIFORNIA}~BbYbGwXY.YA", California(sale_or_sharing=True, sensitive=True, known_child=True)),
        (f"{CALIFORNIA}~BbYbGwXY", California(sale_or_sharing=True, sensitive=True, known_child=True)),
        (f"{CALIFORNIA}~{section(sale=1)}", California(sale_or_sharing=True)),
        (f"{CALIFORNIA}~{section(sharing=1)}", California(sale_or_sharing=True)),
        (f"{CALIFORNIA}~{section(sale=2, sharing=2, gpc=0)}", NOTHING),  # "did not opt out" is no opt-in
        (f"{CALIFORNIA}~{section(sale=2, gpc=1)}", California(sale_or_sharing=True)),
        (f"{CALIFORNIA}~{section(sensitive=(0,) * 8 + (1,))}", California(sensitive=True)),
        (f"{CALIFORNIA}~{section(sensitive=(2,) * 9)}", NOTHING),
        (f"{CALIFORNIA}~{section(child=(1, 0))}", California(known_child=True)),
        (f"{CALIFORNIA}~{section(child=(0, 2))}", California(known_child=True)),
        (f"{CALIFORNIA}~{section(consents=1)}", NOTHING),
    ],
)
def test_a_gpp_string_refuses_what_its_california_section_says(text: str, expected: California) -> None:
    assert california(text) == expected


def test_the_section_is_found_among_others() -> None:
    # Sections 6 to 8 as one range: 6 is 10011 in Fibonacci code, 2 is 011.
    header = segment(f"{3:06b}{1:06b}{1:012b}" + "1" + "10011" + "011")
    assert california(f"{header}~1YNN~BVVqAAAAAmA.QA~{section(sale=1)}").sale_or_sharing
    # Sections 6 and 8, one by one.
    header = segment(f"{3:06b}{1:06b}{2:012b}" + "0" + "10011" + "0" + "011")
    assert california(f"{header}~1YNN~{section(sale=1)}").sale_or_sharing
    assert not california(f"{header}~{section(sale=1)}").sale_or_sharing


@given(
    st.text(max_size=60)
    | st.text(LETTERS + "~.=", max_size=60)
    | st.text(LETTERS + ".", max_size=20).map(lambda tail: f"{CALIFORNIA}~{tail}")
)
def test_no_string_raises_and_none_consents(text: str) -> None:
    assert {one.purpose for one in refusals(Signal(text, text))} <= {"all_sale_share", "limit_spi", "known_minor"}


@pytest.mark.parametrize(
    "text",
    ["", "~", f"{CALIFORNIA}", f"{CALIFORNIA}~", f"{CALIFORNIA}~BU", "D~B", f"{CALIFORNIA}~CUoAAABQ.YA", "A" * 20_000],
)
def test_what_cannot_be_read_says_nothing(text: str) -> None:
    assert california(text) == NOTHING


def test_a_range_without_end_is_not_followed() -> None:
    far = "0" * 60 + "11"
    assert california(segment(f"{3:06b}{1:06b}{1:012b}1011{far}") + "~A") == NOTHING
