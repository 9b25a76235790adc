"""Parquet files whose footers say of cells what is not so, as a faulty or hostile writer's may."""

from __future__ import annotations

import struct
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

_MARK = 4
"""Bytes of `PAR1`, which ends a file; before it stands the footer's length."""


def lying(path: Path, table: pa.Table, said: pa.Table) -> Path:
    """A file of one table with the footer of another, whose cells take as many bytes each: so it is read as one."""
    cells, footer = _parts(path, table)[0], _parts(path, said)[1]
    path.write_bytes(cells + footer)
    return path


def _parts(path: Path, table: pa.Table) -> tuple[bytes, bytes]:
    pq.write_table(table, path, compression="none", use_dictionary=False)
    content = path.read_bytes()
    (length,) = struct.unpack("<I", content[-_MARK - 4 : -_MARK])
    start = len(content) - _MARK - 4 - length
    return content[:start], content[start:]
