"""Names and numbers in sentences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpstats.plan import wording

POSITIVE = st.floats(1e-6, 1e12)


@pytest.mark.parametrize(
    ("column", "one", "many"),
    [
        ("household_id", "household", "households"),
        ("customer_id", "customer", "customers"),
        ("company_key", "company", "companies"),
        ("tax_id", "tax", "taxes"),
        ("loyalty_card_no", "loyalty card", "loyalty cards"),
        ("uid", "unit", "units"),
        ("ID", "unit", "units"),
    ],
)
def test_a_unit_is_called_after_its_key_column(column: str, one: str, many: str) -> None:
    assert (wording.noun(column), wording.plural(wording.noun(column))) == (one, many)


@given(POSITIVE)
def test_rounding_has_a_side_and_loses_little(value: float) -> None:
    assert value * 0.999 <= wording.rounded_down(value) <= value * (1 + 1e-9)
    assert value * (1 - 1e-9) <= wording.rounded_up(value) <= value * 1.1 + 1e-9


def test_numbers_are_as_a_person_writes_them() -> None:
    assert wording.amount(0.01234) == "0.0123"
    assert wording.about(159_693, "USD") == "160,000 USD"
    assert wording.exactly(6000.5, "USD") == "6,000.5 USD"
    assert wording.plainly(7600) == "7600"
    assert [wording.counted(n, "row") for n in (1, 1204)] == ["1 row", "1,204 rows"]
    assert [wording.share(n, 1000) for n in (20, 151, 1700)] == ["2 % of that", "16 % of that", "1.7 times that"]
