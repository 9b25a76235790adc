"""The fault table: what someone with the database's file can do to history, and that each thing is seen."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from ledger_asking import LINEAGE, ask_for, charge, open_lineage, release, rho
from ledger_databases import ON_FILES, LedgerDatabase
from sqlalchemy.engine import Connection

from dpstats.errors import LedgerBroken
from dpstats.ledger.chain import Entry, entry_hash
from dpstats.ledger.store import Store, open_store

Open = Callable[..., Store]
Vandal = Callable[..., None]


def fill(store: Store) -> None:
    """Entries: 1 grant, 2 and 3 released, 4 charged and not released, 5 grant."""
    release(store, "a", amount=10)
    release(store, "b", amount=20)
    charge(store, "c", amount=30)
    store.ledger.grant(LINEAGE, rho(5), epsilon=5, actor="stu", reason="more")


def findings(opened: Open) -> str:
    report = opened(check=False).ledger.verify()
    assert report.ok == (not report.findings)
    return "\n".join(report.findings)


def test_a_ledger_in_order_verifies(store: Store, opened: Open) -> None:
    fill(store)
    open_lineage(store, lineage="other")
    report = opened().ledger.verify()
    assert (report.ok, report.entries, report.lineages) == (True, 6, ("other", LINEAGE))
    assert store.ledger.verify(LINEAGE).entries == 5
    assert opened(check=False).ledger.verify("nobody").findings == ("nobody: it is not in the list of lineages",)


FAULTS = {
    "an amount changed": (["UPDATE entries SET amount = 9 WHERE seq = 2"], "entry 2 was changed"),
    "a refund": (["UPDATE entries SET amount = -5 WHERE seq = 2"], "entry 2 was changed"),
    "an actor changed": (["UPDATE entries SET actor = 'eve' WHERE seq = 3"], "entry 3 was changed"),
    "an event changed": (["UPDATE entries SET events = '[]' WHERE seq = 3"], "entry 3 was changed"),
    "a kind changed": (["UPDATE entries SET kind = 'gift' WHERE seq = 4"], "entry 4 was changed"),
    "a charge made a grant": (["UPDATE entries SET kind = 'grant' WHERE seq = 4"], "entry 4 was changed"),
    "a tail cut": (["DELETE FROM entries WHERE seq = 5"], "a tail was cut"),
    "a tail cut to a charge": (["DELETE FROM entries WHERE seq > 3"], "ends at entry 3, but its saved head is entry 5"),
    "all entries removed": (["DELETE FROM entries"], "the ledger is empty"),
    "a lineage removed": (["DELETE FROM entries", "DELETE FROM lineages"], "not in the list of lineages"),
    "one removed within": (["DELETE FROM entries WHERE seq = 3"], "entry 4 stands where entry 3 belongs"),
    "one removed, the rest closed up": (
        ["DELETE FROM entries WHERE seq = 3", "UPDATE entries SET seq = seq - 1 WHERE seq > 3"],
        "entry 3 is not chained",
    ),
    "two swapped": (
        [
            "UPDATE entries SET seq = 99 WHERE seq = 2",
            "UPDATE entries SET seq = 2 WHERE seq = 3",
            "UPDATE entries SET seq = 3 WHERE seq = 99",
        ],
        "entry 2 is not chained",
    ),
    "one inserted within": (
        [
            "UPDATE entries SET seq = seq + 10 WHERE seq > 3",
            "UPDATE entries SET seq = seq - 9 WHERE seq > 10",
            "CREATE TEMP TABLE copy AS SELECT * FROM entries WHERE seq = 1",
            "UPDATE copy SET seq = 4",
            "INSERT INTO entries SELECT * FROM copy",
        ],
        "entry 4 is not chained",
    ),
    "a grant copied to the end": (
        [
            "CREATE TEMP TABLE copy AS SELECT * FROM entries WHERE seq = 5",
            "UPDATE copy SET seq = 6",
            "INSERT INTO entries SELECT * FROM copy",
        ],
        "entry 6 is not chained",
    ),
    "terms changed": (["UPDATE lineages SET conversion_delta = 1"], "its terms are not those"),
    "terms nonsense": (["UPDATE lineages SET measure = 'none'"], "never writes"),
    "a body changed": (
        ["UPDATE releases SET body = substr(body, 2) WHERE query = 'a'"],
        "its signature does not match",
    ),
    "freshness stretched": (["UPDATE releases SET fresh_until = '9999'"], "its signature does not match"),
    "a release without its charge": (["UPDATE releases SET release_id = 'ff' WHERE query = 'a'"], "0 charges instead"),
}


UNTYPED_FAULTS = {
    "a text where a number was": (["UPDATE entries SET amount = 'x' WHERE seq = 2"], "entry 2 was changed"),
    "bytes where a text was": (["UPDATE entries SET actor = x'ff' WHERE seq = 2"], "entry 2 was changed"),
    "a body of text": (["UPDATE releases SET body = 'text' WHERE query = 'a'"], "never writes"),
}
"""What only a database can hold that takes any value in any column."""


@pytest.mark.parametrize("fault", FAULTS)
def test_a_changed_history_is_seen(fault: str, store: Store, opened: Open, vandal: Vandal) -> None:
    fill(store)
    statements, finding = FAULTS[fault]
    vandal(*statements)
    assert finding in findings(opened)


@ON_FILES
@pytest.mark.parametrize("fault", UNTYPED_FAULTS)
def test_a_value_of_another_type_is_seen(fault: str, store: Store, opened: Open, vandal: Vandal) -> None:
    fill(store)
    statements, finding = UNTYPED_FAULTS[fault]
    vandal(*statements)
    assert finding in findings(opened)


ENDS = ["a tail cut", "a tail cut to a charge", "all entries removed", "one removed within", "a lineage removed"]


@pytest.mark.parametrize("fault", [*ENDS, "a grant copied to the end", "one inserted within"])
def test_a_ledger_whose_end_cannot_be_trusted_does_not_open_and_charges_nothing(
    fault: str, store: Store, opened: Open, vandal: Vandal
) -> None:
    fill(store)
    vandal(*FAULTS[fault][0])
    with pytest.raises(LedgerBroken):
        opened()
    unchecked = opened(check=False)
    with pytest.raises(LedgerBroken):
        open_lineage(unchecked) if fault == "a lineage removed" else ask_for(unchecked)


def test_a_running_ledger_refuses_as_soon_as_its_newest_entry_changes(
    store: Store, raw: Connection, database: LedgerDatabase
) -> None:
    fill(store)
    database.take_guards_off(raw)
    raw.exec_driver_sql("UPDATE entries SET amount = 500 WHERE seq = 5")
    for ask in (
        lambda: ask_for(store),
        lambda: store.ledger.grant(LINEAGE, rho(1), epsilon=0, actor="stu", reason="more"),
        lambda: open_lineage(store),
    ):
        with pytest.raises(LedgerBroken, match="entry 5 was changed"):
            ask()


def test_more_charged_than_granted_is_refused(store: Store, opened: Open, vandal: Vandal) -> None:
    fill(store)
    vandal("UPDATE entries SET amount = 59 - 5 WHERE seq = 1", "DELETE FROM chain_totals")
    assert "entry 4 charges more than was left" in findings(opened)
    with pytest.raises(LedgerBroken, match="more was charged"):
        opened()
    with pytest.raises(LedgerBroken, match="more was charged"):
        opened(check=False).ledger.budget(LINEAGE)


def test_a_history_rewritten_with_every_hash_made_to_fit_is_seen_for_want_of_the_key(
    store: Store, opened: Open, vandal: Vandal, home: Path
) -> None:
    fill(store)
    forged: list[Entry] = []
    for entry in store.ledger.entries(LINEAGE):
        changed = replace(entry, amount=1) if entry.seq == 2 else entry
        chained = replace(changed, prev_hash=forged[-1].hash) if forged else changed
        forged.append(replace(chained, hash=entry_hash(chained)))
    vandal(*(f"UPDATE entries SET amount={e.amount}, prev_hash='{e.prev_hash}', hash='{e.hash}' WHERE seq={e.seq}"
             for e in forged))  # fmt: skip
    found = findings(opened)
    assert "entry 2 is not signed" in found
    assert "entry 5 is not the one that was saved as its head" in found
    assert "was changed" not in found
    with pytest.raises(LedgerBroken, match="not signed"):
        opened()


def test_a_forged_entry_after_the_head_with_its_hash_made_to_fit_is_seen(
    store: Store, opened: Open, vandal: Vandal
) -> None:
    fill(store)
    last = store.ledger.entries(LINEAGE)[-1]
    forged = replace(last, seq=6, amount=50, prev_hash=last.hash)
    vandal(
        "CREATE TEMP TABLE copy AS SELECT * FROM entries WHERE seq = 5",
        f"UPDATE copy SET seq = 6, amount = 50, prev_hash = '{last.hash}', hash = '{entry_hash(forged)}'",
        "INSERT INTO entries SELECT * FROM copy",
    )
    unsigned, totals = findings(opened).splitlines()
    assert unsigned == f"{LINEAGE}: entry 6 is not signed with this workspace's key"
    assert totals == f"{LINEAGE}: its running totals are not what its entries add up to"
    with pytest.raises(LedgerBroken, match="entry 6 is not signed"):
        opened()


def test_a_restored_backup_is_seen(store: Store, opened: Open, database: LedgerDatabase) -> None:
    release(store, "a")
    store.close()
    database.save()
    again = opened()
    release(again, "b")
    again.close()
    database.restore()
    assert "ends at entry 2, but its saved head is entry 3" in findings(opened)
    with pytest.raises(LedgerBroken, match="ends at entry 2"):
        opened()


def test_nothing_is_charged_on_a_restored_backup_though_it_verifies_in_itself(
    store: Store, opened: Open, database: LedgerDatabase
) -> None:
    release(store, "a")
    store.close()
    database.save()
    later = opened()
    release(later, "b")
    later.close()
    database.restore()
    unchecked = opened(check=False)
    with pytest.raises(LedgerBroken, match="entry 3 was written before"):
        charge(unchecked, "c")
    assert len(unchecked.ledger.entries(LINEAGE)) == 2


def test_a_copy_that_went_its_own_way_is_seen_beside_the_head_of_the_other(
    store: Store, opened: Open, database: LedgerDatabase, home: Path, tmp_path: Path
) -> None:
    store.close()
    shutil.copytree(home, tmp_path / "copy")
    copy_url = database.copy_for(tmp_path / "copy")
    charge(opened(), "a")
    ours = (home / "heads" / f"{LINEAGE}.json").read_bytes()
    copy = open_store(tmp_path / "copy", url=copy_url)
    charge(copy, "b")
    charge(copy, "c")
    (tmp_path / "copy" / "heads" / f"{LINEAGE}.json").write_bytes(ours)
    with pytest.raises(LedgerBroken, match="entry 2 is not the one that was saved"):
        charge(copy, "d")
    assert "entry 2 is not the one that was saved" in copy.ledger.verify().findings[0]
    copy.close()


@ON_FILES
@pytest.mark.parametrize("marker", [b"ana", b"sha256:plan", b"discrete_gaussian"])
def test_one_flipped_bit_in_the_file_is_seen(store: Store, opened: Open, home: Path, marker: bytes) -> None:
    fill(store)
    store.close()
    path = home / "ledger.db"
    content = bytearray(path.read_bytes())
    place = content.rindex(marker)
    content[place] ^= 1
    path.write_bytes(content)
    assert "was changed" in findings(opened)


def test_a_deleted_database_beside_its_saved_heads_is_seen(
    store: Store, opened: Open, database: LedgerDatabase
) -> None:
    fill(store)
    store.close()
    database.lose()
    with pytest.raises(LedgerBroken, match="no entries"):
        opened()
    unchecked = opened(check=False)
    assert "the ledger is empty, but its saved head is entry 5" in "\n".join(unchecked.ledger.verify().findings)
    with pytest.raises(LedgerBroken, match="saved head but no entries"):
        open_lineage(unchecked)


def test_a_missing_head_is_a_finding_from_the_second_entry_on(store: Store, opened: Open, home: Path) -> None:
    head = home / "heads" / f"{LINEAGE}.json"
    store.close()
    head.unlink()
    again = opened()  # as if a crash had come between the first commit and the saving of its head
    assert json.loads(head.read_text())["seq"] == 1
    charge(again)
    head.unlink()
    assert findings(opened) == f"{LINEAGE}: its saved head is missing"
    with pytest.raises(LedgerBroken, match="saved head is missing"):
        opened()
    with pytest.raises(LedgerBroken, match="saved head is missing"):
        charge(again)


def test_a_crash_before_the_head_is_saved_loses_nothing_and_is_caught_up(
    store: Store, opened: Open, home: Path
) -> None:
    head = home / "heads" / f"{LINEAGE}.json"
    charge(store)
    before = head.read_bytes()
    charge(store, "b")
    store.close()
    head.write_bytes(before)
    assert findings(opened) == ""
    opened()
    assert json.loads(head.read_text())["seq"] == 3


@pytest.mark.parametrize(
    "content",
    [b"", b"garbage", b"[]", b"{}", b'{"lineage":"x","seq":1,"hash":"","signature":""}', b'{"seq":"1"}', b"\xff"],
)
def test_a_damaged_head_file_is_a_finding(store: Store, opened: Open, home: Path, content: bytes) -> None:
    charge(store)
    (home / "heads" / f"{LINEAGE}.json").write_bytes(content)
    assert "not a saved head" in findings(opened)
    with pytest.raises(LedgerBroken, match="not a saved head"):
        opened()
    with pytest.raises(LedgerBroken, match="not a saved head"):
        charge(store)


def test_a_forged_head_is_a_finding(store: Store, opened: Open, home: Path) -> None:
    path = home / "heads" / f"{LINEAGE}.json"
    charge(store)
    head = json.loads(path.read_text())
    path.write_text(json.dumps(head | {"signature": "ed25519:00"}))
    assert findings(opened) == f"{LINEAGE}: its saved head is not signed with this workspace's key"


def test_another_key_than_the_one_that_signed_is_seen(store: Store, opened: Open, home: Path) -> None:
    fill(store)
    store.close()
    (home / "ledger.key").write_text("11" * 32)
    with pytest.raises(LedgerBroken, match="not signed with this workspace's key"):
        opened()
    assert "entry 1 is not signed" in findings(opened)


@pytest.mark.parametrize("content", [None, "", "garbage", "11" * 31])
def test_a_lost_or_damaged_key_is_never_made_anew(store: Store, opened: Open, home: Path, content: str | None) -> None:
    store.close()
    (home / "ledger.key").unlink()
    if content is not None:
        (home / "ledger.key").write_text(content)
    with pytest.raises(LedgerBroken, match="signing key"):
        opened()
    assert "signing key" in findings(opened)


def test_findings_past_a_hundred_are_counted(store: Store, opened: Open, vandal: Vandal) -> None:
    for i in range(100):
        charge(store, f"q{i}")
    vandal("UPDATE entries SET signature = 'ed25519:'")
    report = opened(check=False).ledger.verify()
    assert len(report.findings) == 101
    assert report.findings[-1] == f"{LINEAGE}: and 1 findings more"
