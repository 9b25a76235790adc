"""How a command ends: its exit status, and the one line on stderr that says why.

No traceback is ever shown, and of an error that dpstats does not explain itself nothing but its type: its text may
hold a cell.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from dpstats.cli.output import flush, note_failure
from dpstats.errors import DpstatsError

DONE, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130

UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""Wrong usage, as the click that typer stands on calls it: a package of its own, or part of typer since 0.27."""


class OneLineGroup(TyperGroup):
    """The top command: whatever happens below it ends in an exit status and, if it failed, one line."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Runs the command and exits."""
        sys.exit(self._status(*args, **(extra | {"prog_name": "dpstats", "standalone_mode": False})))

    def _status(self, *args: Any, **extra: Any) -> int:
        try:
            status = super().main(*args, **extra)
            flush()
        except BrokenPipeError:
            return _reader_is_gone()
        except (KeyboardInterrupt, typer.Abort):
            return _say("stopped", INTERRUPTED)
        except UsageError as error:
            return _say(_usage_line(error), WRONG_USAGE)
        except DpstatsError as error:
            return _say(str(error), FAILED)
        except Exception as error:
            return _say(
                f"this failed in a way that dpstats does not explain ({type(error).__name__}); nothing more is shown, "
                "because it may have seen rows",
                FAILED,
            )
        return status if isinstance(status, int) else DONE


def _say(line: str, status: int) -> int:
    note_failure(f"dpstats: {line}")
    return status


def _usage_line(error: Any) -> str:
    """What click says, on one line, with the command whose help tells more."""
    what = " ".join(error.format_message().split()).replace("Value error, ", "").replace("Input should", "must")
    path = error.ctx.command_path if error.ctx is not None else "dpstats"
    return f"{what.rstrip('.')} (see `{path} --help`)"


def _reader_is_gone() -> int:
    """Nobody reads stdout any more (`dpstats ... | head`): what is left in its buffer goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return FAILED
