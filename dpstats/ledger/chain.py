"""The hash chain: an entry's hash covers its content and the hash before it, so that no entry can change alone.

Pure: it knows entries, not where they are kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from dpstats.privacy.loss import Loss, Measure

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


class Kind(StrEnum):
    """What an entry does to a budget."""

    GRANT = "grant"
    CHARGE = "charge"


@dataclass(frozen=True, kw_only=True)
class Content:
    """What an entry says. A field that is None does not belong to its kind and is left out of the hash.

    `amount` and `epsilon` are in steps of 1e-12, `delta` in steps of 1e-18, all >= 0; `epsilon` is what a grant adds
    to the epsilon cap, 0 for a charge. `at` is UTC. `parameters` and `events` are canonical JSON; a lineage's first
    grant keeps the lineage's fixed terms in `parameters`. `blocks` is canonical JSON too: the time blocks
    that were charged, None where the lineage has none. `confirmed_by`: the second steward of a grant that needed one.
    `role` and `purpose`: of whoever charged, and of the query; None in entries from before there were caps for them.
    """

    lineage: str
    kind: str
    measure: str
    amount: int
    delta: int
    epsilon: int
    at: str
    actor: str
    reason: str = ""
    token_id: str | None = None
    release_id: str | None = None
    dataset: str | None = None
    query: str | None = None
    query_version: str | None = None
    parameters: str = "{}"
    data_version: str | None = None
    plan_hash: str | None = None
    events: str = "[]"
    blocks: str | None = None
    confirmed_by: str | None = None
    role: str | None = None
    purpose: str | None = None

    @property
    def loss(self) -> Loss:
        """What is granted or charged."""
        return Loss(Measure(self.measure), self.amount, self.delta)


@dataclass(frozen=True, kw_only=True)
class Entry(Content):
    """A content in its place: the `seq`-th of its lineage, from 1, chained to the one before and signed."""

    seq: int
    prev_hash: str
    hash: str
    signature: str


def canonical_json(value: object) -> str:
    """The one JSON text of a value: sorted keys, no spaces, ASCII.

    Raises:
      ValueError: NaN or an infinity is in it. TypeError: something that JSON does not have.
    """
    return _ENCODER.encode(value)


def sha256(text: str | bytes) -> str:
    """`sha256:` and the hex digest."""
    data = text.encode() if isinstance(text, str) else text
    return "sha256:" + hashlib.sha256(data).hexdigest()


def genesis(lineage: str) -> str:
    """The hash before a lineage's first entry. It names the lineage, so chains cannot be swapped."""
    return sha256(canonical_json({"chain": "dpstats-ledger-1", "lineage": lineage}))


def content_hash(content: Content, seq: int, prev_hash: str) -> str:
    """The hash of an entry with this content in this place."""
    fields = {name: value for name, value in vars(content).items() if value is not None}
    for name in ("hash", "signature"):
        fields.pop(name, None)
    return sha256(canonical_json(fields | {"seq": seq, "prev_hash": prev_hash}))


def entry_hash(entry: Entry) -> str:
    """The hash that the entry ought to have; empty if a column holds what the ledger never writes."""
    try:
        return content_hash(entry, entry.seq, entry.prev_hash)
    except TypeError:
        return ""


def verify_chain(entries: Iterable[Entry]) -> list[str]:
    """What is wrong with a lineage's entries, given oldest first from the first one; one line a finding."""
    findings: list[str] = []
    expected_seq, expected_prev = 1, ""
    for entry in entries:
        expected_prev = expected_prev or genesis(entry.lineage)
        if entry.seq != expected_seq:
            findings.append(f"entry {entry.seq} stands where entry {expected_seq} belongs")
        if entry.prev_hash != expected_prev:
            findings.append(f"entry {entry.seq} is not chained to the entry before it")
        if entry_hash(entry) != entry.hash:
            findings.append(f"entry {entry.seq} was changed: its hash does not match its content")
        expected_seq, expected_prev = entry.seq + 1, entry.hash
    return findings
