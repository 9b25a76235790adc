"""Whom a query counts is the same on both engines: people's decisions, and a purpose that is newer than the data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from both import Both
from made_version import KEY

from dpstats.catalog.consented import consent_columns, consent_rules
from dpstats.catalog.dataset import DatasetFile, parse_dataset
from dpstats.catalog.parameters import bind_parameters
from dpstats.catalog.query import parse_query
from dpstats.engine.load import load
from dpstats.engine.spark.export import export
from dpstats.plan.analysis import analyse
from dpstats.plan.build import build
from dpstats.plan.caps import nothing_counted
from dpstats.plan.plan import Plan

SHOP = parse_dataset(
    """
dataset: shop
privacy_unit: person
budget: {epsilon: 100, delta: 1.0e-6}
engine: {spark: 'local[2]'}
purposes:
  ads: {title: Ads, kind: cross_context_ads}
  planning: {title: Planning, consent: notice, needs_consent_since: 2026-03-01}
  offers: {title: Offers, consent: opt_out, needs_consent_since: 2026-03-01}
tables:
  visits:
    retention_by: day
    columns:
      person: {type: bigint, purposes: [ads, planning, offers]}
      day: {type: date, purposes: [ads]}
  members:
    one_row_per_unit: true
    columns: {person: {type: bigint, purposes: [ads, planning, offers]}}
""",
    "dataset.yaml",
)
DAYS = ["2026-02-28", "2026-03-01", "", "infinity", "2026-07-01"]
PEOPLE = range(20)


@dataclass(frozen=True)
class EveryThird:
    """Every third person opted in to everything and every fourth said no; of the others nothing is known."""

    dataset: DatasetFile
    closed_at: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    @property
    def rules(self) -> str:
        return consent_rules(self.dataset)

    @property
    def columns(self) -> tuple[str, ...]:
        return consent_columns(self.dataset)

    @property
    def unknown(self) -> tuple[bool, ...]:
        return tuple(_unless_asked(column) for column in self.columns)

    def truths(self, ids: Iterable[object]) -> tuple[bool, ...]:
        person = int(str(*ids))
        if person % 3 == 0:
            return (True,) * len(self.columns)
        said_no = person % 4 == 0
        return tuple(_unless_asked(column) and not (said_no and "opt_out" in column) for column in self.columns)


def _unless_asked(column: str) -> bool:
    return "opt_in" not in column and "agreed" not in column


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("consent")
    visits, members = folder / "visits.csv", folder / "members.csv"
    visits.write_text("\n".join(["person,day", *(f"{person},{day}" for person in PEOPLE for day in DAYS)]))
    members.write_text("\n".join(["person", *map(str, PEOPLE)]))
    opened = Both(_version({"visits": visits, "members": members}, folder / "shop.duckdb"), KEY)
    yield opened
    opened.close()


def _version(sources: dict[str, Path], file: Path) -> Path:
    load(SHOP, sources, target=file, key=KEY, roll=EveryThird(SHOP))
    export(SHOP, file)
    return file


def _plan(table: str, purpose: str) -> Plan:
    text = f"query: q\ndataset: shop\npurpose: {purpose}\nsql: SELECT COUNT(*) AS n FROM {table}\ncost: {{rho: 1}}\n"
    query = parse_query(text + ("bounds: {n: [0, 9]}\n" if table == "visits" else ""), "q.yaml")
    return build(analyse(query, SHOP), bind_parameters(query, {}), lambda *_: (), nothing_counted)


@pytest.mark.parametrize(
    ("table", "purpose", "counted"),
    [
        ("visits", "ads", 17 * 5),  # but of 4, 8 and 16
        ("visits", "planning", 7 * 5 + 13 * 2),
        ("visits", "offers", 7 * 5 + 10 * 2),
        ("members", "planning", 7),
    ],
)
def test_both_count_the_same_people_and_rows(both: Both, table: str, purpose: str, counted: int) -> None:
    duck, spark = both.answers(_plan(table, purpose))
    assert sum(sum(cells[0]) for cells in duck.values()) == counted
    assert spark == duck
