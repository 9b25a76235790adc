"""The rows kept of a unit are a function of that unit's rows and the key."""

from __future__ import annotations

import random
from collections import Counter, defaultdict

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpstats.engine.bound import ROW_TEXT, hash_key, kept_of_over, longest, ranked, text_cap, twins, units_over
from dpstats.engine.load import load

CAP = 3
ROWS = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from(["a", "b", None, "|", "é"]), st.sampled_from([0.0, 1.5, None])),
    max_size=40,
)


def kept(rows, cap=CAP, key=b"k"):
    """What is kept of rows (unit, x, y), as a multiset for each unit."""
    with duckdb.connect(":memory:") as connection:
        connection.execute('CREATE TABLE dp_rows ("unit" BIGINT, "x" VARCHAR, "select" DOUBLE)')
        if rows:
            columns = [list(column) for column in zip(*rows, strict=True)]
            connection.execute("INSERT INTO dp_rows SELECT unnest(?), unnest(?), unnest(?)", columns)
        connection.execute(f"CREATE TABLE dp_over AS {units_over('dp_rows', 'unit', cap)}")
        few = kept_of_over("dp_rows", "dp_over", ["unit", "x", "select"], "unit", cap)
        found = connection.execute(few, {"dp_hash_key": hash_key(key)}).fetchall()
        found += connection.execute("FROM dp_rows WHERE unit NOT IN (FROM dp_over)").fetchall()
    units = defaultdict(Counter)
    for row in found:
        units[row[0]][row] += 1
    return units


@settings(max_examples=25, deadline=None)
@given(ROWS, st.randoms(use_true_random=False))
def test_order_does_not_matter(rows, chance):
    shuffled = rows.copy()
    chance.shuffle(shuffled)
    assert kept(shuffled) == kept(rows)


@settings(max_examples=25, deadline=None)
@given(ROWS, st.integers(0, 4))
def test_removing_a_unit_leaves_every_other_units_rows(rows, gone):
    with_it, without = kept(rows), kept([row for row in rows if row[0] != gone])
    with_it.pop(gone, None)
    assert without == with_it


@settings(max_examples=25, deadline=None)
@given(ROWS)
def test_a_unit_keeps_its_own_rows_up_to_the_cap(rows):
    own = Counter(row[0] for row in rows)
    units = kept(rows)
    assert {unit: sum(found.values()) for unit, found in units.items()} == {u: min(n, CAP) for u, n in own.items()}
    every = Counter(rows)
    assert all(found[row] <= every[row] for found in units.values() for row in found)


def test_another_key_keeps_other_rows():
    rows = [(1, str(i), None) for i in range(50)]
    assert len({frozenset(kept(rows, key=bytes([secret]))[1]) for secret in range(5)}) == 5


def test_every_row_of_a_unit_is_kept_equally_often():
    found = kept([(unit, str(i), None) for unit in range(4000) for i in range(4)], cap=1)
    times = Counter(row[1] for rows in found.values() for row in rows)
    # Chi-squared with 3 degrees of freedom: 21.1 is exceeded with probability 1e-4. The key is fixed, so it is not.
    assert sum((times[str(i)] - 1000) ** 2 / 1000 for i in range(4)) < 21.1


def test_identical_rows_are_drawn_one_by_one():
    """A row that is there three times of four is kept three times of four, not all or nothing."""
    found = kept([(unit, x, None) for unit in range(4000) for x in ("often", "often", "often", "once")], cap=1)
    times = Counter(row[1] for rows in found.values() for row in rows)
    assert abs(times["often"] - 3000) < 4 * (4000 * 0.75 * 0.25) ** 0.5


def ranks(rows, key=b"k"):
    """The rank of each of rows (unit, x, y): for each unit, its rows in their order."""
    with duckdb.connect(":memory:") as connection:
        connection.execute('CREATE TABLE dp_rows ("unit" BIGINT, "x" VARCHAR, "select" DOUBLE)')
        if rows:
            columns = [list(column) for column in zip(*rows, strict=True)]
            connection.execute("INSERT INTO dp_rows SELECT unnest(?), unnest(?), unnest(?)", columns)
        columns = ["unit", "x", "select"]
        connection.execute(f"CREATE TABLE dp_twins AS {twins('dp_rows', columns)}")
        sql = ranked("dp_rows", "dp_twins", columns, "unit")
        found = connection.execute(sql, {"dp_hash_key": hash_key(key)}).fetchall()
    units = defaultdict(dict)
    for *row, rank in found:
        assert units[row[0]].setdefault(rank, tuple(row)) == tuple(row)
    return {unit: [own[rank] for rank in range(1, len(own) + 1)] for unit, own in units.items()}


@settings(max_examples=25, deadline=None)
@given(ROWS, st.integers(0, 4), st.randoms(use_true_random=False))
def test_ranks_depend_on_nobody_else_and_not_on_order(rows, gone, chance):
    shuffled = [row for row in rows if row[0] != gone]
    chance.shuffle(shuffled)
    everyone = ranks(rows)
    everyone.pop(gone, None)
    assert ranks(shuffled) == everyone
    assert sum(map(len, everyone.values())) == len(shuffled)


def test_ranks_are_in_no_order_that_rows_tell():
    first = [own[0] for own in ranks([(unit, str(i), None) for unit in range(4000) for i in range(4)]).values()]
    times = Counter(row[1] for row in first)
    assert sum((times[str(i)] - 1000) ** 2 / 1000 for i in range(4)) < 21.1  # as above
    rows = [(unit, x, None) for unit in range(4000) for x in ("often", "often", "often", "once")]
    times = Counter(own[0][1] for own in ranks(rows).values())
    assert abs(times["often"] - 3000) < 4 * (4000 * 0.75 * 0.25) ** 0.5
    assert ranks(rows, key=b"another") != ranks(rows)


def test_a_unit_keeps_no_more_text_than_its_rows_may_have(purchases):
    """Of 40 rows, each of the longest cell, so many are kept as have the text of 1,000 bytes a row."""
    rows = [(1, f"{i} " + "é" * 20_000) for i in range(40)] + [(2, f"{i}") for i in range(40)]
    kept = Counter(person for person, _ in purchases(rows, max_rows=100))
    assert text_cap(["x"], 100) == 100_000
    assert kept == {1: 5, 2: 40}


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, ROW_TEXT // 4)), min_size=1, max_size=60), st.integers(1, 30)
)
def test_where_no_row_is_long_counting_rows_finds_every_unit_that_has_too_much(rows, max_rows):
    """So a load need not add up texts whose longest row is within what rows may have on average."""
    with duckdb.connect(":memory:") as connection:
        units, sizes = zip(*rows, strict=True)
        connection.execute(
            "CREATE TABLE dp_rows AS SELECT unnest($units) AS unit, repeat('é', 2 * unnest($sizes)) AS x",
            {"units": list(units), "sizes": list(sizes)},
        )
        ((most,),) = connection.execute(longest("dp_rows", ["x"])).fetchall()
        assert most == 4 * max(sizes) <= ROW_TEXT
        added, counted = (
            sorted(connection.execute(units_over("dp_rows", "unit", max_rows, texts)).fetchall())
            for texts in (["x"], [])
        )
    assert added == counted


def test_no_row_has_more_text_than_is_known_of_its_columns_whatever_became_of_the_rows():
    with duckdb.connect(":memory:") as connection:
        connection.execute("CREATE TEMP TABLE dp_rows (x VARCHAR, y VARCHAR, day DATE)")
        assert connection.execute(longest("dp_rows", ["x", "y"])).fetchall() == [(None,)]
        connection.execute("INSERT INTO dp_rows SELECT NULL, 'é', NULL FROM range(200_000)")
        assert connection.execute(longest("dp_rows", ["x", "y"])).fetchall() == [(2,)]
        connection.execute(
            "INSERT INTO dp_rows SELECT repeat('é', (i % 300)::INTEGER), 'z', NULL FROM range(9000) t(i)"
        )
        connection.execute("UPDATE dp_rows SET y = repeat('é', 400) WHERE x IS NULL")
        connection.execute("DELETE FROM dp_rows WHERE y = 'z'")
        connection.execute("CREATE TEMP VIEW dp_timed AS SELECT *, day AS dp_block FROM dp_rows")
        for rows in ("dp_rows", "dp_timed"):
            ((most,),) = connection.execute(longest(rows, ["x", "y"])).fetchall()
            assert most == 2 * 299 + 2 * 400
        assert connection.execute(longest("dp_rows", [])).fetchall() == [(0,)]


@pytest.fixture(scope="module")
def one_crowd():
    """Ids that are counted together at first."""
    with duckdb.connect(":memory:") as connection:
        same = "hash(i) % 65536 = hash(0::BIGINT) % 65536"
        return [each for (each,) in connection.execute(f"SELECT i FROM range(1_000_000) t(i) WHERE {same}").fetchall()]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2)), max_size=200), st.integers(1, 40), st.booleans())
def test_units_over_their_cap_are_those_that_counting_finds(one_crowd, rows, max_rows, in_blocks):
    found = Counter((one_crowd[unit], block) if in_blocks else (one_crowd[unit],) for unit, block in rows)
    with duckdb.connect(":memory:") as connection:
        connection.execute("CREATE TABLE dp_rows (unit BIGINT, b INTEGER)")
        if rows:
            connection.executemany("INSERT INTO dp_rows VALUES (?, ?)", [(one_crowd[u], b) for u, b in rows])
        over = connection.execute(units_over("dp_rows", "unit", max_rows, block="b" if in_blocks else "")).fetchall()
    assert sorted(over) == sorted(each for each, count in found.items() if count > max_rows)


def test_one_row_is_kept_however_long_its_text(purchases):
    assert len(purchases([(1, "é" * 20_000), (1, "b" * 20_000)], max_rows=1)) == 1


@pytest.fixture
def purchases(dataset, parquet, target, rows_of, key):
    def run(rows, **options):
        source = parquet({"person": [p for p, _ in rows], "x": [x for _, x in rows]})
        spec = dataset(**{"rows": "person: bigint; x: varchar"}, **options)
        load(spec, {"rows": source}, target=target, key=key)
        return rows_of(target, "rows")

    return run


def test_a_load_keeps_the_same_rows_whatever_their_order_and_company(purchases):
    rows = [(person, f"{person}-{i}") for person in range(40) for i in range(person)]
    first = purchases(rows, max_rows=10)
    company = [(person, "other") for person in range(100, 150) for _ in range(30)]
    mixed = rows + company
    random.Random(7).shuffle(mixed)
    second = [row for row in purchases(mixed, max_rows=10) if row[0] < 100]
    assert Counter(first) == Counter(second)
    assert max(Counter(person for person, _ in first).values()) == 10


def test_rows_are_stored_by_unit(purchases):
    rows = [(person, str(i)) for i in range(300) for person in range(400)]
    random.Random(7).shuffle(rows)
    persons = [person for person, _ in purchases(rows, max_rows=200)]
    assert persons == sorted(persons)
    assert len(persons) == 400 * 200


def test_a_table_of_one_row_per_unit_has_one(purchases):
    rows = [(person, str(i)) for person in range(20) for i in range(3)]
    found = purchases(rows, once=["rows"])
    assert sorted(person for person, _ in found) == list(range(20))
    random.Random(7).shuffle(rows)
    assert sorted(purchases(rows, once=["rows"])) == sorted(found)
    assert len({x for _, x in found}) > 1


def test_a_public_table_is_not_bounded(dataset, parquet, target, rows_of, key):
    spec = dataset(max_rows=2, rows="person: bigint", public_shops="shop: varchar")
    sources = {"rows": parquet({"person": [1]}, "r.parquet"), "public_shops": parquet({"shop": ["a"] * 9}, "s.parquet")}
    load(spec, sources, target=target, key=key)
    assert len(rows_of(target, "public_shops")) == 9


def test_ranks_are_stored_with_tables_of_many_rows_only(dataset, parquet, target, rows_of, key):
    spec = dataset(
        max_rows=2, once=["more"], rows="person: bigint", more="person: bigint", public_shops="shop: varchar"
    )
    people = parquet({"person": [1, 1, 1, 2]}, "r.parquet")
    shops = parquet({"shop": ["a"]}, "s.parquet")
    load(spec, {"rows": people, "more": people, "public_shops": shops}, target=target, key=key)
    assert rows_of(target, "rows", "person, dp_rank") == [(1, 1), (1, 2), (2, 1)]
    assert [len(row) for name in ("more", "public_shops") for row in rows_of(target, name, "*")] == [1, 1, 1]
