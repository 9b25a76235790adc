"""What is seen of the disk's encryption: dm-crypt anywhere below the folder, and nothing where nothing is shown."""

from __future__ import annotations

import os
from pathlib import Path

from dpstats.workspace.disk_encryption import SEEN, UNSEEN, seen_below


def device(place: Path, uuid: str = "") -> Path:
    (place / "dm").mkdir(parents=True)
    if uuid:
        (place / "dm" / "uuid").write_text(f"{uuid}\n")
    return place


def test_a_file_system_on_a_volume_on_dm_crypt_is_seen_to_be_encrypted(tmp_path: Path) -> None:
    number = tmp_path.stat().st_dev
    devices = tmp_path / "block"
    volume = device(devices / f"{os.major(number)}:{os.minor(number)}", "LVM-abc")
    assert seen_below(tmp_path, devices) == UNSEEN
    device(volume / "slaves" / "dm-0", "CRYPT-LUKS2-abc")
    assert seen_below(tmp_path, devices) == SEEN


def test_what_is_not_shown_is_not_seen(tmp_path: Path) -> None:
    assert seen_below(tmp_path, tmp_path / "none") == UNSEEN
    assert seen_below(tmp_path / "gone") == UNSEEN
    assert seen_below(tmp_path) in {SEEN, UNSEEN}
