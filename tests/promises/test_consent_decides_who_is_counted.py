"""People out of a purpose are left out of it from the next epoch on, and nobody can see who, or how many, they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from desk import ME, Desk
from exact_changes import check_moved, pairs_of

from dpstats.errors import ConsentUnknown, QueryRefused
from dpstats.rights.intake import Wish
from dpstats.rights.signals import Signal

DATASET = """
dataset: shop
privacy_unit: person
budget: {epsilon: 1000.0, delta: 1.0e-6}
max_rows_per_unit: 50
purposes:
  measurement: {title: Reports, consent: notice}
  personalization: {title: Segments}
  ads: {title: Ads, kind: cross_context_ads}
tables:
  visits:
    columns:
      person: {type: bigint, purposes: [measurement, personalization, ads]}
      spent: {type: double, bounds: [0, 100], purposes: [measurement, personalization, ads]}
  members:
    one_row_per_unit: true
    columns:
      person: {type: bigint, purposes: [measurement, personalization, ads]}
      town: {type: varchar, values: [Ash, Elm], purposes: [measurement, personalization, ads]}
      faith: {type: varchar, sensitive: religion_or_philosophy, purposes: [ads, personalization]}
"""
PEOPLE = range(12)
BY_TOWN = {
    "dataset": "shop",
    "sql": "SELECT m.town, COUNT(DISTINCT v.person) AS people, SUM(v.spent) AS spent "
    "FROM visits v JOIN members m USING (person) GROUP BY m.town",
    "bounds": {"spent": [0, 500]},
    "cost": {"rho": 1.0},
}
QUERIES = {
    "reports": BY_TOWN | {"purpose": "measurement"},
    "segments": BY_TOWN | {"purpose": "personalization"},
    "ads": BY_TOWN | {"purpose": "ads"},
    "ads_by_faith": {
        "dataset": "shop",
        "purpose": "ads",
        "sql": "SELECT COUNT(DISTINCT person) AS people FROM members WHERE faith IS NOT NULL",
        "cost": {"rho": 1.0},
    },
}


def tables(people: Any = PEOPLE) -> dict[str, dict[str, list[Any]]]:
    people = list(people)
    return {
        "visits": {"person": people * 3, "spent": [float(2**p) / 64 for p in people] * 3},
        "members": {"person": people, "town": ["Ash"] * len(people), "faith": ["x"] * len(people)},
    }


@pytest.fixture
def shop(new_desk: Callable[..., Desk]) -> Desk:
    desk = new_desk()
    desk.add(DATASET, **tables())
    for name, query in QUERIES.items():
        desk.approve({"query": name} | query)
    return desk


def say(desk: Desk, person: int, purpose: str, decision: str = "opt_out", **more: str) -> str | None:
    wish = Wish(person, purpose, decision, more.pop("event_id", f"{purpose} {decision}"), **more)
    return desk.workspace.consent.send(ME, [("shop", wish)])[0]["nonce"]


def counted(desk: Desk, query: str) -> int:
    """How many people the exact answer beneath the noise counts; each person's presence shows in the sum as a bit."""
    return sum(desk.truth(desk.plan(query))[0])


def close(desk: Desk) -> None:
    desk.workspace.epochs.close(ME)


def test_nothing_that_asks_is_answered_before_an_epoch_and_the_rest_is(shop: Desk) -> None:
    shop.ask("reports")
    before = shop.spent("shop")
    for query in ("segments", "ads"):
        with pytest.raises(ConsentUnknown, match="dpstats consent epoch"):
            shop.ask(query)
    assert shop.spent("shop") == before
    close(shop)
    shop.ask("segments")
    assert [counted(shop, q) for q in ("reports", "segments", "ads", "ads_by_faith")] == [12, 0, 12, 0]


def test_who_said_yes_is_in_and_who_said_no_is_out_from_the_next_epoch_on(shop: Desk) -> None:
    close(shop)
    for person in (1, 2, 3):
        say(shop, person, "personalization", "opt_in")
    say(shop, 3, "personalization", "withdraw")
    say(shop, 4, "ads")
    say(shop, 5, "all_sale_share")
    assert [counted(shop, q) for q in ("reports", "segments", "ads")] == [12, 0, 12]  # not before an epoch
    close(shop)
    assert [counted(shop, q) for q in ("reports", "segments", "ads")] == [12, 2, 10]
    people, spent = shop.truth(shop.plan("segments"))
    assert people == (2, 0)
    grid = shop.plan("segments").draws[1].grid
    assert float(spent[0] * grid) == pytest.approx(3 * (2 + 4) / 64, abs=0.001)  # persons 1 and 2 and nobody else


def test_an_opt_in_after_a_refusal_takes_two_steps(shop: Desk) -> None:
    say(shop, 1, "all_sale_share", observed_at="2026-01-01")
    nonce = say(shop, 1, "ads", "opt_in", observed_at="2026-01-02", event_id="again")
    close(shop)
    assert counted(shop, "ads") == 11
    say(shop, 1, "ads", "confirm", observed_at="2026-01-03", confirms="again", nonce=str(nonce))
    close(shop)
    assert counted(shop, "ads") == 12
    say(shop, 1, "all_sale_share", observed_at="2026-01-04", event_id="the signal came again")
    close(shop)
    assert counted(shop, "ads") == 11


def test_a_limit_is_for_sensitive_columns_and_these_are_opt_in_where_nothing_else_is_said(shop: Desk) -> None:
    for person in PEOPLE:
        say(shop, person, "ads", "opt_in")
    say(shop, 1, "limit_spi")
    close(shop)
    assert [counted(shop, q) for q in ("ads", "ads_by_faith")] == [12, 11]


def test_a_known_minor_is_in_only_what_was_opted_in_to(shop: Desk) -> None:
    say(shop, 1, "known_minor")
    say(shop, 2, "known_minor")
    say(shop, 2, "ads", "opt_in")
    say(shop, 3, "known_minor", observed_at="2026-01-01")
    say(shop, 3, "known_minor", "withdraw", observed_at="2026-01-02")
    say(shop, 4, "known_minor")
    say(shop, 4, "ads", "opt_in")
    say(shop, 4, "limit_spi")
    close(shop)
    assert counted(shop, "ads") == 10  # without 1 and 4
    assert counted(shop, "reports") == 12


def test_a_load_goes_by_the_last_closed_epoch(shop: Desk) -> None:
    say(shop, 20, "personalization", "opt_in")  # nobody yet
    close(shop)
    say(shop, 21, "personalization", "opt_in")
    shop.load("shop", **tables((20, 21, 22)))
    assert [counted(shop, q) for q in ("segments", "ads")] == [1, 3]


def test_every_epoch_is_a_new_random_data_version_whether_or_not_anything_changed(shop: Desk) -> None:
    registry = shop.workspace.store.registry
    first = registry.data_version("shop")
    for _ in range(2):
        close(shop)
    versions = [version.data_version for version in registry.data_versions("shop")]
    assert len(set(versions)) == 3
    assert {version.as_of for version in registry.data_versions("shop")} == {first.as_of}
    files = [file.name for file in (shop.home / "data" / "shop").iterdir() if not file.name.endswith(".wal")]
    assert files == [registry.data_version("shop").file.partition("/")[2]]


def test_rows_are_the_same_after_an_epoch(shop: Desk) -> None:
    before = shop.truth(shop.plan("reports"))
    close(shop)
    assert shop.truth(shop.plan("reports")) == before


def test_when_epochs_stop_closing_what_asks_answers_nothing_and_the_rest_goes_on(new_desk) -> None:
    desk = new_desk(consent_max_age="1h")
    desk.add(DATASET, **tables())
    for name, query in QUERIES.items():
        desk.approve({"query": name} | query)
    desk.workspace.epochs._log.close_epoch(desk.workspace.store.ledger._clock() - timedelta(hours=2))
    desk.load("shop", **tables())
    assert "answers nothing for ads, personalization" in "".join(f.what for f in desk.workspace.doctor.findings(ME))
    with pytest.raises(ConsentUnknown):
        desk.ask("ads")
    desk.ask("reports")
    close(desk)
    desk.ask("ads")
    assert not [f for f in desk.workspace.doctor.findings(ME) if "answers nothing for" in f.what]


def test_a_purpose_that_changes_kind_is_not_answered_by_the_old_truths(shop: Desk) -> None:
    close(shop)
    other = "kind: personalization_aggregate, consent: opt_out, needs_consent_since: compatible"
    changed = DATASET.replace("kind: cross_context_ads", other)
    shop.workspace.datasets.register(ME, changed, "dataset.yaml")
    shop.approve({"query": "ads"} | QUERIES["ads"])
    with pytest.raises(ConsentUnknown):
        shop.ask("ads")
    close(shop)
    shop.ask("ads")


@pytest.mark.parametrize("query", ["segments", "ads", "ads_by_faith"])
@pytest.mark.parametrize(
    "decisions", [(), ("opt_in",), ("opt_out",), ("limit",), ("minor",), ("minor", "opt_in")], ids="-".join
)
def test_one_person_with_rows_and_consent_moves_an_answer_by_no_more_than_it_is_priced_for(
    shop: Desk, query: str, decisions: tuple[str, ...]
) -> None:
    """The unit's decisions are part of its rows: with both, with rows alone and with neither, all are neighbours."""
    for person in PEOPLE[:-1]:
        for purpose in ("ads", "personalization"):
            say(shop, person, purpose, "opt_in")
    plan = (close(shop), shop.plan(query))[1]
    rows_alone = shop.exact(plan), shop.truth(plan)
    for decision in decisions:
        match decision:
            case "limit":
                say(shop, 11, "limit_spi")
            case "minor":
                say(shop, 11, "known_minor")
            case _:
                for purpose in ("ads", "personalization"):
                    say(shop, 11, purpose, decision)
    close(shop)
    both = shop.exact(plan), shop.truth(plan)
    shop.load("shop", **tables(PEOPLE[:-1]))
    neither = shop.exact(plan), shop.truth(plan)
    assert shop.plan(query).hash == plan.hash
    groups = tuple(plan.declared_groups())
    for one, other in ((both, rows_alone), (both, neither), (rows_alone, neither)):
        check_moved(plan, pairs_of(plan, (groups, one[1]), (groups, other[1])))


def test_what_an_analyst_sees_of_a_release_is_the_same_however_many_are_left_out(shop: Desk) -> None:
    seen = []
    for person in (None, 1, 2):
        if person is not None:
            say(shop, person, "ads")
        close(shop)
        body = shop.ask("ads", fresh=True)
        for noisy in ("rows", "release_id", "data_version", "created_at", "budget", "receipt"):
            del body[noisy]
        preview = shop.workspace.releases.preview(ME, "ads", {})
        seen.append(json.dumps([body, preview["cost"], preview["measures"], preview["proof"]], sort_keys=True))
    assert len(set(seen)) == 1


def test_the_proof_names_whom_it_counts(shop: Desk) -> None:
    lines = {query: "\n".join(shop.plan(query).proof) for query in QUERIES}
    assert "consent" not in lines["reports"]
    assert "only units that opted in to personalization, as of the last closed epoch" in lines["segments"]
    assert "only units that did not opt out of ads" in lines["ads"]
    assert "opted in to ads, and did not limit the use of sensitive columns" in lines["ads_by_faith"]


def test_consent_is_nothing_that_a_query_can_read(shop: Desk) -> None:
    with pytest.raises(QueryRefused, match="there is no table dp_consent"):
        shop.approve(
            {"query": "q", "dataset": "shop", "sql": "SELECT COUNT(DISTINCT dp_unit) AS n FROM dp_consent"}
            | {"cost": {"rho": 0.1}}
        )


def test_an_answer_for_ads_is_given_again_for_fifteen_days_at_most(shop: Desk) -> None:
    close(shop)
    spans = {}
    for query in ("reports", "segments", "ads"):
        shop.ask(query)
        item = shop.workspace.releases.all(ME, query=query)["items"][0]
        moments = [shop.workspace.releases._ledger.release(item["release_id"])]
        spans[query] = (moments[0].fresh_until - moments[0].created_at).days
    assert spans == {"reports": 30, "segments": 30, "ads": 15}


def test_a_signal_for_any_id_of_a_person_is_for_the_person(new_desk: Callable[..., Desk]) -> None:
    desk = new_desk()
    desk.add(DATASET + "links: true\n", **tables(), links="id,unit\n1,0\nphone,1\ntablet,2\n")
    for name, query in QUERIES.items():
        desk.approve({"query": name} | query)
    close(desk)
    assert [counted(desk, q) for q in ("reports", "ads")] == [11, 11]  # 0 and 1 are one unit
    for unit in ("phone", "watch"):
        desk.workspace.consent.signal(ME, "shop", [unit], Signal(gpc="1"))
    close(desk)
    assert counted(desk, "ads") == 10
    desk.load("shop", links="id,unit\nwatch,5\n")  # from now on it is known whose it is
    assert [counted(desk, q) for q in ("reports", "ads")] == [11, 9]


def test_a_deletion_by_any_id_of_a_person_keeps_the_person_out_even_where_the_links_are_gone(
    new_desk: Callable[..., Desk],
) -> None:
    desk = new_desk()
    linked = DATASET + "links: true\n"
    desk.add(linked, **tables(), links="id,unit\n1,0\nphone,1\n")
    desk.approve({"query": "reports"} | QUERIES["reports"])
    assert counted(desk, "reports") == 11
    desk.workspace.datasets._people._suppressions.add("shop", "phone", request="r", now=datetime.now(UTC))
    close(desk)  # a renewal leaves out whoever is suppressed by then
    assert counted(desk, "reports") == 10
    desk.load("shop", **tables(), links="id,unit\n7,6\n")  # a stale file, and no link of theirs any more
    assert counted(desk, "reports") == 9  # 6 and 7 are one; 0 and 1 stay out
