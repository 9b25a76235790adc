"""A small town on disk, its service in memory, and a way to it that needs no network."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI

from dpstats.access import operator
from dpstats.api import create_app
from dpstats.api.oidc import Issuer
from dpstats.settings import read_settings
from dpstats.workspace import Workspace

MARKER = "zq-marker-51907"
"""A value of a person's row: it must never be seen outside."""

BANDS = ("Über 50K", 'under "15K"', "15-49K, mid")

TOWN = f"""
dataset: town
title: A small town
privacy_unit: household
budget: {{epsilon: 6.0, delta: 1.0e-6}}
tables:
  sales:
    columns:
      household: {{type: bigint}}
      value: {{type: double, bounds: [0, 1000], unit: USD}}
      note: {{type: varchar}}
      day: {{type: date}}
  homes:
    one_row_per_unit: true
    columns:
      household: {{type: bigint}}
      band: {{type: varchar, values: {list(BANDS)!r}}}
  shops:
    public: true
    columns: {{shop: {{type: varchar}}}}
"""
HARBOUR = """
dataset: harbour
privacy_unit: household
budget: {epsilon: 1.0, delta: 0}
tables:
  sales:
    columns:
      household: {type: bigint}
      note: {type: varchar}
"""
QUERIES = {
    "spend_by_band": """
query: spend_by_band
dataset: town
title: Spend by band
sql: |
  SELECT h.band, COUNT(DISTINCT s.household) AS households, SUM(s.value) AS spend, AVG(s.value) AS mean
  FROM sales s JOIN homes h USING (household)
  WHERE s.day >= $since AND s.day < $until
  GROUP BY h.band
parameters:
  since: {type: date, min: 2017-01-01, max: 2017-12-31, default: 2017-01-01}
  until: {type: date, min: 2017-01-02, max: 2018-01-02, default: 2018-01-02}
bounds: {spend: [0, 5000]}
cost: {rho: 0.03}
""",
    "costly": """
query: costly
dataset: town
sql: SELECT COUNT(DISTINCT household) AS households FROM sales
cost: {rho: 0.5}
""",
    "by_shop": """
query: by_shop
dataset: town
sql: SELECT s.note, COUNT(DISTINCT s.household) AS households FROM sales s GROUP BY s.note
keys: {note: {from: shops.shop}}
contribution: {max_groups: 1}
cost: {rho: 0.01}
""",
    "boats": """
query: boats
dataset: harbour
sql: SELECT COUNT(DISTINCT household) AS households FROM sales
cost: {epsilon: 0.1}
""",
    "draft": """
query: draft
dataset: town
sql: SELECT COUNT(DISTINCT household) AS households FROM homes
cost: {rho: 0.01}
""",
}
VIEW = """
view: bands
dataset: town
segment: [band]
queries: [spend_by_band]
refresh: 7d
max_age: 30d
monthly: {rho: 0.2}
"""
ROLES = ("analyst", "job", "steward", "collector")
ME = operator("tests")


def purchases() -> list[tuple[int, str, Decimal, str]]:
    """Household, band, value, day: 60 households a band, two purchases each."""
    rows = []
    for household in range(180):
        band = household % 3
        rows.append((household, BANDS[band], Decimal("431.071") + 7 * band, "2017-01-15"))
        rows.append((household, BANDS[band], Decimal("8.5"), "2017-02-15"))
    return rows


def exact_spend() -> list[str]:
    """The exact sums, as an answer without noise would show them; the noise is of the order of 10,000."""
    sums = {band: Decimal(0) for band in BANDS}
    for _, band, value, _ in purchases():
        sums[band] += value
    return [str(float(total)) for total in (*sums.values(), sum(sums.values()))]


def write_files(folder: Path) -> None:
    """The town's files."""
    folder.mkdir()
    sales = [["household", "value", "note", "day"]]
    sales += [[str(household), str(value), MARKER, day] for household, _, value, day in purchases()]
    homes = sorted({(household, band) for household, band, _, _ in purchases()})
    tables = {"sales": sales, "homes": [["household", "band"], *homes], "shops": [["shop"], ["corner"], ["market"]]}
    for name, rows in tables.items():
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)
    for name, text in {"town": TOWN, "harbour": HARBOUR, **QUERIES}.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    (folder / "features").mkdir()
    (folder / "features" / "bands.yaml").write_text(VIEW, encoding="utf-8")


def build(home: Path, files: Path) -> None:
    """A workspace with the town and its harbour, every query approved but `draft`."""
    workspace = Workspace.open(read_settings(home=home))
    tables = {name: files / f"{name}.csv" for name in ("sales", "homes", "shops")}
    workspace.datasets.add(ME, files / "town.yaml", tables)
    workspace.datasets.add(ME, files / "harbour.yaml", {"sales": files / "sales.csv"})
    for name in QUERIES:
        workspace.review.submit(ME, files / f"{name}.yaml")
        if name != "draft":
            workspace.review.approve(ME, name)
    workspace.features.submit(ME, files / "features" / "bands.yaml")
    workspace.close()


class InMemory(httpx.BaseTransport):
    """Takes requests to an app in this process, on an event loop of its own; many threads may use it at once."""

    def __init__(self, app: FastAPI, portal: BlockingPortal, address: str = "127.0.0.1") -> None:
        self._asgi = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 1))
        self._app, self._portal = app, portal

    def at(self, address: str) -> InMemory:
        """The same app for a caller at another address."""
        return InMemory(self._app, self._portal, address)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._portal.call(self._ask, request)

    async def _ask(self, request: httpx.Request) -> httpx.Response:
        if not isinstance(request.stream, httpx.AsyncByteStream):
            request.stream = _Parts(request.stream)  # type: ignore[arg-type]
        response = await self._asgi.handle_async_request(request)
        body = b"".join([part async for part in response.aiter_raw()])
        return httpx.Response(response.status_code, headers=response.headers, content=body)


class _Parts(httpx.AsyncByteStream):
    """A body that is sent in parts, without its length."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts = parts

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            yield part


_ADDRESSES = itertools.count()


class Browser(httpx.Client):
    """Visits the pages from an address of its own: keeps cookies, asks for HTML, sends forms with their proof."""

    def __init__(self, town: Town, token: str | None) -> None:
        transport = town.transport.at(f"10.0.0.{next(_ADDRESSES)}")
        super().__init__(transport=transport, base_url="http://town", headers={"Accept": "text/html"})
        self._proof = self.proof_on("/")
        if token is not None:
            self.post("/sign-in", data=self.fields(token=token))
            self._proof = self.proof_on("/welcome")

    def proof_on(self, path: str) -> str:
        """What the forms of a page hold."""
        found = re.search(r'name="proof" value="([0-9a-f]{64})"', self.get(path, follow_redirects=True).text)
        return found[1] if found else ""

    def fields(self, **fields: str) -> dict[str, str]:
        """A form's fields, with the proof that it is from a page of this browser's."""
        return {"proof": self._proof} | fields


@dataclass
class Town:
    """An open workspace and its service."""

    workspace: Workspace
    app: FastAPI
    transport: InMemory
    files: Path
    _tokens: dict[tuple[str, tuple[str, ...]], str] = field(default_factory=dict)

    def token(self, role: str = "analyst", *datasets: str) -> str:
        """A token of the role, for some datasets or all; the same one each time."""
        wanted = (role, datasets)
        if wanted not in self._tokens:
            name = "-".join([role, *datasets])
            self._tokens[wanted] = self.workspace.tokens.create(ME, name, role, datasets=datasets)
        return self._tokens[wanted]

    def ask(
        self, method: str, path: str, *, token: str | None = None, role: str | None = None, **sent: Any
    ) -> httpx.Response:
        """One request, with a token, or with one of that role, or with none."""
        token = self.token(role) if role else token
        headers = ({"Authorization": f"Bearer {token}"} if token else {}) | sent.pop("headers", {})
        with httpx.Client(transport=self.transport, base_url="http://town") as client:
            return client.request(method, path, headers=headers, **sent)

    @contextmanager
    def browser(self, token: str | None = None) -> Iterator[Browser]:
        """A browser of its own, signed in if the token is taken."""
        browser = Browser(self, token)
        yield browser
        browser.close()

    def run(self, query: str = "spend_by_band", role: str = "analyst", **sent: Any) -> httpx.Response:
        """Asks for a release."""
        return self.ask("POST", f"/v1/queries/{query}/releases", role=role, **sent)

    def budget(self, dataset: str = "town") -> Mapping[str, Any]:
        """What is left, as the workspace says."""
        return self.workspace.budgets.one(ME, dataset)

    def charges(self, dataset: str = "town") -> int:
        """How often the dataset was charged."""
        return sum(entry["kind"] == "charge" for entry in self.workspace.budgets.entries(ME, dataset)["entries"])


@contextmanager
def opened(home: Path, files: Path, issuer: Issuer | None = None, **settings: str) -> Iterator[Town]:
    """The town's workspace, opened and served in memory."""
    workspace = Workspace.open(read_settings(home=home, **settings))
    app = create_app(workspace, issuer=issuer)
    with start_blocking_portal() as portal:
        yield Town(workspace, app, InMemory(app, portal), files)
    workspace.close()
