"""What is typed."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from dpstats.cli import inputs


@given(st.decimals("1e-12", "1000000", allow_nan=False, allow_infinity=False))
def test_an_amount_in_its_range_is_read_exactly(amount: Decimal) -> None:
    assert inputs.amount(str(amount)) == amount


@pytest.mark.parametrize("text", ["", "abc", "1,5", "0x1", "nan", "inf", "-1", "1e-13", "1e999999999", "1e-999999999"])
def test_what_is_no_amount_or_out_of_range_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        inputs.amount(text)


@pytest.mark.parametrize(
    ("text", "length"),
    [("30m", timedelta(minutes=30)), ("12h", timedelta(hours=12)), ("3650d", timedelta(days=3650)), ("never", None)],
)
def test_a_life_is_a_span_or_for_ever(text: str, length: timedelta | None) -> None:
    assert inputs.life(inputs.life_text(text)) == length


@pytest.mark.parametrize("text", ["", "0d", "3651d", "-1d", "90", "90 d", "1.5h", "9999999d", "always", "1d\n", "٣d"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter) as refused:
        inputs.life_text(text)
    assert str(refused.value).isprintable()


@given(st.dictionaries(st.from_regex("[a-z_]{1,9}", fullmatch=True), st.text(min_size=1)))
def test_pairs_are_split_at_the_first_equals_sign(values: dict[str, str]) -> None:
    assert inputs.pairs([f"{name}={value}" for name, value in values.items()], "-p", "K=V") == values


@pytest.mark.parametrize("texts", [["since"], ["=x"], [" =x"], [""], ["a=1", "a=2"]])
def test_what_is_no_pair_or_comes_twice_is_refused(texts: list[str]) -> None:
    with pytest.raises(typer.BadParameter):
        inputs.pairs(texts, "-p", "K=V")


@pytest.mark.parametrize("text", ["", "  ", "a\nb", "a\x1b[31m", "\udcff"])
def test_a_name_that_cannot_be_one_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter) as refused:
        inputs.name_text(text)
    assert str(refused.value).isprintable()
