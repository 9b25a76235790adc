"""Serving real data as a process, and running a notebook in a kernel of its own, as a reader would."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbformat import NotebookNode

from dpstats.cli.bundled import bundled, bundled_queries, bundled_views
from dpstats.cli.demo import DATASET, package_files
from dpstats.cli.session import Session
from dpstats.client import Client

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
ROLES = ("analyst", "job", "steward")
SERVE = [sys.executable, "-c", "from dpstats.cli.main import main; main()"]


@dataclass(frozen=True)
class Service:
    """Where it is, and a token for each role."""

    address: str
    tokens: Mapping[str, str]

    def charges(self) -> list[dict[str, Any]]:
        """What was paid so far, oldest first."""
        with Client(self.address, self.tokens["steward"]) as client:
            return [entry for entry in client.ledger(DATASET)["entries"] if entry["kind"] == "charge"]

    def budget(self) -> dict[str, Any]:
        """What is left."""
        with Client(self.address, self.tokens["analyst"]) as client:
            return client.budget(DATASET)


@dataclass(frozen=True)
class Run:
    """A notebook that was run, and what had been charged when it ended."""

    notebook: NotebookNode
    charges: list[dict[str, Any]]

    def outputs(self) -> list[NotebookNode]:
        """What all cells put out."""
        return [output for cell in self.notebook.cells for output in cell.get("outputs", [])]

    def images(self) -> list[bytes]:
        """The charts, as PNG."""
        data = (output.get("data", {}) for output in self.outputs())
        return [base64.b64decode(found["image/png"]) for found in data if "image/png" in found]

    def text(self, cell_id: str) -> str:
        """What one cell tells its reader, in words and tables."""
        (cell,) = [cell for cell in self.notebook.cells if cell.id == cell_id]
        (data,) = [output["data"] for output in cell.outputs]
        return str(
            data.get("text/markdown") or re.sub(r"<style.*?</style>|<[^>]*>", " ", data["text/html"], flags=re.S)
        )


def make_workspace(home: Path) -> dict[str, str]:
    """Loads the data and approves the queries as the demo does, but asks nothing; gives a token for each role."""
    with Session(home).opened(make=True) as (workspace, me):
        workspace.datasets.add(me, bundled(DATASET) / "dataset.yaml", package_files())
        for file in bundled_queries(DATASET):
            workspace.review.approve(me, *workspace.review.submit(me, file))
        for file in bundled_views(DATASET):
            workspace.features.submit(me, file)
        return {role: workspace.tokens.create(me, role, role, datasets=(DATASET,)) for role in ROLES}


def renew(home: Path, view: str) -> str:
    """Renews a feature view as `dpstats refresh` does; gives what became of it."""
    with Session(home).opened() as (workspace, me):
        (renewal,) = workspace.refreshing.refresh(me, [view])
    return renewal.state


@contextmanager
def serving(folder: Path, tokens: Mapping[str, str]) -> Iterator[Service]:
    """Serves the workspace `home` in the folder on a free port."""
    command = [*SERVE, "--home", str(folder / "home"), "serve", "--port", "0"]
    log = folder / "serve.log"
    with log.open("wb") as err, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=err, text=True) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().removeprefix("serving at ").strip()
            assert address, log.read_text()
            yield Service(address, tokens)
        finally:
            server.terminate()
            server.wait(timeout=30)


def committed_notebook(name: str) -> NotebookNode:
    """A notebook as it is in the repository."""
    notebook: NotebookNode = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    return notebook


def executed(notebook: NotebookNode, service: Service, role: str = "analyst") -> Run:
    """Runs a copy of the notebook with a token of the role.

    Raises:
      CellExecutionError: a cell fails (nbclient's).
    """
    copy = deepcopy(notebook)
    # Sockets are files of a folder with a short name: ports could be taken by others, and long names are refused.
    with tempfile.TemporaryDirectory(prefix="nb-") as folder:
        kernel = AsyncKernelManager(kernel_name="python3", transport="ipc", ip=f"{folder}/kernel")
        kernel.connection_file = f"{folder}/kernel.json"
        settings = {"DPSTATS_URL": service.address, "DPSTATS_TOKEN": service.tokens[role], "IPYTHONDIR": folder}
        client = NotebookClient(copy, km=kernel, timeout=120, resources={"metadata": {"path": folder}})
        client.execute(env=os.environ | settings, cleanup_kc=True)  # or the kernel and its sockets would outlive it
    return Run(copy, service.charges())
