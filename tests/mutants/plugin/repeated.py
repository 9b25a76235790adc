"""A plugin of pytest for runs on a copy: tests may be taken several times, and examples are the same in every run.

Hypothesis draws the same examples each time and does not shrink them, so that a fault is caught always or never, and
soon.
"""

from __future__ import annotations

import pytest
from hypothesis import Phase, settings

settings.register_profile(
    "mutants", derandomize=True, database=None, phases=(Phase.explicit, Phase.generate), deadline=None
)
settings.load_profile("mutants")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--times", type=int, default=1, help="how often the steps of each test are taken")


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> object:
    """Takes the test's steps on what was set up for it once; the last time is pytest's own."""
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    for _ in range(pyfuncitem.config.getoption("--times") - 1):
        pyfuncitem.obj(**arguments)
    return (yield)
