"""The datasets, queries and feature views that come with dpstats."""

from __future__ import annotations

from pathlib import Path

import dpstats


def bundle() -> Path:
    """The folder of everything bundled: inside an installed package, or `queries/` beside it in a checkout."""
    package = Path(dpstats.__file__).parent
    installed = package / "bundled"
    return installed if installed.is_dir() else package.parent / "queries"


def bundled(dataset: str) -> Path:
    """The folder of a bundled dataset."""
    return bundle() / dataset


def bundled_queries(dataset: str) -> tuple[Path, ...]:
    """The files of a bundled dataset's queries, by name."""
    return tuple(sorted(file for file in bundled(dataset).glob("*.yaml") if file.name != "dataset.yaml"))


def bundled_views(dataset: str) -> tuple[Path, ...]:
    """The files of a bundled dataset's feature views, by name."""
    return tuple(sorted((bundled(dataset) / "features").glob("*.yaml")))
