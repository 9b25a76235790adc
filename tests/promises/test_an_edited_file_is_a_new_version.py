"""An approval is for what was read: any edit that could change an answer or its price makes a version nobody approved.

Comments, layout and parts of the dataset that the query does not read change nothing; an edit taken back finds the old
approval, and with it the old releases, again.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from desk import ME, Desk

from dpstats.errors import Conflict, NotApproved, NotLoaded, QueryRefused

DATASET = """
dataset: shop
title: A shop
privacy_unit: person
budget: {epsilon: 50.0, delta: 1.0e-6}
max_rows_per_unit: 100
purposes:
  measurement: {title: Reports, consent: notice}
tables:
  visits:
    columns:
      person: {type: bigint, why: joins}
      kind: {type: varchar, values: [a, b]}
      amount: {type: double, bounds: [0, 100], unit: USD, why: spend}
      other: {type: bigint, bounds: [0, 5]}
  members:
    one_row_per_unit: true
    columns:
      person: {type: bigint}
      tier: {type: varchar, values: [gold, tin]}
  areas: {public: true, columns: {kind: {type: varchar}, area: {type: bigint}, note: {type: varchar}}}
  spare: {public: true, columns: {x: {type: bigint}}}
"""
QUERY = """
query: spend
dataset: shop
title: Spend
sql: |
  SELECT m.tier, a.area, SUM(v.amount) AS spend, COUNT(*) AS n
  FROM visits v JOIN members m USING (person) JOIN areas a ON a.kind = v.kind
  WHERE v.amount > $least AND v.kind <> $but GROUP BY m.tier, a.area
parameters:
  least: {type: integer, min: 0, max: 50, default: 1}
  but: {type: enum, values: [x, y], default: x}
keys: {area: {values: [1, 2]}}
bounds: {spend: [0, 200], n: [0, 4]}
contribution: {max_groups: 2, max_rows: 5}
cost: {rho: 0.01}
fresh_for: 20d
"""
TABLES = {
    "visits": {"person": [1, 2, 3], "kind": ["a", "b", "a"], "amount": [1.0, 2.0, 300.0], "other": [1, 2, 3]},
    "members": {"person": [1, 2, 3], "tier": ["gold", "tin", "gold"]},
    "areas": {"kind": ["a", "b"], "area": [1, 2], "note": ["x", "y"]},
    "spare": {"x": [1]},
}

QUERY_EDITS = {
    "the title": ("title: Spend", "title: Spending"),
    "a description": ("title: Spend", "title: Spend\ndescription: what they spend"),
    "a tag": ("title: Spend", "title: Spend\ntags: [new]"),
    "a reason": ("title: Spend", "title: Spend\nwhy: {spend: we want to know}"),
    "a measure": ("COUNT(*) AS n", "COUNT(*) AS n, COUNT(DISTINCT v.person) AS people"),
    "a measure's name": ("AS spend", "AS spent|spend: [|spent: ["),
    "a measure's expression": ("SUM(v.amount)", "SUM(v.amount + 1)"),
    "a join": ("JOIN areas a", "LEFT JOIN areas a"),
    "a condition": ("v.amount > $least", "v.amount >= $least"),
    "a literal": ("v.kind <> $but", "v.kind <> 'x'"),
    "the order of keys": ("m.tier, a.area, SUM", "a.area, m.tier, SUM"),
    "a parameter's low end": ("min: 0", "min: 1"),
    "a parameter's high end": ("max: 50", "max: 51"),
    "a parameter's default": ("default: 1", "default: 2"),
    "a parameter's choices": ("values: [x, y]", "values: [x, y, a]"),
    "a key's values": ("values: [1, 2]", "values: [1, 2, 3]"),
    "where a key's values are": ("area: {values: [1, 2]}", "area: {from: areas.area}"),
    "a bound": ("spend: [0, 200]", "spend: [0, 201]"),
    "the bound of a count": ("n: [0, 4]", "n: [0, 5]"),
    "groups of a person": ("max_groups: 2", "max_groups: 1"),
    "rows of a person": ("max_rows: 5", "max_rows: 6"),
    "the price": ("rho: 0.01", "rho: 0.02"),
    "how the price is said": ("rho: 0.01", "epsilon: 0.2"),
    "how long a release is free": ("fresh_for: 20d", "fresh_for: 21d"),
    "how long by default": ("fresh_for: 20d\n", ""),
}
LAYOUT = {
    "a comment in the file": ("title: Spend", "title: Spend  # reviewed on Monday"),
    "a comment in the SQL": ("GROUP BY", "/* by tier */ GROUP BY"),
    "a line comment in the SQL": ("USING (person)", "USING (person) -- one row each\n "),
    "blank lines": ("parameters:", "\n\nparameters:"),
    "line breaks in the SQL": ("AS spend, COUNT", "AS spend,\n      COUNT"),
    "quotes": ("title: Spend", 'title: "Spend"'),
    "a number's spelling": ("rho: 0.01", "rho: 1.0e-2"),
    "the order of parameters' fields": ("min: 0, max: 50", "max: 50, min: 0"),
    "a mapping's style": ("bounds: {spend: [0, 200], n: [0, 4]}", "bounds:\n  n: [0, 4]\n  spend: [0, 200]"),
}
DATASET_EDITS = {
    "a bound": ("bounds: [0, 100]", "bounds: [0, 101]"),
    "a bound away": ("bounds: [0, 100], unit", "unit"),
    "a type": ("amount: {type: double", "amount: {type: 'decimal(18,2)'"),
    "a public column's type": ("area: {type: bigint}", "area: {type: integer}"),
    "a unit of measurement": ("unit: USD", "unit: EUR"),
    "a key's values": ("values: [gold, tin]", "values: [gold, tin, lead]"),
    "the values of a filter's column": ("values: [a, b]", "values: [a, b, c]"),
    "rows of a unit": ("max_rows_per_unit: 100", "max_rows_per_unit: 10"),
    "one row of a unit": ("    one_row_per_unit: true\n", ""),
    "a table made public": (
        "one_row_per_unit: true\n    columns:\n      person: {type: bigint}\n",
        "public: true\n    columns:\n",
    ),
    "a column's purposes": ("unit: USD", "unit: USD, purposes: [measurement]"),
    "a column's category": ("unit: USD", "unit: USD, category: commercial_information"),
    "a column's sensitivity": ("tier: {type: varchar", "tier: {sensitive: true, type: varchar"),
    "a purpose's consent": ("consent: notice", "consent: opt_in"),
    "the purposes": ("measurement: {", "ads: {title: Ads, consent: opt_in}\n  measurement: {"),
}
UNRELATED = {
    "the title": ("title: A shop", "title: The shop"),
    "a description": ("title: A shop", "title: A shop\ndescription: on the corner"),
    "a purpose's title": ("title: Reports", "title: Sales reports"),
    "a reason": ("why: spend", "why: what they pay"),
    "a column that is not read": ("bounds: [0, 5]", "bounds: [0, 6]"),
    "its type": ("other: {type: bigint", "other: {type: integer"),
    "a public column that is not read": ("note: {type: varchar}", "note: {type: varchar, values: [x]}"),
    "a table that is not read": ("x: {type: bigint}", "x: {type: integer}"),
    "how long releases are free by default": ("title: A shop", "title: A shop\nfresh_for: 3d"),
    "a comment": ("title: A shop", "title: A shop # on the corner"),
    "the order of columns": (
        "area: {type: bigint}, note: {type: varchar}",
        "note: {type: varchar}, area: {type: bigint}",
    ),
}


def _edited(text: str, edit: tuple[str, str]) -> str:
    """The text with an edit, (old, new); `new|old|new` makes a second one."""
    old, new = edit
    new, *second = new.split("|")
    assert text.count(old) >= 1, old
    text = text.replace(old, new, 1)
    return _edited(text, (second[0], second[1])) if second else text


@pytest.fixture
def approved(new_desk: Callable[..., Desk]) -> Desk:
    desk = new_desk()
    desk.add(DATASET, **TABLES)
    desk.approve(QUERY)
    return desk


def _gives_nothing(desk: Desk) -> None:
    """Neither a new answer, nor a replay, nor a preview; and nothing is charged."""
    before = desk.spent("shop")
    doors: list[Callable[[], object]] = [
        lambda: desk.ask("spend"),
        lambda: desk.ask("spend", fresh=True),
        lambda: desk.workspace.releases.preview(ME, "spend", {}),
    ]
    for ask in doors:
        with pytest.raises(NotApproved):
            ask()
    assert desk.workspace.review.all(ME, approved_only=True) == []
    assert desk.workspace.review.one(ME, "spend")["approved"] is False
    assert desk.spent("shop") == before


def _gives_it_again(desk: Desk, release: dict[str, object]) -> None:
    """The release that was made before, free."""
    again = desk.ask("spend")
    assert again["replayed"] is True
    assert again["release_id"] == release["release_id"]
    assert again["query_version"] == release["query_version"]


@pytest.fixture(scope="module")
def shared(new_desk: Callable[..., Desk]) -> tuple[Desk, dict[str, object]]:
    """An approved query with a release, left as it was found by every test."""
    desk = new_desk()
    desk.add(DATASET, **TABLES)
    desk.approve(QUERY)
    return desk, desk.ask("spend")


@pytest.mark.parametrize("what", QUERY_EDITS)
def test_an_edit_of_the_query_is_not_approved_and_taken_back_it_is_again(shared, what):
    desk, release = shared
    version = desk.submit(_edited(QUERY, QUERY_EDITS[what]))
    assert version != release["query_version"]
    _gives_nothing(desk)
    assert desk.submit(QUERY) == release["query_version"]
    _gives_it_again(desk, release)


@pytest.mark.parametrize("what", LAYOUT)
def test_comments_and_layout_of_the_query_change_nothing(shared, what):
    desk, release = shared
    assert desk.submit(_edited(QUERY, LAYOUT[what])) == release["query_version"]
    _gives_it_again(desk, release)


@pytest.mark.parametrize("what", DATASET_EDITS)
def test_an_edit_of_what_the_query_reads_is_not_approved_and_taken_back_it_is_again(shared, what):
    desk, release = shared
    desk.add(_edited(DATASET, DATASET_EDITS[what]), **TABLES)
    _gives_nothing(desk)
    desk.add(DATASET, **TABLES)
    _gives_it_again(desk, release)


@pytest.mark.parametrize("what", UNRELATED)
def test_an_edit_of_what_the_query_does_not_read_keeps_its_approval(shared, what):
    desk, release = shared
    desk.add(_edited(DATASET, UNRELATED[what]), **TABLES)
    _gives_it_again(desk, release)
    another = desk.ask("spend", least=2 + list(UNRELATED).index(what))
    assert (another["replayed"], another["query_version"]) == (False, release["query_version"])
    desk.add(DATASET, **TABLES)


def test_every_edit_makes_a_version_of_its_own(shared):
    desk, release = shared
    versions = [desk.submit(_edited(QUERY, edit)) for edit in QUERY_EDITS.values()]
    desk.submit(QUERY)
    assert len({*versions, release["query_version"]}) == len(QUERY_EDITS) + 1


def test_the_delta_that_a_price_is_converted_at_is_part_of_the_version_and_fixed_for_life(approved, new_desk):
    version = approved.workspace.review.one(ME, "spend")["query_version"]
    smaller = DATASET.replace("delta: 1.0e-6", "delta: 1.0e-7")
    other = new_desk()
    other.add(smaller, **TABLES)
    assert other.submit(QUERY) != version
    with pytest.raises(Conflict):
        approved.add(smaller, **TABLES)
    assert approved.ask("spend")["query_version"] == version


def test_an_edit_is_approved_as_it_was_read_or_not_at_all(approved):
    """A steward who read one version cannot approve another that came in between."""
    read = approved.submit(QUERY.replace("[0, 200]", "[0, 300]"))
    approved.submit(QUERY.replace("[0, 200]", "[0, 2000000]"))
    with pytest.raises(Conflict, match="stands in version"):
        approved.workspace.review.approve(ME, "spend", read)
    with pytest.raises(NotApproved):
        approved.ask("spend")


def test_an_approval_does_not_come_back_once_it_was_revoked(approved):
    approved.ask("spend")
    approved.workspace.review.revoke(ME, "spend")
    approved.submit(QUERY.replace("[0, 200]", "[0, 300]"))
    approved.submit(QUERY)
    with pytest.raises(NotApproved):
        approved.ask("spend")


def test_a_query_that_an_edit_makes_unanswerable_is_not_approved_and_cannot_be(approved):
    approved.add(
        DATASET.replace(
            "one_row_per_unit: true\n    columns:\n      person: {type: bigint}\n", "public: true\n    columns:\n"
        ),
        **TABLES,
    )
    with pytest.raises(NotApproved):
        approved.ask("spend")
    with pytest.raises(Conflict):
        approved.workspace.review.approve(ME, "spend")
    with pytest.raises(QueryRefused):
        approved.submit(QUERY)


def test_an_approval_of_one_workspace_s_query_names_the_same_version_in_another(approved, new_desk):
    """A version is the hash of what is asked, whoever asks it and whatever the data."""
    other = new_desk()
    other.add(DATASET, **(TABLES | {"members": {"person": [9], "tier": ["tin"]}}))
    assert other.submit(QUERY) == approved.workspace.review.one(ME, "spend")["query_version"]


def test_a_release_made_before_an_edit_stays_hidden_until_the_edit_is_taken_back(approved):
    release = approved.ask("spend")
    approved.approve(QUERY.replace("[0, 200]", "[0, 300]"))
    edited = approved.ask("spend")
    assert edited["replayed"] is False
    assert edited["release_id"] != release["release_id"]
    approved.submit(QUERY)
    _gives_it_again(approved, release)


def test_data_loaded_under_another_definition_answer_nothing(approved):
    """As a crash between the entry of a definition and that of its data would leave them."""
    fewer = DATASET.replace("max_rows_per_unit: 100", "max_rows_per_unit: 10")
    approved.workspace.store.registry.register_dataset("shop", fewer, "shop")
    approved.approve(QUERY)
    with pytest.raises(NotLoaded):
        approved.ask("spend")
    assert approved.spent("shop") == 0
    approved.load("shop", **TABLES)
    assert approved.ask("spend")["replayed"] is False
