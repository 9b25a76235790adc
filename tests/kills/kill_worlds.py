"""A workspace that workers are killed on, and everything that must be true of it after every kill."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from postgres_server import PostgresServer
from sqlalchemy import Boolean, Connection, MetaData, NullPool, create_engine, insert, text

from dpstats.access import operator
from dpstats.ledger.backup import back_up
from dpstats.ledger.heads import Head
from dpstats.ledger.migrations.versions import r0001_first
from dpstats.ledger.store import Store, open_store
from dpstats.settings import read_settings
from dpstats.workspace import Workspace

ME = operator("campaign")
LINEAGE = "shop"
PRICE = 10**11
CHARGES = 30
"""Releases that the budget is for."""
HEADS_KEPT = 5
OLD_WORKSPACE = Path(__file__).parents[1] / "ledger" / "before_migrations"
OLD_ENTRIES, OLD_LINEAGE, FIRST_REVISION = 4, "shoppers", "0001"

DATASET = f"""
dataset: shop
privacy_unit: person
budget: {{epsilon: {CHARGES / 10}, delta: 0}}
blocks: {{column: visits.at, every: month, budget: {{epsilon: {CHARGES / 10}, delta: 0}}}}
tables:
  visits:
    columns:
      person: {{type: bigint}}
      amount: {{type: bigint, bounds: [0, 100]}}
      at: {{type: timestamp}}
"""
QUERY = """
query: spend
dataset: shop
sql: SELECT SUM(amount) AS spend FROM visits WHERE amount >= $n
parameters: {n: {type: integer, min: 0, max: 1000000, default: 0}}
bounds: {spend: [0, 100]}
contribution: {max_groups: 1}
cost: {epsilon: 0.1}
"""


class BackEnd(Protocol):
    """Where ledgers are kept."""

    name: str

    def new(self) -> str:
        """The address of an empty ledger."""

    def rows(self, home: Path, url: str, sql: str) -> list[tuple[Any, ...]]:
        """What is committed, read without dpstats."""

    def old(self, home: Path) -> str:
        """Makes a ledger of the schema before revisions in `home`, which holds the rest of its workspace."""


class Sqlite:
    """The file in the workspace."""

    name = "sqlite"

    def new(self) -> str:
        return ""

    def rows(self, home: Path, url: str, sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(home / "ledger.db", timeout=30)) as raw:
            return raw.execute(sql).fetchall()

    def old(self, home: Path) -> str:
        with closing(sqlite3.connect(home / "ledger.db")) as made:
            made.executescript((OLD_WORKSPACE / "ledger.sql").read_text())
        return ""


class Postgres:
    """A database of a real server for each."""

    name = "postgresql"

    def __init__(self, server: PostgresServer) -> None:
        self._server = server

    def new(self) -> str:
        return self._server.url(self._server.new_database())

    def rows(self, home: Path, url: str, sql: str) -> list[tuple[Any, ...]]:
        engine = create_engine(url, poolclass=NullPool)
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql.replace(":", "\\:")))]

    def old(self, home: Path) -> str:
        """The old file's rows, in a server's tables of the first revision."""
        url = self.new()
        engine = create_engine(url, poolclass=NullPool)
        with closing(sqlite3.connect(":memory:")) as file, engine.begin() as server:
            file.executescript((OLD_WORKSPACE / "ledger.sql").read_text())
            _first_revision(server)
            _copied(file, server)
        return url


def _first_revision(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(r0001_first.__file__).parents[1]))
    config.set_main_option("path_separator", "os")
    command.upgrade(config, FIRST_REVISION)


def _copied(file: sqlite3.Connection, server: Connection) -> None:
    tables = MetaData()
    tables.reflect(server)
    file.row_factory = sqlite3.Row
    for table in tables.sorted_tables:
        if table.name in {"alembic_version", "schema_version"}:
            continue
        for row in file.execute(f"SELECT * FROM {table.name}").fetchall():
            typed = {c.name: bool(row[c.name]) if isinstance(c.type, Boolean) else row[c.name] for c in table.columns}
            server.execute(insert(table).values(**typed))


class World:
    """One workspace: what was asked of it, what left it, and what it must say of both."""

    def __init__(self, folder: Path, back_end: BackEnd, sources: Mapping[str, Path]) -> None:
        self.sources = sources
        self.folder, self.home, self._back_end = folder, folder / "home", back_end
        folder.mkdir()
        self.url = back_end.new()
        self.asked: list[int] = []
        self.grants = 0
        self.left: dict[str, str] = {}
        """What left, by release: the JSON of it but for what may differ from one showing to the next."""
        self._heads: list[Head] = []
        (folder / "dataset.yaml").write_text(DATASET)
        (folder / "spend.yaml").write_text(QUERY)
        with closing(self._workspace()) as made:
            made.datasets.add(ME, folder / "dataset.yaml", {"visits": self.sources["small"]})
            made.review.submit(ME, folder / "spend.yaml")
            made.review.approve(ME, "spend")
            self.token = made.tokens.create(ME, "analyst", "analyst")

    def _workspace(self) -> Workspace:
        return Workspace.open(read_settings(home=self.home, ledger_url=self.url, threads=1))

    def store(self) -> Store:
        """The ledger, opened as a restart does: with every check of its chains' ends."""
        return open_store(self.home, url=self.url)

    # -- what is there, read without dpstats ---------------------------------------------------------------------

    def charges(self) -> list[tuple[str, int, int]]:
        """Release, parameter n and amount of each charge."""
        rows = self._rows("SELECT release_id, parameters, amount FROM entries WHERE kind = 'charge' ORDER BY seq")
        return [(release_id, json.loads(parameters)["n"], int(amount)) for release_id, parameters, amount in rows]

    def stored(self) -> dict[str, Any]:
        """The stored releases, as JSON."""
        return {name: json.loads(bytes(body)) for name, body in self._rows("SELECT release_id, body FROM releases")}

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self._back_end.rows(self.home, self.url, sql)

    # -- what must be true ----------------------------------------------------------------------------------------

    def check(self) -> None:
        """Every invariant of the ledger, whatever was killed before."""
        charges, stored = self.charges(), self.stored()
        with closing(self.store()) as store:
            state = store.ledger.budget(LINEAGE)
            report = store.ledger.verify(receipts=self._heads)
            self._heads = [*self._heads, store.ledger.head(LINEAGE)][-HEADS_KEPT:]
        assert report.findings == (), report.findings
        assert state.spent.amount == sum(amount for _, _, amount in charges) == PRICE * len(charges)
        assert state.spent.amount <= state.cap.amount, "a budget is overspent"
        twice = [n for n, times in Counter(n for _, n, _ in charges).items() if times > 1]
        assert not twice, f"keys that paid more than once: {twice}"
        assert {n for _, n, _ in charges} <= set(self.asked)
        assert stored.keys() <= {release_id for release_id, _, _ in charges}, "a draw without a charge"
        for release_id, body in self.left.items():
            assert told(stored[release_id]) == body, "what left is not what is stored"

    def heard(self, answer: Mapping[str, Any]) -> None:
        """Takes note of a release that left: it was charged before, and is what left before."""
        body, release_id = told(answer), answer["release_id"]
        assert self.left.setdefault(release_id, body) == body, "a charge shows two draws"
        assert release_id in {charged for charged, _, _ in self.charges()}, "a number left without a charge"

    def reading(self, n: int) -> None:
        """Rows are about to be read for the question n: its charge is committed."""
        assert n in {asked for _, asked, _ in self.charges()}, "rows are read before the charge is committed"

    # -- other workspaces beside it -------------------------------------------------------------------------------

    def backed_up(self, file: Path) -> None:
        """Saves the ledger with its keys."""
        with closing(self.store()) as store:
            back_up(store.engine, self.home, file, keys=True)

    def beside(self, number: int) -> tuple[Path, str]:
        """Home and address of a ledger that is not there yet."""
        return self.folder / f"beside-{number}", self._back_end.new()

    def old(self, number: int) -> tuple[Path, str]:
        """Home and address of a ledger from before revisions."""
        home = self.folder / f"old-{number}"
        shutil.copytree(OLD_WORKSPACE, home)
        url = self._back_end.old(home)
        (home / "ledger.sql").unlink()
        return home, url


def source(path: Path, rows: int) -> Path:
    """A file of visits over a year."""
    row = np.arange(rows)
    at = np.datetime64("2024-01-01T00:00:00.000000") + row % 500_000 * np.timedelta64(60_000_000, "us")
    columns = {"person": row * 7919 % max(50, rows // 8), "amount": row % 100, "at": at}
    pq.write_table(pa.table(columns), path)
    return path


def told(release: Mapping[str, Any]) -> str:
    """A release but for what may differ from one showing to the next."""
    return json.dumps({name: value for name, value in release.items() if name not in {"replayed", "budget"}})


def same_ledger(home: Path, url: str, lineage: str, entries: int) -> None:
    """The ledger there verifies, and has so many entries of the lineage."""
    with closing(open_store(home, url=url)) as store:
        assert store.ledger.verify().findings == ()
        assert store.ledger.head(lineage).seq == entries
