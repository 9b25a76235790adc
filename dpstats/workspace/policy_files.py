"""The dataset, query and feature view files under a folder, each read once: what is planned is what is applied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dpstats.catalog.dataset import DatasetFile, parse_dataset
from dpstats.catalog.features import FOLDER as FEATURES_FOLDER
from dpstats.catalog.features import FeatureView, parse_view
from dpstats.catalog.query import QueryFile, named_query
from dpstats.catalog.source import load_file
from dpstats.errors import FileError

DATASET_FILE = "dataset.yaml"


@dataclass(frozen=True)
class DatasetText:
    """A dataset's file: where it is, its text, and what it says."""

    file: Path
    text: str
    dataset: DatasetFile


@dataclass(frozen=True)
class QueryText:
    """A query's file: where it is, its text, and what it says."""

    file: Path
    text: str
    query: QueryFile


@dataclass(frozen=True)
class ViewText:
    """A feature view's file: where it is, its text, and what it says."""

    file: Path
    text: str
    view: FeatureView


@dataclass(frozen=True)
class WrongFile:
    """A file that cannot be used, and every reason."""

    file: Path
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class PolicyFiles:
    """What a folder says, by name, and the files that say nothing usable."""

    datasets: Mapping[str, DatasetText]
    queries: Mapping[str, QueryText]
    views: Mapping[str, ViewText]
    wrong: tuple[WrongFile, ...]


def read_policy(folder: Path) -> PolicyFiles:
    """Every `*.yaml` of the folder, of the folders right below it, and of the folders of views beside them.

    Raises:
      FileError: there is no such folder, or no YAML file in it.
    """
    if not folder.is_dir():
        raise FileError(str(folder), "there is no such folder: give one like queries/, with a folder for each dataset")
    views = f"{FEATURES_FOLDER}/*.yaml"
    files = sorted({*(file for way in ("*.yaml", "*/*.yaml", views, f"*/{views}") for file in folder.glob(way))})
    if not files:
        raise FileError(str(folder), "there is no YAML file in it or in a folder right below it")
    datasets: dict[str, DatasetText] = {}
    queries: dict[str, QueryText] = {}
    found: dict[str, ViewText] = {}
    wrong: list[WrongFile] = []
    for file in files:
        try:
            _read(file, datasets, queries, found)
        except FileError as error:
            wrong.append(WrongFile(file, tuple(str(error).split(" | "))))
    return PolicyFiles(datasets, queries, found, (*wrong, *_strays(datasets, queries)))


def _read(
    file: Path, datasets: dict[str, DatasetText], queries: dict[str, QueryText], views: dict[str, ViewText]
) -> None:
    text = load_file(file)
    if file.parent.name == FEATURES_FOLDER:
        view = parse_view(text, str(file))
        first = views.setdefault(view.view, ViewText(file, text, view)).file
        what = f"feature view {view.view}"
    elif file.name == DATASET_FILE:
        dataset = parse_dataset(text, str(file))
        first = datasets.setdefault(dataset.dataset, DatasetText(file, text, dataset)).file
        what = f"dataset {dataset.dataset}"
    else:
        query = named_query(text, file)
        first = queries.setdefault(query.query, QueryText(file, text, query)).file
        what = f"query {query.query}"
    if first != file:
        raise FileError(str(file), f"{what} is in {first} already: keep one of them")


def _strays(datasets: Mapping[str, DatasetText], queries: Mapping[str, QueryText]) -> Iterator[WrongFile]:
    """Queries that stand beside another dataset's file: whoever reads the folder would take them for its own."""
    beside = {said.file.parent: said.dataset.dataset for said in datasets.values()}
    for said in queries.values():
        here = beside.get(said.file.parent, said.query.dataset)
        if here != said.query.dataset:
            what = f"{said.file}: dataset: it is a query of {said.query.dataset}, beside the file of {here}: move it"
            yield WrongFile(said.file, (what,))
