"""What makes a workspace a sandbox: a mark in its folder, made before anything else is in it.

Whoever opens the folder, by whatever command, finds the mark; so invented data are never taken for anybody's. No
command marks a folder that is there already.
"""

from __future__ import annotations

from pathlib import Path

MARK = "sandbox"


def make_sandbox_home(home: Path) -> None:
    """Makes a folder for a sandbox, marked and readable by its owner alone.

    Raises:
      FileExistsError: it is there already.
    """
    home.mkdir(mode=0o700)
    (home / MARK).write_text("The data in this workspace are invented.\n", encoding="utf-8")


def is_sandbox(home: Path) -> bool:
    """Whether the workspace in this folder is a sandbox."""
    return (home / MARK).exists()
