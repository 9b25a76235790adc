"""`dpstats ledger verify --head` and `--export`: with what was kept elsewhere, and where there is no workspace."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_running import Run

Body = dict[str, Any]


@pytest.fixture
def export(dpstats: Run, shop: Path) -> Path:
    """An export of a grant, two charges and another grant."""
    dpstats("query", "run", "by_town").done()
    dpstats("query", "run", "by_town", "--fresh").done()
    dpstats("budget", "grant", "shop", "--epsilon", "0.5", "--reason", "more").done()
    dpstats("ledger", "export", "shop", "--out", "export.json").done()
    return shop / "export.json"


def changed(file: Path, change: Callable[[Body], object]) -> Path:
    body = json.loads(file.read_text(encoding="utf-8"))
    change(body)
    file.write_text(json.dumps(body), encoding="utf-8")
    return file


def test_an_export_verifies_where_no_workspace_is(anywhere: Run, export: Path) -> None:
    ran = anywhere("--home", "nowhere", "ledger", "verify", "--export", export, "--head", export).done()
    assert ran.out == "the ledger verifies: 4 entries of shop, nothing wrong\n"
    assert not Path("nowhere").exists()


def entry(seq: int, **fields: object) -> Callable[[Body], None]:
    return lambda body: body["entries"][seq - 1]["content"].update(fields)


def told(seq: int, **fields: object) -> Callable[[Body], None]:
    return lambda body: body["entries"][seq - 1].update(fields)


CHANGES: dict[str, tuple[Callable[[Body], object], str]] = {
    "a charge made smaller": (entry(2, amount=1), "entry 2 was changed"),
    "a query renamed": (entry(2, query="other"), "entry 2 was changed"),
    "events made cheaper": (entry(3, events="[]"), "entry 3 was changed"),
    "a tail cut": (lambda body: body["entries"].pop(), "ends at entry 3, but its saved head is entry 4"),
    "one taken out": (lambda body: body["entries"].pop(1), "entry 3 stands where entry 2 belongs"),
    "two changed places": (
        lambda body: [body["entries"][at]["content"].update(seq=4 - at) for at in (1, 2)],
        "is not chained to the entry before it",
    ),
    "one inserted": (
        lambda body: body["entries"].append(
            body["entries"][1] | {"content": body["entries"][1]["content"] | {"seq": 5, "release_id": "0" * 32}}
        ),
        "entry 5 is not chained",
    ),
    "one twice": (lambda body: body["entries"].append(body["entries"][1]), "entries stand twice"),
    "the terms": (entry(1, parameters='{"conversion_delta":1,"measure":"zcdp","privacy_unit":"x"}'), "entry 1 was"),
    "the order": (lambda body: body["entries"].insert(1, body["entries"].pop(2)), "entry 3 stands before an older one"),
    **{
        f"{name}, as it is told": (told(2, **{name: value}), "entry 2 is told otherwise")
        for name, value in {
            "rho": 0.0,
            "epsilon": 1.0,
            "role": "job",
            "purpose": "other",
            "confirmed_by": "eve",
            "parameters": {"since": "2025-01-02"},
            "events": [],
            "blocks": {"first": None, "last": "2025-01", "static": False},
            "note": "fine",
        }.items()
    },
    "a plain field taken out": (lambda body: body["entries"][1].pop("rho"), "entry 2 is told otherwise"),
    "another key": (lambda body: body.update(public_key="ed25519:" + "5" * 64), "not signed with"),
}


@pytest.mark.parametrize("change", list(CHANGES), ids=str)
def test_what_was_done_to_an_export_is_seen(anywhere: Run, export: Path, change: str) -> None:
    do, said = CHANGES[change]
    ran = anywhere("ledger", "verify", "--export", changed(export, do))
    assert ran.status == 1
    assert said in ran.err


def test_an_older_ledger_is_seen_by_a_receipt(dpstats: Run, anywhere: Run, export: Path) -> None:
    old = Path("old.json")
    old.write_bytes(export.read_bytes())
    dpstats("query", "run", "by_town", "--fresh").done()
    dpstats("ledger", "export", "shop", "--out", "new.json").done()
    receipt = json.loads(Path("new.json").read_text(encoding="utf-8"))["head"]
    Path("receipt.json").write_text(json.dumps(receipt), encoding="utf-8")
    anywhere("ledger", "verify", "--export", "old.json").done()
    ran = anywhere("ledger", "verify", "--export", "old.json", "--head", "receipt.json")
    assert ran.status == 1
    assert "ends at entry 4, but its saved head is entry 5" in ran.err
    for args in ([], ["shop"]):
        dpstats("ledger", "verify", *args, "--head", "receipt.json", "--head", "old.json").done()


def test_a_receipt_that_this_ledger_never_gave_is_a_finding(dpstats: Run, export: Path) -> None:
    body = json.loads(export.read_text(encoding="utf-8"))["head"]
    Path("receipt.json").write_text(json.dumps(body | {"seq": 2}), encoding="utf-8")
    ran = dpstats("ledger", "verify", "--head", "receipt.json")
    assert ran.status == 1
    assert "the receipt is not signed with this ledger's key" in ran.err


def test_what_is_no_export_or_receipt_is_refused(anywhere: Run, dpstats: Run, shop: Path) -> None:
    for content in ("", "[]", "{}", '{"entries": []}', '{"head": {"seq": "x"}}'):
        Path("file.json").write_text(content, encoding="utf-8")
        anywhere("ledger", "verify", "--export", "file.json").refused("file.json")
        dpstats("ledger", "verify", "--head", "file.json").refused("file.json: holds no head")
    dpstats("ledger", "verify", "--head", "nothing.json").refused("nothing.json")
