"""What may be fetched once is gone after it was, and after a week."""

from __future__ import annotations

import io
import os
import sys
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dpstats.errors import NotFound, PackageGone
from dpstats.rights.deliveries import LIFE, Deliveries

NOW = datetime.now(UTC)
PERSON = "f" * 64
CANARY = b"canary of a person's cell"


def holding(folder: Path, cell: bytes) -> list[Path]:
    """The files in which a cell can be read by who has the folder alone, be it in a ZIP."""
    return [path for path in folder.rglob("*") if path.is_file() and any(cell in part for part in parts(path))]


def parts(path: Path) -> list[bytes]:
    inside = zipfile.ZipFile(path) if zipfile.is_zipfile(path) else None
    return [path.read_bytes(), *(inside.read(name) for name in inside.namelist())] if inside else [path.read_bytes()]


def packed(cell: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("package.json", cell)
    return made.getvalue()


def test_a_file_is_fetched_once_with_its_secret(tmp_path: Path) -> None:
    deliveries = Deliveries(tmp_path / "packages")
    secret, _ = deliveries.put(b"theirs", NOW, about=PERSON)
    with pytest.raises(NotFound):
        deliveries.take(secret[:-1], NOW)
    assert deliveries.take(secret, NOW) == b"theirs"
    with pytest.raises(NotFound, match="fetched once, within a week"):
        deliveries.take(secret, NOW)


def test_a_file_that_nobody_fetched_is_gone_after_a_week(tmp_path: Path) -> None:
    deliveries = Deliveries(tmp_path / "packages")
    secret, _ = deliveries.put(b"theirs", NOW, about=PERSON)
    with pytest.raises(NotFound):
        deliveries.take(secret, NOW + LIFE)
    assert list((tmp_path / "packages").iterdir()) == []


def test_a_file_that_is_being_put_is_swept_by_nobody(tmp_path: Path) -> None:
    deliveries = Deliveries(tmp_path / "packages")

    def sweep(_frame: object, event: str, _said: object) -> None:
        """Another process that comes by between any two steps."""
        if event == "c_return":
            deliveries.sweep(datetime.now(UTC) + timedelta(seconds=1))

    sys.setprofile(sweep)
    try:
        secret, _ = deliveries.put(b"theirs", NOW, about=PERSON)
    finally:
        sys.setprofile(None)
    assert deliveries.take(secret, NOW) == b"theirs"


def test_what_a_killed_process_left_of_a_file_goes_in_its_time(tmp_path: Path) -> None:
    new, old = (tmp_path / f".{name}.sealed.0123" for name in ("new", "old"))
    for file, at in ((new, NOW), (old, NOW - LIFE)):
        file.write_bytes(CANARY)
        os.utime(file, (at.timestamp(), at.timestamp()))
    Deliveries(tmp_path).sweep(NOW + timedelta(seconds=1))
    assert list(tmp_path.iterdir()) == [new]


def test_no_name_on_disk_holds_a_secret(tmp_path: Path) -> None:
    secret, _ = Deliveries(tmp_path / "packages").put(b"theirs", NOW, about=PERSON)
    (file,) = (tmp_path / "packages").iterdir()
    assert secret not in file.name
    assert file.stat().st_mode & 0o077 == 0


def test_what_nobody_fetched_goes_with_the_person_and_with_nobody_else(tmp_path: Path) -> None:
    deliveries = Deliveries(tmp_path / "packages")
    deliveries.drop(PERSON)
    gone, _ = deliveries.put(b"theirs", NOW, about=PERSON)
    kept, _ = deliveries.put(b"another's", NOW, about="e" * 64)
    deliveries.drop(PERSON)
    with pytest.raises(NotFound):
        deliveries.take(gone, NOW)
    assert deliveries.take(kept, NOW) == b"another's"


def test_who_has_the_folder_without_the_link_reads_nothing_of_a_person(tmp_path: Path) -> None:
    folder = tmp_path / "packages"
    secret, _ = Deliveries(folder).put(packed(CANARY), NOW, about=PERSON)
    assert holding(folder, CANARY) == []
    assert not any(secret.encode() in path.read_bytes() for path in folder.iterdir())
    fetched = tmp_path / "fetched"
    fetched.write_bytes(Deliveries(folder).take(secret, NOW))
    assert holding(tmp_path, CANARY) == [fetched], "the positive control"


CHANGES: dict[str, Callable[[Path], object]] = {
    "a byte changed": lambda file: file.write_bytes(file.read_bytes()[:-1] + bytes([file.read_bytes()[-1] ^ 1])),
    "cut short": lambda file: file.write_bytes(file.read_bytes()[:5]),
    "emptied": lambda file: file.write_bytes(b""),
    "said to be about another": lambda file: file.rename(str(file).replace(PERSON, "e" * 64)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_does_not_open_is_answered_like_one_that_is_gone(tmp_path: Path, change: str) -> None:
    deliveries = Deliveries(tmp_path / "packages")
    secret, _ = deliveries.put(b"theirs", NOW, about=PERSON)
    (file,) = (tmp_path / "packages").iterdir()
    CHANGES[change](file)
    with pytest.raises(PackageGone):
        deliveries.take(secret, NOW)
    assert list((tmp_path / "packages").iterdir()) == []


def test_no_link_opens_what_another_link_is_for(tmp_path: Path) -> None:
    deliveries, folder = Deliveries(tmp_path / "packages"), tmp_path / "packages"
    first, _ = deliveries.put(b"one's", NOW, about=PERSON)
    (file,) = folder.iterdir()
    second, _ = deliveries.put(b"another's", NOW, about=PERSON)
    (other,) = set(folder.iterdir()) - {file}
    file.replace(other)
    with pytest.raises(PackageGone):
        deliveries.take(second, NOW)
    with pytest.raises(PackageGone):
        deliveries.take(first, NOW)


def test_a_file_from_before_they_were_encrypted_is_gone_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "packages"
    secret, _ = Deliveries(folder).put(packed(CANARY), NOW, about=PERSON)
    (file,) = folder.iterdir()
    file.rename(file.with_suffix(".zip")).write_bytes(packed(CANARY))
    assert holding(folder, CANARY), "the positive control"
    with pytest.raises(PackageGone):
        Deliveries(folder).take(secret, NOW)
    assert list(folder.iterdir()) == []
