from __future__ import annotations

import json

from cli_running import Run


def test_a_cap_is_set_shown_changed_and_ended_and_its_history_kept(dpstats: Run) -> None:
    cap = ("budget", "cap", "shop", "--role", "analyst")
    said = dpstats(*cap, "--rho", "0.1", "--reason", "a share").done().out
    assert said == "role analyst: rho 0 of at most 0.1 spent, 0.1 left\n"
    assert said.strip() in dpstats("budget", "show", "shop").done().out
    dpstats(*cap, "--rho", "0.2", "--reason", "a larger share").done()
    assert dpstats(*cap, "--end", "--reason", "enough").done().out == "no role and no purpose of shop has a cap\n"
    caps = json.loads(dpstats("budget", "show", "shop", "--json").done().out)["caps"]
    assert caps["items"] == []
    assert [(one["rho"], one["reason"]) for one in caps["history"]] == [
        (None, "enough"),
        (0.2, "a larger share"),
        (0.1, "a share"),
    ]


def test_what_is_no_cap_is_wrong_usage_or_refused(dpstats: Run) -> None:
    cap = ("budget", "cap", "shop", "--reason", "why")
    dpstats(*cap, "--rho", "1").wrong_usage("give either --role or --purpose")
    dpstats(*cap, "--role", "analyst").wrong_usage("give --rho, --epsilon or --end")
    dpstats(*cap, "--role", "analyst", "--rho", "1", "--end").wrong_usage("give --rho, --epsilon or --end")
    dpstats(*cap, "--role", "collector", "--rho", "1").refused("it is one of analyst, job, steward")
    dpstats(*cap, "--purpose", "nothing", "--rho", "1").refused("it is one of")
    dpstats(*cap, "--role", "analyst", "--end").refused("has no cap to end")
