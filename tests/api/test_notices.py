"""Alarms and notices: what is due is told once, signed, to whoever the file names; a person's id goes to recipients of
the dataset alone, and no longer than until they have it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from api_town import ME, Town, opened
from test_metrics import samples

from dpstats.errors import FileError
from dpstats.rights.consent_schema import ConsentDatabase
from dpstats.rights.deadlines import carried_out_by, day_of
from dpstats.rights.intake import Wish
from dpstats.rights.outbox import GIVE_UP, LONGEST_PAUSE, STUCK_AFTER, Message, Outbox, pause_after
from dpstats.rights.request_log import Asked, RequestLog
from dpstats.rights.requests import Kind
from dpstats.rights.signals import Signal
from dpstats.settings import read_settings
from dpstats.workspace import Workspace
from dpstats.workspace.correcting import Wanted
from dpstats.workspace.refusals_told import UNITS_MAX
from dpstats.workspace.webhooks import read_webhooks

SECRET = "a-secret-of-thirty-two-characters"
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


@dataclass
class Taker:
    """A recipient on this machine. `status`: how it answers."""

    address: str = ""
    status: int = 204
    taken: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.taken]


@contextmanager
def taking() -> Iterator[Taker]:
    taker = Taker()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taker.taken.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(taker.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    taker.address = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield taker
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def taker() -> Iterator[Taker]:
    with taking() as found:
        yield found


@pytest.fixture
def told_town(home: Path, taker: Taker) -> Iterator[Workspace]:
    """A town whose alarms go to the taker, and whose recipient `mailer` is told of the town."""
    (home / "hook.secret").write_text(SECRET)
    recipient = f"{{name: mailer, url: '{taker.address}', secret_file: hook.secret, datasets: [town]}}"
    elsewhere = f"{{name: port, url: '{taker.address}', secret_file: hook.secret, datasets: [harbour]}}"
    alarms = f"{{url: '{taker.address}', secret_file: hook.secret}}"
    (home / "webhooks.yaml").write_text(f"alarms: {alarms}\nrecipients: [{recipient}, {elsewhere}]\n")
    workspace = Workspace.open(read_settings(home=home, webhooks=home / "webhooks.yaml"))
    yield workspace
    workspace.close()


def late(home: Path, days: int = 50, kind: Kind = Kind.DELETE) -> str:
    """A request that came so many days ago."""
    database = ConsentDatabase(home / "consent.db")
    asked = Asked(kind, "town", "town", "0" * 64)
    now = datetime.now(UTC) - timedelta(days=days)
    request = RequestLog(database).open(asked, "171717", actor="tests", now=now).request_id
    database.close()
    return request


def near_its_end() -> int:
    """How many days ago an opt-out came whose alarm is on, and which is due tomorrow at the earliest."""
    now = datetime.now(UTC)
    of = {days: carried_out_by(now - timedelta(days=days)) for days in range(30)}
    return next(days for days, dates in of.items() if dates.respond_alarm <= day_of(now) < dates.respond_due)


def test_what_is_overdue_is_told_once_signed_and_names_nobody(told_town: Workspace, taker: Taker) -> None:
    request = late(told_town.home)
    assert told_town.notifying.notify(ME) == {"delivered": 2, "to_be_tried_again": 0}
    assert told_town.notifying.notify(ME) == {"delivered": 0, "to_be_tried_again": 0}
    for headers, body in taker.taken:
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        mac = hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()
        assert headers["webhook-signature"] == "v1," + base64.b64encode(mac).decode()
        assert b"171717" not in body
    assert {(body["type"], body["data"]["request"]) for body in taker.bodies()} == {("rights.overdue", request)}
    assert {body["data"]["what"] for body in taker.bodies()} == {"confirm receipt", "answer"}


def test_a_deletion_is_told_to_the_recipients_of_the_dataset_and_its_evidence_says_so(
    told_town: Workspace, taker: Taker
) -> None:
    request = told_town.rights.open(ME, "delete", "town", 3)["id"]
    told_town.rights.verify(ME, request, "reasonable", "two facts matched")
    evidence = told_town.rights.execute(ME, request)["evidence"]
    assert evidence["recipients_told"] == ["mailer"]
    assert evidence["notices"][0]["state"] == "waiting"
    taker.status = 503
    assert told_town.notifying.notify(ME)["to_be_tried_again"] == 1
    assert told_town.notifying.notify(ME)["to_be_tried_again"] == 0  # its pause is not over
    assert taker.bodies()[0]["type"] == "person.deleted"
    assert taker.bodies()[0]["data"] == {"request": request, "datasets": ["town"], "units": ["3"]}


def test_a_message_that_was_taken_leaves_no_id_behind(told_town: Workspace, taker: Taker) -> None:
    request = told_town.rights.open(ME, "opt_out", "town", 998_877_665)["id"]
    told_town.rights.execute(ME, request)
    database = told_town.home / "consent.db"
    files = [database, database.with_name("consent.db-wal")]
    assert any(b"998877665" in file.read_bytes() for file in files if file.exists())
    told_town.notifying.notify(ME)
    assert taker.bodies()[0]["data"]["units"] == ["998877665"]
    assert not any(b"998877665" in file.read_bytes() for file in files if file.exists())
    assert told_town.rights.one(ME, request)["evidence"]["notices"][0]["state"] == "delivered"


def test_a_no_on_the_public_form_reaches_recipients_and_leaves_no_id_behind(told_town: Workspace, taker: Taker) -> None:
    """It counts in every dataset, so the recipients of each are told."""
    told_town.opting_out.refuse("998877001")
    assert told_town.notifying.notify(ME) == {"delivered": 2, "to_be_tried_again": 0}
    assert {body["type"] for body in taker.bodies()} == {"person.opted_out"}
    told = sorted((body["data"]["datasets"], body["data"]["units"]) for body in taker.bodies())
    assert told == [(["harbour"], ["998877001"]), (["town"], ["998877001"])]
    files = [path for path in told_town.home.glob("consent.db*") if path.is_file()]
    assert not any(b"998877001" in file.read_bytes() for file in files)


def test_signals_and_events_reach_recipients_once_however_often_they_come(told_town: Workspace, taker: Taker) -> None:
    for _ in range(2):
        told_town.consent.signal(ME, "town", [1, 2], Signal(gpc="1"), event_id="visit")
        refusals = [Wish(unit, "limit_spi", "opt_out", f"form {unit}") for unit in (3, 4)]
        told_town.consent.send(ME, [("town", wish) for wish in refusals])
    told_town.consent.send(ME, [("town", Wish(5, "measurement", "opt_out", "no sale")), ("town", _yes(6))])
    told_town.notifying.notify(ME)
    found = sorted((body["type"], body["data"]["units"]) for body in taker.bodies())
    assert found == [("person.limited", ["3", "4"]), ("person.opted_out", ["1", "2"])]


def _yes(unit: int) -> Wish:
    return Wish(unit, "measurement", "opt_in", f"yes {unit}")


def test_a_file_of_refusals_is_told_in_parts(told_town: Workspace, taker: Taker, tmp_path: Path) -> None:
    people = [str(unit) for unit in range(10_000, 10_000 + 2 * UNITS_MAX + 1)]
    rows = "".join(f"{unit},all_sale_share,opt_out,2026-11-01T00:00:00Z\n" for unit in people)
    (tmp_path / "no.csv").write_text(f"unit,purpose,decision,observed_at\n{rows}")
    told_town.consent.import_file(ME, "town", tmp_path / "no.csv")
    told_town.notifying.notify(ME)
    parts = [body["data"]["units"] for body in taker.bodies()]
    assert sorted(len(part) for part in parts) == [1, UNITS_MAX, UNITS_MAX]
    assert sorted(unit for part in parts for unit in part) == people


def test_many_small_refusals_are_sent_as_one_and_never_again(told_town: Workspace, taker: Taker) -> None:
    for _ in range(2):
        for unit in range(100, 130):
            told_town.consent.send(ME, [("town", Wish(unit, "all_sale_share", "opt_out", f"no {unit}"))])
        told_town.consent.send(ME, [("town", Wish(7, "limit_spi", "opt_out", "limit"))])
        told_town.notifying.notify(ME)
    found = {body["type"]: body["data"]["units"] for body in taker.bodies()}
    assert len(taker.taken) == 2
    assert found == {"person.opted_out": [str(unit) for unit in range(100, 130)], "person.limited": ["7"]}
    files = [path for path in told_town.home.glob("consent.db*") if path.is_file()]
    assert not any(b'"129"' in file.read_bytes() for file in files)
    assert told_town.notifying.stuck() == []


def test_a_refusal_tells_the_ids_that_came_and_a_deletion_all_that_are_linked(
    told_town: Workspace, town_files: Path, taker: Taker
) -> None:
    file, links = told_town.home / "town.yaml", told_town.home / "links.csv"
    file.write_text(
        (town_files / "town.yaml").read_text("utf-8").replace("tables:", "links: true\ntables:", 1), "utf-8"
    )
    links.write_text("id,unit\n9001,3\n9002,9001\n")
    tables = {name: town_files / f"{name}.csv" for name in ("sales", "homes", "shops")}
    told_town.datasets.add(ME, file, tables | {"links": links})
    told_town.consent.signal(ME, "town", [9002, 4], Signal(gpc="1"))
    request = told_town.rights.open(ME, "delete", "town", 3)["id"]
    told_town.rights.verify(ME, request, "reasonable", "two facts matched")
    told_town.rights.execute(ME, request)
    told_town.notifying.notify(ME)
    found = {body["type"]: body["data"]["units"] for body in taker.bodies()}
    assert found == {"person.opted_out": ["4", "9002"], "person.deleted": ["3", "9001", "9002"]}


def test_an_executed_opt_out_is_told_under_its_request_alone(told_town: Workspace, taker: Taker) -> None:
    request = told_town.rights.open(ME, "opt_out", "town", 21)["id"]
    told_town.rights.execute(ME, request)
    told_town.notifying.notify(ME)
    assert [body["data"] for body in taker.bodies()] == [{"request": request, "datasets": ["town"], "units": ["21"]}]


def test_a_correction_is_told_by_its_columns_and_never_by_its_value(told_town: Workspace, taker: Taker) -> None:
    request = told_town.rights.open(ME, "correct", "town", 3)["id"]
    told_town.rights.verify(ME, request, "reasonable", "two facts matched")
    wanted = Wanted("sales", {"note": "secret value"}, {"day": "2017-01-15"})
    assert told_town.rights.execute(ME, request, wanted)["evidence"]["recipients_told"] == ["mailer"]
    told_town.notifying.notify(ME)
    (body,) = taker.bodies()
    data = {"request": request, "datasets": ["town"], "units": ["3"], "table": "sales", "columns": ["note"]}
    assert (body["type"], body["data"]) == ("person.corrected", data)


def test_who_does_not_take_it_is_told_by_doctor(told_town: Workspace, tmp_path: Path) -> None:
    database = ConsentDatabase(tmp_path / "consent.db")
    outbox = Outbox(database)
    outbox.put([Message("m1", "mailer", "rr_1", "person.deleted", "{}")], NOW)
    at = NOW
    for tries in range(1, STUCK_AFTER + 1):
        assert outbox.stuck() == []
        assert outbox.take(at) is not None
        assert outbox.take(at + pause_after(tries) - timedelta(seconds=1)) is None
        at += pause_after(tries)
    assert [name for name, _, _ in outbox.stuck()] == ["mailer"]
    outbox.give_up_old(NOW + GIVE_UP)
    assert outbox.take(NOW + 2 * GIVE_UP) is None
    assert outbox.about("rr_1")[0]["state"] == "given up"
    assert pause_after(99) == LONGEST_PAUSE
    database.close()


def test_the_metric_says_whether_something_is_overdue_and_counts_nothing(town: Town) -> None:
    clocks = ("dpstats_rights_due", ()), ("dpstats_rights_overdue", ())
    assert [samples(town)[clock] for clock in clocks] == [0, 0]
    late(town.workspace.home, near_its_end(), Kind.OPT_OUT)
    with opened(town.workspace.home, town.files) as again:
        assert [samples(again)[clock] for clock in clocks] == [1, 0]
    late(town.workspace.home)
    with opened(town.workspace.home, town.files) as again:
        assert [samples(again)[clock] for clock in clocks] == [1, 1]


@pytest.mark.parametrize(
    ("text", "secret", "told"),
    [
        ("alarms: {url: 'http://example.org/', secret_file: s}", SECRET, "https address"),
        ("alarms: {url: 'https://example.org/', secret_file: s}", "short", "at least 24 bytes"),
        ("alarms: {url: 'https://example.org/', secret_file: none}", SECRET, "cannot be read"),
        ("alarm: {}", SECRET, "no such key"),
        ("recipients: [{name: alarms, url: 'https://a.example/', secret_file: s, datasets: []}]", SECRET, "a name"),
        (
            "recipients: [{name: a, url: 'https://a.example/', secret_file: s, datasets: []}, "
            "{name: a, url: 'https://b.example/', secret_file: s, datasets: []}]",
            SECRET,
            "one name",
        ),
    ],
)
def test_a_wrong_file_stops_the_start_and_names_its_key(tmp_path: Path, text: str, secret: str, told: str) -> None:
    (tmp_path / "s").write_text(secret)
    (tmp_path / "webhooks.yaml").write_text(text + "\n")
    with pytest.raises(FileError, match=told):
        read_webhooks(tmp_path / "webhooks.yaml")


def test_a_secret_is_shown_by_nothing(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("whsec_" + base64.b64encode(SECRET.encode()).decode())
    (tmp_path / "webhooks.yaml").write_text("alarms: {url: 'https://example.org/', secret_file: s}\n")
    (hook,) = read_webhooks(tmp_path / "webhooks.yaml")
    assert hook.secret == SECRET.encode()
    assert SECRET not in repr(hook)
