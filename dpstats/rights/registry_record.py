"""A dataset's record for the registry of deployments that OpenDP keeps, from the transparency report. Pure.

The fields are those of the registry's own template; what a file cannot know is left empty, for who submits it to fill
in. It holds no number of people.

Source: github.com/opendp/deployments-registry-data, tests/good_deployments/template.yaml at 057e5d81.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ADJACENT = (
    "Two datasets are adjacent if one has all rows of one privacy unit, in every personal table, consent included, and "
    "the other has none of them (add or remove one unit)."
)
UNPROTECTED = (
    "Names of tables, columns and groups, bounds, and declared values: a steward writes them, and none is read off the "
    "data."
)
MECHANISMS = (
    "Discrete Gaussian or discrete Laplace noise on sums of integers, the exponential mechanism for quantiles, noisy "
    "thresholds for groups that are found in the data; by the OpenDP library. Values are saturated and put on an "
    "integer grid before they are added up, so no floating point number is noised. Answers leave the service on a grid "
    "of time."
)
ACCESS = "Analysts ask queries that a steward approved, and nothing else; the cap is for all of them together."
AFTERWARDS = "Arithmetic between noisy measures, intervals, and groups below a floor left out by their noisy count."
COMPOSITION = "Sequential, over everything that is ever released: one ledger with a cap for life, that is never reset."


def record_of(report: Mapping[str, Any], dataset: Mapping[str, Any]) -> dict[str, Any]:
    """The record of one of the report's datasets."""
    budget = dataset["budget"]
    pure = budget["rho"] is None
    months = [line["month"] for line in dataset["spent"]]
    granted = dataset["grants"][0]["day"] if dataset["grants"] else ""
    return {
        "url_slug": dataset["dataset"].replace("_", "-"),
        "deployment": {
            "basic": {
                "name": dataset["title"],
                "data_curators": [{"data_curator_name": report["business"], "data_curator_type": ""}],
                "description": dataset["description"],
                "intended_use": "; ".join(purpose["title"] for purpose in dataset["purposes"]),
                "data_product_type": "Summary statistics",
                "data_product_region": "",
                "data_product_sector": "",
                "publication_date": f"{min(months)}-01" if months else granted,
            },
            "dp_variant": {
                "variant_name": "Pure DP" if pure else "Zero-concentrated DP",
                "data_domain": ", ".join(_held(dataset)),
                "unprotected_quantities": UNPROTECTED,
            },
            "privacy_loss": {
                "privacy_unit": dataset["unit_of_privacy"],
                "privacy_unit_details": ADJACENT,
                "privacy_parameters": _parameters(budget, pure),
                "privacy_parameters_details": "The cap for life of everything that is ever released of these people.",
            },
            "deployment_model": {
                "model_name": "Central",
                "release_type": "Many releases",
                "release_type_details": COMPOSITION,
                "data_source_type": "Dynamic",
                "access_type": "Interactive",
                "access_type_details": ACCESS,
            },
            "implementation": {
                "mechanisms": MECHANISMS,
                "composition": COMPOSITION,
                "post_processing": AFTERWARDS,
                "additional_information": f"{report['software']}; ledger head {dataset['ledger_head']['hash']}",
            },
            "administrative": {"status": "Draft", "registry_authors": [report["business"]], "tier": 2},
        },
    }


def _held(dataset: Mapping[str, Any]) -> list[str]:
    """Each column that is held, once."""
    named = [f"{c['table']}.{c['column']}" for category in dataset["categories"] for c in category["columns"]]
    return list(dict.fromkeys(named))


def _parameters(budget: Mapping[str, Any], pure: bool) -> dict[str, float]:
    if pure:
        return {"epsilon": budget["epsilon"]}
    return {"rho": budget["rho"], "epsilon": budget["epsilon"], "delta": budget["delta"]}
