"""How log lines look: text, or one JSON object a line (structlog); times in UTC, with their zone.

A JSON line holds what is on `FIELDS` and nothing else, whatever a record carries: no value, unit, parameter, SQL, token
or exception's text.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from dpstats.api.outcome import Outcome

if TYPE_CHECKING:
    from structlog.typing import EventDict, WrappedLogger

LogFormat = Literal["text", "json"]

FIELDS = ("time", "level", "logger", "event", "request_id", "method", "route", "status", "problem", "actor", "ms")
"""Everything that a JSON line may hold, in its order."""


class UtcFormatter(logging.Formatter):
    """A formatter whose times are ISO 8601 in UTC, to the millisecond."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 (its name)
        """The time of the record; `datefmt` is not used."""
        return _told(record.created)


def json_formatter() -> logging.Formatter:
    """A formatter that makes one JSON object of each record."""
    from structlog.processors import JSONRenderer
    from structlog.stdlib import ExtraAdder, ProcessorFormatter

    return ProcessorFormatter(
        foreign_pre_chain=[ExtraAdder(allow=FIELDS)],
        processors=[_only_fields, JSONRenderer()],
        keep_exc_info=False,
    )


def log_config(form: LogFormat) -> dict[str, Any]:
    """Logging for a process that serves: to stderr, for stdout belongs to the command.

    uvicorn's own access log would print query strings: `Watch` logs instead.
    """
    lines: dict[str, Mapping[str, Any]] = {
        "text": {"()": "dpstats.api.logs.UtcFormatter", "fmt": "%(asctime)s %(levelname)s %(name)s %(message)s"},
        "json": {"()": "dpstats.api.logs.json_formatter"},
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": lines[form]},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "loggers": {
            "dpstats": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
            "opentelemetry": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
            "uvicorn": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
        },
    }


def outcome_fields(outcome: Outcome) -> dict[str, Any]:
    """A request's outcome as the fields of a log record; its time in whole milliseconds."""
    fields = {name: value for name, value in vars(outcome).items() if name in FIELDS}
    return fields | {"ms": round(outcome.seconds * 1000), "event": "request"}


def _only_fields(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    record: logging.LogRecord = event["_record"]
    found = dict(event) | {"time": _told(record.created), "level": record.levelname.lower(), "logger": record.name}
    return {name: found[name] for name in FIELDS if name in found}


def _told(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
