"""What only a server brings: connections that break, settings of others, a crash of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from cutting_proxy import CuttingProxy
from ledger_asking import LINEAGE, MONTH, HandClock, charge, make_request, open_lineage, permit, question, release, rho
from ledger_databases import ON_SERVERS, ServerDatabase
from postgres_server import PostgresServer

from dpstats.errors import BudgetExhausted, FileError, LedgerBroken, Unavailable
from dpstats.ledger.database import reading, writing
from dpstats.ledger.records import Charged
from dpstats.ledger.store import Store, open_store

Open = Callable[..., Store]

pytestmark = ON_SERVERS


@pytest.fixture
def wire(database: ServerDatabase) -> Iterator[CuttingProxy]:
    proxy = CuttingProxy(database.server.folder)
    yield proxy
    proxy.close()


@pytest.fixture
def wired(store: Store, home: Path, clock: HandClock, database: ServerDatabase, wire: CuttingProxy) -> Iterator[Store]:
    """The store's ledger, over a wire that can be cut; `q` may be asked."""
    permit(store, question())
    opened = open_store(home, clock, url=database.server.url(database.name, wire.folder))
    yield opened
    opened.close()


def test_a_charge_whose_commit_was_carried_out_unheard_is_found_and_answered(wired: Store, wire: CuttingProxy) -> None:
    wire.cut = "after"
    made = wired.ledger.charge(make_request(amount=7))
    assert isinstance(made, Charged)
    assert wire.cuts == 1
    assert [entry.release_id for entry in wired.ledger.entries(LINEAGE)] == [None, made.release_id]
    assert wired.ledger.budget(LINEAGE).spent == rho(7)
    assert wired.ledger.verify().ok


def test_a_charge_whose_commit_never_arrived_is_unavailable_and_charges_nothing(
    wired: Store, wire: CuttingProxy
) -> None:
    wire.cut = "before"
    with pytest.raises(Unavailable):
        wired.ledger.charge(make_request(amount=7))
    assert wire.cuts == 1
    assert wired.ledger.budget(LINEAGE).spent == rho(0)
    assert charge(wired, amount=7).seq == 2


def test_a_charge_whose_outcome_cannot_be_looked_up_is_unavailable_and_paid_once_in_the_end(
    wired: Store, store: Store, wire: CuttingProxy
) -> None:
    wire.cut, wire.stays_cut = "after", True
    with pytest.raises(Unavailable):
        wired.ledger.charge(make_request(amount=7))
    (_, made) = store.ledger.entries(LINEAGE)
    wire.stays_cut = False
    again = charge(wired, amount=7)
    assert (again.release_id, again.resumed) == (made.release_id, True)
    assert store.ledger.budget(LINEAGE).spent == rho(7)
    assert store.ledger.verify().ok


@pytest.mark.parametrize("cut", ["before", "after"])
def test_a_grant_is_made_once_or_not_at_all(wired: Store, wire: CuttingProxy, cut: str) -> None:
    def grant() -> int:
        return wired.ledger.grant(LINEAGE, rho(5), epsilon=0, actor="stu", reason="more").seq

    wire.cut = cut
    if cut == "before":
        with pytest.raises(Unavailable):
            grant()
    assert grant() == 2
    assert wired.ledger.budget(LINEAGE).cap == rho(105, 50)


@pytest.mark.parametrize("cut", ["before", "after"])
def test_a_release_shows_one_draw_though_its_commit_was_cut(wired: Store, wire: CuttingProxy, cut: str) -> None:
    made = charge(wired)
    wire.cut = cut
    if cut == "before":
        with pytest.raises(Unavailable):
            wired.ledger.store(made, body=b"first", fresh_for=MONTH)
    else:
        assert wired.ledger.store(made, body=b"first", fresh_for=MONTH).body == b"first"
    again = wired.ledger.store(made, body=b"second", fresh_for=MONTH)
    assert again.body == (b"second" if cut == "before" else b"first")
    assert wired.ledger.verify().ok


def test_a_connection_that_the_server_ended_is_replaced(store: Store, database: ServerDatabase) -> None:
    charge(store, "a")
    database.server.execute(
        "postgres", f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database.name}'"
    )
    assert charge(store, "b").seq == 3


def test_a_crash_of_the_server_loses_nothing_that_was_answered(store: Store, database: ServerDatabase) -> None:
    first, unfinished = release(store, "a", amount=5), charge(store, "b", amount=6)
    database.server.kill()
    for ask in (lambda: store.ledger.charge(make_request("c")), lambda: store.ledger.budget(LINEAGE)):
        with pytest.raises(Unavailable):
            ask()
    database.server.start()
    assert store.ledger.charge(make_request("a", amount=5)) == first
    assert charge(store, "b", amount=6) == replace(unfinished, resumed=True)
    assert store.ledger.budget(LINEAGE).spent == rho(11)
    assert store.ledger.verify().ok


def test_every_transaction_is_set_as_it_must_be_whatever_the_database_s_defaults(
    store: Store, opened: Open, database: ServerDatabase
) -> None:
    store.close()
    for setting in ("synchronous_commit = local", "default_transaction_isolation = serializable"):
        database.server.execute("postgres", f"ALTER DATABASE {database.name} SET {setting}")
    names = ("synchronous_commit", "transaction_isolation", "transaction_read_only", "lock_timeout")

    def shown(transaction: Callable[..., object]) -> list[object]:
        with transaction(made.engine) as connection:  # type: ignore[attr-defined]
            return [connection.exec_driver_sql(f"SHOW {name}").scalar() for name in names]

    made = opened()
    assert shown(writing) == ["on", "read committed", "off", "30s"]
    assert shown(reading) == ["local", "repeatable read", "on", "0"]


def test_writers_who_waited_see_what_was_charged_meanwhile_though_the_default_is_one_snapshot(
    store: Store, opened: Open, database: ServerDatabase
) -> None:
    setting = "default_transaction_isolation = 'repeatable read'"
    database.server.execute("postgres", f"ALTER DATABASE {database.name} SET {setting}")
    both = (opened(), opened())

    def spend(i: int) -> int:
        try:
            charge(both[i % 2], f"q{i}", amount=30)
        except BudgetExhausted:
            return 0
        return 30

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(spend, range(16))) == 90


@pytest.mark.parametrize("how", ["database", "address"])
def test_a_server_that_would_not_wait_for_the_disk_at_a_commit_is_refused(
    opened: Open, home: Path, database: ServerDatabase, how: str
) -> None:
    url = database.url
    if how == "database":
        database.server.execute("postgres", f"ALTER DATABASE {database.name} SET synchronous_commit = off")
    else:
        url += "&options=-csynchronous_commit%3Doff"
    with pytest.raises(FileError, match="DPSTATS_LEDGER_URL: the server's synchronous_commit is off"):
        open_store(home, url=url)
    assert not (home / "ledger.key").exists()


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
def test_a_server_that_can_lose_what_is_committed_is_refused(
    home: Path, database: ServerDatabase, setting: str
) -> None:
    _set_for_all(database.server, setting, "off")
    try:
        with pytest.raises(FileError, match=f"the server's {setting} is off"):
            open_store(home, url=database.url)
    finally:
        _set_for_all(database.server, setting, "on")


def _set_for_all(server: PostgresServer, setting: str, value: str) -> None:
    server.execute("postgres", f"ALTER SYSTEM SET {setting} = {value}", "SELECT pg_reload_conf()")
    while server.execute("postgres", f"SHOW {setting}") != [(value,)]:
        time.sleep(0.01)


def test_a_database_of_another_encoding_is_refused(home: Path, database: ServerDatabase) -> None:
    name = database.server.new_database("ENCODING 'SQL_ASCII' TEMPLATE template0")
    with pytest.raises(FileError, match="encoding is not UTF8"):
        open_store(home, url=database.server.url(name))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "write postgresql"),
        ("sqlite:///x", "write postgresql"),
        ("postgresql://u:hunter2@h/d", "write postgresql"),
        ("postgresql+psycopg://u:hunter2@h", "write postgresql"),
        ("postgresql+psycopg://u:hunter2@127.0.0.1:1/d", "the database cannot be used: connection failed"),
        ("postgresql+psycopg://u:hunter2@/missing?host={folder}", "cannot be used: connection failed"),
        ("postgresql+psycopg://dpstats@/missing?host={folder}", "cannot be used: connection failed"),
    ],
)
def test_an_address_that_cannot_be_used_is_one_line_without_its_password(
    home: Path, database: ServerDatabase, url: str, said: str
) -> None:
    with pytest.raises(FileError, match="settings: DPSTATS_LEDGER_URL") as refused:
        open_store(home, url=url.format(folder=database.server.folder))
    assert said in str(refused.value)
    assert "hunter2" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_role_that_may_make_no_tables_is_one_line(home: Path, database: ServerDatabase) -> None:
    role = f"guest_of_{database.name}"
    database.server.execute(database.name, f"CREATE ROLE {role} LOGIN")
    url = database.url.replace("dpstats@", f"{role}@")
    with pytest.raises(FileError, match="permission denied for schema public"):
        open_store(home, url=url)


def test_a_second_replica_needs_the_first_one_s_workspace(
    store: Store, database: ServerDatabase, tmp_path: Path
) -> None:
    charge(store)
    with pytest.raises(LedgerBroken, match=r"signing key is missing|saved head is missing"):
        open_store(tmp_path / "elsewhere", url=database.url)
    assert store.ledger.verify().ok


def test_a_workspace_that_has_its_ledger_elsewhere_does_not_begin_a_new_one(
    store: Store, home: Path, database: ServerDatabase
) -> None:
    charge(store)
    for url in ("", database.another()):
        with pytest.raises(LedgerBroken, match="is DPSTATS_LEDGER_URL the one that it had"):
            open_store(home, url=url)


def test_two_ledgers_in_two_schemas_of_one_database_are_two(home: Path, database: ServerDatabase) -> None:
    for name in ("one", "two"):
        database.server.execute(database.name, f"CREATE SCHEMA {name}")
        made = open_store(home / name, url=f"{database.url}&options=-csearch_path%3D{name}")
        open_lineage(made)
        assert charge(made).seq == 2
        made.close()
