"""A release that somebody kept is a receipt: it shows what was done to the ledger since, even where no workspace is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_running import Run

Body = dict[str, Any]


@pytest.fixture
def kept(dpstats: Run, shop: Path) -> Path:
    """The third of three releases, as an analyst saved it; `export.json` is the ledger after it."""
    for name in ("first", "second", "kept"):
        dpstats("query", "run", "by_town", "--fresh", "--format", "json", "--out", f"{name}.json").done()
    dpstats("ledger", "export", "shop", "--out", "export.json").done()
    return shop / "kept.json"


def read(file: Path | str) -> Body:
    return json.loads(Path(file).read_text(encoding="utf-8"))


def write(file: Path | str, body: Body) -> None:
    Path(file).write_text(json.dumps(body), encoding="utf-8")


def test_a_release_is_the_receipt_of_its_charge_and_the_same_when_given_again(dpstats: Run, kept: Path) -> None:
    charge = read("export.json")["entries"][3]["content"]
    release = read(kept)
    assert charge["release_id"] == release["release_id"]
    assert release["receipt"] == {name: charge[name] for name in ("seq", "hash", "signature")}
    again = json.loads(dpstats("query", "run", "by_town", "--format", "json").done().out)
    assert again["replayed"]
    assert again["receipt"] == release["receipt"]


def test_a_ledger_with_the_receipt_s_entry_in_it_verifies_here_and_elsewhere(
    dpstats: Run, anywhere: Run, kept: Path
) -> None:
    dpstats("ledger", "verify", "--head", kept, "--head", "first.json").done()
    anywhere("ledger", "verify", "--export", "export.json", "--head", kept, "--head", "first.json").done()


def as_it_ended(entries: int) -> Callable[[Body], None]:
    """Cuts the tail so that nothing in the export tells: each entry's signature is that of the head it once was."""

    def cut(body: Body) -> None:
        body["entries"] = body["entries"][:entries]
        last = body["entries"][-1]["content"]
        body["head"] = {name: last[name] for name in ("seq", "hash", "signature")}

    return cut


def flipped(body: Body) -> None:
    """One bit of a digit of the kept release's charge."""
    content = body["entries"][3]["content"]
    content["amount"] ^= 1


def reordered(body: Body) -> None:
    """The last two charges have changed places."""
    first, second = body["entries"][2]["content"], body["entries"][3]["content"]
    first["seq"], second["seq"] = second["seq"], first["seq"]


def inserted(body: Body) -> None:
    """A charge stands a second time before the kept release's, and all that follows has moved."""
    copy = json.loads(json.dumps(body["entries"][3]))
    copy["content"]["release_id"] = "0" * 32
    body["entries"][3]["content"]["seq"] = 5
    body["entries"].insert(3, copy)


CHANGES: dict[str, tuple[Callable[[Body], None], str]] = {
    "a flipped bit": (flipped, "entry 4 was changed"),
    "a cut tail whose head was made to fit": (as_it_ended(3), "ends at entry 3, but its saved head is entry 4"),
    "reordered entries": (reordered, "entry 4 is not the one that was saved as its head"),
    "an inserted entry": (inserted, "entry 5 is not chained to the entry before it"),
}


@pytest.mark.parametrize("change", list(CHANGES), ids=str)
def test_what_was_done_to_history_is_seen_beside_the_release(anywhere: Run, kept: Path, change: str) -> None:
    do, said = CHANGES[change]
    body = read("export.json")
    do(body)
    write("changed.json", body)
    ran = anywhere("ledger", "verify", "--export", "changed.json", "--head", kept)
    assert ran.status == 1
    assert said in ran.err


def test_a_cut_tail_whose_head_was_made_to_fit_is_seen_by_the_receipt_alone(anywhere: Run, kept: Path) -> None:
    body = read("export.json")
    as_it_ended(3)(body)
    write("changed.json", body)
    anywhere("ledger", "verify", "--export", "changed.json", "--head", "second.json").done()
    assert anywhere("ledger", "verify", "--export", "changed.json", "--head", kept).status == 1


def test_a_backup_from_before_the_release_is_refused_beside_it_in_an_empty_folder(
    dpstats: Run, anywhere: Run, kept: Path
) -> None:
    dpstats("ledger", "backup", "--keys", "old.backup").done()
    dpstats("query", "run", "by_town", "--fresh", "--format", "json", "--out", "later.json").done()
    ran = anywhere("--home", "empty", "ledger", "restore", "old.backup", "--head", "later.json")
    ran.refused("nothing was restored", "ends at entry 4, but its saved head is entry 5")
    anywhere("--home", "empty", "ledger", "restore", "old.backup", "--head", kept).done()


def test_a_receipt_of_another_ledger_or_with_another_number_is_a_finding(dpstats: Run, kept: Path) -> None:
    release = read(kept)
    write("moved.json", release | {"receipt": release["receipt"] | {"seq": 3}})
    ran = dpstats("ledger", "verify", "--head", "moved.json")
    assert ran.status == 1
    assert "the receipt is not signed with this ledger's key" in ran.err
