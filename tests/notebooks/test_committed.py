"""Every notebook as it is in the repository: no outputs, no machine, no token; and one for each role."""

from __future__ import annotations

import json
import re

import pytest
from nbformat import validate
from notebook_running import NOTEBOOKS, committed_notebook

NAMES = ("analyst", "personalization_job", "steward")


def test_there_is_one_for_each_role() -> None:
    assert sorted(file.stem for file in NOTEBOOKS.glob("*.ipynb")) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_committed_has_no_outputs(name: str) -> None:
    notebook = committed_notebook(name)
    validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_committed_names_no_machine_and_holds_no_token(name: str) -> None:
    notebook = committed_notebook(name)
    assert notebook.metadata == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    assert all(cell.metadata == {} for cell in notebook.cells)
    text = (NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8")
    assert re.search(r"/home/|/Users/|/tmp/|[A-Z]:\\|dps_[\w-]{8}", text) is None
    assert json.loads(text)["nbformat"] == 4


@pytest.mark.parametrize("name", NAMES)
def test_it_reads_as_a_tutorial(name: str) -> None:
    kinds = [cell.cell_type for cell in committed_notebook(name).cells]
    assert kinds[0] == "markdown"
    assert kinds.count("markdown") >= kinds.count("code") - 2
