"""The consent database in a backup: one file of one moment beside the ledger's, without the key of its pseudonyms.

Whoever was erased stays so: where a consent database is still there, it is kept, and a backup only adds people to those
whom it leaves out. A backup cannot know who was erased after it was made.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from dpstats.errors import Conflict, FileError
from dpstats.ledger.files import PRIVATE, sync_folder
from dpstats.rights.pseudonyms import Pseudonyms

DATABASE, KEY = "consent.db", "consent.key"
_MARK = "CREATE TABLE backup_mark (key_check TEXT NOT NULL)"


@dataclass(frozen=True)
class ConsentRestored:
    """`is_whole`: the database was put in place; else one is there, to which the backup's erased people were added."""

    is_whole: bool


def beside(file: Path) -> Path:
    """Where the consent database of a ledger's backup lies."""
    return file.with_name(f"{file.name}.consent")


def back_up_consent(home: Path, target: Path) -> None:
    """Writes the consent database as it is at one moment to `target`, mode 0600, while others go on.

    Raises:
      FileError: the file is there already, or cannot be written.
    """
    part = target.with_name(f".{target.name[:100]}.{secrets.token_hex(8)}")
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE))
        with closing(sqlite3.connect(home / DATABASE)) as here, closing(sqlite3.connect(part)) as there:
            here.backup(there)
            there.execute("PRAGMA journal_mode=DELETE")
            there.execute(_MARK)
            there.execute("INSERT INTO backup_mark VALUES (?)", [_check_of(home)])
            there.commit()
        os.link(part, target)
        sync_folder(target.parent)
    except FileExistsError:
        raise FileError(str(target), "is there already: name a new file") from None
    except (OSError, sqlite3.Error):
        raise FileError(str(target), "cannot be written") from None
    finally:
        part.unlink(missing_ok=True)


def restore_consent(home: Path, file: Path) -> ConsentRestored:
    """Puts a backup's consent database in place, or adds whom it leaves out to the one that is there.

    Raises:
      FileError: it is no such backup, or cannot be read. Conflict: `consent.key` is missing, or is not the key of its
        pseudonyms: with another one, nobody would be found again. Nothing is changed then.
    """
    part = home / f".{DATABASE}.{secrets.token_hex(8)}"
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE))
        part.write_bytes(file.read_bytes())
        with closing(sqlite3.connect(part)) as backup:
            ((check,),) = backup.execute("SELECT key_check FROM backup_mark").fetchall()
            if not (home / KEY).exists() or check != _check_of(home):
                raise Conflict(f"{home / KEY} is missing, or another's: put the workspace's own there first")
            backup.execute("DROP TABLE backup_mark")
            backup.commit()
        if not (home / DATABASE).exists():
            os.link(part, home / DATABASE)
            sync_folder(home)
            return ConsentRestored(is_whole=True)
        with closing(sqlite3.connect(home / DATABASE)) as here:
            here.execute("ATTACH ? AS dp_backup", [str(part)])
            here.execute("INSERT OR IGNORE INTO suppressions SELECT * FROM dp_backup.suppressions")
            here.commit()
        return ConsentRestored(is_whole=False)
    except (OSError, sqlite3.Error, ValueError):
        raise FileError(str(file), "is not a backup of a consent database, or cannot be read") from None
    finally:
        part.unlink(missing_ok=True)


def _check_of(home: Path) -> str:
    """What tells the key of a database's pseudonyms apart from another, and shows nothing of it."""
    return Pseudonyms.open(home / KEY).hashed("the key of a backup")
