"""The Python client of a dpstats service: `Client(url, token).run("spend_by_income").to_pandas()`.

It stands alone: it needs httpx, pyarrow and pandas or polars where a table is asked for, and nothing of the server.
"""

from dpstats.client.client import AsyncClient, Client
from dpstats.client.errors import ClientError
from dpstats.client.features import Features
from dpstats.client.release import Release

__all__ = ["AsyncClient", "Client", "ClientError", "Features", "Release"]
