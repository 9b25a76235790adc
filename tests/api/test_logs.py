"""What a log line looks like."""

from __future__ import annotations

import logging

from dpstats.api.logs import UtcFormatter


def test_a_log_line_tells_its_time_in_utc_with_the_zone() -> None:
    record = logging.makeLogRecord({"created": 0.25, "msg": "hello"})
    assert UtcFormatter("%(asctime)s %(message)s").format(record) == "1970-01-01T00:00:00.250+00:00 hello"
