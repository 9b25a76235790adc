"""Run where nothing but `pip install dpstats` was done, against a live service: `only_client.py ADDRESS TOKEN`.

A script of its own and not a test: the environment of the tests has everything.
"""

from __future__ import annotations

import sys
from importlib.metadata import distributions
from importlib.util import find_spec

import anyio

from dpstats import AsyncClient, Client
from dpstats.client import errors

QUERY = "spend_by_income"


def main(address: str, token: str) -> None:
    heavy = [name for name in ("pandas", "pyarrow", "duckdb", "opendp", "fastapi", "typer") if find_spec(name)]
    assert not heavy, f"this environment has more than the client: {heavy}"
    with Client(address, token) as client:
        assert QUERY in [query["query"] for query in client.queries()]
        assert client.preview(QUERY)["cost"]["epsilon"] > 0
        release = client.run(QUERY)
        print(release)
        assert "<svg" in release._repr_html_()
        try:
            release.to_pandas()
        except ModuleNotFoundError as missing:
            print(missing)
        else:
            raise AssertionError("a table without pandas")
        try:
            client.run("nothing")
        except errors.NotFound as refused:
            print(refused)
    assert anyio.run(again, address, token) == release.rows
    print(f"{len(list(distributions()))} packages: {', '.join(sorted(found.name for found in distributions()))}")


async def again(address: str, token: str) -> object:
    async with AsyncClient(address, token) as client:
        return (await client.run(QUERY)).rows


if __name__ == "__main__":
    main(*sys.argv[1:])
