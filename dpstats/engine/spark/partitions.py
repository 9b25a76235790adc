"""Partitions as Spark reads them: from the names of folders, whatever a table's log says, and not as we decode them.

Spark takes each byte of a percent-coded name for a letter of its own, stops at a folder that is no partition, and reads
no partition without a value. Where it would come to other values than a table has, the table is not read in place.
"""

from __future__ import annotations

import re
from pathlib import Path

from dpstats.engine.folders import NO_VALUE, Folder

_CODED = re.compile("%([0-9A-Fa-f]{2})")


def are_plain(folder: Folder) -> bool:
    """Whether Spark finds the folder's partitions and their values, and nothing else."""
    return not folder.partitions or all(
        _in_names(file.relative_to(folder.root)) == list(zip(folder.partitions, values, strict=True))
        for file, values in zip(folder.files, folder.values, strict=True)
    )


def _in_names(file: Path) -> list[tuple[str, str | None]]:
    found: list[tuple[str, str | None]] = []
    for part in reversed(file.parts[:-1]):
        name, equals, value = part.partition("=")
        if not (name and equals):
            if found:
                break
            continue
        if not value:
            return []
        found.append((_decoded(name), None if value == NO_VALUE else _decoded(value)))
    return found[::-1]


def _decoded(text: str) -> str:
    return _CODED.sub(lambda coded: chr(int(coded[1], 16)), text)
