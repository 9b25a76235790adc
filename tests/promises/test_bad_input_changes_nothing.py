"""Bad input gets one clear line and changes nothing: not the ledger, not the register, not the data, not the keys."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from decimal import Decimal

import pytest
from bad_input import AREAS, CASES, DATASET, QUERY, VISITS, Deed, add, refused
from desk import ME, Desk

from dpstats.errors import FileError, Frozen, NotApproved, Unavailable
from dpstats.ledger.tokens import Identity, Role
from dpstats.settings import read_settings
from dpstats.workspace import Workspace


@pytest.fixture(scope="module")
def desk(new_desk: Callable[..., Desk]) -> Desk:
    desk = new_desk()
    desk.add(DATASET, visits=VISITS, areas=AREAS)
    desk.approve(QUERY)
    desk.submit(QUERY.replace("query: spend", "query: waiting"))
    desk.ask("spend")
    return desk


@pytest.mark.parametrize("what", CASES)
def test_bad_input_gets_one_line_that_says_what_is_wrong_and_changes_nothing(desk, what):
    deed, saying = CASES[what]
    refused(desk, deed, saying=saying)


def test_after_all_that_the_same_release_is_given_as_before(desk):
    assert desk.ask("spend")["replayed"] is True
    assert desk.ask("spend", least=1)["replayed"] is False
    assert desk.workspace.budgets.verify(ME).ok


@pytest.mark.parametrize("role", [Role.ANALYST, Role.JOB, Role.COLLECTOR])
def test_a_role_that_may_not_changes_nothing(desk, role):
    somebody = Identity("tok_x", "somebody", role, (), None)
    workspace = desk.workspace
    deeds: list[Deed] = [
        lambda desk: workspace.datasets.add(somebody, desk.folder / "dataset.yaml", {}),
        lambda desk: workspace.datasets.load(somebody, "shop", {}),
        lambda desk: workspace.review.submit(somebody, desk.folder / "spend.yaml"),
        lambda desk: workspace.review.approve(somebody, "waiting"),
        lambda desk: workspace.review.revoke(somebody, "spend"),
        lambda desk: workspace.budgets.grant(somebody, "shop", rho=Decimal(1), reason="greed"),
        lambda desk: workspace.budgets.freeze(somebody, "shop", frozen=True),
        lambda desk: workspace.budgets.entries(somebody, "shop"),
        lambda desk: workspace.budgets.verify(somebody),
        lambda desk: workspace.tokens.create(somebody, "mine", "steward"),
        lambda desk: workspace.tokens.all(somebody),
    ]
    for deed in deeds:
        refused(desk, deed, saying=f"role {role} may not")


def test_who_may_not_see_a_dataset_is_told_that_it_is_not_there(desk):
    stranger = Identity("tok_x", "stranger", Role.STEWARD, ("elsewhere",), None)
    refused(desk, lambda desk: desk.ask("spend", identity=stranger), saying="no query named 'spend'")
    refused(desk, lambda desk: desk.workspace.datasets.one(stranger, "shop"), saying="no dataset named 'shop'")
    refused(desk, lambda desk: desk.workspace.review.one(stranger, "spend"), saying="no query named 'spend'")


def test_an_edited_query_is_refused_until_it_is_approved_and_its_old_answers_with_it(new_desk):
    desk = new_desk()
    desk.add(DATASET, visits=VISITS, areas=AREAS)
    desk.approve(QUERY)
    desk.ask("spend")
    desk.submit(QUERY.replace("bounds: {spend: [0, 100]}", "bounds: {spend: [0, 10]}"))
    refused(desk, lambda desk: desk.ask("spend"), saying="spend is not approved")
    desk.workspace.review.approve(ME, "spend")
    assert desk.ask("spend")["replayed"] is False


def test_an_edited_dataset_file_whose_data_do_not_fit_is_refused_whole(desk):
    """The file and its data are taken together or not at all."""
    wider = DATASET.replace("day: {type: date}", "day: {type: date}\n      more: {type: bigint}")
    refused(desk, add(wider), saying="more")
    assert "more" not in desk.workspace.datasets.one(ME, "shop")["tables"]["visits"]["columns"]


def test_a_source_that_is_not_listed_is_never_loaded(desk):
    """Columns that dataset.yaml does not name leave no trace in the data version."""
    secret = "never-to-be-loaded-" + "x" * 20
    desk.load("shop", visits=VISITS | {"email": [secret] * 3})
    for path in desk.home.rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes()


def test_a_damaged_bounding_key_is_refused_when_the_workspace_opens(new_desk):
    desk = new_desk()
    (desk.home / "bounding.key").write_bytes(b"short")
    with pytest.raises(FileError, match=r"bounding\.key: must hold 32 bytes"):
        desk.reopen()


def test_workspaces_that_open_at_once_share_one_bounding_key(tmp_path):
    with ThreadPoolExecutor(8) as threads:
        opened = list(threads.map(lambda _: Workspace.open(read_settings(home=tmp_path / "home")), range(8)))
    keys = {workspace.datasets._key for workspace in opened}
    for workspace in opened:
        workspace.close()
    assert keys == {(tmp_path / "home" / "bounding.key").read_bytes()}
    assert (tmp_path / "home" / "bounding.key").stat().st_mode & 0o777 == 0o600


def test_a_load_that_does_not_come_to_be_known_leaves_no_data_behind(new_desk):
    desk = new_desk()
    desk.add(DATASET, visits=VISITS, areas=AREAS)
    before = list((desk.home / "data").rglob("*.duckdb"))

    def break_the_ledger(_what: str, done: float) -> None:
        if done == 1:
            with closing(sqlite3.connect(desk.home / "ledger.db")) as ledger:
                ledger.execute("DROP TABLE data_versions")

    with pytest.raises(Unavailable):
        desk.workspace.datasets.load(ME, "shop", desk.sources({"visits": VISITS}), progress=break_the_ledger)
    assert list((desk.home / "data").rglob("*.duckdb")) == before


def test_a_file_error_names_file_line_and_key(desk):
    with pytest.raises(FileError) as told:
        desk.submit(QUERY.replace("  least: {type: integer, min: 0", "  least: {type: integer, min: zero"))
    assert told.value.line == 10
    assert "spend.yaml:10: parameters.least.min" in str(told.value)


def test_a_revoked_query_gives_nothing_not_even_replays(new_desk):
    desk = new_desk()
    desk.add(DATASET, visits=VISITS, areas=AREAS)
    desk.approve(QUERY)
    release = desk.ask("spend")
    desk.workspace.review.revoke(ME, "spend")
    for ask in (
        lambda desk: desk.ask("spend"),
        lambda desk: desk.workspace.releases.earlier(ME, release["release_id"]),
    ):
        with pytest.raises(NotApproved):
            ask(desk)


def test_a_frozen_dataset_tells_nothing_not_even_what_an_answer_would_cost(new_desk):
    desk = new_desk()
    desk.add(DATASET, visits=VISITS, areas=AREAS)
    desk.approve(QUERY)
    desk.workspace.budgets.freeze(ME, "shop", frozen=True)
    for ask in (lambda: desk.workspace.releases.preview(ME, "spend", {}), lambda: desk.ask("spend")):
        with pytest.raises(Frozen):
            ask()
    assert desk.spent("shop") == 0
