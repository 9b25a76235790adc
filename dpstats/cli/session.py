"""The workspace that a command works on, opened only inside it, and what it shows while one waits.

Nothing heavy is imported before a command needs it.
"""

from __future__ import annotations

import os
import pwd
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from dpstats.cli.output import printable
from dpstats.errors import Conflict, FileError, Unavailable

if TYPE_CHECKING:
    from dpstats.ledger.tokens import Identity
    from dpstats.settings import Settings
    from dpstats.workspace import Workspace

HOST = "cli"
"""The host's command line; `ledger.proposals` knows its users by it."""

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Session:
    """One run of the command line. `home` is None where neither `--home` nor `DPSTATS_HOME` names a folder."""

    home: Path | None = None

    @property
    def folder(self) -> Path:
        """The workspace's folder."""
        from dpstats.settings import Settings

        default: Path = Settings.model_fields["home"].default
        return self.home or default

    @property
    def exists(self) -> bool:
        """Whether a workspace was ever made there: its ledger, or the key of a ledger that is gone."""
        return any((self.folder / name).exists() for name in ("ledger.db", "ledger.key"))

    def require(self) -> None:
        """Makes sure that there is a workspace.

        Raises:
          FileError: there is none.
        """
        if not self.exists:
            what = "there is no workspace here: make one with `dpstats init`, or name its folder with `--home DIR`"
            raise FileError(printable(str(self.folder)), what)

    def settings(self, **given: object) -> Settings:
        """The settings of this run.

        Raises:
          FileError: one of them is wrong.
        """
        from dpstats.settings import read_settings

        return read_settings(home=self.folder, **given)

    @contextmanager
    def opened(
        self, *, make: bool = False, check_ledger: bool = True, ledger_url: str | None = None
    ) -> Iterator[tuple[Workspace, Identity]]:
        """The workspace, and who works on it.

        Args:
          make: make a workspace where there is none. ledger_url: instead of the setting.

        Raises:
          FileError: there is none, or its folder cannot be used. LedgerBroken, Unavailable: see `Workspace`.
        """
        if not make:
            self.require()
        settings = self.settings(ledger_url=ledger_url)
        from dpstats.access import operator
        from dpstats.workspace import Workspace

        try:
            workspace = Workspace.open(settings, check_ledger=check_ledger)
        except (OSError, Unavailable) as error:
            reason = getattr(error, "strerror", None) or "it is not a folder, locked, full or read-only"
            raise FileError(printable(str(self.folder)), f"cannot be used as a workspace: {reason}") from None
        try:
            yield workspace, operator(actor())
        finally:
            workspace.close()

    @contextmanager
    def opened_or_passing(self) -> Iterator[tuple[Workspace, Identity]]:
        """The workspace, or where there is none an empty one that is gone afterwards: a check leaves nothing behind."""
        if self.exists:
            with self.opened() as both:
                yield both
            return
        with (
            tempfile.TemporaryDirectory(prefix="dpstats-") as folder,
            # Never the ledger on a server: its key would be made here and be lost.
            Session(Path(folder)).opened(make=True, ledger_url="") as both,
        ):
            yield both


def actor() -> str:
    """Who did it, as the ledger writes it: whoever can run commands here is the steward, by the process's own user.

    The kernel says who that is: the environment could say anybody.
    """
    uid = os.geteuid()
    try:
        return f"{HOST}:{pwd.getpwuid(uid).pw_name}"
    except KeyError:  # a user without a name, as in some containers
        return f"{HOST}:{uid}"


def session_of(context: typer.Context) -> Session:
    """The session that the top command made."""
    session = context.obj
    return session if isinstance(session, Session) else Session()


@contextmanager
def values_refused() -> Iterator[None]:
    """Tells a value that the workspace refuses as any other refusal; for what a steward changes, which sees no row."""
    try:
        yield
    except ValueError as error:
        raise Conflict(str(error)) from None


def _unseen(step: str, fraction: float) -> None:
    """Progress that nobody watches."""


@contextmanager
def working(what: str) -> Iterator[None]:
    """Shows on a terminal that something goes on, and what."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True).status(Text(printable(what))):
        yield


@contextmanager
def loading() -> Iterator[Progress]:
    """Shows on a terminal how far a load has come; what it yields is called with the step and the fraction done."""
    if not sys.stderr.isatty():
        yield _unseen
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading", total=1.0)
        yield lambda step, fraction: bar.update(task, description=step, completed=fraction)
