"""Small files that survive a power cut: written whole under another name, synced, then renamed into place."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PRIVATE = 0o600
"""Readable and writable by the owner alone."""


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Holds an exclusive lock on `path` (made if missing) against every other thread and process that asks for it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def replace_durably(path: Path, content: bytes) -> None:
    """Puts `content` at `path`, mode 0600: a reader sees the old file or the new one, whole, even after a power cut."""
    temporary = _write_beside(path, content)
    temporary.replace(path)
    sync_folder(path.parent)


def create_durably(path: Path, content: bytes, *, dated_s: float | None = None) -> None:
    """Puts `content` at `path`, mode 0600, unless something is there already: the first one to come wins.

    Args:
      dated_s: when it is said to be of, from the moment that it is there, in seconds since 1970; None: of now.
    """
    temporary = _write_beside(path, content, dated_s)
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Makes the names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_beside(path: Path, content: bytes, dated_s: float | None = None) -> Path:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            if dated_s is not None:
                os.utime(file.fileno(), (dated_s, dated_s))
            os.fsync(file.fileno())
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary
