"""Several ids of one person are one unit from the load on, whatever the order and the number of steps between them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lying_footer import lying

from dpstats.catalog.canonical import load_fingerprint
from dpstats.catalog.dataset import DatasetFile, parse_dataset
from dpstats.engine.links import units_of
from dpstats.engine.load import load
from dpstats.errors import FileError

KEY = bytes(range(32))


def people(kind: str = "bigint", more: str = "links: true") -> DatasetFile:
    return parse_dataset(
        f"""
dataset: people
privacy_unit: person
budget: {{epsilon: 1, delta: 0}}
max_rows_per_unit: 3
{more}
tables:
  rows: {{columns: {{person: {{type: {kind}}}, x: {{type: bigint}}}}}}
  facts: {{one_row_per_unit: true, columns: {{person: {{type: {kind}}}, f: {{type: bigint}}}}}}
""",
        "d",
    )


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    def make(name: str, text: str) -> Path:
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
        return tmp_path / f"{name}.csv"

    return make


@pytest.fixture
def sources(write: Callable[[str, str], Path]) -> dict[str, Path]:
    return {
        "rows": write("rows", "person,x\n1,1\n2,2\n3,3\n4,4\n5,5\n"),
        "facts": write("facts", "person,f\n1,1\n3,3\n5,5\n"),
        "links": write("links", "id,unit\n2,1\n3,2\ndevice,3\n"),
    }


def units(file: Path, rows_of: Callable[..., list[tuple[Any, ...]]], table: str = "rows") -> list[Any]:
    return sorted(unit for (unit,) in rows_of(file, table, "person"))


def test_linked_ids_are_one_unit_before_anything_is_bounded(sources, target, rows_of) -> None:
    load(people(), sources, target=target, key=KEY)
    assert units(target, rows_of) == [1, 1, 1, 4, 5]
    assert units(target, rows_of, "facts") == [1, 5]  # one row a unit, of the three that its ids had
    capped = parse_dataset(
        "dataset: people\nprivacy_unit: person\nbudget: {epsilon: 1, delta: 0}\nmax_rows_per_unit: 2\nlinks: true\n"
        "tables: {rows: {columns: {person: {type: bigint}, x: {type: bigint}}}}",
        "d",
    )
    load(capped, {name: sources[name] for name in ("rows", "links")}, target=target, key=KEY)
    assert units(target, rows_of) == [1, 1, 4, 5]


def test_links_stay_when_rows_are_loaded_again_and_add_up_when_rows_are_carried(
    sources, write, target, rows_of
) -> None:
    load(people(), sources, target=target, key=KEY)
    again = target.with_name("again.duckdb")
    alone = {name: sources[name] for name in ("rows", "facts")}
    load(people(), alone, target=again, key=KEY, base=target)
    assert units(again, rows_of) == [1, 1, 1, 4, 5]
    third = target.with_name("third.duckdb")
    load(people(), {"links": write("more", "id,unit\n5,4\n")}, target=third, key=KEY, base=again)
    assert units(third, rows_of) == [1, 1, 1, 4, 4]
    anew = target.with_name("anew.duckdb")
    load(people(), alone | {"links": write("other", "id,unit\n5,4\n")}, target=anew, key=KEY, base=third)
    assert units(anew, rows_of) == [1, 2, 3, 4, 4]  # everything is given anew, so a wrong link can go


def test_a_dataset_with_links_is_not_loaded_without_them_and_another_takes_none(sources, target) -> None:
    alone = {name: sources[name] for name in ("rows", "facts")}
    with pytest.raises(FileError, match="add `--source links=PATH`"):
        load(people(), alone, target=target, key=KEY)
    with pytest.raises(FileError, match="links: there is no such table"):
        load(people(more="links: false"), sources, target=target, key=KEY)
    assert load_fingerprint(people()) != load_fingerprint(people(more="links: false"))
    with pytest.raises(FileError, match="is the name of the links"):
        parse_dataset(
            "dataset: d\nprivacy_unit: u\nbudget: {epsilon: 1, delta: 0}\nlinks: true\n"
            "tables: {links: {columns: {u: {type: bigint}}}}",
            "d",
        )


@pytest.mark.parametrize("row", ["zq-secret,zq-other", ",1", "7,", "7,99999999999999999999"])
def test_a_wrong_link_is_told_by_its_row_and_without_its_cells(sources, write, target, row: str) -> None:
    sources["links"] = write("links", f"id,unit\n2,1\n{row}\n")
    with pytest.raises(FileError, match="row 2: must have an id, and a unit that is a bigint") as refused:
        load(people(), sources, target=target, key=KEY)
    assert "zq" not in str(refused.value)


def test_a_link_of_nobody_is_refused_though_a_footer_says_that_somebody_is_named(sources, target, tmp_path) -> None:
    truth, said = (
        pa.table({"id": ids, "unit": ["1", "2"]}) for ids in (["four", None], ["f", "our"])
    )  # as many bytes of each, with none for what is missing
    links = lying(tmp_path / "links.parquet", truth, said)
    with pytest.raises(FileError, match="row 2: must have an id"):
        load(people("varchar"), sources | {"links": links}, target=target, key=KEY)


def test_ids_are_linked_in_any_spelling(write, target, rows_of) -> None:
    text = {
        "rows": write("rows", "person,x\ne\u0301,1\nAnn,2\n"),
        "facts": write("facts", "person,f\nAnn,1\n"),
        "links": write("links", "id,unit\n\u00e9,Ann\n"),
    }
    load(people("varchar"), text, target=target, key=KEY)
    assert units(target, rows_of) == ["Ann", "Ann"]


def test_who_is_linked_to_one_that_is_left_out_is_left_out_too(sources, target, rows_of) -> None:
    gone = load(people(), sources, target=target, key=KEY, left_out=lambda each: each == "device")
    assert gone.linked_out == dict.fromkeys(("1", "2", "3", "device"), "1")
    assert units(target, rows_of) == [4, 5]
    assert rows_of(target, "dp_links", "id") == []
    assert not load(people(), sources, target=target, key=KEY, left_out=lambda each: each == "4").linked_out
    assert units(target, rows_of) == [1, 1, 1, 5]


def test_data_of_which_every_linked_person_was_erased_are_carried_over(sources, target, rows_of) -> None:
    load(people(), sources, target=target, key=KEY, left_out=lambda each: each == "device")
    load(people(), {}, target=target.with_name("next"), key=KEY, base=target)
    assert units(target.with_name("next"), rows_of) == [4, 5]


PAIRS = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("12345")), max_size=12)


@given(PAIRS, st.randoms(use_true_random=False), PAIRS)
def test_order_means_nothing_and_links_of_others_change_nobody_s_unit(pairs, random_, others) -> None:
    shuffled = random_.sample(pairs, len(pairs)) + pairs
    assert units_of(shuffled) == units_of(pairs)
    for each, unit in pairs:
        assert units_of(pairs)[each] == units_of(pairs)[unit]
    apart = [(f"x{each}", f"9{unit}") for each, unit in others]
    found = units_of([*pairs, *apart])
    assert {each: unit for each, unit in found.items() if each in units_of(pairs)} == units_of(pairs)


def test_a_long_chain_is_one_person() -> None:
    chain = [(str(n + 1), str(n)) for n in range(20_000)]
    assert set(units_of(chain).values()) == {"0"}
