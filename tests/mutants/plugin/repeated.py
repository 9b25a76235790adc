"""A plugin of pytest: takes the steps of each test several times, on what was set up for it once."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--times", type=int, default=1, help="how often the steps of each test are taken")


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> object:
    """The last time is pytest's own."""
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    for _ in range(pyfuncitem.config.getoption("--times") - 1):
        pyfuncitem.obj(**arguments)
    return (yield)
