"""Releases over HTTP: paid once, given again free, refused whole."""

from __future__ import annotations

import json
import threading
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest
from api_town import ME, Town

from dpstats.formats import Format

RUN = "/v1/queries/spend_by_band/releases"


def test_a_new_release_is_201_and_says_where_it_is(town: Town) -> None:
    answer = town.run()
    assert (answer.status_code, town.charges()) == (201, 1)
    assert answer.headers["Location"] == f"/v1/releases/{answer.json()['release_id']}"
    assert answer.json()["replayed"] is False
    assert town.ask("GET", answer.headers["Location"], role="analyst").json()["rows"] == answer.json()["rows"]


@pytest.mark.parametrize("form", Format)
def test_a_replay_is_the_same_bytes_but_for_replayed_and_budget(town: Town, form: Format) -> None:
    accept = {"Accept": form.media_type}
    first = town.run(headers=accept)
    town.run("costly")
    again = town.run(headers=accept)
    assert (first.status_code, again.status_code, town.charges()) == (201, 200, 2)
    heads = [json.loads(answer.headers["Dpstats-Release"]) for answer in (first, again)]
    assert [head.pop("replayed") for head in heads] == [False, True]
    budgets = [head.pop("budget") for head in heads]
    assert budgets[0] != budgets[1]
    assert heads[0] == heads[1]
    if form is Format.CSV:
        assert first.content == again.content
    if form is Format.JSON:
        texts = [
            answer.text.replace(json.dumps(budget, separators=(",", ":")), "B").replace(f'"replayed":{said}', "R")
            for answer, budget, said in zip((first, again), budgets, ("false", "true"), strict=True)
        ]
        assert texts[0] == texts[1]
        assert "B" in texts[0]


def test_never_reuse_draws_anew_and_pays(town: Town) -> None:
    answers = [town.run(json={"reuse": "never"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json()["rows"] != answers[1].json()["rows"]
    assert town.charges() == 2


def test_default_parameters_spelled_out_are_the_same_question(town: Town) -> None:
    assert town.run().status_code == 201
    spelled = {"parameters": {"until": "2018-01-02", "since": "2017-01-01"}, "reuse": "always"}
    assert town.run(json=spelled).status_code == 200


def test_a_key_gives_one_release_however_often_it_is_sent(town: Town) -> None:
    sent = {"headers": {"Idempotency-Key": "monday!"}, "json": {"reuse": "never"}}
    answers = [town.run(**sent) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 200, 200]
    assert len({answer.json()["release_id"] for answer in answers}) == 1
    assert town.charges() == 1
    assert town.run(headers={"Idempotency-Key": "tuesday"}, json={"reuse": "never"}).status_code == 201


def test_a_key_belongs_to_the_token_that_sent_it(town: Town) -> None:
    sent = {"headers": {"Idempotency-Key": "k"}, "json": {"reuse": "never"}}
    assert [town.run(role=role, **sent).status_code for role in ("analyst", "job")] == [201, 201]


@pytest.mark.parametrize("key", ["", "two words", "x" * 256, "caf\xe9"])
def test_a_key_that_is_not_one_is_refused_and_charges_nothing(quiet_town: Town, key: str) -> None:
    answer = quiet_town.run(headers={"Idempotency-Key": key.encode("latin-1")})
    assert answer.status_code == 422
    assert list(answer.json()["problems"]) == ["Idempotency-Key"]
    assert quiet_town.charges() == 0


def test_an_exhausted_budget_refuses_charges_nothing_and_still_gives_replays(town: Town) -> None:
    first = town.run("costly")
    before = town.budget()
    refused = town.run("costly", json={"reuse": "never"})
    assert refused.status_code == 409
    assert refused.json()["remaining"] == before["rho_remaining"]
    assert town.budget() == before
    replay = town.run("costly")
    assert (replay.status_code, replay.json()["rows"]) == (200, first.json()["rows"])
    assert town.run("costly", headers={"Idempotency-Key": "late"}).status_code == 200


def test_the_refusal_of_an_exhausted_budget_does_not_depend_on_the_data(town: Town) -> None:
    town.run("costly")
    details = []
    for _ in range(2):
        details.append(town.run("costly", json={"reuse": "never"}).content)
        town.workspace.datasets.load(ME, "town", {"sales": _one_row(town)})
    assert details[0] == details[1]


def _one_row(town: Town) -> Path:
    path = town.workspace.home / "one.csv"
    path.write_text("household,value,note,day\n1,1,x,2017-01-01\n")
    return path


def test_a_token_s_own_cap_is_told_from_the_dataset_s(town: Town) -> None:
    token = town.workspace.tokens.create(ME, "capped", "job", cap_rho=Decimal("0.02"))
    answer = town.ask("POST", RUN, token=token)
    assert (answer.status_code, answer.json()["scope"], town.charges()) == (409, "token", 0)


def test_a_frozen_dataset_gives_nothing_not_even_what_it_gave(town: Town) -> None:
    release_id = town.run().json()["release_id"]
    freeze = "/v1/datasets/town/frozen"
    assert town.ask("PUT", freeze, role="steward", json={"frozen": True}).json()["frozen"] is True
    for method, path in (
        ("POST", RUN),
        ("POST", "/v1/queries/spend_by_band/preview"),
        ("GET", f"/v1/releases/{release_id}"),
    ):
        answer = town.ask(method, path, role="analyst")
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/frozen")
    town.ask("PUT", freeze, role="steward", json={"frozen": False})
    assert town.run().status_code == 200


def test_a_revoked_query_gives_nothing_not_even_what_it_gave(town: Town) -> None:
    first = town.run().json()
    version = first["query_version"]
    approvals = "/v1/queries/spend_by_band/approvals"
    assert town.ask("DELETE", f"{approvals}/{version}", role="steward").status_code == 204
    for method, path in (
        ("POST", RUN),
        ("GET", f"/v1/releases/{first['release_id']}"),
        ("GET", "/v1/queries/spend_by_band"),
    ):
        answer = town.ask(method, path, role="analyst")
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/not-approved")
    names = [query["query"] for query in town.ask("GET", "/v1/queries", role="analyst").json()["items"]]
    assert "spend_by_band" not in names
    assert town.ask("POST", approvals, role="steward", json={"version": version}).status_code == 201
    assert town.run().json()["rows"] == first["rows"]


def test_an_approval_is_of_the_version_that_stands(town: Town) -> None:
    stands = town.ask("GET", "/v1/queries/draft", role="steward").json()["query_version"]
    other = f"sha256:{'0' * 64}"
    approve = "/v1/queries/draft/approvals"
    assert town.ask("POST", approve, role="steward", json={"version": other}).status_code == 409
    assert town.run("draft").status_code == 409
    made = town.ask("POST", approve, role="steward", json={"version": stands})
    assert (made.status_code, made.json()["approved"]) == (201, True)
    assert town.run("draft").status_code == 201


def test_callers_at_once_get_one_charge_and_one_answer(town: Town) -> None:
    together = threading.Barrier(6)
    answers = []

    def ask() -> None:
        together.wait()
        answers.append(town.run())

    threads = [threading.Thread(target=ask) for _ in range(6)]
    town.token()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 5}
    assert len({json.dumps(answer.json()["rows"]) for answer in answers}) == 1
    assert town.charges() == 1


def test_a_preview_charges_nothing_and_tells_what_a_release_then_costs(town: Town) -> None:
    preview = town.ask("POST", "/v1/queries/spend_by_band/preview", role="analyst", json={}).json()
    assert (town.charges(), preview["free_replay"]) == (0, False)
    release = town.run().json()
    assert preview["cost"] == release["cost"]
    assert preview["measures"] == release["measures"]
    assert preview["query_version"] == release["query_version"]
    after = town.ask("POST", "/v1/queries/spend_by_band/preview", role="analyst").json()
    assert (after["free_replay"], after["remaining_like_this"]) == (True, preview["remaining_like_this"] - 1)


def test_releases_come_in_pages_newest_first_each_once(town: Town) -> None:
    made = [town.run(json={"parameters": {"since": f"2017-0{month}-01"}}).json()["release_id"] for month in (1, 2, 3)]
    made.append(town.run("boats").json()["release_id"])
    seen: list[str] = []
    cursor = None
    while True:
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = town.ask("GET", "/v1/releases", role="analyst", params=params).json()
        seen += [item["release_id"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
        assert cursor.replace("-", "").replace("_", "").isalnum()
    assert seen == made[::-1]
    for params, wanted in (({"dataset": "harbour"}, made[3:]), ({"query": "spend_by_band"}, made[2::-1])):
        page = town.ask("GET", "/v1/releases", role="analyst", params=params).json()
        assert [item["release_id"] for item in page["items"]] == wanted


@pytest.mark.parametrize(
    "params",
    [{"cursor": "x"}, {"cursor": "é"}, {"limit": "0"}, {"limit": "many"}, {"datset": "town"}, {"cursor": "a" * 201}],
)
def test_a_page_that_cannot_be_is_refused_by_name(quiet_town: Town, params: dict[str, str]) -> None:
    answer = quiet_town.ask("GET", "/v1/releases", role="analyst", params=params)
    assert answer.status_code == 422
    assert list(answer.json()["problems"]) == list(params)


def test_the_ledger_is_read_on_from_any_entry(town: Town) -> None:
    town.run()
    ledger = "/v1/datasets/town/ledger"
    whole = town.ask("GET", ledger, role="steward").json()
    assert [entry["kind"] for entry in whole["entries"]] == ["grant", "charge"]
    assert whole["head"]["hash"] == whole["entries"][-1]["hash"]
    assert whole["entries"][1]["actor"] == "analyst"
    later = town.ask("GET", ledger, role="steward", params={"after": 1}).json()
    assert later["entries"] == whole["entries"][1:]
    assert town.ask("GET", ledger, role="steward", params={"limit": 1}).json()["entries"] == whole["entries"][:1]


def test_a_withdrawn_release_is_given_to_nobody_and_stays_charged(town: Town) -> None:
    made = town.run()
    place = made.headers["Location"]
    reason = {"reason": "a wrong file"}
    assert town.ask("POST", f"{place}/withdrawal", role="steward", json=reason).status_code == 201
    assert town.ask("GET", place, role="analyst").status_code == 404
    assert town.ask("POST", f"{place}/withdrawal", role="steward", json=reason).status_code == 404
    assert town.run().status_code == 201
    assert town.charges() == 2
