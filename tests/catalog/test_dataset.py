"""`dataset.yaml`: what it comes to, and every way in which it is refused."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from dpstats.catalog.dataset import DatasetFile, load_dataset, parse_dataset
from dpstats.catalog.types import ColumnType
from dpstats.errors import FileError
from dpstats.privacy.loss import Measure, delta_down

SMALLEST = """\
dataset: shop
privacy_unit: customer
budget: {epsilon: 1, delta: 0}
tables:
  visits: {columns: {customer: {type: varchar}}}
"""


def refused(text: str) -> FileError:
    with pytest.raises(FileError) as caught:
        parse_dataset(text, "dataset.yaml")
    assert str(caught.value).isprintable()
    return caught.value


def with_columns(columns: str) -> str:
    return SMALLEST.replace("customer: {type: varchar}", "customer: {type: varchar}, " + columns)


def test_the_contract_s_example_is_understood_whole(dataset_text: str) -> None:
    dataset = parse_dataset(dataset_text, "dataset.yaml")
    assert dataset.dataset == dataset.lineage == "complete_journey"
    assert (dataset.budget.epsilon, dataset.budget.delta) == (Decimal(6), Decimal("1e-6"))
    assert dataset.conversion_delta == dataset.delta_thresholds == Decimal("5e-7")
    assert dataset.measure is Measure.ZCDP
    assert dataset.fresh_for == timedelta(days=30)
    assert dataset.purposes["personalization"].consent == "opt_in"
    assert list(dataset.tables) == ["transactions", "households", "products"]
    assert list(dataset.personal_tables) == ["transactions", "households"]
    assert dataset.unit_type == ColumnType("bigint")
    value = dataset.tables["transactions"].columns["sales_value"]
    assert (value.bounds, value.unit, value.type.name) == ((Decimal(0), Decimal(100)), "USD", "double")
    income = dataset.tables["households"].columns["income"]
    assert income.values == ("Under 15K", "15-24K")
    assert income.sensitive
    assert dataset.tables["households"].one_row_per_unit
    assert dataset.tables["products"].public


def test_what_a_small_file_leaves_out_has_its_default() -> None:
    dataset = parse_dataset(SMALLEST, "dataset.yaml")
    assert dataset.measure is Measure.PURE
    assert dataset.conversion_delta == 0
    assert (dataset.lineage, dataset.max_rows_per_unit, dataset.title) == ("shop", 20_000, "")
    assert dataset.fresh_for == timedelta(days=30)
    assert {name: purpose.consent for name, purpose in dataset.purposes.items()} == {"measurement": "notice"}
    assert dataset.blocks is None


def test_a_dataset_cannot_be_changed(dataset_text: str) -> None:
    dataset = parse_dataset(dataset_text, "dataset.yaml")
    with pytest.raises(ValidationError):
        dataset.privacy_unit = "x"
    with pytest.raises(TypeError):
        dataset.tables["x"] = dataset.tables["products"]  # type: ignore[index]
    with pytest.raises(TypeError):
        dataset.tables["products"].columns["x"] = None  # type: ignore[index]


def test_a_dataset_made_in_python_is_checked_like_a_file() -> None:
    with pytest.raises(ValidationError, match="no column customer"):
        DatasetFile.model_validate(
            {
                "dataset": "shop",
                "privacy_unit": "customer",
                "budget": {"epsilon": 1, "delta": 0},
                "tables": {"visits": {"columns": {"other": {"type": "varchar"}}}},
            }
        )


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "word"),
    [
        ("dataset: complete_journey", "dataset: Complete-Journey", 1, "dataset", "is not a name"),
        ("dataset: complete_journey", "dataset: dp_x", 1, "dataset", "reserved"),
        ("dataset: complete_journey", "dataset: " + "a" * 64, 1, "dataset", "is not a name"),
        ("dataset: complete_journey", 'dataset: "a\\n"', 1, "dataset", "is not a name"),
        ("dataset: complete_journey", "", 1, "dataset", "missing"),
        ("title: Grocery households, one year", "title: 5", 2, "title", "put it in quotes"),
        ("title: Grocery households, one year", "title:", 2, "title", "must be text, not nothing"),
        ("title: Grocery households, one year", "titel: x", 2, "titel", "no such key"),
        ("epsilon: 6.0", "epsilon: 0", 4, "budget.epsilon", "above 0"),
        ("epsilon: 6.0", "epsilon: 1000.01", 4, "budget.epsilon", "at most 1000"),
        ("epsilon: 6.0", "epsilon: '6,5'", 4, "budget.epsilon", "must be a number, not '6,5': decimals follow a point"),
        ("epsilon: 6.0", "epsilon: '6'", 4, "budget.epsilon", "must be a number, not '6'"),
        ("epsilon: 6.0", "epsilon: true", 4, "budget.epsilon", "must be a number"),
        ("delta: 1.0e-6", "delta: 0.1", 4, "budget.delta", "pure DP"),
        ("delta: 1.0e-6", "delta: -1e-9", 4, "budget.delta", "pure DP"),
        ("delta: 1.0e-6", "delta: 1e-300", 4, "budget.delta", "pure DP"),
        (", delta: 1.0e-6", "", 4, "budget.delta", "missing"),
        (
            "fresh_for: 30d",
            "blocks: {column: transactions.t, every: month, budget: {epsilon: 2.0, delta: 1.0e-7}}",
            5,
            "blocks.column",
            "transactions.t is not a column of a personal table",
        ),
        (
            "fresh_for: 30d",
            "blocks: {column: transactions.sales_value, every: month, budget: {epsilon: 2.0, delta: 1.0e-7}}",
            5,
            "blocks.column",
            "a column of time is a date or timestamp, not a double",
        ),
        (
            "fresh_for: 30d",
            "blocks: {column: transactions.transaction_timestamp, every: month, budget: {epsilon: 2.0, delta: 0}}",
            5,
            "blocks.budget.delta",
            "both count in one measure",
        ),
        (
            "fresh_for: 30d",
            "blocks: {column: transactions.transaction_timestamp, every: hour, budget: {epsilon: 2, delta: 1e-7}}",
            5,
            "blocks.every",
            "one of day, week, month, quarter, year",
        ),
        ("fresh_for: 30d", "blocks:", 5, "blocks", "says nothing"),
        ("fresh_for: 30d", "fresh_for: 30", 5, "fresh_for", "30d, 12h or 90m"),
        ("fresh_for: 30d", "fresh_for: 0d", 5, "fresh_for", "30d, 12h or 90m"),
        ("fresh_for: 30d", "fresh_for: 999999d", 5, "fresh_for", "at most 3650d"),
        ("per_unit: 20000", "per_unit: 0", 6, "max_rows_per_unit", "between 1 and"),
        ("per_unit: 20000", "per_unit: 2e4", 6, "max_rows_per_unit", "whole number"),
        ("per_unit: 20000", "per_unit: true", 6, "max_rows_per_unit", "whole number"),
        ("consent: notice", "consent: maybe", 9, "purposes.measurement.consent", "'opt_in', not 'maybe'"),
        ("  measurement: {title", "  all_sale_share: {title", 9, "purposes.all_sale_share", "name of a refusal"),
        ("  measurement: {title", "  known_minor: {title", 9, "purposes.known_minor", "name of a refusal"),
        ("consent: notice", "kind: ads", 9, "purposes.measurement.kind", "'cross_context_ads'"),
        ("consent: notice", "basis_7027m: 9", 9, "purposes.measurement.basis_7027m", "between 1 and 8"),
        ("tables:", "tables: {}\nx:", 11, "tables", "at least one entry"),
        ("  products:", "  Products:", 22, "tables.Products", "is not a name"),
        ("  products:", "  dp_products:", 22, "tables.dp_products", "reserved"),
        ("public: true", "public: yes", 23, "tables.products.public", "true or false, not 'yes'"),
        (
            "public: true",
            "public: true\n    one_row_per_unit: true",
            24,
            "tables.products.one_row_per_unit",
            "no units",
        ),
        ("product_id: {type: bigint}", "a: {type: bigint}, A: {type: date}", 24, "tables.products.columns.A", "case"),
        ("product_id: {type", "DP_id: {type", 24, "tables.products.columns.DP_id", "reserved"),
        ("product_id: {type", "Household_ID: {type", 24, "tables.products.columns.Household_ID", "must not hold"),
        ("product_id: {type", "product id: {type", 24, "tables.products.columns.'product id'", "not a column name"),
        ("product_id: {type: bigint}", "x: bigint", 24, "tables.products.columns.x", "must be a mapping"),
        ("product_id: {type: bigint}", "x: {}", 24, "tables.products.columns.x.type", "missing"),
        ("product_id: {type: bigint}", "x: {type: blob}", 24, "tables.products.columns.x.type", "is not a type"),
        ("product_id: {type: bigint}", "x: {type: 5}", 24, "tables.products.columns.x.type", "name of a type"),
        ("why: joins}", "bounds: [0, 9]}", 14, "tables.transactions.columns.household_id", "neither bounds nor values"),
        ("why: joins}", "values: [1]}", 14, "tables.transactions.columns.household_id", "neither bounds nor values"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line_and_key(
    dataset_text: str, old: str, new: str, line: int, key: str, word: str
) -> None:
    assert old in dataset_text
    error = refused(dataset_text.replace(old, new, 1))
    assert (error.file, error.line, error.key) == ("dataset.yaml", line, key)
    assert word in error.what


@pytest.mark.parametrize(
    ("column", "key", "word"),
    [
        ("x: {type: double, bounds: [0]}", "x.bounds", "two numbers"),
        ("x: {type: double, bounds: 5}", "x.bounds", "two numbers"),
        ("x: {type: double, bounds: [1, 0]}", "x.bounds", "swap"),
        ("x: {type: double, bounds: [1, 1.0]}", "x.bounds", "both 1"),
        ("x: {type: double, bounds: [0, '5']}", "x.bounds[1]", "must be a number"),
        ("x: {type: double, bounds: [0, 1.1e15]}", "x.bounds[1]", "between -1e15 and 1e15"),
        ("x: {type: double, bounds: [0, 1e-13]}", "x.bounds[1]", "12 digits"),
        ("x: {type: bigint, bounds: [0, 0.5]}", "x.bounds", "whole numbers"),
        ("x: {type: varchar, bounds: [0, 1]}", "x.bounds", "no bounds"),
        ("x: {type: date, bounds: [0, 1]}", "x.bounds", "no bounds"),
        ("x: {type: bigint, values: []}", "x.values", "1 to 1000000"),
        ("x: {type: bigint, values: a}", "x.values", "must be a list"),
        ("x: {type: bigint, values: [1, two]}", "x.values[1]", "must be a number, not 'two'"),
        ("x: {type: bigint, values: [1, 2, 1.0]}", "x.values[2]", "twice"),
        ("x: {type: bigint, values: [1, 9], bounds: [0, 5]}", "x.values[1]", "outside"),
        ("x: {type: varchar, values: [a, 5]}", "x.values[1]", "put it in quotes"),
        ("x: {type: varchar, values: [null]}", "x.values[0]", "must be text"),
        ('x: {type: varchar, values: ["\\u00e9", "e\\u0301"]}', "x.values[1]", "twice"),
        ("x: {type: date, values: [2017-02-29]}", "x.values[0]", "YYYY-MM-DD"),
        ("x: {type: double, values: [0.1, 0.1000000000000000055]}", "x.values[1]", "twice"),
        ("x: {type: date, purposes: [nothing]}", "x.purposes", "no purpose nothing"),
        ("x: {type: date, purposes: [measurement, measurement]}", "x.purposes", "twice"),
        ("x: {type: date, purposes: measurement}", "x.purposes", "must be a list"),
        ("x: {type: date, category: shopping}", "x.category", "one of the statute's categories (identifiers, "),
        ("x: {type: date, sensitive: heath}", "x.sensitive", "government_id, account_access"),
        ("x: {type: date, sensitive: 1}", "x.sensitive", "true, false or one of"),
        ("x: {type: date, why: Business purposes.}", "x.why", "says nothing"),
        ("x: {type: date, retention: a while}", "x.retention", "30d, 12h or 90m"),
        ("x: {type: decimal(10,2)}", "x.type", "put it in quotes"),
        ("x: {type: 'decimal(39,2)'}", "x.type", "1 <= p <= 38"),
    ],
)
def test_a_wrong_column_is_refused_at_its_place(column: str, key: str, word: str) -> None:
    error = refused(with_columns(column))
    assert (error.line, error.key) == (5, f"tables.visits.columns.{key}")
    assert word in error.what


def test_a_personal_table_without_the_unit_says_what_to_do(dataset_text: str) -> None:
    error = refused(dataset_text.replace("    public: true\n", ""))
    assert (error.line, error.key) == (22, "tables.products")
    assert "table products has no column household_id, the privacy unit: list it, or correct" in error.what


def test_the_unit_s_column_is_found_by_its_exact_name() -> None:
    assert "no column customer" in refused(SMALLEST.replace("{customer:", "{Customer:")).what


@pytest.mark.parametrize("name", ["double", "date", "boolean", "timestamp", "'decimal(10,0)'"])
def test_the_unit_s_type_must_be_a_key_s(name: str) -> None:
    error = refused(SMALLEST.replace("varchar", name))
    assert error.key == "tables.visits.columns.customer.type"
    assert "bigint, integer, varchar, uuid" in error.what


def test_the_unit_has_one_type_in_all_personal_tables() -> None:
    error = refused(SMALLEST + "  calls: {columns: {customer: {type: bigint}}}\n")
    assert "the same type" in error.what


def test_a_wrong_name_is_told_once_though_the_lineage_follows_it() -> None:
    error = refused(SMALLEST.replace("dataset: shop", "dataset: Shop"))
    assert (error.key, "|" in error.what) == ("dataset", False)


def test_a_dataset_of_public_tables_alone_is_refused() -> None:
    text = SMALLEST.replace("{columns: {customer:", "{public: true, columns: {product:")
    assert "every table is public" in refused(text).what


def test_every_problem_is_told_at_once(dataset_text: str) -> None:
    text = dataset_text.replace("epsilon: 6.0", "epsilon: -1").replace("per_unit: 20000", "per_unit: x")
    error = refused(text.replace("public: true", "public: 1"))
    assert str(error).startswith("dataset.yaml:4: budget.epsilon: must be above 0")
    assert " | line 6: max_rows_per_unit: must be a whole number, not 'x' | " in str(error)
    assert str(error).endswith("line 23: tables.products.public: must be true or false, not 1")


def test_quotes_and_unicode_in_values_are_kept() -> None:
    values = ["O'Brien", 'say "hi"', "Zoë", "日本", "$x; --", "{{a}}", "%s", ""]
    text = with_columns(f"x: {{type: varchar, values: {values!r}}}".replace('"O\'Brien"', "'O''Brien'"))
    found = parse_dataset(text, "dataset.yaml").tables["visits"].columns["x"].values
    assert found == tuple(values)


@settings(max_examples=40)
@given(st.decimals(Decimal("1e-15"), Decimal("0.01"), allow_nan=False))
def test_the_two_halves_of_delta_never_exceed_it(delta: Decimal) -> None:
    dataset = parse_dataset(SMALLEST.replace("delta: 0", f"delta: {str(delta)[:60]}"), "dataset.yaml")
    assert dataset.measure is Measure.ZCDP
    halves = Fraction(dataset.conversion_delta) + Fraction(dataset.delta_thresholds)
    assert halves <= Fraction(dataset.budget.delta)
    assert delta_down(dataset.delta_thresholds) * 2 >= delta_down(dataset.budget.delta) - 1


def test_a_column_without_purposes_serves_measurement_alone_unless_it_is_public(dataset_text: str) -> None:
    text = dataset_text.replace("timestamp, purposes: [measurement, personalization]", "timestamp")
    dataset = parse_dataset(text, "dataset.yaml")
    assert dataset.allowed_purposes("transactions", "transaction_timestamp") == {"measurement"}
    assert dataset.allowed_purposes("households", "income") == {"personalization"}
    assert dataset.allowed_purposes("products", "department") == {"measurement", "personalization"}
    alone = text.replace("  measurement: {title", "  other: {title").replace("measurement, ", "")
    assert not parse_dataset(alone, "d").allowed_purposes("transactions", "transaction_timestamp")


def test_a_dataset_is_loaded_from_a_path(tmp_path: Path, dataset_text: str) -> None:
    path = tmp_path / "dataset.yaml"
    path.write_text(dataset_text, encoding="utf-8")
    assert load_dataset(path) == load_dataset(str(path)) == parse_dataset(dataset_text, "x")
    path.write_text("- a\n", encoding="utf-8")
    with pytest.raises(FileError, match=r"dataset\.yaml:1: the file must be a mapping of keys, not a list"):
        load_dataset(path)


def test_blocks_are_of_a_column_of_time_with_a_budget_of_which_half_the_delta_converts(dataset_text: str) -> None:
    blocks = "blocks: {column: transactions.transaction_timestamp, every: week, budget: {epsilon: 2.0, delta: 1.0e-7}}"
    found = parse_dataset(f"{dataset_text}\n{blocks}\n", "dataset.yaml").blocks
    assert found is not None
    assert (found.table, found.time, found.every) == ("transactions", "transaction_timestamp", "week")
    assert found.conversion_delta == found.delta_thresholds == Decimal("5e-8")


def test_a_table_of_one_row_a_unit_has_no_blocks() -> None:
    text = (
        "dataset: shop\nprivacy_unit: who\nbudget: {epsilon: 1, delta: 0}\n"
        "blocks: {column: t.at, every: day, budget: {epsilon: 1, delta: 0}}\n"
        "tables:\n  t: {one_row_per_unit: true, columns: {who: {type: bigint}, at: {type: date}}}\n"
    )
    with pytest.raises(FileError, match="blocks would decide each other's rows"):
        parse_dataset(text, "dataset.yaml")
