"""When an epoch is due: at a fixed time each day, once, and never because somebody decided something."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest

from dpstats.workspace.epochs import Timetable

NIGHTLY = Timetable(time(3), timedelta(hours=48))
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("last", "now", "due"),
    [
        (None, NOON, True),
        (NOON - timedelta(days=1), NOON, True),
        (NOON.replace(hour=2), NOON, True),
        (NOON.replace(hour=3), NOON, False),
        (NOON.replace(hour=4), NOON, False),
        (NOON.replace(hour=4), NOON.replace(hour=23), False),
        (NOON.replace(hour=4), NOON.replace(day=3, hour=2, minute=59), False),
        (NOON.replace(hour=4), NOON.replace(day=3, hour=3), True),
    ],
)
def test_an_epoch_is_due_once_a_day(last: datetime | None, now: datetime, due: bool) -> None:
    assert NIGHTLY.due(last, now) is due


def test_nothing_is_due_where_cron_does_it() -> None:
    assert not Timetable(None, timedelta(hours=48)).due(None, NOON)
