"""Planted faults: each makes a copy of the package wrong in one place, and one named test must fail on that copy.

A fault that no test notices is a hole in the tests, whatever their number. The faults are in `table/*.toml`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TABLE = HERE / "table"
COPIED = ("dpstats", "tests", "queries", "notebooks", "pyproject.toml")
TIMEOUT_S = 300
"""A fault that makes its test hang for so long counts as not caught."""
FAILED = 1
"""Pytest's exit status when tests ran and some failed; any other one says that they did not run."""
MISWRITTEN = ("NameError:", "UnboundLocalError:", "ImportError:", "ModuleNotFoundError:")
"""What Python says of a fault that does not even run: that a test fails then shows nothing."""


@dataclass(frozen=True)
class Mutant:
    """A planted fault.

    `file` lies below `dpstats/`; each (text, replacement) of `change` must find its text there exactly once. `test` is
    the node id that must fail. `short`: it is tried in every test run, not only in the whole campaign. `random`: what
    the test sees depends on drawn noise, so that only its stated rate keeps it from a false alarm.
    """

    name: str
    file: str
    change: tuple[tuple[str, str], ...]
    test: str
    short: bool = False
    random: bool = False

    def planted(self, source: str) -> str:
        """The file's text with the fault.

        Raises:
          ValueError: a text to replace is not there exactly once, or is replaced by itself.
        """
        for text, replacement in self.change:
            found = source.count(text)
            if found != 1 or text == replacement:
                raise ValueError(f"{self.name}: {found} times in {self.file}, not once: {text!r}")
            source = source.replace(text, replacement)
        compile(source, self.file, "exec")
        return source


@dataclass(frozen=True)
class Outcome:
    """How a run of tests went: `status` is pytest's exit status, or None where it was given up."""

    status: int | None
    failed: tuple[str, ...]
    """Tests that failed by an assertion or an error of their own; errors while setting up are not among them."""
    text: str

    @property
    def caught(self) -> bool:
        """Whether a test ran and failed, of a fault that ran too."""
        raised = [line for line in self.text.splitlines() if line.startswith("E ")]
        miswritten = any(name in line for line in raised for name in MISWRITTEN)
        return self.status == FAILED and bool(self.failed) and not miswritten


def table() -> tuple[Mutant, ...]:
    """Every planted fault, file by file."""
    found = [_mutant(entry) for file in sorted(TABLE.glob("*.toml")) for entry in _entries(file)]
    names = [mutant.name for mutant in found]
    if len(set(names)) != len(names):
        raise ValueError(f"two faults have one name: {sorted({n for n in names if names.count(n) > 1})}")
    return tuple(found)


def _entries(file: Path) -> list[dict[str, object]]:
    entries: list[dict[str, object]] = tomllib.loads(file.read_text())["mutant"]
    return entries


def _mutant(entry: dict[str, object]) -> Mutant:
    pairs = entry.pop("change")
    assert isinstance(pairs, list)
    return Mutant(change=tuple((text, replacement) for text, replacement in pairs), **entry)  # type: ignore[arg-type]


def named_tests(mutants: Sequence[Mutant]) -> tuple[str, ...]:
    """The tests that the mutants name, each once, in order."""
    return tuple(dict.fromkeys(sorted(mutant.test for mutant in mutants)))


@contextmanager
def clean_copy() -> Iterator[Path]:
    """A folder with the package, its tests and what they read; removed in the end."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder)
        for name in COPIED:
            _copy(ROOT / name, copy / name)
        yield copy


@contextmanager
def mutated_copy(clean: Path, mutant: Mutant) -> Iterator[Path]:
    """A copy of a clean copy, with the fault planted; removed in the end."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder)
        for name in COPIED:
            _copy(clean / name, copy / name)
        file = copy / "dpstats" / mutant.file
        changed = mutant.planted(file.read_text())
        for compiled in (file.parent / "__pycache__").glob(f"{file.stem}.*.pyc"):
            compiled.unlink()
        file.write_text(changed)
        yield copy


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("mutants", ".hypothesis", ".ipynb_checkpoints"))
    elif source.exists():
        shutil.copy2(source, target)


def run(copy: Path, tests: Sequence[str], *options: str, times: int = 1, timeout_s: float = TIMEOUT_S) -> Outcome:
    """Runs tests on a copy, in a process of their own that finds the copy before any installed package.

    `times`: how often each test's own steps are taken, on what was set up for it once.
    """
    report = copy / "report.xml"
    report.unlink(missing_ok=True)
    options = ("-n0", "-p", "no:cacheprovider", "-p", "repeated", f"--times={times}", f"--junitxml={report}", *options)
    command = [sys.executable, "-m", "pytest", *options, *tests]
    process = subprocess.Popen(
        command,
        cwd=copy,
        env=_environment(copy),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        text, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        text, _ = process.communicate()
        return Outcome(None, (), text)
    return Outcome(process.returncode, _failed(report), text)


def _environment(copy: Path) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("DPSTATS_", "PYTEST_"))}
    return ours | {"PYTHONPATH": os.pathsep.join([str(copy), str(HERE / "plugin")])}


def _failed(report: Path) -> tuple[str, ...]:
    if not report.is_file():
        return ()
    cases = ET.parse(report).getroot().iter("testcase")
    return tuple(f"{case.get('classname')}::{case.get('name')}" for case in cases if case.find("failure") is not None)


def package_of(copy: Path) -> Path:
    """The folder of the package that tests on the copy import."""
    command = [sys.executable, "-c", "import dpstats; print(dpstats.__file__)"]
    found = subprocess.run(command, cwd=copy, env=_environment(copy), capture_output=True, text=True, check=True)
    return Path(found.stdout.strip()).parent
