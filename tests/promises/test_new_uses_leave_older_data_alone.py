"""A purpose that is newer than the data reaches only rows collected since, and people who agreed since."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest
from desk import ME, Desk
from exact_changes import check_moved, pairs_of

from dpstats.catalog.dataset import parse_dataset
from dpstats.errors import Conflict, ConsentUnknown
from dpstats.rights.intake import Wish
from dpstats.rights.notice import Business, notice_of

BEFORE = """
dataset: shop
privacy_unit: person
budget: {epsilon: 1000.0, delta: 1.0e-6}
purposes:
  measurement: {title: Reports, consent: notice}
tables:
  visits:
    retention_by: day
    columns:
      person: {type: bigint, purposes: [measurement]}
      day: {type: date, purposes: [measurement]}
      spent: {type: double, bounds: [0, 100], purposes: [measurement]}
  members:
    one_row_per_unit: true
    columns:
      person: {type: bigint, purposes: [measurement]}
      town: {type: varchar, values: [Ash, Elm], purposes: [measurement]}
"""
PEOPLE = range(6)
OLD, NEW = date(2026, 1, 5), date(2026, 4, 5)
SINCE = "needs_consent_since: 2026-03-01"
VISITS = {
    "person": [*PEOPLE, 4, 5],
    "day": [OLD] * 6 + [NEW, None],
    "spent": [float(2**p) for p in (*PEOPLE, 4, 5)],
}
MEMBERS = {"person": list(PEOPLE), "town": ["Ash"] * 6}
SPEND = {
    "query": "planned",
    "dataset": "shop",
    "purpose": "planning",
    "sql": "SELECT COUNT(*) AS visits FROM visits",
    "bounds": {"visits": [0, 5]},
    "cost": {"rho": 1.0},
}
TOWNS = {
    "query": "towns",
    "dataset": "shop",
    "purpose": "planning",
    "sql": "SELECT town, COUNT(*) AS members FROM members GROUP BY town",
    "cost": {"rho": 1.0},
}


def after(purpose: str) -> str:
    """The file with a second purpose, which every column may be read for."""
    both = BEFORE.replace("[measurement]", "[measurement, planning]")
    return both.replace("tables:", f"  planning: {purpose}\ntables:", 1)


@pytest.fixture
def shop(new_desk: Callable[..., Desk]) -> Desk:
    desk = new_desk()
    desk.add(BEFORE, visits=VISITS, members=MEMBERS)
    return desk


def use(desk: Desk, purpose: str) -> None:
    desk.workspace.datasets.register(ME, after(purpose), "dataset.yaml")


def say(desk: Desk, person: int, decision: str, at: str, **more: str) -> str | None:
    event_id = more.pop("event_id", f"{decision} {at}")
    wish = Wish(person, "planning", decision, event_id, observed_at=at, **more)
    return desk.workspace.consent.send(ME, [("shop", wish)])[0]["nonce"]


def counted(desk: Desk, query: str) -> int:
    return int(sum(desk.truth(desk.plan(query))[0]))


@pytest.mark.parametrize("purpose", ["{consent: notice}", "{consent: always}", "{consent: opt_out}"])
def test_a_use_of_data_that_are_there_is_refused_until_the_file_says_what_holds_for_them(
    shop: Desk, purpose: str
) -> None:
    with pytest.raises(
        Conflict, match=r"members\.person.*visits\.spent may now be read for planning.*needs_consent_since"
    ):
        use(shop, purpose)
    with pytest.raises(Conflict, match="may now be read for planning"):
        shop.add(after(purpose), visits=VISITS, members=MEMBERS)
    use(shop, purpose.replace("}", f", {SINCE}}}"))


@pytest.mark.parametrize("purpose", ["{consent: opt_in}", "{consent: notice, needs_consent_since: compatible}"])
def test_a_new_use_that_asks_everybody_or_that_people_could_expect_needs_no_day(shop: Desk, purpose: str) -> None:
    use(shop, purpose)


def test_a_day_is_not_taken_back_or_made_earlier(shop: Desk) -> None:
    use(shop, f"{{consent: notice, {SINCE}}}")
    for looser in ("{consent: notice}", "{consent: notice, needs_consent_since: 2026-02-28}"):
        with pytest.raises(Conflict, match="no longer need consent for data from before 2026-03-01"):
            use(shop, looser)
    use(shop, "{consent: notice, needs_consent_since: 2026-03-02}")


def test_older_rows_and_rows_of_no_known_day_need_an_opt_in_of_that_day_or_later(shop: Desk) -> None:
    use(shop, f"{{consent: notice, {SINCE}}}")
    for query in (SPEND, TOWNS):
        shop.approve(query)
    with pytest.raises(ConsentUnknown):  # nothing before an epoch knows of the purpose
        shop.ask("planned")
    shop.workspace.epochs.close(ME)
    assert [counted(shop, "planned"), counted(shop, "towns")] == [1, 0]  # person 4's row of April
    say(shop, 0, "opt_in", "2026-02-28T12:00:00Z")
    say(shop, 1, "opt_in", "2026-03-01T12:00:00Z")
    say(shop, 2, "opt_in", "2026-03-02T12:00:00Z")
    say(shop, 2, "withdraw", "2026-03-03T12:00:00Z")
    say(shop, 5, "opt_in", "2026-03-02T12:00:00Z")
    assert [counted(shop, "planned"), counted(shop, "towns")] == [1, 0]  # not before the next epoch
    shop.workspace.epochs.close(ME)
    assert [counted(shop, "planned"), counted(shop, "towns")] == [4, 2]  # 1, 4's newer row, both of 5; 1 and 5
    assert "rows from before 2026-03-01 only of units that opted in since" in str(shop.plan("planned").proof)


def test_a_time_that_no_calendar_has_is_not_newer(shop: Desk) -> None:
    use(shop, f"{{consent: notice, {SINCE}}}")
    shop.approve(SPEND)
    shop.load("shop", visits="person,day,spent\n1,infinity,1\n2,-infinity,1\n3,2026-03-01,1\n4,2026-02-28,1\n")
    shop.workspace.epochs.close(ME)
    assert counted(shop, "planned") == 1  # person 3's


def test_a_refusal_still_counts_for_newer_rows(shop: Desk) -> None:
    use(shop, f"{{consent: opt_out, {SINCE}}}")
    shop.approve(SPEND)
    say(shop, 1, "opt_in", "2026-03-02T12:00:00Z")
    say(shop, 4, "opt_out", "2026-03-02T12:00:00Z")
    shop.workspace.epochs.close(ME)
    assert counted(shop, "planned") == 1  # person 1's


def test_another_day_answers_nothing_until_an_epoch_goes_by_it(shop: Desk) -> None:
    use(shop, f"{{consent: notice, {SINCE}}}")
    shop.approve(SPEND)
    shop.workspace.epochs.close(ME)
    first = shop.ask("planned")["query_version"]
    use(shop, "{consent: notice, needs_consent_since: 2026-05-01}")
    assert shop.approve(SPEND) != first
    with pytest.raises(ConsentUnknown):
        shop.ask("planned")
    findings = [str(finding) for finding in shop.workspace.doctor.findings(ME)]
    assert any("no consent epoch was closed for its data" in finding for finding in findings)
    shop.workspace.epochs.close(ME)
    assert counted(shop, "planned") == 0


def test_one_person_with_rows_and_consent_moves_an_answer_by_no_more_than_it_is_priced_for(shop: Desk) -> None:
    """Of person 4, one row is older and one newer: with consent both count, without it one, and without rows none."""
    use(shop, f"{{consent: notice, {SINCE}}}")
    shop.approve(SPEND)
    shop.workspace.epochs.close(ME)
    plan = shop.plan("planned")
    groups = tuple(plan.declared_groups())
    rows_alone = shop.truth(plan)
    say(shop, 4, "opt_in", "2026-03-02T12:00:00Z")
    shop.workspace.epochs.close(ME)
    both = shop.truth(plan)
    kept = [place for place, person in enumerate(VISITS["person"]) if person != 4]
    shop.load("shop", visits={name: [cells[place] for place in kept] for name, cells in VISITS.items()})
    neither = shop.truth(plan)
    assert [int(sum(each[0])) for each in (neither, rows_alone, both)] == [0, 1, 2]
    for one, other in ((both, rows_alone), (both, neither), (rows_alone, neither)):
        check_moved(plan, pairs_of(plan, (groups, one), (groups, other)))


def test_the_notice_tells_people_of_it() -> None:
    def says(purpose: str) -> str:
        dataset = parse_dataset(after(purpose), "dataset.yaml")
        told = notice_of(Business(), [dataset])["datasets"][0]["purposes"]
        return next(each["says"] for each in told if each["purpose"] == "planning")

    assert says(f"{{consent: notice, {SINCE}}}").endswith(
        "; data from before 2026-03-01 only if you said yes on that day or later"
    )
    assert "newer than some of the data" in says("{consent: notice, needs_consent_since: compatible}")
