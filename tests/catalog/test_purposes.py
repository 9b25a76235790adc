"""Purposes: the consent that each needs where it says so, where it does not, and where a sensitive column is read."""

from __future__ import annotations

import pytest

from dpstats.catalog.dataset import parse_dataset
from dpstats.catalog.purposes import CATEGORIES, SENSITIVE, Purpose, consent_needed, kind_of


@pytest.mark.parametrize(
    ("name", "purpose", "kind", "consent", "with_sensitive"),
    [
        ("reports", Purpose(), "first_party_analytics", "notice", "opt_in"),
        ("reports", Purpose(consent="notice"), "first_party_analytics", "notice", "notice"),
        ("reports", Purpose(kind="service"), "service", "always", "opt_in"),
        ("fraud", Purpose(kind="security", consent="always"), "security", "always", "always"),
        ("personalization", Purpose(), "personalization_aggregate", "opt_in", "opt_in"),
        ("personalization_region", Purpose(), "personalization_aggregate", "opt_in", "opt_in"),
        ("personalization", Purpose(consent="notice"), "personalization_aggregate", "notice", "notice"),
        ("segments", Purpose(kind="personalization_aggregate"), "personalization_aggregate", "opt_in", "opt_in"),
        ("ads", Purpose(kind="cross_context_ads"), "cross_context_ads", "opt_out", "opt_in"),
        ("ads", Purpose(kind="sale", consent="opt_out"), "sale", "opt_out", "opt_out"),
        ("ads", Purpose(kind="contextual_ads"), "contextual_ads", "notice", "opt_in"),
        ("study", Purpose(kind="research", consent="opt_in"), "research", "opt_in", "opt_in"),
        ("offers", Purpose(consent="opt_out"), "cross_context_ads", "opt_out", "opt_out"),
        ("offers", Purpose(consent="opt_in"), "cross_context_ads", "opt_in", "opt_in"),
    ],
)
def test_a_purpose_needs_the_consent_that_it_states_or_that_its_kind_has(
    name: str, purpose: Purpose, kind: str, consent: str, with_sensitive: str
) -> None:
    assert kind_of(name, purpose) == kind
    assert consent_needed(name, purpose) == consent
    assert consent_needed(name, purpose, sensitive=True) == with_sensitive


DATASET = """
dataset: d
privacy_unit: u
budget: {epsilon: 1, delta: 0}
tables: {t: {columns: {u: {type: bigint}, x: {type: date, COLUMN}}}}
"""


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_category_of_the_statute_can_be_named(category: str) -> None:
    dataset = parse_dataset(DATASET.replace("COLUMN", f"category: {category}"), "d")
    assert dataset.tables["t"].columns["x"].category == category


@pytest.mark.parametrize("sensitive", SENSITIVE)
def test_every_sensitive_category_of_the_statute_can_be_named(sensitive: str) -> None:
    dataset = parse_dataset(DATASET.replace("COLUMN", f"sensitive: {sensitive}"), "d")
    assert dataset.tables["t"].columns["x"].sensitive == sensitive
