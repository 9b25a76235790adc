"""A clinic's workspace, for rights requests carried out on real data."""

from __future__ import annotations

import csv
import io
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dpstats.access import operator
from dpstats.settings import read_settings
from dpstats.workspace import Workspace

ME = operator("stu")
DATASET = """
dataset: clinic
privacy_unit: patient
budget: {epsilon: 100, delta: 1.0e-6}
tables:
  visits:
    columns: {patient: {type: uuid}, paid: {type: double, bounds: [0, 100]}}
  people:
    one_row_per_unit: true
    columns: {patient: {type: uuid}, age: {type: integer, bounds: [0, 120]}}
"""
QUERY = """
query: visits
dataset: clinic
sql: SELECT COUNT(*) AS n FROM visits
bounds: {n: [0, 20]}
contribution: {max_groups: 1}
cost: {rho: 2}
"""
PATIENTS = [str(uuid.UUID(int=(7919 * place) << 64 | place)) for place in range(1, 2001)]
GONE = PATIENTS[1000]
NOBODY = str(uuid.UUID(int=0))


class Clinic:
    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "home"
        self.sources = {"visits": folder / "visits.csv", "people": folder / "people.csv"}
        self.workspace = Workspace.open(read_settings(home=self.home))

    def close(self) -> None:
        self.workspace.close()

    def reopen(self) -> None:
        self.close()
        self.workspace = Workspace.open(read_settings(home=self.home))

    def load(self) -> str:
        return self.workspace.datasets.load(ME, "clinic", self.sources)

    def rows(self, patient: str) -> dict[str, int]:
        from dpstats.catalog.dataset import parse_dataset
        from dpstats.engine.erasure import held

        dataset = parse_dataset(DATASET, "clinic")
        version = self.workspace.store.registry.data_version("clinic")
        return dict(held(dataset, self.home / "data" / version.file, lambda text: text == patient).rows)

    def request(self, kind: str = "delete", unit: str = GONE) -> str:
        opened = self.workspace.rights.open(ME, kind, "clinic", unit)
        return str(opened["id"])

    def erased(self, unit: str = GONE) -> dict[str, object]:
        request = self.request(unit=unit)
        self.workspace.rights.verify(ME, request, "reasonably_high", "signed declaration")
        return self.workspace.rights.execute(ME, request)


@contextmanager
def opened_clinic(folder: Path) -> Iterator[Clinic]:
    """A clinic with its patients loaded and its query approved."""
    for name, head, cell in (("visits", "paid", "5"), ("people", "age", "40")):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["patient", head])
            writer.writerows([patient, cell] for patient in PATIENTS for _ in range(3 if name == "visits" else 1))
    (folder / "dataset.yaml").write_text(DATASET)
    (folder / "visits.yaml").write_text(QUERY)
    opened = Clinic(folder)
    opened.workspace.datasets.add(ME, folder / "dataset.yaml", opened.sources)
    opened.workspace.review.submit(ME, folder / "visits.yaml")
    opened.workspace.review.approve(ME, "visits")
    yield opened
    opened.close()


def fetched(clinic: Clinic, level: str, unit: str = GONE) -> zipfile.ZipFile:
    request = clinic.request("know", unit)
    clinic.workspace.rights.verify(ME, request, level, "as the test says")
    secret = clinic.workspace.rights.execute(ME, request)["package"]["path"].rpartition("/")[2]
    return zipfile.ZipFile(io.BytesIO(clinic.workspace.rights.package(ME, secret)))
