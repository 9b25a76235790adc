"""Signals: what they refuse, that they never consent, and that one that cannot be read says nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpstats.rights.gpp import NOTHING, Said, said_by
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
    assert said_by(f"{CALIFORNIA}~{core}.{broken}").sale_or_sharing
    assert said_by(f"{CALIFORNIA}~{section()}.{broken}.{segment('011')}").sale_or_sharing


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # The section's own test vectors, of the Interactive Advertising Bureau's encoder.
        (f"{CALIFORNIA}~BAAAAAAA.QA", NOTHING),
        (f"{CALIFORNIA}~BUoAAABQ.YA", Said(sale_or_sharing=True)),
        (f"{CALIFORNIA}~BbYbGwXY.YA", Said(sale_or_sharing=True, sensitive=True, known_child=True)),
        (f"{CALIFORNIA}~BbYbGwXY", Said(sale_or_sharing=True, sensitive=True, known_child=True)),
        (f"{CALIFORNIA}~{section(sale=1)}", Said(sale_or_sharing=True)),
        (f"{CALIFORNIA}~{section(sharing=1)}", Said(sale_or_sharing=True)),
        (f"{CALIFORNIA}~{section(sale=2, sharing=2, gpc=0)}", NOTHING),  # "did not opt out" is no opt-in
        (f"{CALIFORNIA}~{section(sale=2, gpc=1)}", Said(sale_or_sharing=True)),
        (f"{CALIFORNIA}~{section(sensitive=(0,) * 8 + (1,))}", Said(sensitive=True)),
        (f"{CALIFORNIA}~{section(sensitive=(2,) * 9)}", NOTHING),
        (f"{CALIFORNIA}~{section(child=(1, 0))}", Said(known_child=True)),
        (f"{CALIFORNIA}~{section(child=(0, 2))}", Said(known_child=True)),
        (f"{CALIFORNIA}~{section(consents=1)}", NOTHING),
    ],
)
def test_a_gpp_string_refuses_what_its_california_section_says(text: str, expected: Said) -> None:
    assert said_by(text) == expected


def test_the_section_is_found_among_others() -> None:
    # Sections 6 to 8 as one range: 6 is 10011 in Fibonacci code, 2 is 011.
    header = segment(f"{3:06b}{1:06b}{1:012b}" + "1" + "10011" + "011")
    assert said_by(f"{header}~1YNN~BVVqAAAAAmA.QA~{section(sale=1)}").sale_or_sharing
    # Sections 6 and 8, one by one.
    header = segment(f"{3:06b}{1:06b}{2:012b}" + "0" + "10011" + "0" + "011")
    assert said_by(f"{header}~1YNN~{section(sale=1)}").sale_or_sharing
    assert not said_by(f"{header}~{section(sale=1)}").sale_or_sharing


def core(version: int, bits: int, **refused: int) -> str:
    """A core segment whose fields say "did not opt out", but for those at these places."""
    fields = [2] * ((bits - 6) // 2)
    for at in refused.values():
        fields[(at - 6) // 2] = 1
    return segment(f"{version:06b}" + "".join(f"{field:02b}" for field in fields))


HEADERS = {7: "DBABLA", 8: CALIFORNIA}


def header_of(section: int) -> str:
    """The header of a string with one section."""
    return segment(f"{3:06b}{1:06b}{1:012b}" + "0" + fibonacci(section))


def fibonacci(number: int) -> str:
    """A number's Fibonacci code: the largest of 1, 2, 3, 5, 8 .. that fits, and so on, then a 1 that ends it."""
    numbers = [1, 2]
    while numbers[-1] <= number:
        numbers.append(numbers[-1] + numbers[-2])
    bits = ["0"] * (len(numbers) - 1)
    for place in reversed(range(len(bits))):
        if numbers[place] <= number:
            bits[place], number = "1", number - numbers[place]
    return "".join(bits) + "1"


def test_section_numbers_are_coded_as_the_specification_has_them() -> None:
    expected = {7: "01011", 8: "000011", 9: "100011", 10: "010011", 11: "001011", 12: "101011", 13: "0000011"}
    assert {number: fibonacci(number) for number in expected} == expected


def test_headers_are_those_of_the_bureaus_encoder() -> None:
    for number, header in HEADERS.items():
        assert header.startswith(header_of(number))  # theirs is filled up to whole bytes
    assert said_by(f"{HEADERS[7]}~{core(1, 60, at=20)}").sale_or_sharing


NATIONAL_AND_STATES = [
    (7, 1, 60, (18, 20, 22)),
    (7, 2, 70, (18, 20, 22)),
    (9, 1, 40, (12, 14)),
    (10, 1, 38, (12, 14)),
    (11, 1, 42, (14, 16)),
    (12, 1, 44, (12, 14)),
    (13, 1, 46, (12, 14)),
    (14, 1, 46, (12, 14)),
    (15, 1, 52, (12, 14)),
    (16, 1, 42, (12, 14)),
    (17, 1, 52, (12, 14)),
    (18, 1, 42, (14, 16)),
    (19, 1, 42, (12, 14)),
    (20, 1, 46, (12, 14)),
    (21, 1, 54, (12, 14)),
    (22, 1, 42, (12, 14)),
    (23, 1, 42, (12, 14)),
]


@pytest.mark.parametrize(("number", "version", "bits", "places"), NATIONAL_AND_STATES)
def test_a_refusal_under_another_us_section_counts_and_nothing_else_in_it_does(
    number: int, version: int, bits: int, places: tuple[int, ...]
) -> None:
    head, child = header_of(number), Said(known_child=True) if number == 7 else NOTHING
    assert said_by(f"{head}~{core(version, bits)}") == child  # a child's consent tells of a known child
    for at in places:
        assert said_by(f"{head}~{core(version, bits, at=at)}").sale_or_sharing
    for at in set(range(6, bits - 1, 2)) - set(places):
        assert not said_by(f"{head}~{core(version, bits, at=at)}").sale_or_sharing
        assert not said_by(f"{head}~{core(version, bits, at=at)}").sensitive
    assert said_by(f"{head}~{core(version, bits)}.{segment('011')}").sale_or_sharing
    assert said_by(f"{head}~{core(version, bits - 12, at=places[0])}") == NOTHING  # cut short
    assert said_by(f"{head}~{core(9, bits, at=places[0])}") == NOTHING  # a version that nobody knows


@pytest.mark.parametrize(
    ("number", "text"),
    [(16, "BVWSSVW.Y"), (16, "BVWSSVWA.YA"), (16, "BVWSSVW"), (21, "BVWSSRklWA.YA"), (21, "BVWSSRklWA")],
)
def test_the_bureaus_own_vectors_of_states_are_read_as_it_reads_them(number: int, text: str) -> None:
    """Sale and targeted advertising are refused in them, and the control is asked for; sensitive data are no wish."""
    assert said_by(f"{header_of(number)}~{text}") == Said(sale_or_sharing=True)


@pytest.mark.parametrize(("number", "text"), [(16, "BAAAAAQ.Q"), (21, "BAAAAAAAQA.QA"), (28, "BVVV")])
def test_a_state_that_refuses_nothing_or_is_not_known_says_nothing(number: int, text: str) -> None:
    assert said_by(f"{header_of(number)}~{text}") == NOTHING


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        # Written by the bureau's encoder, `@iabgpp/cmpapi` 3.2.0: Maryland, Indiana, Kentucky and Rhode Island.
        ("DBABEYA~BQBA.QA", True),  # sale
        ("DBABEYA~BQAQ.QA", True),  # targeted advertising
        ("DBABEYA~BQAA.YA", True),  # the control
        ("DBABEYA~BRWg.QA", False),  # every notice given, nothing refused
        ("DBABUYA~BQBA.AAA", True),
        ("DBABCYA~BQAQ.AAA", True),
        ("DBABSYA~BQBA.AAA", True),
        ("DBABSYA~BQSk.ZVU", False),  # no consent for sensitive data, nor for a child's: its bits begin as a control's
        ("DBABEYA~YBBA.QA", False),  # a section that begins with its number, as the text out for comment has it
    ],
)
def test_the_newest_states_are_read_as_the_bureaus_encoder_writes_them(text: str, refused: bool) -> None:
    assert said_by(text) == Said(sale_or_sharing=refused)


def test_a_section_that_cannot_be_read_takes_nothing_from_another() -> None:
    # Sections 7 and 8 as one range from 7: 7 is 01011 in Fibonacci code, 1 is 11.
    header = segment(f"{3:06b}{1:06b}{1:012b}" + "1" + "01011" + "11")
    for broken in ("", "!", "B", "B."):
        assert said_by(f"{header}~{broken}~{section(sale=1)}").sale_or_sharing
        assert said_by(f"{header}~{core(2, 70, at=18)}~{broken}").sale_or_sharing


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
    assert said_by(text) == NOTHING


def test_a_range_without_end_is_not_followed() -> None:
    far = "0" * 60 + "11"
    assert said_by(segment(f"{3:06b}{1:06b}{1:012b}1011{far}") + "~A") == NOTHING
