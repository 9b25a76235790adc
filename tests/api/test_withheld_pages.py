"""What pages show of a group that is below its floor: that it is withheld, and never that it is noisy."""

from __future__ import annotations

from pathlib import Path

from api_town import ME, Town

DATASET = """
dataset: club
privacy_unit: member
budget: {epsilon: 900.0, delta: 1.0e-6}
smallest_group: 100
tables:
  members:
    one_row_per_unit: true
    columns:
      member: {type: bigint}
      plan: {type: varchar, values: [basic, plus, rare]}
      paid: {type: double, bounds: [0, 10]}
"""
QUERY = """
query: paid_by_plan
dataset: club
sql: SELECT plan, COUNT(DISTINCT member) AS members, SUM(paid) AS paid FROM members GROUP BY plan
keys: {plan: {values: [basic, plus, rare]}}
cost: {rho: 2}
"""
SIZES = {"basic": 400, "plus": 600, "rare": 7}


def test_pages_charts_comparisons_and_the_public_report_know_what_is_withheld(quiet_town: Town, tmp_path: Path) -> None:
    workspace = quiet_town.workspace
    dataset, query, members = (tmp_path / name for name in ("club.yaml", "paid_by_plan.yaml", "members.csv"))
    dataset.write_text(DATASET)
    query.write_text(QUERY)
    plans = [plan for plan, size in SIZES.items() for _ in range(size)]
    members.write_text("member,plan,paid\n" + "".join(f"{n},{plan},5\n" for n, plan in enumerate(plans)))
    workspace.datasets.add(ME, dataset, {"members": members})
    workspace.review.submit(ME, query)
    workspace.review.approve(ME, "paid_by_plan")
    sent = quiet_town.run("paid_by_plan").json()
    place = next(place for place, row in enumerate(sent["rows"]) if row["plan"] == "rare")
    assert sent["smallest_group"] == {"floor": 100, "counted_by": "members", "withheld": 1}
    address = f"/releases/{sent['release_id']}"
    with quiet_town.browser(quiet_town.token()) as browser:
        page = browser.get(address).text
        assert page.count("withheld (below 100)") == len(sent["measures"])
        assert "1 of 3 groups is withheld" in page
        assert browser.get(f"{address}/chart/paid.svg").status_code == 200
        asked = {"left": sent["release_id"], "a": place, "b": (place + 1) % 3, "measure": "paid"}
        assert "<b>rare</b> is withheld, as a group of too few people" in browser.get("/compare", params=asked).text
        assert "smallest_group 100: where" in browser.get("/queries/paid_by_plan").text
    (club,) = (d for d in quiet_town.ask("GET", "/v1/transparency").json()["datasets"] if d["dataset"] == "club")
    assert [query["smallest_group"] for query in club["queries"]] == [100]
    assert "Groups whose noisy count is below 100 are withheld." in quiet_town.ask("GET", "/transparency").text


def test_no_page_or_check_cites_what_was_released_before_a_floor_was_declared(quiet_town: Town, tmp_path: Path) -> None:
    workspace = quiet_town.workspace
    told = DATASET.replace("club", "gym").replace("smallest_group: 100\n", "")
    text = "query: rare\ndataset: gym\nsql: SELECT COUNT(DISTINCT member) AS members FROM members\ncost: {rho: 2}\n"
    dataset, query, members = (tmp_path / name for name in ("gym.yaml", "rare.yaml", "members.csv"))
    dataset.write_text(told)
    query.write_text(text)
    members.write_text("member,plan,paid\n" + "".join(f"{n},rare,5\n" for n in range(7)))
    workspace.datasets.add(ME, dataset, {"members": members})

    def cited() -> list[bool]:
        workspace.review.submit(ME, query)
        workspace.review.approve(ME, "rare")
        with quiet_town.browser(quiet_town.token()) as browser:
            page = browser.get("/queries/rare").text
        checked = workspace.review.check_file(query)
        return ["showed about" in page, any("showed about" in line for line in (*checked.notes, *checked.advice))]

    assert cited() == [False, False]
    quiet_town.run("rare")
    assert cited() == [True, True]
    workspace.datasets.register(ME, told.replace("budget:", "smallest_group: 100\nbudget:"), "gym.yaml")
    assert cited() == [False, False]
