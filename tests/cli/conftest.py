"""A workspace of a small shop for each test, and ways to run commands: here, as a process, and on a terminal."""

from __future__ import annotations

import os
import pty
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from cli_running import DATASET, PROCESS, QUERY, REFUSED, Ran, Run, run_here


def _write_shop(folder: Path) -> None:
    random_ = random.Random(7)
    visits = [f"{random_.randrange(400)},{random_.random() * 90:.2f},2025-{1 + i % 12:02d}-15" for i in range(2000)]
    customers = [f"{i},{random_.choice(['Ash', 'Ørsted'])}" for i in range(400)]
    (folder / "visits.csv").write_text("\n".join(["customer_id,spent,day", *visits]) + "\n", encoding="utf-8")
    (folder / "customers.csv").write_text("\n".join(["customer_id,town", *customers]) + "\n", encoding="utf-8")
    for name, text in (("dataset", DATASET), ("by_town", QUERY), ("refused", REFUSED)):
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the shop's files, and the workspace `home` with its data and its approved query."""
    folder = tmp_path_factory.mktemp("shop")
    _write_shop(folder)
    home = folder / "home"
    run_here("--home", home, "init").done()
    sources = [f"--source={table}={folder / table}.csv" for table in ("visits", "customers")]
    run_here("--home", home, "dataset", "add", folder / "dataset.yaml", *sources).done()
    run_here("--home", home, "query", "approve", folder / "by_town.yaml").done()
    return folder


@pytest.fixture
def shop(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of all of it for one test, which works inside it."""
    folder = tmp_path / "shop"
    shutil.copytree(made, folder)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("DPSTATS_HOME", raising=False)
    return folder


@pytest.fixture
def dpstats(shop: Path) -> Run:
    """Runs a command here, on the shop's workspace."""
    return lambda *args: run_here("--home", shop / "home", *args)


@pytest.fixture
def anywhere(shop: Path) -> Run:
    """Runs a command here, as it is."""
    return run_here


@pytest.fixture
def process(shop: Path) -> Run:
    """Runs a command as a process, on the shop's workspace."""

    def run(*args: object, **options: object) -> Ran:
        command = [*PROCESS, "--home", str(shop / "home"), *(str(arg) for arg in args)]
        kept = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        ended = subprocess.run(command, check=False, timeout=60, **kept)  # type: ignore[call-overload]
        return Ran(ended.returncode, ended.stdout or b"", ended.stderr or b"")

    return run


@pytest.fixture
def on_terminal(shop: Path) -> Callable[..., tuple[int, str]]:
    """Runs a command on a terminal of 80 columns; gives its status and everything that the terminal showed."""

    def run(*args: str) -> tuple[int, str]:
        leader, follower = pty.openpty()
        env = os.environ | {"TERM": "xterm", "COLUMNS": "80", "LINES": "40"}
        command = [*PROCESS, "--home", str(shop / "home"), *args]
        child = subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower, env=env)
        os.close(follower)
        shown = b""
        try:
            while part := os.read(leader, 65536):
                shown += part
        except OSError:
            pass  # Linux says EIO when the last writer has closed the terminal
        os.close(leader)
        return child.wait(timeout=60), shown.decode()

    return run
