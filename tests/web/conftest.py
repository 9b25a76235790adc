"""A served town and Debian's Chromium. Without the browser these tests fail: they are not skipped."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1] / "api"))
sys.path.insert(0, str(Path(__file__).parent))

from api_town import ME, build, write_files
from visits import LONG_MS

from dpstats.settings import read_settings
from dpstats.workspace import Workspace

FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser: one a module, because its driver leaves an event loop running in the thread until it stops."""
    found = shutil.which("chromium")
    assert found, "the pages' tests need a browser: apt-get install chromium"
    expect.set_options(timeout=LONG_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, headless=True, args=FLAGS.split())
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Workspace]]:
    """The address of a service on a town of its own, and its workspace beside it."""
    folder = tmp_path_factory.mktemp("web")
    write_files(folder / "files")
    build(folder / "home", folder / "files")
    serving = Path(__file__).parent / "serving_many.py"
    command = [sys.executable, str(serving), str(folder / "home"), "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        workspace = Workspace.open(read_settings(home=folder / "home"))
        yield address, workspace
        workspace.close()
        process.terminate()


@pytest.fixture(scope="session")
def analyst(served: tuple[str, Workspace]) -> str:
    """An analyst's token."""
    return served[1].tokens.create(ME, "ana", "analyst", datasets=("town",))
