"""The notice and the report from the command line: built, and checked against the files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_running import Run, run_here

FORMS = ("markdown", "html", "json")


@pytest.mark.parametrize("of_files", [True, False])
def test_a_built_notice_is_of_its_files_until_they_change(dpstats: Run, shop: Path, of_files: bool) -> None:
    files = ["dataset.yaml"] if of_files else []
    for form in FORMS:
        dpstats("notice", "build", *files, "--format", form, "--out", f"notice.{form}").done()
        dpstats("notice", "check", f"notice.{form}", *files).done()
    text = (shop / "dataset.yaml").read_text("utf-8").replace("unit: USD", "unit: USD, why: Finds what sells.")
    (shop / "dataset.yaml").write_text(text, "utf-8")
    sources = [f"--source={table}={shop / table}.csv" for table in ("visits", "customers")]
    dpstats("dataset", "add", "dataset.yaml", *sources).done()
    for form in FORMS:
        dpstats("notice", "check", f"notice.{form}", *files).refused("run `dpstats notice build` again")


def test_the_report_names_what_is_approved_and_what_was_spent(dpstats: Run) -> None:
    dpstats("query", "run", "by_town").done()
    (dataset,) = json.loads(dpstats("transparency", "build", "--format", "json").done().out)["datasets"]
    assert [query["says"] for query in dataset["queries"]] == ["Customers and spend by town."]
    assert [line["amount"] for line in dataset["spent"]] == [0.01]
    text = dpstats("transparency", "build").done().out
    assert "Customers and spend by town" in text
    assert "of it is spent, " in text
    assert "customer id, spent, day, town. For Measurement." in text
    assert "Customers and spend by town" in dpstats("transparency", "build", "--format", "html").done().out


def test_a_key_that_the_title_does_not_name_is_told_in_the_report(dpstats: Run) -> None:
    text = Path("by_town.yaml").read_text("utf-8").replace("Customers and spend by town", "Spend by township")
    Path("by_town.yaml").write_text(text, "utf-8")
    dpstats("query", "approve", "by_town.yaml").done()
    (dataset,) = json.loads(dpstats("transparency", "build", "--format", "json").done().out)["datasets"]
    assert [query["says"] for query in dataset["queries"]] == ["Spend by township, by town."]


def test_who_is_not_named_is_this_business_inside_a_sentence(dpstats: Run, shop: Path) -> None:
    assert dpstats("notice", "build").done().out.startswith("# Privacy notice of this business\n")
    assert dpstats("transparency", "build").done().out.startswith("# What this business asked of its data\n")
    page = dpstats("notice", "build", "--format", "html").done().out
    assert "This business answers questions" in page


def test_the_report_of_an_empty_workspace_says_so(tmp_path: Path) -> None:
    home = tmp_path / "home"
    run_here("--home", home, "init").done()
    assert (
        json.loads(run_here("--home", home, "transparency", "build", "--format", "json").done().out)["datasets"] == []
    )
    assert (
        "No data are held here yet." in run_here("--home", home, "transparency", "build", "--format", "html").done().out
    )


def test_a_file_that_is_no_notice_is_refused(dpstats: Run) -> None:
    dpstats("notice", "check", "none.md", "dataset.yaml").refused("cannot be read as a notice")


@pytest.mark.parametrize("kind", ["collection", "policy"])
@pytest.mark.parametrize("form", FORMS)
def test_each_kind_of_notice_is_built_and_checked(dpstats: Run, kind: str, form: str) -> None:
    dpstats("notice", "build", "--kind", kind, "--format", form, "--out", f"{kind}.{form}").done()
    dpstats("notice", "check", f"{kind}.{form}").done()


def test_a_record_for_the_registry_has_the_registrys_fields_and_counts_nobody(dpstats: Run) -> None:
    record = json.loads(dpstats("transparency", "registry", "shop").done().out)
    assert set(record) == {"url_slug", "deployment"}
    assert set(record["deployment"]) == {
        "basic",
        "dp_variant",
        "privacy_loss",
        "deployment_model",
        "implementation",
        "administrative",
    }
    assert record["deployment"]["dp_variant"]["variant_name"] in {"Pure DP", "Zero-concentrated DP"}
    assert "number_of_privacy_units" not in record["deployment"]["privacy_loss"]
    dpstats("transparency", "registry", "nothing").refused("nothing")


def test_requests_are_told_to_the_public_rounded_and_of_years_that_are_over(dpstats: Run) -> None:
    dpstats("rights", "open", "know", "shop", "1").done()
    report = json.loads(dpstats("transparency", "build", "--format", "json").done().out)
    assert "outside the guarantee" in report["requests"]["says"]
    assert report["requests"]["years"] == []


def test_a_load_that_must_names_the_notice_that_its_rows_were_collected_under(dpstats: Run, shop: Path) -> None:
    """1798.100(a), 11 CCR 7012(d): no notice, no collection."""
    file = shop / "dataset.yaml"
    file.write_text(file.read_text("utf-8").replace("tables:", "notice_at_load: required\ntables:", 1), "utf-8")
    sources = [f"--source={table}={shop / table}.csv" for table in ("visits", "customers")]
    add, load = ("dataset", "add", "dataset.yaml", *sources), ("dataset", "load", "shop", sources[0])
    dpstats(*add).refused("takes rows under a notice alone")
    dpstats(*add, "--notice", "sha256:" + "0" * 64).refused("was ever built here")
    first = _built(dpstats)
    dpstats(*add, "--notice", first).done()
    before = json.loads(dpstats("dataset", "list", "--json").done().out)["items"]
    dpstats(*load).refused("takes rows under a notice alone")
    assert json.loads(dpstats("dataset", "list", "--json").done().out)["items"] == before
    dpstats("notice", "build", "--kind", "collection", "--out", "collection.md").done()
    file.write_text(file.read_text("utf-8").replace("unit: USD", "unit: USD, why: Finds what sells."), "utf-8")
    dpstats(*add, "--notice", _built(dpstats)).done()
    dpstats(*load, "--notice", first).done()  # rows that were collected under the notice before
    (told,) = json.loads(dpstats("risk", "export", "--format", "json").done().out)["datasets"]
    assert [load["notice"] for load in told["loads_under_notices"]].count(first) == 2


def _built(dpstats: Run) -> str:
    built = ("notice", "build", "dataset.yaml", "--kind", "collection", "--format", "json")
    return str(json.loads(dpstats(*built).done().out)["version"])
