"""Types and values: what is taken, what it becomes, what is refused."""

from __future__ import annotations

import unicodedata
import uuid
from datetime import date, datetime
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dpstats.catalog.text import forbidden_position
from dpstats.catalog.types import ColumnType, canonical_decimal, canonical_value, parse_value

SIMPLE = ["bigint", "integer", "double", "varchar", "boolean", "date", "timestamp", "uuid"]
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.decimals(allow_nan=True)
    | st.floats()
    | st.text(max_size=12)
    | st.dates().map(str)
    | st.datetimes().map(datetime.isoformat)
    | st.uuids().map(str)
    | st.lists(st.integers(), max_size=2)
    | st.binary(max_size=3)
)
types = st.sampled_from([*SIMPLE, "decimal(10,2)", "decimal(38,38)", "decimal(38,0)", "decimal(1,1)"]).map(
    ColumnType.parse
)


@pytest.mark.parametrize("text", [*SIMPLE, "decimal(10,2)", "decimal(38,38)", "decimal(1,0)"])
def test_a_type_is_written_as_it_is_read(text: str) -> None:
    parsed = ColumnType.parse(text)
    assert str(parsed) == text
    assert parsed.sql == text.upper()
    assert parsed.is_numeric == text.startswith(("bigint", "integer", "double", "decimal"))
    assert parsed.is_integer == (text in ("bigint", "integer"))
    assert parsed.is_temporal == (text in ("date", "timestamp"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "int",
        "BIGINT",
        "decimal",
        "decimal(39,2)",
        "decimal(2,3)",
        "decimal(0,0)",
        "decimal(10,2) ",
        "bigint\n",
        "decimal(10;2)",
    ],
)
def test_what_is_not_a_type_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"type|decimal"):
        ColumnType.parse(text)


@given(types, scalars)
def test_a_value_is_parsed_once_for_all_or_refused_in_one_line(column_type: ColumnType, raw: object) -> None:
    try:
        value = parse_value(column_type, raw)
    except ValueError as refusal:
        message = str(refusal)
        assert message.isprintable()
        return
    assert parse_value(column_type, value) == value
    assert type(parse_value(column_type, value)) is type(value)
    assert canonical_value(value) == canonical_value(parse_value(column_type, value))
    assert type(canonical_value(value)) in (bool, int, str)


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        ("bigint", 2**63 - 1, 2**63 - 1),
        ("bigint", Decimal("1e6"), 1_000_000),
        ("integer", -(2**31), -(2**31)),
        ("double", Decimal("0.1"), Decimal("0.1")),
        ("double", 7, Decimal(7)),
        ("double", Decimal("-0.0"), Decimal(0)),
        ("decimal(4,2)", Decimal("99.99"), Decimal("99.99")),
        ("decimal(4,2)", 5, Decimal("5.00")),
        ("varchar", 'O\'Brien "x" $since; --', 'O\'Brien "x" $since; --'),
        ("varchar", "", ""),
        ("boolean", False, False),
        ("date", "2017-02-28", date(2017, 2, 28)),
        ("timestamp", "2017-02-28T12:30:01.5", datetime.fromisoformat("2017-02-28T12:30:01.500000")),
        ("timestamp", "2017-02-28 12:30", datetime.fromisoformat("2017-02-28T12:30:00")),
        ("timestamp", "2017-02-28", datetime.fromisoformat("2017-02-28T00:00:00")),
        ("uuid", "01234567-89AB-CDEF-0123-456789ABCDEF", "01234567-89ab-cdef-0123-456789abcdef"),
    ],
)
def test_a_value_of_the_type_is_taken(name: str, raw: object, value: object) -> None:
    found = parse_value(ColumnType.parse(name), raw)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("bigint", 2**63),
        ("bigint", True),
        ("bigint", "5"),
        ("bigint", Decimal("1.5")),
        ("bigint", 1.0),
        ("bigint", Decimal("NaN")),
        ("integer", 2**31),
        ("double", "0.1"),
        ("double", 0.1),
        ("double", Decimal("1e309")),
        ("double", Decimal("Infinity")),
        ("decimal(4,2)", Decimal("100")),
        ("decimal(4,2)", Decimal("0.001")),
        ("varchar", 5),
        ("varchar", None),
        ("varchar", "a\0b"),
        ("varchar", "\ud800"),
        ("boolean", "true"),
        ("boolean", 1),
        ("date", "2017-02-29"),
        ("date", "20170228"),
        ("date", "2017-2-8"),
        ("date", "٢٠١٧-٠٢-٠٨"),
        ("date", "2017-02-08\n"),
        ("date", datetime.fromisoformat("2017-01-01T00:00:00")),
        ("timestamp", "2017-02-28T12:30:00Z"),
        ("timestamp", "2017-02-28T12:30:00+01:00"),
        ("timestamp", "2017-02-28T25:00"),
        ("uuid", "0123456789abcdef0123456789abcdef"),
        ("uuid", "{01234567-89ab-cdef-0123-456789abcdef}"),
        ("uuid", uuid.UUID(int=1)),
    ],
)
def test_a_value_of_another_type_is_refused(name: str, raw: object) -> None:
    with pytest.raises(ValueError, match=r"must|fit|allowed"):
        parse_value(ColumnType.parse(name), raw)


@given(st.text(max_size=20))
def test_two_spellings_of_one_text_are_one_value(text: str) -> None:
    assume(all(forbidden_position(unicodedata.normalize(form, text)) is None for form in ("NFC", "NFD")))
    varchar = ColumnType.parse("varchar")
    composed, decomposed = unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)
    assert parse_value(varchar, decomposed) == parse_value(varchar, composed) == composed


@given(
    st.floats(
        allow_nan=False,
        allow_infinity=False,
    )
)
def test_a_double_is_taken_to_the_number_that_the_database_holds(number: float) -> None:
    assert float(parse_value(ColumnType.parse("double"), Decimal(number))) == number  # type: ignore[arg-type]


finite = st.decimals(allow_nan=False, allow_infinity=False).filter(lambda d: abs(d.adjusted()) < 400)


@given(finite, finite)
def test_numbers_have_the_same_canonical_text_if_and_only_if_they_are_equal(a: Decimal, b: Decimal) -> None:
    assert (canonical_decimal(a) == canonical_decimal(b)) == (a == b)
    assert Decimal(canonical_decimal(a)) == a
    digits = a.as_tuple()
    padded = Decimal((digits.sign, (*digits.digits, 0), int(digits.exponent) - 1))
    assert canonical_decimal(padded) == canonical_decimal(a)


def test_a_canonical_number_is_plain_where_it_can_be() -> None:
    written = {"500": "500", "5E+2": "500", "1e-6": "0.000001", "-0.0": "0", "1.50": "1.5", "1e300": "1E+300"}
    assert {text: canonical_decimal(Decimal(text)) for text in written} == written
    with pytest.raises(ValueError, match="finite"):
        canonical_decimal(Decimal("NaN"))
