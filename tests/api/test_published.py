"""What everybody may see: it names what may be asked and what it cost, and nothing that depends on a row."""

from __future__ import annotations

import html
import json

from api_town import BANDS, MARKER, Town

from dpstats.privacy.loss import AMOUNT_STEPS


def report(town: Town) -> dict[str, object]:
    answer = town.ask("GET", "/v1/transparency")
    assert answer.status_code == 200
    return dict(answer.json())


def test_the_report_adds_up_to_the_ledger(town: Town) -> None:
    town.run()
    town.run("costly")
    (dataset,) = [each for each in report(town)["datasets"] if each["dataset"] == "town"]  # type: ignore[attr-defined]
    told = sum(round(line["amount"] * AMOUNT_STEPS) for line in dataset["spent"])
    entries = town.ask("GET", "/v1/datasets/town/ledger", role="steward").json()
    charged = sum(round(e["rho"] * AMOUNT_STEPS) for e in entries["entries"] if e["kind"] == "charge")
    assert told == charged > 0
    assert sum(line["answers"] for line in dataset["spent"]) == 2
    assert dataset["ledger_head"] == {key: entries["head"][key] for key in ("seq", "hash", "signature")}


def test_nothing_in_it_comes_from_a_row(quiet_town: Town) -> None:
    for path in ("/privacy", "/transparency", "/v1/transparency"):
        text = quiet_town.ask("GET", path).text
        for secret in (MARKER, *BANDS):
            assert secret not in text


def test_each_question_says_what_one_answer_of_it_gives_away_alone(town: Town) -> None:
    sent = town.run().json()
    (dataset,) = [each for each in report(town)["datasets"] if each["dataset"] == "town"]  # type: ignore[attr-defined]
    (query,) = [each for each in dataset["queries"] if each["query"] == "spend_by_band"]
    assert query["cost"] == sent["cost"]
    assert f"Each answer: epsilon {sent['cost']['epsilon']}" in town.ask("GET", "/transparency").text
    assert all(each["cost"]["epsilon"] > 0 for each in dataset["queries"])


def test_the_page_tells_what_is_left_and_what_each_column_is_for(town: Town) -> None:
    town.run()
    (dataset,) = [each for each in report(town)["datasets"] if each["dataset"] == "town"]  # type: ignore[attr-defined]
    text = html.unescape(town.ask("GET", "/transparency").text)
    assert f"<dt>Left, as epsilon</dt><dd>{dataset['budget']['epsilon_remaining']:g}</dd>" in text
    assert all(f"<li>{purpose['title']}: used" in text for purpose in dataset["purposes"])
    for category in dataset["categories"]:
        assert all(column["column"].replace("_", " ") in text for column in category["columns"])
    assert 'href="/opt-out"' in text[text.index("What is promised?") : text.index("<footer")]


def test_only_approved_questions_are_in_it(town: Town) -> None:
    (dataset,) = [each for each in report(town)["datasets"] if each["dataset"] == "town"]  # type: ignore[attr-defined]
    names = {query["query"] for query in dataset["queries"]}
    assert "spend_by_band" in names
    assert "draft" not in names


def test_global_privacy_control_is_stated_as_its_specification_says(quiet_town: Town) -> None:
    said = quiet_town.ask("GET", "/.well-known/gpc.json").json()
    assert said["gpc"] is True
    assert set(said) == {"gpc", "lastUpdate"}


def test_no_other_address_under_v1_is_public(quiet_town: Town) -> None:
    for path in ("/v1/transparency/", "/v1/Transparency", "/v1/transparency/x", "/v1//transparency"):
        assert quiet_town.ask("GET", path).status_code in (401, 404)
        assert "datasets" not in json.dumps(quiet_town.ask("GET", path).text)
