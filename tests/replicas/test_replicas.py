"""Three services over one ledger, shortly: `run.py` does it for as long as you like."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from replica_campaign import HARMS, ReplicaCampaign


def test_while_one_of_three_is_killed_stopped_or_cut_off_requests_go_on_and_the_budget_holds(postgres, tmp_path):
    campaign = ReplicaCampaign(tmp_path, postgres)
    try:
        campaign.run(len(HARMS), each_s=6)
    finally:
        campaign.close()
    campaign.check()
    assert campaign.harmed == dict.fromkeys(HARMS, 1)
    assert campaign.told.ended["released"] > 20
