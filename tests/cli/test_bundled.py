"""The bundled datasets and queries."""

from __future__ import annotations

from dpstats.cli.bundled import bundled, bundled_queries


def test_the_bundled_dataset_and_its_queries_are_found() -> None:
    assert (bundled("complete_journey") / "dataset.yaml").is_file()
    assert "spend_by_income" in {file.stem for file in bundled_queries("complete_journey")}


def test_the_datasets_file_is_not_one_of_its_queries() -> None:
    assert "dataset.yaml" not in {file.name for file in bundled_queries("complete_journey")}
