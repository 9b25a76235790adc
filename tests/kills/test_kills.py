"""The campaign in short: fifty kills, half of them on each back end, and every named point among them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from kill_campaign import Campaign
from kill_points import POINTS
from kill_worlds import BackEnd, Postgres, Sqlite

KILLS = 25


def test_the_points_have_names_of_their_own_and_are_enough_for_both_back_ends() -> None:
    assert len({point.name for point in POINTS}) == len(POINTS)
    assert 16 <= len(POINTS) <= 2 * KILLS
    assert all(point.steps or point.watched or point.within_ms for point in POINTS)


@pytest.mark.parametrize("name", [Sqlite.name, Postgres.name])
def test_whatever_is_killed_no_promise_of_the_ledger_is_broken(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    on_file = name == Sqlite.name
    back_end: BackEnd = Sqlite() if on_file else Postgres(request.getfixturevalue("postgres"))
    campaign = Campaign(tmp_path, back_end, first=0 if on_file else KILLS)
    for _ in campaign.run(KILLS):
        pass
    campaign.close()
    assert sum(campaign.kills.values()) == KILLS
    assert campaign.exhausted == 1
