"""A data version with the rows of another, and the consent of another epoch: a fresh file, whose old one can go.

Nothing of the earlier consent is written to it, so none of its blocks can still hold it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import duckdb

from dpstats.catalog.consented import CONSENT
from dpstats.catalog.dataset import DatasetFile
from dpstats.engine.consent import Roll
from dpstats.engine.duck import CONNECT_CONFIG
from dpstats.engine.load import set_up, write_about
from dpstats.engine.meta import read_meta
from dpstats.engine.names import literal, quoted
from dpstats.engine.source import trouble_in
from dpstats.engine.whole import whole_file
from dpstats.errors import FileError

_TABLES = "SELECT table_name FROM duckdb_tables() WHERE database_name = 'dp_base' ORDER BY table_name"


def renew(dataset: DatasetFile, base: Path, *, target: Path, roll: Roll | None, memory_limit_mb: int = 4096) -> None:
    """Builds the data version `target` from `base`, which was loaded under the same definition.

    Args:
      roll: Whom the dataset's purposes count; None: it is not known.
      memory_limit_mb: Memory of the work; what does not fit is spilled beside the new file, and removed.

    Raises:
      FileError: `base` cannot be read, or `target` not be written. `target` is then as it was before.
    """
    with whole_file(target) as made, duckdb.connect(":memory:", config=CONNECT_CONFIG) as connection:
        set_up(connection, made.parent / "spill", memory_limit_mb)
        if trouble_in(lambda: connection.execute(f"ATTACH {literal(base)} AS dp_base (READ_ONLY)")):
            raise FileError(str(base), "cannot be opened as a data version: load the dataset again")
        meta = replace(read_meta(connection, base, "dp_base.main"), consent=None)

        def copy() -> None:
            connection.execute(f"ATTACH {literal(made)} AS dp_made")
            for (table,) in connection.execute(_TABLES).fetchall():
                if table not in (CONSENT, "dp_meta"):
                    name = quoted(table)
                    connection.execute(f"CREATE TABLE dp_made.main.{name} AS FROM dp_base.main.{name}")
            write_about(connection, dataset, meta, roll)
            connection.execute("CHECKPOINT dp_made")
            connection.execute("DETACH dp_made")

        if trouble_in(copy):
            raise FileError(str(target), "cannot be written: too little memory or disk, or the data are damaged")
