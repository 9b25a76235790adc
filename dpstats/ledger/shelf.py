"""Stored releases and idempotency keys in the database. Every function works inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Exists, Select, bindparam, func, insert, literal, or_, select

from dpstats.errors import NotFound
from dpstats.ledger import schema
from dpstats.ledger.chain import Entry, Kind, canonical_json, sha256
from dpstats.ledger.clock import later, moment_of, stamp
from dpstats.ledger.database import adding
from dpstats.ledger.prepared import Prepared, Row
from dpstats.ledger.records import ChargeRequest, Question, ReleaseMark, ReleasePage, StoredRelease

_ENTRIES = schema.entries.c
_RELEASES = schema.releases.c
_WITHDRAWN = schema.withdrawals.c

_KEYS = schema.idempotency.c


def withdrawn() -> Exists:
    """That the row of `releases` around it was withdrawn."""
    return select(_WITHDRAWN.release_id).where(_WITHDRAWN.release_id == _RELEASES.release_id).exists()


# Made once: making a statement takes longer than SQLite takes to carry it out.
_ONE = Prepared(select(schema.releases).where(_RELEASES.release_id == bindparam("of_release")))
_FRESH = (
    select(schema.releases)
    .where(
        _RELEASES.question_hash == bindparam("of_hash"),
        _RELEASES.query == bindparam("of_query"),
        ~withdrawn(),
        _RELEASES.fresh_until > bindparam("at"),
    )
    .order_by(_RELEASES.created_at.desc(), _RELEASES.release_id)
    .limit(1)
)
_WITHDRAWAL = Prepared(select(_WITHDRAWN.release_id).where(_WITHDRAWN.release_id == bindparam("of_release")))
_BOUND = Prepared(
    select(_KEYS.fingerprint, _KEYS.release_id).where(
        _KEYS.actor == bindparam("of_actor"), _KEYS.key == bindparam("of_key")
    )
)
_STORED = tuple(column.name for column in schema.releases.c)
_BINDING = tuple(column.name for column in schema.idempotency.c)


def find(connection: Connection, release_id: str) -> StoredRelease | None:
    """The release, None if nothing is stored under this id."""
    row = _ONE.one(connection, of_release=release_id)
    return None if row is None else as_release(row)


def known(connection: Connection, release_id: str) -> StoredRelease:
    """The release.

    Raises:
      NotFound: nothing is stored under this id.
    """
    found = find(connection, release_id)
    if found is None:
        raise NotFound("release", release_id)
    return found


def find_fresh(connection: Connection, question: Question, now: datetime) -> StoredRelease | None:
    """The newest release of the question that is still fresh and was not withdrawn."""
    of = {"of_hash": question.hash, "of_query": question.query, "at": stamp(now)}
    row = connection.execute(_FRESH, of).mappings().one_or_none()
    return None if row is None else as_release(row)


def find_newest(connection: Connection, question: Question) -> ReleaseMark | None:
    """The newest release of the question that was not withdrawn, fresh or not, without its body."""
    columns = [_RELEASES[field.name] for field in fields(ReleaseMark)]
    query = _of_question(select(*columns), question).where(~withdrawn())
    newest = query.order_by(_RELEASES.created_at.desc(), _RELEASES.release_id).limit(1)
    row = connection.execute(newest).mappings().one_or_none()
    return None if row is None else ReleaseMark(**{**row, "created_at": moment_of(row["created_at"])})


def count(connection: Connection, question: Question) -> int:
    """How many releases of the question were ever stored, withdrawn ones too."""
    return int(connection.execute(_of_question(select(func.count()), question)).scalar() or 0)


def _of_question(query: Select[Any], question: Question) -> Select[Any]:
    return query.where(_RELEASES.question_hash == question.hash, _RELEASES.query == question.query)


def is_withdrawn(connection: Connection, release_id: str) -> bool:
    """Whether a steward withdrew the release."""
    return _WITHDRAWAL.one(connection, of_release=release_id) is not None


def withdraw(connection: Connection, release_id: str, actor: str, reason: str, now: datetime) -> bool:
    """Notes that the release is no longer given out; False if that was noted before.

    Raises:
      NotFound: nothing is stored under this id.
    """
    known(connection, release_id)
    if is_withdrawn(connection, release_id):
        return False
    row = {"release_id": release_id, "actor": actor, "at": stamp(now), "reason": reason}
    connection.execute(insert(schema.withdrawals).values(**row))
    return True


def give_up_unanswered(connection: Connection, actor: str, reason: str, now: datetime) -> None:
    """Has no release made any more under the charges that have none stored: they are withdrawn before they are."""
    unanswered = select(_ENTRIES.release_id, literal(actor), literal(stamp(now)), literal(reason)).where(
        _ENTRIES.kind == Kind.CHARGE,
        _ENTRIES.release_id.not_in(select(_RELEASES.release_id)),
        _ENTRIES.release_id.not_in(select(_WITHDRAWN.release_id)),
    )
    connection.execute(insert(schema.withdrawals).from_select(["release_id", "actor", "at", "reason"], unanswered))


def new_row(charge: Entry, body: bytes, fresh_for: timedelta) -> dict[str, Any]:
    """The row of the release made under `charge`, not yet signed."""
    question = Question(str(charge.query), str(charge.query_version), charge.parameters)
    return {
        "release_id": charge.release_id,
        "lineage": charge.lineage,
        "dataset": charge.dataset,
        "query": charge.query,
        "query_version": charge.query_version,
        "question_hash": question.hash,
        "data_version": charge.data_version,
        "created_at": charge.at,
        "fresh_until": stamp(later(moment_of(charge.at), fresh_for)),
        "body": body,
    }


def add(connection: Connection, row: Mapping[str, Any]) -> None:
    """Stores a signed row."""
    connection.exec_driver_sql(adding("releases", _STORED, connection.dialect), dict(row))


def signed_part(row: Row) -> bytes:
    """What a release's signature covers: every column, the body by its hash."""
    named = {column.name: row[column.name] for column in _RELEASES if column.name not in {"body", "signature"}}
    return canonical_json(named | {"body": sha256(bytes(row["body"]))}).encode()


def page(
    connection: Connection, *, datasets: tuple[str, ...], query: str | None, after: str | None, limit: int
) -> ReleasePage:
    """Up to `limit` releases that were not withdrawn, newest first, older than the cursor; `datasets` empty: all."""
    wanted = (
        select(schema.releases).where(~withdrawn()).order_by(_RELEASES.created_at.desc(), _RELEASES.release_id.desc())
    )
    if datasets:
        wanted = wanted.where(_RELEASES.dataset.in_(datasets))
    if query is not None:
        wanted = wanted.where(_RELEASES.query == query)
    if after is not None:
        at, _, release_id = after.partition("~")
        older = (_RELEASES.created_at == at) & (_RELEASES.release_id < release_id)
        wanted = wanted.where(or_(_RELEASES.created_at < at, older))
    rows = connection.execute(wanted.limit(limit + 1)).mappings().all()
    shown = rows[:limit]
    more = len(rows) > limit
    return ReleasePage(
        tuple(as_release(row) for row in shown),
        f"{shown[-1]['created_at']}~{shown[-1]['release_id']}" if more and shown else None,
    )


def bound_release(connection: Connection, request: ChargeRequest) -> tuple[str, str] | None:
    """The fingerprint and release id that the request's idempotency key is bound to, None if it is not."""
    if request.idempotency_key is None:
        return None
    row = _BOUND.one(connection, of_actor=request.key_owner, of_key=request.idempotency_key)
    return None if row is None else (row["fingerprint"], row["release_id"])


def bind(connection: Connection, request: ChargeRequest, release_id: str) -> None:
    """Binds the request's idempotency key, if it has one, to the release."""
    if request.idempotency_key is not None:
        row = {
            "actor": request.key_owner,
            "key": request.idempotency_key,
            "fingerprint": request.fingerprint,
            "release_id": release_id,
        }
        connection.exec_driver_sql(adding("idempotency", _BINDING, connection.dialect), row)


def as_release(row: Row) -> StoredRelease:
    """The record of a row."""
    return StoredRelease(
        release_id=row["release_id"],
        dataset=row["dataset"],
        query=row["query"],
        query_version=row["query_version"],
        data_version=row["data_version"],
        created_at=moment_of(row["created_at"]),
        fresh_until=moment_of(row["fresh_until"]),
        body=bytes(row["body"]),
    )
