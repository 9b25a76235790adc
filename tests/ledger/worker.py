"""A process that the tests start: `worker.py MODE HOME ...`. It prints what it did, one line each."""

from __future__ import annotations

import itertools
import os
import resource
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ledger_asking import MONTH, ask_for, charge, make_request, permit, question, release
from sqlalchemy import Engine, event

from dpstats.errors import DpstatsError
from dpstats.ledger.records import Charged
from dpstats.ledger.store import Store, open_store

TRIES = 8
"""More than there are syncs in one release: in one of as many tries, none fails if every fifth sync does."""

OPENING_STATEMENTS = 20
"""The transaction that makes the schema has more statements than this; one that only looks has fewer."""


def exhaust(store: Store, name: str) -> None:
    """Charges one step at a time until nothing is left, and prints how often it was granted."""
    granted = 0
    try:
        while True:
            charge(store, f"{name}-{granted}")
            granted += 1
    except DpstatsError as error:
        print(type(error).__name__, granted)


def release_for_ever(store: Store, name: str) -> None:
    """Charges and stores until it is killed; prints each release id once it may be sent."""
    done = 0
    while True:
        print(release(store, f"{name}-{done}").release_id, flush=True)
        done += 1


def die_after_charge(store: Store, _name: str) -> None:
    """Is killed between the charge and the storing."""
    print(charge(store).release_id, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


def register(store: Store, _name: str) -> None:
    """Registers a dataset, and prints how many revisions of it there are."""
    store.registry.register_dataset("shop", "text", "l")
    print(store.registry.dataset("shop").revision)


def full_disk(store: Store, _name: str) -> None:
    """Asks when no file can grow by a byte."""
    permit(store, question("on a full disk"))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, 1))
    try:
        ask_for(store, "on a full disk")
    except DpstatsError as error:
        print(type(error).__name__)


def release_with_keys(store: Store, count: str) -> None:
    """Releases under a key each, trying again what failed; prints what each try gave, and what left in the end."""
    for i in range(int(count)):
        for attempt in range(TRIES):
            try:
                given = store.ledger.charge(make_request(f"q{i}", idempotency_key=f"k{i}"))
                if isinstance(given, Charged):
                    given = store.ledger.store(given, body=f"draw {attempt}".encode(), fresh_for=MONTH)
                print("left", f"k{i}", given.release_id, given.body.decode(), flush=True)
                break
            except DpstatsError as error:
                print(type(error).__name__, f"k{i}", flush=True)


def charge_at_once(store: Store, count: str) -> None:
    """Charges by so many callers at the same moment; prints each charge that a caller is told of."""

    def ask(i: int) -> None:
        told = store.ledger.charge(make_request(f"q{i}"))
        print("told", told.release_id, flush=True)

    with ThreadPoolExecutor(int(count)) as pool:
        list(pool.map(ask, range(int(count))))


def main() -> None:
    mode, home, name = sys.argv[1:4]
    if mode in {"read_only", "die_while_opening"}:
        {"read_only": read_only, "die_while_opening": die_while_opening}[mode](Path(home), name)
        return
    store = open_store(Path(home), url=os.environ["LEDGER_URL"])
    runs = (exhaust, release_for_ever, die_after_charge, register, full_disk, release_with_keys, charge_at_once)
    modes = {run.__name__: run for run in runs}
    modes[mode](store, name)
    store.close()


def die_while_opening(home: Path, when: str) -> None:
    """Is killed before a statement of the opening transaction, counted from 1, or at its first COMMIT."""
    counted = itertools.count(1)

    def before_statement(*_: object) -> None:
        if str(next(counted)) == when:
            os.kill(os.getpid(), signal.SIGKILL)

    def before_commit(_: object) -> None:
        if when == "COMMIT" and next(counted) > OPENING_STATEMENTS:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", before_statement)
    event.listen(Engine, "commit", before_commit)
    open_store(home, url=os.environ["LEDGER_URL"])


def read_only(home: Path, what: str) -> None:
    """Charges where the folder or the database cannot be written; root, whom no mode stops, becomes nobody first."""
    store = open_store(home)  # loads every library while they can still be read
    permit(store, question())
    store.close()
    paths = [home, *home.rglob("*")]
    if os.geteuid() == 0:
        for path in paths:
            os.chown(path, 65534, 65534)
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    for path in paths if what == "folder" else [home / "ledger.db"]:
        path.chmod(0o500 if path.is_dir() else 0o400)
    try:
        open_store(home).ledger.charge(make_request())
    except DpstatsError as error:
        print(type(error).__name__, repr(error.__cause__))


if __name__ == "__main__":
    main()
