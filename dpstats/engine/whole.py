"""Files that are whole or absent: built in a hidden folder beside their place, and renamed into it.

What a killed process left in such a folder, the next one removes.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dpstats.errors import FileError

_FOLDER_PREFIX = ".loading-"


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """The path at which to build what becomes `target` if the `with` ends well.

    Its folder is for whatever else the work needs, and goes at the end. One such work at a time goes on in a folder:
    others wait. Only the owner may read the file.

    Raises:
      FileError: the system refuses to write there.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target.parent), _hidden_folder(target.parent) as folder:
            made = folder / "made"
            yield made
            _publish(made, target)
    except OSError as error:
        raise FileError(str(target), f"cannot be written: {error.strerror}") from error


def remove_leftovers(folder: Path) -> None:
    """Removes what killed processes left of such work in a folder, if it is there; waits for one that is at it."""
    if folder.is_dir():
        with _locked(folder):
            for leftover in folder.glob(_FOLDER_PREFIX + "*"):
                shutil.rmtree(leftover)


def _publish(made: Path, target: Path) -> None:
    made.chmod(0o600)
    _sync(made)
    made.replace(target)
    _sync(target.parent)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Holds the folder's lock, which the system frees should the process die."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _hidden_folder(parent: Path) -> Iterator[Path]:
    for leftover in parent.glob(_FOLDER_PREFIX + "*"):
        shutil.rmtree(leftover)
    folder = Path(tempfile.mkdtemp(prefix=_FOLDER_PREFIX, dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """The folder to fill that becomes `target` if the `with` ends well. Only the owner may look into it.

    Raises:
      FileError: the system refuses to write there.
    """
    try:
        with _locked(target.parent), _hidden_folder(target.parent) as folder:
            made = folder / "made"
            made.mkdir(mode=0o700)
            yield made
            for each in made.iterdir():
                _sync(each)
            _sync(made)
            made.replace(target)
            _sync(target.parent)
    except OSError as error:
        raise FileError(str(target), f"cannot be written: {error.strerror}") from error
