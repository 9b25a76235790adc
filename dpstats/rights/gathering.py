"""Many small messages of one kind to one recipient, made one before they are sent: a refusal is told by the thousand.

What is gathered is whatever was never tried; the small messages stay as handed over, without their content, so that
none of them is ever put again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import Connection, RowMapping, func, select, update

from dpstats.ledger.clock import stamp
from dpstats.rights.consent_schema import ConsentDatabase
from dpstats.rights.outbox import Message, Outbox, messages, put_in

_M = messages.c
AT_ONCE = 1000
"""Small messages that are looked at at once, so that one that is made of them stays small enough to be taken."""
SMALL = 1000
"""Characters of a body that is small; one that tells of a file's refusals is not."""
GATHERED = ", gathered"
"""How it is told of a message that it was made so: it is not gathered again."""


def gather(outbox: Outbox, about: str, now: datetime) -> int:
    """Makes the messages about one thing that nobody was sent yet as few as can be; gives how many were gathered.

    Their bodies say `type` and, in `data`, `datasets` and `units` alone.
    """
    database, gathered = outbox.database, 0
    while part := _gathered(database, about, now):
        gathered += part
    if gathered:
        database.empty_log()
    return gathered


def _gathered(database: ConsentDatabase, about: str, now: datetime) -> int:
    query = (
        select(messages)
        .where(_M.about == about, _M.tries == 0, _M.next_at <= stamp(now), func.length(_M.body) <= SMALL)
        .order_by(_M.recipient, _M.kind, _M.message)
        .limit(AT_ONCE)
    )
    done = 0
    with database.writing() as connection:
        for same in _alike(connection.execute(query).mappings().all()):
            if len(same) > 1:
                _make_one(connection, same, now)
                done += len(same)
    return done


def _alike(rows: Sequence[RowMapping]) -> Iterator[list[RowMapping]]:
    """Those of one recipient, kind and datasets, together."""
    found: dict[tuple[str, str, str], list[RowMapping]] = {}
    for row in rows:
        datasets = json.dumps(json.loads(row["body"])["data"]["datasets"])
        found.setdefault((row["recipient"], row["kind"], datasets), []).append(row)
    yield from found.values()


def _make_one(connection: Connection, same: Sequence[RowMapping], now: datetime) -> None:
    first, names = same[0], [row["message"] for row in same]
    bodies = [json.loads(row["body"])["data"] for row in same]
    units = sorted({unit for data in bodies for unit in data["units"]})
    data = {"datasets": bodies[0]["datasets"], "units": units}
    body = json.dumps({"type": first["kind"], "timestamp": stamp(now), "data": data}, ensure_ascii=False)
    message_id = f"msg_{hashlib.sha256(json.dumps(names).encode()).hexdigest()[:32]}"
    handed_over = {"body": None, "next_at": None, "delivered_at": stamp(now)}
    connection.execute(update(messages).where(_M.message.in_(names)).values(handed_over))
    gathered = Message(message_id, first["recipient"], f"{first['about']}{GATHERED}", first["kind"], body)
    put_in(connection, [gathered], now)
