"""For whom data are held, and what they may not be used for: refused where queries are approved and answered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dpstats.access import operator
from dpstats.errors import Conflict, NotApproved, NotFound, QueryRefused
from dpstats.release import Ask
from dpstats.settings import read_settings
from dpstats.workspace import Workspace

ME = operator("stu")
DATASET = """
dataset: {name}
lineage: shoppers
privacy_unit: shopper
budget: {{epsilon: 3.0, delta: 1.0e-6}}
{more}
tables:
  visits:
    columns:
      shopper: {{type: bigint, purposes: [reporting]}}
      spent: {{type: double, bounds: [0, 100], purposes: [reporting]}}
"""
REPORTING = "purposes: {reporting: {title: Reporting, consent: notice}}"
CONTRACT = "controller: Acme\ncontract: measures Acme's campaigns under the agreement of 2026-04-01\n"
QUERY = """
query: spend
dataset: shop
purpose: reporting
{more}sql: SELECT SUM(spent) AS spend FROM visits
bounds: {{spend: [0, 500]}}
cost: {{rho: 0.01}}
"""


class Held:
    """A workspace, opened as one or the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workspace = self._opened("business")
        (folder / "visits.csv").write_text("shopper,spent\n1,2.5\n2,3.5\n")

    def _opened(self, acts_as: str) -> Workspace:
        settings = read_settings(home=self.folder / "home", acts_as=acts_as, contact="privacy@provider.example")
        return Workspace.open(settings)

    def reopen(self, acts_as: str) -> None:
        self.workspace.close()
        self.workspace = self._opened(acts_as)

    def add(self, more: str, name: str = "shop") -> str:
        file = self.folder / "dataset.yaml"
        file.write_text(DATASET.format(name=name, more=more))
        return self.workspace.datasets.add(ME, file, {"visits": self.folder / "visits.csv"})

    def approve(self, more: str = "") -> None:
        (self.folder / "spend.yaml").write_text(QUERY.format(more=more))
        self.workspace.review.submit(ME, self.folder / "spend.yaml")
        self.workspace.review.approve(ME, "spend")

    def ask(self) -> None:
        self.workspace.releases.make(Ask(ME, "spend", {}, fresh=True))


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Held]:
    made = Held(tmp_path)
    yield made
    made.workspace.close()


def test_a_service_provider_takes_in_what_a_contract_names_and_nothing_for_sale(held: Held) -> None:
    held.reopen("service_provider")
    with pytest.raises(Conflict, match=r"`controller`.*`contract`"):
        held.add(REPORTING)
    for sold in ("kind: cross_context_ads", "kind: sale", "consent: opt_in"):
        with pytest.raises(Conflict, match="purpose reporting is sale or advertising"):
            held.add(CONTRACT + f"purposes: {{reporting: {{title: Reporting, {sold}}}}}")
    with pytest.raises(NotFound):
        held.workspace.datasets.one(ME, "shop")
    assert not (held.workspace.home / "data" / "shop").exists()
    held.add(CONTRACT + REPORTING)
    held.approve()
    held.ask()


def test_a_service_provider_brings_no_two_businesses_data_together(held: Held) -> None:
    held.reopen("service_provider")
    held.add(CONTRACT + REPORTING)
    with pytest.raises(Conflict, match="holds data of Acme: a lineage is one controller's"):
        held.add(CONTRACT.replace("Acme", "Rival") + REPORTING, "rivals")
    held.add(CONTRACT + REPORTING, "second")


def test_what_was_registered_before_answers_nothing_and_charges_nothing_once_it_may_not_be_held(held: Held) -> None:
    held.add(REPORTING)
    held.approve()
    held.ask()
    spent = held.workspace.budgets.one(ME, "shop")
    held.reopen("service_provider")
    with pytest.raises(
        NotApproved, match="dataset shop does not answer query spend as it is defined now: `dpstats doc"
    ):
        held.ask()
    with pytest.raises(Conflict, match="`dpstats doctor`"):
        held.workspace.review.approve(ME, "spend")
    assert held.workspace.budgets.one(ME, "shop") == spent
    found = {each.about: each.what for each in held.workspace.doctor.findings(ME)}
    assert "query spend" in found
    assert found["dataset shop"].startswith("nothing of it is answered: a service provider's dataset names its")
    held.reopen("business")
    held.ask()


def test_people_who_ask_a_service_provider_are_told_whom_to_ask_and_nothing_is_kept(held: Held) -> None:
    held.add(CONTRACT + REPORTING)
    assert held.workspace.opting_out.refuse("1")
    held.reopen("service_provider")
    with pytest.raises(Conflict, match=r"service provider for Acme, .* at privacy@provider\.example"):
        held.workspace.opting_out.refuse("2")
    assert held.workspace.publishing.transparency()["acts_as"] == "service_provider"
    assert held.workspace.publishing.notice()["acts_as"] == "service_provider"


def test_a_query_for_significant_decisions_is_refused_unless_the_dataset_allows_them_and_the_report_tells(
    held: Held,
) -> None:
    held.add(REPORTING)
    held.approve()
    version = held.workspace.review.one(ME, "spend")["query_version"]
    with pytest.raises(QueryRefused, match="significant decisions"):
        held.approve("significant_decision: true\n")
    held.approve("significant_decision: false\n")
    assert held.workspace.review.one(ME, "spend")["query_version"] == version
    held.add(f"significant_decisions: allowed\n{REPORTING}")
    held.approve("significant_decision: true\n")
    assert held.workspace.review.one(ME, "spend")["query_version"] != version
    (query,) = held.workspace.publishing.transparency()["datasets"][0]["queries"]
    assert query["significant_decision"]
    held.add(REPORTING)
    with pytest.raises(NotApproved):
        held.ask()
