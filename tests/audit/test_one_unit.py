"""The audit of a query from its files: it finds a unit that the answer shows, and keeps within a claim that is kept.

A sound case fails once in 1e7; an eighth of the noise is noticed with three wrong guesses in a hundred or fewer, and
escapes less than once in 1e6.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from audit_shop import QUERIES, written

from dpstats.audit.findings import EpsilonFinding
from dpstats.audit.made import Made
from dpstats.audit.one_unit import audit_query
from dpstats.audit.subject import AUDITED, LEARNED, from_file
from dpstats.catalog.query import CostEpsilon, CostRho, parse_query
from dpstats.errors import FileError


def audited(file: Path, runs: int) -> EpsilonFinding:
    return audit_query(from_file(file), runs, lambda step, fraction: None)


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_of_any_shape_keeps_its_claim(tmp_path: Path, query: str) -> None:
    finding = audited(written(tmp_path, query), 15)
    assert not finding.exceeds
    assert finding.case == query
    assert finding.claim.amount == 1.0
    assert finding.tally.runs_in + finding.tally.runs_out == 30


def test_in_a_dataset_without_delta_epsilon_is_measured_as_it_is(tmp_path: Path) -> None:
    finding = audited(written(tmp_path, "of_one_kind", pure=True), 15)
    assert not finding.exceeds
    assert finding.claim.pure
    assert finding.claim.exact_epsilon == finding.claim.amount == 2.0


@pytest.mark.usefixtures("an_eighth_of_the_noise")
def test_an_eighth_of_the_noise_is_noticed(tmp_path: Path) -> None:
    assert audited(written(tmp_path, "of_one_kind"), 50).exceeds


@pytest.mark.parametrize("query", QUERIES)
def test_the_made_data_hold_every_column_and_one_unit_more(tmp_path: Path, query: str) -> None:
    subject = from_file(written(tmp_path, query))
    assert "unread" not in subject.dataset.tables
    scene = Made(subject.dataset, subject.query).scene()
    for name, table in subject.dataset.tables.items():
        without, with_canary = scene.without[name], scene.with_canary[name]
        assert list(without) == list(with_canary) == list(table.columns)
        if table.public:
            assert without == with_canary
            continue
        units = [set(tables["customer"]) for tables in (without, with_canary)]
        assert units[1] - units[0] == {"unit0"}
        assert units[0] <= units[1]
        for column, spec in table.columns.items():
            if spec.values:
                assert set(with_canary[column]) <= set(spec.values)
            if spec.bounds:
                assert {float(value) for value in with_canary[column]} <= {float(end) for end in spec.bounds}


def test_what_the_query_names_is_among_the_data(tmp_path: Path) -> None:
    subject = from_file(written(tmp_path, "of_one_kind"))
    made = Made(subject.dataset, subject.query)
    assert "bread" in made.public()["products"]["kind"]
    assert 7 in made.public()["products"]["product"]


def test_the_query_is_asked_at_a_price_at_which_an_audit_can_see(tmp_path: Path) -> None:
    for pure, costs in ((False, (1, 10)), (True, (2, 12))):
        subject = from_file(written(tmp_path, "of_one_kind", pure=pure))
        for name, cost in zip((AUDITED, LEARNED), costs, strict=True):
            found = parse_query(subject.queries[name], f"{name}.yaml")
            assert found.sql == subject.query.sql
            assert found.cost == (CostEpsilon(epsilon=cost) if pure else CostRho(rho=cost))
            assert found.parameters["kind"].default == "bread"


def test_a_dearer_query_is_asked_at_its_own_price(tmp_path: Path) -> None:
    file = written(tmp_path, "average")
    file.write_text(file.read_text().replace("rho: 0.005", "rho: 3"))
    assert parse_query(from_file(file).queries[AUDITED], "audited.yaml").cost == CostRho(rho=3)


def test_a_file_that_is_wrong_or_alone_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path, "average")
    (tmp_path / "dataset.yaml").unlink()
    with pytest.raises(FileError, match=r"dataset\.yaml"):
        from_file(file)


def test_what_a_smallest_group_withholds_is_audited_too(tmp_path: Path) -> None:
    """Else every number of the made data would be withheld, and nothing could be found."""
    file = written(tmp_path, "by_town")
    beside = file.parent / "dataset.yaml"
    plain = from_file(file)
    purposes = "purposes: {measurement: {title: Reporting, consent: notice, smallest_group: 90000}}\n"
    beside.write_text(beside.read_text() + "smallest_group: 80000\n" + purposes)
    subject = from_file(file)
    assert subject.dataset.smallest_group_of("measurement") is None
    assert (subject.queries, subject.dataset.tables) == (plain.queries, plain.dataset.tables)
