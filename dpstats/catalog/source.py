"""YAML text in, plain values out, with the line of every key.

The accepted language is small, so that a file means one thing to its reader and to the program: one document in the
YAML 1.2 core schema, without tags, anchors, aliases, merge keys, duplicate keys or directives. Only `true` and `false`
are booleans; `null`, `~` and nothing are null; numbers are decimal and are kept exactly (`int`, or `Decimal` made from
the text); all else is text, dates and `yes` included. PyYAML only splits the text into events; values are built here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import yaml

from dpstats.catalog.text import forbidden_position, quoted
from dpstats.errors import FileError

MAX_BYTES = 2**20
"""The largest file that is read: 1 MiB."""
MAX_DEPTH = 20
"""How deep mappings and lists may be nested."""
MAX_PROBLEMS_SHOWN = 20
_MAX_NUMBER_LENGTH = 64
_MAX_EXPONENT = 400
_MAX_EXPONENT_LENGTH = 5

KeyPath = tuple[str | int, ...]
"""Where a value stands: keys of mappings and places in lists, from the top."""
Problem = tuple[KeyPath, str]
"""What is wrong, and where."""

_ADVICE = {
    "mapping values are not allowed here": ": put a text with `: ` in it in quotes, and indent a mapping's keys alike",
    "found character '\\t' that cannot start any token": ": indent with spaces, not with tabs",
}
"""What to do where PyYAML's own words do not say it."""

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_PLAIN_KEY = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]{0,62}")


@dataclass(frozen=True)
class SourceMap:
    """A file's value (mappings, lists, str, int, Decimal, bool, None) and the line (1-based) of every key and item."""

    file: str
    value: object
    lines: Mapping[KeyPath, int]

    def line(self, path: KeyPath) -> int:
        """The line of `path`, or of the nearest thing around it that is in the file."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def error(self, problems: Iterable[Problem]) -> FileError:
        """One error for all the problems, in the order of the file: the first gives its place, the others follow it."""
        ordered = sorted(problems, key=lambda problem: self.line(problem[0]))
        (first, what), others = ordered[0], ordered[1:MAX_PROBLEMS_SHOWN]
        parts = [what, *(f"line {self.line(path)}: {key_text(path)}: {text}" for path, text in others)]
        if len(ordered) > MAX_PROBLEMS_SHOWN:
            parts.append(f"and {len(ordered) - MAX_PROBLEMS_SHOWN} more problems")
        return FileError(self.file, " | ".join(parts), line=self.line(first), key=key_text(first))


def key_text(path: KeyPath) -> str:
    """`path` as it is shown: `tables.transactions.columns.sales_value.bounds[1]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (part if _PLAIN_KEY.fullmatch(part) else quoted(part))
    return text


def load_file(path: str | Path) -> str:
    """The text of a file of at most 1 MiB.

    Raises:
      FileError: it is missing, not a regular file, unreadable, too large or not UTF-8.
    """
    name = str(path) if str(path).isprintable() else repr(str(path))
    try:
        if not Path(path).exists():
            raise FileError(name, "there is no such file: check the path")
        if not Path(path).is_file():
            raise FileError(name, "this is not a regular file: give the path of a YAML file")
        with Path(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a usable path"
        raise FileError(name, f"it cannot be read ({reason}): check the path and its permissions") from None
    if len(content) > MAX_BYTES:
        raise _too_large(name)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise FileError(name, "it is not UTF-8 text: save it as UTF-8", line=line) from None


def read_yaml(text: str, file: str) -> SourceMap:
    """The value of a YAML text and the line of every key in it.

    Args:
      text: the whole file, at most 1 MiB of UTF-8.
      file: its name, for messages.

    Raises:
      FileError: it is not YAML, or uses what the module refuses.
    """
    _check_text(text, file)
    reader = _Reader(file, yaml.parse(text, Loader=yaml.SafeLoader))
    try:
        return SourceMap(file, reader.document(), reader.lines)
    except yaml.MarkedYAMLError as error:
        mark, problem = error.problem_mark or error.context_mark, _one_line(error.problem)
        advice = _ADVICE.get(problem, "")
        raise reader.refuse(f"not valid YAML: {problem}{advice}", mark.line + 1 if mark else 0) from None
    except (yaml.YAMLError, ValueError, OverflowError, LookupError):
        # PyYAML lets some errors of Python's own through, for instance on "\UFFFFFFFF".
        raise reader.refuse("not valid YAML: look at the escapes from here on") from None


def _check_text(text: str, file: str) -> None:
    shown = text.replace("\r\n", "\n")
    position = forbidden_position(shown)
    if position is not None:
        line = shown.count("\n", 0, position) + 1
        what = f"character U+{ord(shown[position]):04X} is not allowed in a file: remove it"
        raise FileError(file, what, line=line)
    if len(text.encode("utf-8")) > MAX_BYTES:
        raise _too_large(file)


def _too_large(file: str) -> FileError:
    return FileError(file, "the file is over 1 MiB: make it smaller")


def _one_line(problem: str | None) -> str:
    return " ".join((problem or "malformed text").split()).encode("ascii", "backslashreplace").decode()


class _Reader:
    """Builds plain values from PyYAML's events, without recursion deeper than `MAX_DEPTH`."""

    def __init__(self, file: str, events: Iterator[yaml.Event]) -> None:
        self.file, self.events = file, events
        self.lines: dict[KeyPath, int] = {(): 1}
        self.path: KeyPath = ()
        self.at = 1
        self.end = (0, 0)
        self.after_comma = False
        """Whether one character stands between the last event and the one before it."""

    def refuse(self, what: str, line: int = 0) -> FileError:
        return FileError(self.file, what, line=line or self.at, key=key_text(self.path))

    def next(self, path: KeyPath = ()) -> yaml.Event:
        self.path = path
        event = next(self.events)
        start, end = event.start_mark, event.end_mark
        self.after_comma = bool(start and (start.line, start.column - 1) == self.end)
        self.end = (end.line, end.column) if end else (0, 0)
        self.at = event.start_mark.line + 1 if event.start_mark else self.at
        return event

    def document(self) -> object:
        self.next()
        start = self.next()
        if not isinstance(start, yaml.DocumentStartEvent):
            raise self.refuse("the file is empty")
        if start.version or start.tags:
            raise self.refuse("a `%` directive is not allowed: remove it")
        value = self.node(self.next(), ())
        self.next()
        if not isinstance(self.next(), yaml.StreamEndEvent):
            raise self.refuse("a second document starts here: keep one document in a file")
        return value

    def node(self, event: yaml.Event, path: KeyPath) -> object:
        self.path = path
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise self.refuse("anchors (`&`) and aliases (`*`) are not allowed: write the value out, or in quotes")
        if getattr(event, "tag", None) is not None:
            raise self.refuse("tags (`!`) are not allowed: remove it, or put the text in quotes")
        if isinstance(event, yaml.ScalarEvent):
            return self.scalar(event)
        if len(path) >= MAX_DEPTH:
            raise self.refuse(f"nested deeper than {MAX_DEPTH} levels: flatten it")
        return self.mapping(path) if isinstance(event, yaml.MappingStartEvent) else self.sequence(path)

    def sequence(self, path: KeyPath) -> list[object]:
        items: list[object] = []
        while not isinstance(event := self.next(path), yaml.SequenceEndEvent):
            place = (*path, len(items))
            self.lines[place] = self.at
            items.append(self.node(event, place))
        return items

    def mapping(self, path: KeyPath) -> dict[str, object]:
        entries: dict[str, object] = {}
        while not isinstance(event := self.next(path), yaml.MappingEndEvent):
            self.refuse_comma(event, next(reversed(entries.values()), None))
            key = self.key(event, path)
            place = (*path, key)
            if key in entries:
                self.path = place
                raise self.refuse(f"this key is already on line {self.lines[place]}: keep one of the two")
            self.lines[place] = self.at
            entries[key] = self.node(self.next(place), place)
        return entries

    def refuse_comma(self, event: yaml.Event, before: object) -> None:
        """Digits right after a whole number and a comma, where a key should stand: somebody means 0.3 by `0,3`."""
        digits = event.value if isinstance(event, yaml.ScalarEvent) and event.style is None else ""
        if digits.isdecimal() and self.after_comma and isinstance(before, int) and not isinstance(before, bool):
            raise self.refuse(f"decimals follow a point, not a comma: write {before}.{digits[:20]}")

    def key(self, event: yaml.Event, path: KeyPath) -> str:
        if not isinstance(event, yaml.ScalarEvent | yaml.AliasEvent):
            raise self.refuse("a key must be text, not a list or a mapping")
        key = self.node(event, path)
        if not isinstance(key, str):
            raise self.refuse(f"a key must be text, not {quoted(key)}: put it in quotes if it is meant")
        if key == "<<":
            raise self.refuse("merge keys (`<<`) are not allowed: write the keys out")
        return key

    def scalar(self, event: yaml.ScalarEvent) -> object:
        text: str = event.value
        position = forbidden_position(text)
        if position is not None:
            raise self.refuse(f"character U+{ord(text[position]):04X} is not allowed in a value: remove it")
        return self.plain(text) if event.style is None else text

    def plain(self, text: str) -> object:
        """A scalar without quotes, by the YAML 1.2 core schema (a number with leading zeros is text)."""
        if text in ("", "~", "null"):
            return None
        if text in ("true", "false"):
            return text == "true"
        if _NOT_FINITE.fullmatch(text):
            raise self.refuse(f"{text} is not a number that can be used here: write a finite one")
        return self.number(text) if _FLOAT.fullmatch(text) else text

    def number(self, text: str) -> int | Decimal:
        if len(text) > _MAX_NUMBER_LENGTH:
            raise self.refuse(f"a number of over {_MAX_NUMBER_LENGTH} characters: shorten it, or put text in quotes")
        if _INTEGER.fullmatch(text):
            return int(text)
        exponent = text.lower().partition("e")[2]
        if len(exponent) > _MAX_EXPONENT_LENGTH or abs(Decimal(text).adjusted()) > _MAX_EXPONENT:
            raise self.refuse(f"the number {quoted(text)} is too large or too small to be used")
        return Decimal(text)
