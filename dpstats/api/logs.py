"""How log lines look: times in UTC, with their zone."""

from __future__ import annotations

import logging
from datetime import UTC, datetime


class UtcFormatter(logging.Formatter):
    """A formatter whose times are ISO 8601 in UTC, to the millisecond."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 (its name)
        """The time of the record; `datefmt` is not used."""
        return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
