"""Entries of a Delta table's log, by hand: what `deltalake` reads and does not write."""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path
from typing import Any

from pyroaring import BitMap

_B85 = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"
_Z85 = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
_MAGIC = 1681511377


def entries(folder: Path, kind: str) -> list[dict[str, Any]]:
    """What the log says of a kind: `add`, `metaData`, .., over all versions."""
    lines = [line for file in sorted((folder / "_delta_log").glob("*.json")) for line in file.read_text().splitlines()]
    return [found[kind] for found in map(json.loads, lines) if kind in found]


def commit(folder: Path, *actions: dict[str, Any]) -> None:
    """Writes the table's next version."""
    number = len(list((folder / "_delta_log").glob("*.json")))
    lines = "\n".join(json.dumps(action) for action in actions)
    (folder / "_delta_log" / f"{number:020}.json").write_text(lines)


def protocol(*features: str) -> dict[str, Any]:
    """A table that asks these features of its readers."""
    asked = {"readerFeatures": list(features), "writerFeatures": list(features)}
    return {"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, **asked}}


def added(folder: Path, add: dict[str, Any], name: str) -> dict[str, Any]:
    """A file that is there by that name is a part of the table; else as in the entry of another file."""
    return {"add": {**add, "path": name, "size": (folder / name).stat().st_size}}


def removed(add: dict[str, Any]) -> dict[str, Any]:
    """The file is no part of the table any more."""
    vector = {name: add[name] for name in ("deletionVector",) if name in add}
    return {"remove": {"path": add["path"], "dataChange": True, "deletionTimestamp": 1, **vector}}


def without_row(add: dict[str, Any], row: int) -> dict[str, Any]:
    """The file without one of its rows, which stays in it."""
    content = struct.pack("<IQI", _MAGIC, 1, 0) + BitMap([row]).serialize()
    content += b"\0" * (-len(content) % 4)
    text = base64.b85encode(content).translate(bytes.maketrans(_B85, _Z85)).decode()
    vector = {"storageType": "i", "pathOrInlineDv": text, "sizeInBytes": len(content), "cardinality": 1}
    return {"add": {**add, "deletionVector": vector}}
