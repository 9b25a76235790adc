"""What may be fetched once is gone after it was, and after a week."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from dpstats.errors import NotFound
from dpstats.rights.deliveries import LIFE, Deliveries

NOW = datetime.now(UTC)
PERSON = "f" * 64


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
