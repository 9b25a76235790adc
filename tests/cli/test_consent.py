"""`dpstats consent import`: a file of decisions, all of it or nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cli_running import Run

HEAD = "unit,purpose,decision,observed_at\n"
ROWS = (
    "1,measurement,opt_in,2026-01-01T00:00:00Z\n2,all_sale_share,opt_out,2026-01-02\n2,limit_spi,opt_out,2026-01-02\n"
)


def kept(shop: Path) -> int:
    with closing(sqlite3.connect(shop / "home" / "consent.db")) as raw:
        return int(raw.execute("SELECT count(*) FROM events").fetchone()[0])


def test_a_file_is_taken_in_once(dpstats: Run, shop: Path) -> None:
    (shop / "consent.csv").write_text(HEAD + ROWS, encoding="utf-8")
    for _ in range(2):
        dpstats("consent", "import", "consent.csv", "--dataset", "shop").done()
        assert kept(shop) == 3


def test_parquet_is_taken_in_with_types_of_its_own(dpstats: Run, shop: Path) -> None:
    columns = {
        "unit": pa.array([1, 2], pa.int64()),
        "purpose": ["measurement"] * 2,
        "decision": ["opt_in", "opt_out"],
        "observed_at": pa.array([1_760_000_000_000_000] * 2, pa.timestamp("us", tz="UTC")),
        "email": ["a@example.org", "b@example.org"],
    }
    pq.write_table(pa.table(columns), shop / "consent.parquet")
    dpstats("consent", "import", "consent.parquet", "--dataset", "shop").done()
    assert kept(shop) == 2
    assert not any(b"example.org" in f.read_bytes() for f in (shop / "home").rglob("*") if f.is_file())


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("3,zq-secret,opt_in,2026-01-01", "column purpose: row 4: is none of measurement, all_sale_share"),
        ("3,measurement,zq-secret,2026-01-01", "column decision: row 4: must be one of opt_in, opt_out"),
        ("3,measurement,opt_in,zq-secret", "column observed_at: row 4: must be a moment"),
        ("3,measurement,opt_in,2999-01-01", "column observed_at: row 4: is in the future"),
        (",measurement,opt_in,2026-01-01", "column unit: row 4"),
        ("3,measurement,confirm,2026-01-01", "column decision: row 4"),
        ("3,measurement", "not well-formed CSV"),
    ],
)
def test_a_wrong_row_is_told_without_its_cells_and_nothing_is_kept(
    dpstats: Run, shop: Path, row: str, told: str
) -> None:
    (shop / "consent.csv").write_text(HEAD + ROWS + row + "\n", encoding="utf-8")
    ran = dpstats("consent", "import", "consent.csv", "--dataset", "shop")
    ran.refused("consent.csv", told)
    assert "zq-secret" not in ran.err
    assert not (shop / "home" / "consent.db").exists() or kept(shop) == 0


def test_a_file_without_a_column_or_a_dataset_that_is_not_there_is_refused(dpstats: Run, shop: Path) -> None:
    (shop / "consent.csv").write_text("unit,purpose\n1,measurement\n", encoding="utf-8")
    dpstats("consent", "import", "consent.csv", "--dataset", "shop").refused("no column decision")
    dpstats("consent", "import", "consent.csv", "--dataset", "nothing").refused("no dataset named 'nothing'")
