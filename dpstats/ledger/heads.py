"""The newest signed head of each lineage, kept outside the database: a cut tail or a restored backup lags behind it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from dpstats.errors import FileError, LedgerBroken
from dpstats.ledger.chain import canonical_json
from dpstats.ledger.files import file_lock, replace_durably, sync_folder

_NAME_MAX = 200


@dataclass(frozen=True)
class Head:
    """The newest entry of a lineage: its place, its hash and the signature over both and the lineage's name."""

    lineage: str
    seq: int
    hash: str
    signature: str


class HeadFiles:
    """One file a lineage in `folder`, named after it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._paths: dict[str, Path] = {}
        self._durable: dict[str, int] = {}  # up to this entry of a lineage, a saved head is known to be on disk

    def read(self, lineage: str) -> Head | None:
        """The saved head, None if none was ever saved.

        Raises:
          LedgerBroken: the file is not a head of this lineage.
        """
        path = self._path(lineage)
        try:
            head = Head(**json.loads(path.read_bytes()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            head = None
        if head is None or head.lineage != lineage or type(head.seq) is not int:
            raise LedgerBroken(f"{path}: not a saved head of lineage {lineage}: restore it from a backup")
        return head

    def save(self, head: Head) -> bool:
        """Saves `head` durably, unless one as new or newer is, which is durable then; whether it was saved."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        with file_lock(self._folder / ".lock"):
            saved = self.read(head.lineage)
            if saved is None or saved.seq < head.seq:
                replace_durably(self._path(head.lineage), canonical_json(vars(head)).encode() + b"\n")
                self._durable[head.lineage] = head.seq
                return True
            if self._durable.get(head.lineage, 0) < head.seq:
                # Who wrote it may have failed, or been killed, before its name was durable; its content was by then.
                sync_folder(self._folder)
                self._durable[head.lineage] = saved.seq
            return False

    def lineages(self) -> tuple[str, ...]:
        """Every lineage with a saved head, sorted."""
        paths = self._folder.glob("*.json")
        return tuple(sorted(unquote(path.name.removesuffix(".json")) for path in paths))

    def _path(self, lineage: str) -> Path:
        path = self._paths.get(lineage)
        if path is None:
            path = self._paths[lineage] = self._folder / f"{quote(lineage, safe='')}.json"
        return path


class KnownHeads:
    """Heads that are known from elsewhere; of one lineage's, the newest counts."""

    def __init__(self, heads: Iterable[Head]) -> None:
        self._heads = {head.lineage: head for head in sorted(heads, key=lambda head: head.seq)}

    def read(self, lineage: str) -> Head | None:
        """The newest known head, None if none is known."""
        return self._heads.get(lineage)

    def lineages(self) -> tuple[str, ...]:
        """Every lineage with a known head, sorted."""
        return tuple(sorted(self._heads))


def head_of_receipt(file: Path) -> Head:
    """The head in a JSON file: alone, under `head` in a ledger's answer or an export, or a release's `receipt`.

    Its lineage is empty where the file does not say: its signature covers the name.

    Raises:
      FileError: there is no head in it.
    """
    if not file.is_file():
        raise FileError(str(file), "there is no such file: check the path")
    try:
        body = json.loads(file.read_bytes())
        inner = body.get("head", body.get("receipt", body))
        return Head(str(inner.get("lineage", "")), int(inner["seq"]), str(inner["hash"]), str(inner["signature"]))
    except (OSError, ValueError, AttributeError, LookupError, TypeError):
        raise FileError(str(file), "holds no head: a JSON object with seq, hash and signature") from None


def check_lineage_name(lineage: str) -> None:
    """Refuses a lineage whose head file could not be named.

    Raises:
      ValueError: empty, starting with a dot, or too long.
    """
    if not lineage or lineage.startswith(".") or len(quote(lineage, safe="")) > _NAME_MAX:
        raise ValueError(f"a lineage's name has 1 to {_NAME_MAX} characters and does not start with a dot")
