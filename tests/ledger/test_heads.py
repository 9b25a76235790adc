from __future__ import annotations

from pathlib import Path
from threading import Thread

import pytest

from dpstats.ledger.heads import Head, HeadFiles, check_lineage_name
from dpstats.ledger.signing import Signer, head_message

NAMES = ["l", "a b", "a/b", "Käufer", "日本", "x" * 200, "a.json", "%2F"]


@pytest.mark.parametrize("name", NAMES)
def test_a_head_reads_back_under_any_name(tmp_path: Path, name: str) -> None:
    check_lineage_name(name)
    heads = HeadFiles(tmp_path / "heads")
    assert heads.read(name) is None
    head = Head(name, 3, "sha256:ab", "ed25519:cd")
    heads.save(head)
    assert heads.read(name) == head
    assert heads.lineages() == (name,)


def test_a_saved_head_is_never_replaced_by_a_lower_one(tmp_path: Path) -> None:
    heads = HeadFiles(tmp_path / "heads")
    threads = [Thread(target=heads.save, args=(Head("l", seq, f"h{seq}", ""),)) for seq in (5, 1, 9, 3, 7, 9, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    heads.save(Head("l", 8, "h8", ""))
    assert heads.read("l") == Head("l", 9, "h9", "")


def test_a_signature_covers_the_lineage_the_place_and_the_hash(tmp_path: Path) -> None:
    signer, other = Signer(tmp_path / "key"), Signer(tmp_path / "other")
    signer.create()
    other.create()
    signature = signer.sign(head_message("l", 1, "h"))
    assert signer.signed(head_message("l", 1, "h"), signature)
    for message in (head_message("m", 1, "h"), head_message("l", 2, "h"), head_message("l", 1, "g")):
        assert not signer.signed(message, signature)
    for wrong in ("", "ed25519:", "ed25519:zz", signature[:-2], "ü"):
        assert not signer.signed(head_message("l", 1, "h"), wrong)
    assert not other.signed(head_message("l", 1, "h"), signature)


def test_a_key_is_made_once_and_shown_by_nothing(tmp_path: Path) -> None:
    signer = Signer(tmp_path / "key")
    signer.create()
    made = (tmp_path / "key").read_text()
    signer.create()
    assert (tmp_path / "key").read_text() == made
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert made.strip() not in repr(signer) + repr(vars(signer))
