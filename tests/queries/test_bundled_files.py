"""The bundled files: each can be answered as it stands, says what it is, and gives a reason for every bound."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest
from bundle import FILES, Bundle

from dpstats.catalog.query import CostAccuracy, CostEpsilon, CostRho, DeclaredKeys, EnumParameter, KeysFrom, PrivateKeys
from dpstats.plan.answer import measures
from dpstats.privacy.conversion import rho_within
from dpstats.privacy.loss import AMOUNT_STEPS

each_query = pytest.mark.parametrize("name", [path.stem for path in FILES])


@each_query
def test_a_query_says_what_it_is(bundle: Bundle, name: str) -> None:
    query = bundle.queries[name]
    assert query.dataset == bundle.dataset.dataset
    assert query.purpose == ("personalization" if name == "segments_by_age" else "measurement")
    assert query.title
    assert query.description.endswith(".")
    assert query.tags


@each_query
def test_a_query_can_be_answered_and_previewed_with_no_warning_but_of_joins_of_many_rows(
    bundle: Bundle, name: str
) -> None:
    plan = bundle.plan(name)
    warnings = bundle.analyses[name].warnings
    assert all("at most 1000 rows" in warning for warning in warnings)
    assert bool(warnings) == (name == "campaign_response")
    assert set(measures(plan)) == {output.name for output in plan.outputs}
    for measure in measures(plan).values():
        assert measure["mechanism"] in {"discrete_gaussian", "exponential", "derived"}


@each_query
def test_every_key_and_bound_of_a_query_has_a_reason(bundle: Bundle, name: str) -> None:
    query = bundle.queries[name]
    assert set(query.why) == query.keys.keys() | query.bounds.keys()
    assert all(query.why.values())
    assert bundle.analyses[name].facts or query.contribution.max_groups or query.contribution.max_norm


def test_every_column_has_a_reason_and_so_have_its_bounds_and_values(bundle: Bundle) -> None:
    for table in bundle.dataset.tables.values():
        for column in table.columns.values():
            assert column.why
            assert (column.bounds is None) == (not column.bounds_why)
            assert (column.values is None) == (not column.values_why)
            if not table.public:
                assert column.category
                assert column.purposes in {("measurement",), ("measurement", "personalization")}


def test_a_column_is_loaded_only_if_a_query_reads_it(bundle: Bundle) -> None:
    read = {(table, c) for a in bundle.analyses.values() for table, columns in a.reads.items() for c in columns}
    assert read == {(name, c) for name, table in bundle.dataset.tables.items() for c in table.columns}


def test_a_column_serves_a_purpose_only_if_a_query_of_it_reads_it(bundle: Bundle) -> None:
    for purpose in bundle.dataset.purposes:
        asked = [a for name, a in bundle.analyses.items() if bundle.queries[name].purpose == purpose]
        read = {(t, c) for a in asked for t, columns in a.reads.items() for c in columns}
        personal = bundle.dataset.personal_tables.items()
        assert read >= {
            (n, c) for n, t in personal for c, spec in t.columns.items() if purpose in (spec.purposes or ())
        }


def test_keys_that_a_query_spells_out_are_all_those_of_their_column(bundle: Bundle) -> None:
    declared = bundle.queries["spend_by_income"].keys["income"]
    assert isinstance(declared, DeclaredKeys)
    assert declared.values == bundle.dataset.tables["households"].columns["income"].values


def test_every_query_can_be_asked_once_and_the_dearest_ones_again(bundle: Bundle) -> None:
    budget = rho_within(bundle.dataset.budget.epsilon, bundle.dataset.conversion_delta)
    costs = [bundle.plan(name).loss.amount for name in bundle.queries]
    assert sum(costs) <= 0.7 * budget
    assert max(costs) <= AMOUNT_STEPS * Decimal("0.03")


def test_every_department_that_can_be_chosen_is_one(bundle: Bundle) -> None:
    choices = bundle.queries["department_spend_by_age"].parameters["department"]
    assert isinstance(choices, EnumParameter)
    assert set(choices.values) <= set(bundle.engine.public_values("products", "department"))


def test_the_bundle_shows_every_way_to_write_a_query(bundle: Bundle) -> None:
    queries = bundle.queries.values()
    assert len(queries) >= 12
    assert {type(query.cost) for query in queries} == {CostRho, CostEpsilon, CostAccuracy}
    assert {type(key) for query in queries for key in query.keys.values()} == {DeclaredKeys, KeysFrom, PrivateKeys}
    parameters = Counter(parameter.type for query in queries for parameter in query.parameters.values())
    assert parameters.keys() == {"date", "enum", "integer"}
    assert any("WITH" in query.sql for query in queries)
