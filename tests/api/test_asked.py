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


def test_a_steward_of_some_datasets_sees_the_lines_of_these_and_no_other(town: Town) -> None:
    town.run()
    town.ask("GET", "/v1/datasets/town", role="analyst")
    town.ask("GET", "/v1/datasets/harbour", role="analyst")
    town.ask("GET", "/v1/datasets", role="analyst")
    town.ask("GET", "/v1/queries/no_such_query", role="analyst")
    whole = lines(town)
    seen = {}
    for dataset in ("town", "harbour"):
        answer = town.ask("GET", "/v1/log", token=town.token("steward", dataset))
        assert answer.status_code == 200
        seen[dataset] = answer.json()["items"]
    asked = [(line["route"], line["dataset"], line["query"]) for line in seen["town"]]
    assert asked == [
        ("/v1/queries/{query}/releases", "", "spend_by_band"),
        ("/v1/datasets/{dataset}", "town", ""),
    ]
    assert [line["dataset"] for line in seen["harbour"]] == ["harbour"]
    assert all(line in whole for line in seen["town"] + seen["harbour"])
    assert town.ask("GET", "/v1/log", role="analyst").status_code == 403


def test_the_day_of_a_tokens_last_request_is_told_to_stewards_and_costs_no_statement(town: Town) -> None:
    def used() -> dict[str, object]:
        return {item["name"]: item["last_used"] for item in town.workspace.tokens.all(ME)}

    token = town.token("job")
    assert used()["job"] is None
    town.ask("GET", "/v1/datasets", token=token)
    day = lines(town)[-1]["at"]
    assert str(day).startswith(str(used()["job"]))
