"""The files of data versions in a dataset's folder: how they are named, and how nothing of an old one stays.

Beside the file of a data version may lie what is kept at rest for approved queries, and its tables for Spark.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dpstats.engine.at_rest import files_of
from dpstats.engine.spark.export import folder_of, is_exported, remove, remove_folder


def new_version() -> str:
    """The id of a data version that is to be made: random, so that none is used twice."""
    return f"dv_{secrets.token_hex(8)}"


def version_file(dataset: str, version: str) -> str:
    """Where a data version is, from the folder of all data."""
    return f"{dataset}/{version}.duckdb"


def forget(file: Path) -> None:
    """Removes a data version and all that lies beside it; a run on it goes on until it ends."""
    for path in files_of(file):
        remove(path)


def sweep(folder: Path, *, keep: Path) -> None:
    """Removes every file of a dataset's folder but one: what a killed process left may hold anybody's rows."""
    for path in folder.iterdir():
        if path.is_file() and path != keep:
            path.unlink(missing_ok=True)
        elif is_exported(path) and path != folder_of(keep):
            remove_folder(path)


def names_in(folder: Path) -> set[str]:
    """The files of a dataset's folder, and the folders that hold a data version for Spark."""
    return {path.name for path in folder.iterdir() if path.is_file() or is_exported(path)}


@contextmanager
def kept_if_entered(target: Path) -> Iterator[None]:
    """Removes a data version's file if it does not come to be known: nobody would ever erase it."""
    try:
        yield
    except BaseException:
        remove(target)
        raise
