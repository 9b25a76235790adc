"""The service closes consent epochs on time, once for all of its processes, and says nothing of anybody."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from api_town import ME, TOWN, write_files

from dpstats.api.epochs import close_if_due, closing_epochs
from dpstats.settings import read_settings
from dpstats.workspace import Workspace

ASKING = "purposes: {measurement: {consent: notice}, offers: {consent: opt_in}}\ntables:\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write_files(tmp_path / "files")
    file = tmp_path / "files" / "town.yaml"
    file.write_text(TOWN.replace("tables:\n", ASKING, 1), encoding="utf-8")
    sources = {name: tmp_path / "files" / f"{name}.csv" for name in ("sales", "homes", "shops")}
    with closing(Workspace.open(read_settings(home=tmp_path / "home"))) as workspace:
        workspace.datasets.add(ME, file, sources)
    return tmp_path / "home"


@pytest.fixture
def workspace(home: Path) -> Iterator[Workspace]:
    with closing(Workspace.open(read_settings(home=home))) as opened:
        yield opened


def versions(workspace: Workspace) -> int:
    return len(workspace.store.registry.data_versions("town"))


def test_an_epoch_that_is_due_is_closed_while_the_service_runs(workspace: Workspace) -> None:
    with closing_epochs(workspace):
        while workspace.epochs.last_closed() is None or versions(workspace) < 2:
            time.sleep(0.01)
    assert versions(workspace) == 2
    close_if_due(workspace)  # not again before the next night
    assert versions(workspace) == 2


def test_of_several_processes_one_closes_it(home: Path, workspace: Workspace) -> None:
    others = [Workspace.open(read_settings(home=home)) for _ in range(3)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(close_if_due, [workspace, *others]))
    for other in others:
        other.close()
    assert versions(workspace) == 2


def test_what_goes_wrong_is_logged_and_names_nobody(
    workspace: Workspace, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for file in (home / "data" / "town").iterdir():
        file.write_bytes(b"damaged")
    with caplog.at_level(logging.INFO, logger="dpstats.api"):
        close_if_due(workspace)
    assert "consent epoch not closed" in caplog.text
    assert versions(workspace) == 1


def test_a_dataset_whose_data_cannot_be_made_anew_keeps_no_other_from_it_and_is_tried_again(
    workspace: Workspace, home: Path, tmp_path: Path
) -> None:
    file = tmp_path / "files" / "village.yaml"
    text = (tmp_path / "files" / "town.yaml").read_text(encoding="utf-8")
    file.write_text(text.replace("dataset: town", "dataset: village", 1), encoding="utf-8")
    sources = {name: tmp_path / "files" / f"{name}.csv" for name in ("sales", "homes", "shops")}
    workspace.datasets.add(ME, file, sources)
    (there,) = (each for each in (home / "data" / "town").iterdir() if each.suffix == ".duckdb")
    kept = there.read_bytes()
    there.write_bytes(b"damaged")
    close_if_due(workspace)
    renewed = workspace.store.registry.data_versions("village")
    assert (versions(workspace), len(renewed)) == (1, 2)
    there.write_bytes(kept)
    close_if_due(workspace)
    assert (versions(workspace), workspace.store.registry.data_versions("village")) == (2, renewed)


def test_nothing_is_due_where_nobody_is_asked(tmp_path: Path) -> None:
    with closing(Workspace.open(read_settings(home=tmp_path / "other"))) as workspace:
        assert workspace.epochs.close_if_due(ME, datetime.now(UTC)) == ()
        assert not (tmp_path / "other" / "consent.db").exists()
        assert workspace.epochs.last_closed() is None


def test_an_epoch_whose_process_was_killed_during_a_load_reaches_what_that_load_made(
    workspace: Workspace, home: Path
) -> None:
    command = [sys.executable, "-m", "dpstats", "consent", "epoch"]
    killed: list[int] = []

    def halfway(*_: object) -> None:
        if not killed:
            with subprocess.Popen(command, env=os.environ | {"DPSTATS_HOME": str(home)}) as closing_it:
                while workspace.epochs.last_closed() is None and closing_it.poll() is None:
                    time.sleep(0.01)
                closing_it.kill()  # it waits for this load
            killed.append(closing_it.returncode)

    sales = {"sales": home.parent / "files" / "sales.csv"}
    workspace.datasets.load(ME, "town", sales, progress=halfway)
    assert killed == [-signal.SIGKILL]
    assert versions(workspace) == 2
    close_if_due(workspace)
    assert versions(workspace) == 3
    close_if_due(workspace)
    assert versions(workspace) == 3, "once"
