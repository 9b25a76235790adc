"""Every request of a known caller is in the log of who asked what, and nothing that could tell of a person is."""

from __future__ import annotations

from api_town import ME, Town


def lines(town: Town) -> list[dict[str, object]]:
    town.workspace.store.asked.flush()
    found: list[dict[str, object]] = town.workspace.asked.after(ME)["items"]
    return found


def test_answers_replays_and_refusals_are_logged_with_caller_and_outcome(town: Town) -> None:
    before = len(lines(town))
    town.run()
    town.run()
    town.ask("GET", "/v1/queries/no_such_query", role="analyst")
    town.ask("GET", "/v1/datasets/town/ledger?after=0", role="analyst")
    found = lines(town)[before:]
    assert [(line["route"], line["query"], line["dataset"], line["outcome"]) for line in found] == [
        ("/v1/queries/{query}/releases", "spend_by_band", "", ""),
        ("/v1/queries/{query}/releases", "spend_by_band", "", ""),
        ("/v1/queries/{query}", "no_such_query", "", "not-found"),
        ("/v1/datasets/{dataset}/ledger", "", "town", "forbidden"),
    ]
    assert {(line["actor"], line["role"]) for line in found} == {("analyst", "analyst")}
    assert [line["status"] for line in found][1:] == [200, 404, 403]


def test_neither_an_id_nor_a_parameter_nor_a_secret_is_in_it(town: Town) -> None:
    town.ask("GET", "/v1/queries/Somebody%20Else's%20id?x=4711-canary", role="analyst")
    town.ask("GET", "/v1/rights/requests/4711-canary", role="steward")
    kept = str(lines(town))
    assert "canary" not in kept
    assert "Somebody" not in kept
