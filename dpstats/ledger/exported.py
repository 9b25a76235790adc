"""An exported ledger, verified where nothing of its workspace is: no database, no key, no network.

Its entries are put into a database in memory and walked by the very checks that walk a ledger, so that the two cannot
come to differ. Whether the key in it is the service's own, only a head that was kept elsewhere can show.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, StaticPool, create_engine, insert
from sqlalchemy.exc import SQLAlchemyError

from dpstats.errors import FileError
from dpstats.ledger import schema
from dpstats.ledger.chain import Entry
from dpstats.ledger.heads import Head, head_of_receipt
from dpstats.ledger.signing import PublicKey
from dpstats.ledger.told import told
from dpstats.ledger.verify import VerifyReport, check_receipt, verify_entries

_ALWAYS = {
    "seq",
    "kind",
    "rho",
    "delta",
    "epsilon",
    "at",
    "actor",
    "release_id",
    "query",
    "reason",
    "prev_hash",
    "hash",
}
"""What every export tells of an entry; those of before tell less of it than today's."""


@dataclass(frozen=True)
class Exported:
    """A lineage's entries, its head as the export tells it, and the public key that it says they are signed with.

    `told_otherwise`: the seq of each entry whose plain fields, for people, differ from what its hash covers.
    `out_of_order`: the seq of each entry that stands before an older one in the file.
    """

    entries: tuple[Entry, ...]
    head: Head
    key: PublicKey
    told_otherwise: tuple[int, ...]
    out_of_order: tuple[int, ...]


def read_export(file: Path) -> Exported:
    """The export in a file.

    Raises:
      FileError: it is none.
    """
    head = head_of_receipt(file)
    try:
        body = json.loads(file.read_bytes())
        entries = tuple(Entry(**item["content"]) for item in body["entries"])
        key = PublicKey(body["public_key"])
        otherwise = tuple(x.seq for x, item in zip(entries, body["entries"], strict=True) if not _told_so(x, item))
        before = tuple(one.seq for one, next_one in pairwise(entries) if one.seq > next_one.seq)
        return Exported(entries, replace(head, lineage=str(entries[0].lineage)), key, otherwise, before)
    except (OSError, ValueError, AttributeError, LookupError, TypeError):
        raise FileError(str(file), "is not an export of a ledger: `dpstats ledger export` writes one") from None


def verify_export(exported: Exported, receipts: Sequence[Head] = ()) -> VerifyReport:
    """Verifies every hash, signature, price and total of an export, its head, and heads that were kept elsewhere."""
    lineage = exported.head.lineage
    engine = create_engine("sqlite://", poolclass=StaticPool)
    try:
        if not _filled(engine, exported):
            return VerifyReport((lineage,), 0, (f"{lineage}: entries stand twice, or hold what no ledger takes",))
        report = verify_entries(engine, exported.key, exported.head)
        findings = list(report.findings)
        findings += [f"{lineage}: entry {seq} is told otherwise than it is" for seq in exported.told_otherwise]
        findings += [f"{lineage}: entry {seq} stands before an older one" for seq in exported.out_of_order]
        for receipt in receipts:
            findings += check_receipt(engine, exported.key, receipt, [lineage])
        return VerifyReport((lineage,), report.entries, tuple(dict.fromkeys(findings)))
    finally:
        engine.dispose()


def _told_so(entry: Entry, item: Mapping[str, Any]) -> bool:
    """Whether an entry's plain fields say what it holds, and nothing else."""
    plain = {name: value for name, value in item.items() if name != "content"}
    known = told(entry)
    return plain.keys() >= _ALWAYS and all(name in known and known[name] == value for name, value in plain.items())


def _filled(engine: Engine, exported: Exported) -> bool:
    try:
        with engine.begin() as connection:
            schema.metadata.create_all(connection)
            for lineage in {entry.lineage for entry in exported.entries}:
                first = min((x for x in exported.entries if x.lineage == lineage), key=lambda entry: entry.seq)
                _insert(connection, schema.lineages, _terms(first))
            for entry in exported.entries:
                _insert(connection, schema.entries, vars(entry))
    except (SQLAlchemyError, ValueError, TypeError, AttributeError, OverflowError):
        return False
    return True


def _insert(connection: Connection, table: Any, row: Mapping[str, Any]) -> None:
    named = {column.name for column in table.columns}
    connection.execute(insert(table).values(**{name: value for name, value in row.items() if name in named}))


def _terms(first: Entry) -> dict[str, Any]:
    """A lineage's terms, as its first grant records them."""
    return {**json.loads(first.parameters), "lineage": first.lineage, "created_at": first.at}
