"""A data version's file is looked through without anything of it left behind: not in errors, not where work is done."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from dpstats.engine.opened import HELD, opened
from dpstats.errors import FileError


@pytest.fixture
def version(tmp_path: Path) -> Path:
    with duckdb.connect(str(tmp_path / "version.duckdb")) as connection:
        connection.execute(
            "CREATE TABLE visits AS SELECT 'zq' || hash(i) || hash(i + 1) AS uid FROM range(300000) t(i)"
        )
    return tmp_path / "version.duckdb"


def test_what_does_not_fit_in_memory_is_refused_and_spilled_nowhere(
    version: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    ordered = f"SET threads = 1; SET memory_limit = '20MB'; SELECT uid FROM {HELD}.visits ORDER BY uid"
    with pytest.raises(FileError, match="needs more memory") as refused, opened(version) as connection:
        connection.execute(ordered).fetchall()
    assert refused.value.__suppress_context__
    assert list(Path.cwd().iterdir()) == []


def test_what_duckdb_says_of_a_cell_ends_there(version: Path) -> None:
    with pytest.raises(FileError, match="cannot be read as a data version") as refused, opened(version) as connection:
        connection.execute(f"SELECT CAST(uid AS BIGINT) FROM {HELD}.visits").fetchall()
    assert "zq" not in str(refused.value)
    assert refused.value.__suppress_context__
