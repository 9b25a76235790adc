"""What the engine's tests share: datasets, source files, data versions and hand-written plans."""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dpstats.catalog.dataset import DatasetFile, parse_dataset
from dpstats.engine.duck import DuckEngine, open_engine
from dpstats.engine.load import load
from dpstats.plan.plan import Draw, KeyColumn, Plan
from dpstats.privacy.loss import Loss, Measure
from dpstats.privacy.mechanism import Mechanism, Noise, Sensitivity

KEY = bytes(range(32))


@pytest.fixture
def key() -> bytes:
    return KEY


@pytest.fixture(scope="session")
def dataset() -> Callable[..., DatasetFile]:
    """A dataset with the tables given as YAML-like text: `{name: "column: type, ..."}`; `public_` tables are public."""

    def make(max_rows: int = 20_000, once: Sequence[str] = (), **tables: str) -> DatasetFile:
        lines = [
            "dataset: people",
            "privacy_unit: person",
            "budget: {epsilon: 1.0, delta: 1.0e-6}",
            f"max_rows_per_unit: {max_rows}",
            "tables:",
        ]
        for name, columns in tables.items():
            lines.append(f"  {name}:")
            lines += ["    public: true"] if name.startswith("public_") else []
            lines += ["    one_row_per_unit: true"] if name in once else []
            lines.append("    columns:")
            for column in columns.split("; "):
                name_, _, type_ = column.partition(": ")
                lines.append(f"      {name_}: {{type: '{type_}'}}")
        return parse_dataset("\n".join(lines), "dataset.yaml")

    return make


@pytest.fixture
def parquet(tmp_path: Path) -> Callable[..., Path]:
    """Writes a Parquet file of the columns given."""

    def make(columns: dict[str, Any] | pa.Table, name: str = "source.parquet") -> Path:
        table = columns if isinstance(columns, pa.Table) else pa.table(columns)
        pq.write_table(table, tmp_path / name)
        return tmp_path / name

    return make


@pytest.fixture
def csv_file(tmp_path: Path) -> Callable[..., Path]:
    def make(content: str | bytes, name: str = "source.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return make


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "data" / "version.duckdb"


@pytest.fixture
def rows_of() -> Callable[..., list[tuple[Any, ...]]]:
    """The rows of a table of a data version's file, as it stores them; without their ranks unless these are named."""

    def read(file: Path, table: str, columns: str = "COLUMNS(lambda name: name <> 'dp_rank')") -> list[tuple[Any, ...]]:
        with duckdb.connect(file, read_only=True) as connection:
            return connection.execute(f'SELECT {columns} FROM "{table}"').fetchall()

    return read


@pytest.fixture
def loaded(dataset, parquet, target, rows_of) -> Callable[..., list[Any]]:
    """Loads one personal table `rows` of `person` and a column `x`, and gives back its x's in the order of persons."""

    def run(declared: str, cells: Any, **options: Any) -> list[Any]:
        count = len(cells)
        source = parquet(pa.table({"person": pa.array(range(count), pa.int64()), "x": cells}))
        load(dataset(rows=f"person: bigint; x: {declared}"), {"rows": source}, target=target, key=KEY, **options)
        return [x for (x,) in rows_of(target, "rows", "x")]

    return run


@pytest.fixture(scope="session")
def version_once(dataset, tmp_path_factory) -> Path:
    """A data version: `rows` of ten persons, three rows each, with x = 10 * person + 0, 1, 2, and a public table."""
    folder = tmp_path_factory.mktemp("version")
    spec = dataset(rows="person: bigint; x: bigint", public_shops="shop: varchar; size: double; code: uuid")
    persons = [person for person in range(10) for _ in range(3)]
    pq.write_table(pa.table({"person": persons, "x": [10 * p + i % 3 for i, p in enumerate(persons)]}), folder / "r.pq")
    shops = {
        "shop": ["B", "A", None, "A", "é", "it's"],
        "size": [1.5, 0.1, None, 2.0, 1.5, 1e20],
        "code": ["5E1D5C3C-1F7C-4B3E-9D5F-00000000000" + str(i) for i in range(6)],
    }
    pq.write_table(pa.table(shops), folder / "s.pq")
    sources = {"rows": folder / "r.pq", "public_shops": folder / "s.pq"}
    load(spec, sources, target=folder / "version.duckdb", key=KEY)
    return folder / "version.duckdb"


@pytest.fixture
def version(version_once, target) -> Path:
    """A copy of `version_once` of the test's own."""
    target.parent.mkdir()
    shutil.copy(version_once, target)
    return target


@pytest.fixture(scope="session")
def engine(version_once):
    """An engine on `version_once`, which it cannot change: all tests share it."""
    opened = open_engine(version_once, key=KEY)
    yield opened
    opened.close()


@pytest.fixture
def open_version(version):
    """Opens the data version with other limits; closed after the test."""
    opened: list[DuckEngine] = []

    def make(**limits: Any) -> DuckEngine:
        opened.append(open_engine(version, key=KEY, **limits))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


@pytest.fixture
def plan() -> Callable[..., Plan]:
    """A plan written by hand: `keys` are its key values, column by column."""

    def make(sql: str, keys: Sequence[tuple[str, Sequence[Any]]] = (), draws: int = 1, **parameters: Any) -> Plan:
        mechanism = Mechanism(Noise.GAUSSIAN, 2.0, Sensitivity(1, 1))
        return Plan(
            dataset="people",
            query="by_hand",
            query_version="sha256:0",
            parameters={name: str(value) for name, value in parameters.items()},
            parameter_values=parameters,
            sql=sql,
            keys=tuple(KeyColumn(f"key{i}", sql_type, tuple(values)) for i, (sql_type, values) in enumerate(keys)),
            draws=tuple(Draw(i, f"draw{i}", "count", Fraction(1), mechanism, "") for i in range(draws)),
            outputs=(),
            loss=Loss(Measure.ZCDP, 1),
            tables=("rows",),
        )

    return make


@pytest.fixture
def everything_said() -> Callable[[BaseException], str]:
    """All that a crash reporter could find in an error: its text, its causes, the locals of every frame of dpstats."""

    def tell(error: BaseException) -> str:
        report = traceback.TracebackException.from_exception(error, capture_locals=True)
        ours = [
            f"{frame.name} {frame.locals}" for frame in report.stack if "dpstats" in Path(frame.filename).parts[:-1]
        ]
        linked = [repr(error.__cause__), repr(error.__context__), repr(error.args), str(error), repr(vars(error))]
        return "\n".join([*ours, *linked])

    return tell
