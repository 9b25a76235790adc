"""What a sandbox is made of: the texts of datasets and queries, from a workspace's register or from a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dpstats.access import operator
from dpstats.errors import DpstatsError, FileError
from dpstats.ledger.looking import looked_at
from dpstats.library import Library
from dpstats.workspace.policy_files import read_policy


@dataclass(frozen=True)
class Texts:
    """Texts of files by name, and which queries are approved."""

    datasets: Mapping[str, str]
    queries: Mapping[str, str]
    approved: frozenset[str]
    views: Mapping[str, str]


def of_workspace(home: Path, ledger_url: str) -> Texts:
    """What stands in a workspace's register; its ledger is opened read-only, and nothing of its data at all.

    Raises:
      FileError: no dataset is registered there, or its ledger is of another version.
    """
    with looked_at(home, ledger_url) as registry:
        known = [item for item in Library(registry).all(operator("sandbox")) if item.analysis is not None]
        texts = Texts(
            {record.name: record.definition for record in registry.datasets()},
            {item.record.name: item.record.text for item in known},
            frozenset(item.record.name for item in known if item.approved),
            {record.name: record.text for record in registry.views()},
        )
    if not texts.datasets:
        raise FileError(str(home), "no dataset is registered here: `dpstats dataset add FILE`, or give `--files DIR`")
    return texts


def of_folder(folder: Path) -> Texts:
    """What stands in the files of a folder, as `dpstats apply` takes them; every query counts as approved.

    Raises:
      DpstatsError: a file is wrong. FileError: there is no dataset among them, or no folder.
    """
    found = read_policy(folder)
    if found.wrong:
        raise DpstatsError(found.wrong[0].reasons[0])
    if not found.datasets:
        raise FileError(str(folder), "there is no dataset.yaml in it or in a folder right below it")
    return Texts(
        {name: said.text for name, said in found.datasets.items()},
        {name: said.text for name, said in found.queries.items()},
        frozenset(found.queries),
        {name: said.text for name, said in found.views.items()},
    )
