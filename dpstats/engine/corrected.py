"""A correction as a data version shows it: rows that it would change, rows that are as it leaves them, old values.

Looked at before and after the file is made anew, as evidence for stewards alone.
"""

from __future__ import annotations

from pathlib import Path

from dpstats.catalog.dataset import DatasetFile
from dpstats.engine.corrections import Fix, stated
from dpstats.engine.erasure import Held
from dpstats.engine.links import LeftOut, whole_person
from dpstats.engine.names import quoted
from dpstats.engine.opened import HELD, opened


def wrong_cells(dataset: DatasetFile, file: Path, fix: Fix, is_person: LeftOut) -> Held:
    """The rows of a person that a correction would change, and the old values that nobody else's row holds.

    Raises:
      FileError: the file cannot be read as a data version of the dataset.
    """
    said = stated(dataset.tables[fix.table], fix)
    unit = f"CAST({quoted(dataset.privacy_unit)} AS VARCHAR)"
    source = f"{HELD}.{quoted(fix.table)}"
    if said is None:
        return Held({fix.table: 0}, frozenset())
    is_person = whole_person(dataset, file, is_person)
    with opened(file) as connection:
        units = connection.execute(f"SELECT DISTINCT {unit} FROM {source}").fetchall()
        binds = dict(said.binds) | {"dp_units": [text for (text,) in units if is_person(text)]}
        theirs = f"{unit} IN (SELECT unnest($dp_units)) AND {said.matches}"
        # Every value that is bound is named, whether a statement looks at it or not: DuckDB wants it so.
        rows, texts = f"{theirs} AND ({said.differs}) AND {said.readable}", set[str]()
        ((count,),) = connection.execute(f"SELECT count(*) FROM {source} WHERE {rows}", binds).fetchall()
        for column in fix.put:
            cell = f"CAST({quoted(column)} AS VARCHAR)"
            old = f"SELECT DISTINCT {cell} FROM {source} WHERE {rows}"
            others = f"SELECT {cell} FROM {source} WHERE ({rows}) IS NOT TRUE AND {cell} IS NOT NULL"
            found = connection.execute(f"{old} EXCEPT {others}", binds).fetchall()
            texts |= {text for (text,) in found if text is not None}
    return Held({fix.table: int(count)}, frozenset(texts))


def right_rows(dataset: DatasetFile, file: Path, fix: Fix, is_person: LeftOut) -> int:
    """How many rows of a person are as a correction leaves them.

    Raises:
      FileError: as `wrong_cells`.
    """
    said = stated(dataset.tables[fix.table], fix)
    if said is None:
        return 0
    is_person = whole_person(dataset, file, is_person)
    unit = f"CAST({quoted(dataset.privacy_unit)} AS VARCHAR)"
    sql = f"SELECT {unit}, count(*) FROM {HELD}.{quoted(fix.table)} WHERE {said.right} AND {said.readable}"
    with opened(file) as connection:
        found = connection.execute(f"{sql} GROUP BY ALL", said.binds).fetchall()
    return sum(count for text, count in found if is_person(text))
