"""Whether a person's rows are in a data version's file, and whether bytes of its id are anywhere in a folder.

Looked at before and after an erasure: a scan that finds nothing says something only if it found something before.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dpstats.catalog.dataset import DatasetFile
from dpstats.engine.in_place import ids_in_place
from dpstats.engine.links import LeftOut, whole_person
from dpstats.engine.names import quoted
from dpstats.engine.opened import HELD, opened

TEXT_MIN = 8
"""Characters of an id that is looked for as text: a shorter one stands in any file by chance."""
_SCANNED_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Held:
    """What a data version holds of a person: its rows by table, and its ids as they are written there.

    `in_place`: tables in place whose owner's files have rows of the person, which are counted.
    """

    rows: Mapping[str, int]
    ids: frozenset[str]
    in_place: frozenset[str] = frozenset()


def held(dataset: DatasetFile, file: Path, is_person: LeftOut) -> Held:
    """What a data version holds of a person.

    Args:
      is_person: says of an id, as text, whether it is the person's.

    Raises:
      FileError: the file cannot be read as a data version of the dataset.
    """
    unit, is_person = f"CAST({quoted(dataset.privacy_unit)} AS VARCHAR)", whole_person(dataset, file, is_person)
    noted = ids_in_place(dataset, file, is_person)
    rows, ids = {}, {text for theirs in noted.values() for text in theirs}
    with opened(file) as connection:
        for name, table in dataset.personal_tables.items():
            if table.in_place:
                continue
            sql = f"SELECT {unit}, count(*) FROM {HELD}.{quoted(name)} GROUP BY ALL"
            found = [(text, count) for text, count in connection.execute(sql).fetchall() if is_person(text)]
            rows[name] = sum(count for _, count in found)
            ids |= {text for text, _ in found}
    return Held(rows, frozenset(ids), frozenset(name for name, theirs in noted.items() if theirs))


SEEN_AND_GONE = "Bytes of what must be gone were seen before, and are in no file after."
STILL_SEEN = "Bytes of what must be gone are in a file still: look at it, for other data may hold the same."
UNSEEN = (
    "No bytes of what must be gone could be seen before either, as where an id is short or a column compressed: the "
    "scan shows nothing. What shows it is that no row is left, in a new file, and that every older one was removed."
)


def scan_says(before: Collection[str], after: Collection[str]) -> str:
    """What a scan shows, by the files in which it saw something before and after."""
    if after:
        return STILL_SEEN
    return SEEN_AND_GONE if before else UNSEEN


def files_holding(folder: Path, ids: frozenset[str]) -> tuple[str, ...]:
    """The files below a folder in which an id stands: as text, or as DuckDB stores a UUID or a whole number.

    Looked for are texts of `TEXT_MIN` characters or more, UUIDs, and whole numbers beyond 32 bits. Columns that DuckDB
    compressed hide what they hold.
    """
    patterns = [pattern for each in sorted(ids) for pattern in _stored(each)]
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if patterns else []
    return tuple(str(path.relative_to(folder)) for path in files if _holds(path, patterns))


def _stored(unit: str) -> Iterator[bytes]:
    if len(unit) >= TEXT_MIN:
        yield unit.encode()
    with suppress(ValueError):
        yield (uuid.UUID(unit).int ^ (1 << 127)).to_bytes(16, "little")
    if unit.removeprefix("-").isdecimal() and 2**32 <= abs(int(unit)) < 2**63:
        yield int(unit).to_bytes(8, "little", signed=True)


def _holds(path: Path, patterns: list[bytes]) -> bool:
    overlap, kept = max(map(len, patterns)) - 1, b""
    with path.open("rb") as file:
        while block := file.read(_SCANNED_AT_ONCE):
            window = kept + block
            if any(pattern in window for pattern in patterns):
                return True
            kept = window[-overlap:]
    return False
