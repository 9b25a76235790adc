"""What is shown, and files that are whole or absent."""

from __future__ import annotations

import errno
import io
import os
import re
import stat
import threading
from contextlib import redirect_stdout, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpstats.cli.output import Table, destination, plain, printable, say, show
from dpstats.errors import FileError


@given(st.text(st.characters(codec=None)))
def test_whatever_the_text_one_printable_line_comes_out(text: str) -> None:
    assert printable(text).isprintable()


@given(st.text(st.characters(categories=["L", "N", "P", "S"])))
def test_printable_text_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


def test_a_plain_table_sets_numbers_to_the_right_and_cuts_nothing() -> None:
    long = "x" * 300
    table = Table(("name", "n"), (("a", "1"), (long, "1,204")), frozenset({"n"}))
    head, first, second = plain(table).splitlines()
    assert first.endswith("    1")
    assert second == f"{long}  1,204"
    assert len(head) == len(first) == len(second)


class Terminal(io.StringIO):
    """A terminal that shows what it was sent, without its styles."""

    def isatty(self) -> bool:
        return True

    def lines(self) -> list[str]:
        return re.sub(r"\x1b\[[0-9;]*m", "", self.getvalue()).splitlines()


AMOUNTS = Table(
    ("month", "rho spent", "rho", "delta left", "why"),
    (("2026-01", "0.004189769875", "0.019189769875", "0.00000005", "the budget stated when it was opened"),) * 2,
    frozenset({"rho spent", "rho", "delta left"}),
)


@pytest.mark.parametrize("width", [200, 80, 70, 60, 40])
def test_no_number_and_no_date_is_on_two_lines_however_narrow_the_terminal(
    monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    with redirect_stdout(Terminal()) as shown:
        show(AMOUNTS)
    text = "\n".join(shown.lines())
    assert all(text.count(cell) == 2 for cell in AMOUNTS.rows[0][:4])
    assert all(len(line) <= width for line in shown.lines())
    assert text.split().count("opened") == 2


def test_a_cell_cannot_break_its_row() -> None:
    assert len(plain(Table(("a",), (("x\ny\x1b[2J",),))).splitlines()) == 2


def test_a_file_is_whole_when_all_went_well(tmp_path: Path) -> None:
    target = tmp_path / "out.json"
    with destination(target) as write:
        write(b"one")
        assert not target.exists()
        write(b"two")
    assert target.read_bytes() == b"onetwo"
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_stays_as_it_was_when_something_failed(tmp_path: Path) -> None:
    target = tmp_path / "out.json"
    target.write_bytes(b"old")
    with suppress(KeyError), destination(target) as write:
        write(b"new")
        raise KeyError
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_link_is_followed_not_replaced(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    link.symlink_to(target)
    with destination(link) as write:
        write(b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_a_pipe_is_written_to_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    with destination(pipe) as write:
        write(b"new")
    reader.join(timeout=60)
    assert read == [b"new"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize("name", [".", "missing/out", "a" * 300, "a\0b"])
def test_a_file_that_cannot_be_written_is_refused_before_anything_is_done(tmp_path: Path, name: str) -> None:
    done = False
    with pytest.raises(FileError, match="--out"), destination(tmp_path / name):
        done = True
    assert not done
    assert list(tmp_path.iterdir()) == []


class FullDisk(io.StringIO):
    """A stream onto a disk that is full."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_output_that_cannot_be_written_is_told() -> None:
    with redirect_stdout(FullDisk()), pytest.raises(FileError, match=r"stdout: .*No space left"):
        say("text")
