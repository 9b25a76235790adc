"""What a command shows: tables on a terminal, plain text in a pipe, JSON when asked, files whole or not at all.

Text from files and data is made printable first: no control character of it reaches a terminal.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dpstats.errors import FileError

_GAP = "  "
_WORD = 10
"""Characters of a word that stay together on a terminal, if it is no number."""
_STYLES = {
    "approved": "green",
    "open": "green",
    "live": "green",
    "not": "yellow",
    "submitted": "yellow",
    "frozen": "red",
    "revoked": "red",
    "expired": "red",
    "too": "dim",
}
"""The colour of a cell on a terminal by its first word: what holds, what waits, what is over, what noise hides."""


@dataclass(frozen=True)
class Table:
    """Rows of text under their heads. `numeric`: the heads of columns that are set to the right."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[str] = frozenset()


def printable(text: str) -> str:
    """`text` on one line, with escapes for what cannot be printed."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def say(text: str = "") -> None:
    """One or more lines on stdout, as they are, at once: what takes long says what it does."""
    with _stdout_explained():
        sys.stdout.write("\n".join(printable(line) for line in text.split("\n")) + "\n")
        sys.stdout.flush()


def tell(*lines: str) -> None:
    """Sentences on stdout: folded between words on a terminal, as they are in a pipe."""
    for line in lines:
        say(_folded(line) if sys.stdout.isatty() else line)


def _folded(line: str) -> str:
    indent = " " * (len(line) - len(line.lstrip()))
    width = max(40, shutil.get_terminal_size().columns)
    wrapper = textwrap.TextWrapper(
        width, subsequent_indent=indent + "  ", break_on_hyphens=False, break_long_words=False
    )
    return wrapper.fill(line)


def note(line: str) -> None:
    """One line on stderr."""
    sys.stderr.write(printable(line) + "\n")
    sys.stderr.flush()


def note_failure(line: str) -> None:
    """One line on stderr that says what went wrong: red on a terminal that has colours and whose user wants them."""
    if not sys.stderr.isatty():
        note(line)
        return
    from rich.console import Console
    from rich.text import Text

    Console(stderr=True).print(Text(printable(line), style="red"), soft_wrap=True)


def show_bytes(content: bytes) -> None:
    """Bytes as they are on stdout."""
    flush()
    with _stdout_explained():
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()


def flush() -> None:
    """Sends off what is still in stdout's buffer.

    Raises:
      FileError: it cannot be written. BrokenPipeError: nobody reads it any more.
    """
    with _stdout_explained():
        sys.stdout.flush()


@contextmanager
def _stdout_explained() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise FileError("stdout", f"it cannot be written ({error.strerror})") from None


def json_bytes(value: object) -> bytes:
    """A value as indented JSON, in UTF-8 whatever the terminal's encoding, with a last line feed."""
    return (json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2) + "\n").encode()


def show_json(value: object) -> None:
    """A value as JSON on stdout."""
    show_bytes(json_bytes(value))


def show(table: Table) -> None:
    """A table on stdout: ruled to the terminal's width, or plain columns in a pipe."""
    if sys.stdout.isatty():
        _show_ruled(table)
    else:
        say(plain(table))


def plain(table: Table) -> str:
    """A table as plain text: columns two spaces apart, nothing folded or cut."""
    rows = [tuple(printable(cell) for cell in row) for row in table.rows]
    widths = [max(len(cell) for cell in column) for column in zip(table.heads, *rows, strict=True)]
    return "\n".join(_plain_row(table, row, widths) for row in (table.heads, *rows))


def _plain_row(table: Table, row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        cell.rjust(width) if head in table.numeric else cell.ljust(width)
        for head, cell, width in zip(table.heads, row, widths, strict=True)
    ]
    return _GAP.join(cells).rstrip()


def _show_ruled(table: Table) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table as Ruled
    from rich.text import Text

    console = Console(file=sys.stdout)
    widths = _widths(table, console.width)
    if widths is None:
        tell(*_records(table))
        return
    ruled = Ruled(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    for head, width in zip(table.heads, widths, strict=True):
        justify = "right" if head in table.numeric else "left"
        ruled.add_column(Text(head), justify=justify, overflow="fold", width=width)  # type: ignore[arg-type]
    for row in table.rows:
        ruled.add_row(*(Text(printable(cell), style=_STYLES.get(cell.partition(" ")[0], "")) for cell in row))
    with _stdout_explained():
        console.print(ruled)


def _widths(table: Table, room: int) -> list[int] | None:
    """A width for each column, so that all fit: words of text may be folded from ten characters on, numbers never.

    None where even that does not fit: a number on two lines reads as another number.
    """
    columns = [[head, *cells] for head, *cells in zip(table.heads, *table.rows, strict=True)]
    full = [max(map(_cells, column)) for column in columns]
    words = [max(_cells(word) for cell in column for word in cell.split() or [""]) for column in columns]
    widths = [
        word if head in table.numeric else min(word, _WORD) for head, word in zip(table.heads, words, strict=True)
    ]
    room -= len(_GAP) * (len(columns) - 1)
    if sum(widths) > room:
        return None
    for _ in range(min(room, sum(full)) - sum(widths)):
        narrowest = max(range(len(widths)), key=lambda place: full[place] - widths[place])
        widths[narrowest] += 1
    return widths


def _cells(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(printable(text))


def _records(table: Table) -> Iterator[str]:
    """Each row as lines of a head and a cell, for a terminal that is too narrow for the table."""
    longest = max(map(len, table.heads))
    for place, row in enumerate(table.rows):
        if place:
            yield ""
        for head, cell in zip(table.heads, row, strict=True):
            yield f"{head.ljust(longest)}{_GAP}{cell}".rstrip()


@contextmanager
def destination(path: Path | None) -> Iterator[Callable[[bytes], None]]:
    """Where output goes: stdout, or a file that is whole or absent. That it can be written is made sure of at once.

    Raises:
      FileError: the file cannot be written.
    """
    if path is None:
        yield show_bytes
        return
    content: list[bytes] = []
    with _explained(path):
        real = path.resolve()
        # A pipe or a device must be written to, not replaced by a file.
        part = None if real.exists() and not real.is_file() else _part_of(real)
    try:
        yield content.append
        with _explained(path):
            _publish(b"".join(content), part, real)
    finally:
        if part is not None:
            part.unlink(missing_ok=True)


def _part_of(target: Path) -> Path:
    """An empty file beside `target`, to become it."""
    from secrets import token_hex

    part = target.with_name(f".{target.name[:100]}.{token_hex(4)}.part")
    part.touch(exist_ok=False)
    return part


def _publish(content: bytes, part: Path | None, target: Path) -> None:
    with (part or target).open("wb") as file:
        file.write(content)
        file.flush()
        if part is not None:
            os.fsync(file.fileno())
    if part is not None:
        part.replace(target)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        if path.is_dir():
            raise FileError(printable(str(path)), "this is a folder: give the path of a file", key="--out")
        yield
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a usable path"
        raise FileError(printable(str(path)), f"it cannot be written ({reason})", key="--out") from None
