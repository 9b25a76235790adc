"""The table of planted faults is true: each can be planted, the test it names is there, and the chief ones are caught.

The whole campaign is `python tests/mutants/run.py`; here only those faults are tried that matter most and take little.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from campaign import FAILED, ROOT, Mutant, Outcome, clean_copy, mutated_copy, named_tests, package_of, run, table

SHORT = [mutant for mutant in table() if mutant.short]


@pytest.fixture(scope="module")
def clean() -> Iterator[Path]:
    with clean_copy() as copy:
        yield copy


@pytest.mark.parametrize("mutant", table(), ids=lambda mutant: mutant.name)
def test_a_fault_can_be_planted_where_the_table_says(mutant: Mutant) -> None:
    source = (ROOT / "dpstats" / mutant.file).read_text()
    assert mutant.planted(source) != source


def test_every_test_that_is_to_catch_a_fault_is_there() -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-n0",
        "-p",
        "no:cacheprovider",
        "--collect-only",
        "-q",
        *named_tests(table()),
    ]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_there_are_faults_enough_and_the_chief_ones_are_tried_here() -> None:
    assert len(table()) >= 45
    assert 8 <= len(SHORT) <= 15


def test_the_tests_see_the_copy_and_pass_on_it_while_nothing_is_planted(clean: Path) -> None:
    assert package_of(clean) == clean / "dpstats"
    outcome = run(clean, named_tests(SHORT))
    assert outcome.status == 0, outcome.text


@pytest.mark.parametrize("mutant", SHORT, ids=lambda mutant: mutant.name)
def test_a_planted_fault_is_caught_by_the_test_that_is_named(mutant: Mutant, clean: Path) -> None:
    with mutated_copy(clean, mutant) as copy:
        outcome = run(copy, [mutant.test], "-x")
    assert outcome.caught, outcome.text


def test_a_test_that_cannot_run_catches_nothing(clean: Path) -> None:
    """The runner is not fooled by a fault that breaks the package, or by a test that is not there."""
    test, end = SHORT[0].test, 'operating system.\n"""\n'
    raising = (end, end + 'raise ImportError("planted")\n')
    unreadable = Mutant("a package that cannot be imported", "privacy/__init__.py", (raising,), test)
    assert not run(clean, [f"{test}_and_more"]).caught
    with mutated_copy(clean, unreadable) as copy:
        outcome = run(copy, [test])
    assert "ImportError" in outcome.text
    assert not outcome.caught


@pytest.mark.parametrize(
    ("text", "caught"),
    [("    except ImportError:\nE   FileError: damaged", True), ("E       NameError: name 'x' is not defined", False)],
)
def test_what_a_fault_raised_tells_whether_it_ran_and_not_the_source_beside_it(text: str, caught: bool) -> None:
    assert Outcome(FAILED, ("test_it",), text).caught is caught
