"""What a log line looks like."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from api_town import MARKER, Town, exact_spend

from dpstats.api.logs import FIELDS, UtcFormatter, json_formatter

SINCE = "2017-01-09"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What dpstats logs as JSON."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(json_formatter())
    logger = logging.getLogger("dpstats")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield written
    logger.setLevel(level)
    logger.removeHandler(handler)


def told(lines: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.getvalue().splitlines()]


def test_a_log_line_tells_its_time_in_utc_with_the_zone() -> None:
    record = logging.makeLogRecord({"created": 0.25, "msg": "hello"})
    assert UtcFormatter("%(asctime)s %(message)s").format(record) == "1970-01-01T00:00:00.250+00:00 hello"


def test_a_request_is_one_object_on_one_line(town: Town, lines: io.StringIO) -> None:
    answer = town.ask("GET", "/v1/datasets/town?x=1", role="analyst")
    (line,) = told(lines)
    assert tuple(line) == FIELDS
    assert line["time"].endswith("+00:00")
    assert isinstance(line["ms"], int)
    assert line | {"time": "", "ms": 0} == {
        "time": "",
        "level": "info",
        "logger": "dpstats.api",
        "event": "request",
        "request_id": answer.headers["Dpstats-Request"],
        "method": "GET",
        "route": "/v1/datasets/{dataset}",
        "status": 200,
        "problem": "",
        "actor": "analyst",
        "ms": 0,
    }


def test_a_refusal_tells_its_problem_and_a_caller_without_token_has_no_name(town: Town, lines: io.StringIO) -> None:
    town.run(json={"parameters": {"since": "yesterday"}})
    town.ask("GET", "/v1/datasets")
    assert [(line["status"], line["problem"], line["actor"]) for line in told(lines)] == [
        (422, "invalid-parameters", "analyst"),
        (401, "unauthorized", ""),
    ]


def test_a_failure_tells_its_kind_and_its_request_alone(town: Town, lines: io.StringIO) -> None:
    def boom() -> None:
        raise RuntimeError(f"row {MARKER}")

    town.app.add_api_route("/v1/boom", boom)
    answer = town.ask("GET", "/v1/boom", role="analyst")
    failed, request = told(lines)
    assert failed["event"] == f"GET /v1/boom failed: RuntimeError, {answer.headers['Dpstats-Request']}"
    assert failed["request_id"] == request["request_id"]
    assert (request["status"], request["problem"]) == (500, "internal-error")
    assert MARKER not in lines.getvalue()


def test_no_value_parameter_query_or_token_is_in_a_line(town: Town, lines: io.StringIO) -> None:
    town.run(json={"parameters": {"since": SINCE}})
    town.ask("GET", f"/v1/releases?cursor={MARKER}", role="analyst")
    town.ask("GET", f"/v1/{MARKER}", role="analyst")
    assert len(told(lines)) == 3
    for secret in (MARKER, SINCE, "spend_by_band", town.token("analyst"), *exact_spend()):
        assert secret not in lines.getvalue()


def test_what_other_code_hangs_on_a_record_stays_out(lines: io.StringIO) -> None:
    try:
        raise ValueError(MARKER)
    except ValueError:
        logging.getLogger("dpstats").exception("failed", extra={"sql": MARKER, "stack_info_": MARKER}, stack_info=True)
    (line,) = told(lines)
    assert set(line) == {"time", "level", "logger", "event"}
    assert MARKER not in lines.getvalue()


@pytest.mark.parametrize("form", ["text", "json"])
def test_both_forms_can_be_set_up(form: Any) -> None:
    """In a process of its own: setting logging up closes the handlers that were there."""
    script = (
        "import logging.config; from dpstats.api.logs import log_config; "
        f"logging.config.dictConfig(log_config({form!r})); logging.getLogger('dpstats.api').info('hello %s', 'there')"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stderr
    assert (json.loads(said)["event"] if form == "json" else said.split(" ", 3)[3].strip()) == "hello there"
