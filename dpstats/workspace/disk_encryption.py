"""Whether the disk below a folder is encrypted, as far as Linux shows it. dpstats itself encrypts no data file.

An erased person's bytes are proved gone by looking for them, which only works on files that can be read. So keeping a
stolen disk unreadable is the host's part: its steward says how (`DPSTATS_DISK_ENCRYPTION`), and what can be seen is
told beside it. A provider may encrypt below what a host sees, so that nothing is seen means nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

DEVICES = Path("/sys/dev/block")
SEEN, UNSEEN = "dm-crypt below this folder", "no encryption is seen below this folder"
_DEPTH_MAX = 16


def seen_below(folder: Path, devices: Path = DEVICES) -> str:
    """`SEEN` if some device that the folder's file system lies on is one of dm-crypt's, else `UNSEEN`."""
    try:
        number = folder.stat().st_dev
        found = devices / f"{os.major(number)}:{os.minor(number)}"
        return SEEN if any(_is_crypt(each) for each in _stack(found, _DEPTH_MAX)) else UNSEEN
    except OSError:
        return UNSEEN


def _stack(device: Path, depth: int) -> Iterator[Path]:
    """A block device and those below it."""
    yield device
    slaves = device / "slaves"
    if depth and slaves.is_dir():
        for below in sorted(slaves.iterdir()):
            yield from _stack(below, depth - 1)


def _is_crypt(device: Path) -> bool:
    uuid = device / "dm" / "uuid"
    return uuid.is_file() and uuid.read_text("ascii", "replace").startswith("CRYPT-")
