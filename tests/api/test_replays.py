"""A replay that is given from memory is the one that the ledger would give: whatever was done to it, by whomever."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from api_town import ME, InMemory, Town, opened
from sqlalchemy import event

import dpstats
from dpstats.api import create_app
from dpstats.engine.versions import Engines
from dpstats.grid import NO_GRID
from dpstats.ledger.store import open_store
from dpstats.turns import Limits, Turns
from dpstats.workspace import Workspace

HERE = Path(__file__).parent
DATES = {"since": "2017-01-01", "until": "2017-02-01"}
Tell = Callable[..., None]


@contextmanager
def steward_beside(home: Path) -> Iterator[Tell]:
    """A steward in another process, who does what they are told before the call returns."""
    process = subprocess.Popen(
        [sys.executable, str(HERE / "steward_beside.py"), str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(dpstats.__file__).parents[1])},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    asked, said = process.stdin, process.stdout

    def tell(method: str, *arguments: Any, **named: Any) -> None:
        asked.write(json.dumps([method, arguments, named]) + "\n")
        asked.flush()
        assert said.readline() == "done\n"

    assert said.readline() == "ready\n"
    yield tell
    asked.close()
    process.wait(timeout=30)
    said.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, town_home: Path, town_files: Path) -> Iterator[tuple[Town, Tell]]:
    """A town, and a steward in another process: each test asks a question of its own, as a caller of its own."""
    home = Path(shutil.copytree(town_home, tmp_path_factory.mktemp("beside") / "home"))
    with opened(home, town_files) as town, steward_beside(home) as tell:
        yield town, tell


@contextmanager
def statements(town: Town) -> Iterator[list[str]]:
    """What the ledger's database is asked meanwhile."""
    seen: list[str] = []

    def see(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(town.workspace.store.engine, "before_cursor_execute", see)
    yield seen
    event.remove(town.workspace.store.engine, "before_cursor_execute", see)


def remembered(town: Town, query: str, **sent: Any) -> httpx.Response:
    """An answer that is given from memory: nothing was read for it."""
    for _ in range(20):  # a commit that comes late, of who asked what, empties the memory once more
        with statements(town) as seen:
            answer = town.run(query, **sent)
        assert answer.status_code in {200, 201}
        if answer.status_code == 200 and not seen:
            return answer
    raise AssertionError(f"it is read each time: {seen}")


def problem(answer: httpx.Response) -> str:
    return str(answer.json()["type"]).removeprefix("/problems/")


def test_a_replay_from_memory_is_the_one_that_was_read(shared: tuple[Town, Tell]) -> None:
    town, _ = shared
    town.run("by_shop", json={})
    with statements(town) as seen:
        read = town.run("by_shop", json={})
    from_memory = remembered(town, "by_shop", json={})
    assert seen
    assert from_memory.content == read.content
    own = "dpstats-request"
    assert {**from_memory.headers, own: ""} == {**read.headers, own: ""}
    assert from_memory.headers[own] != read.headers[own]


def test_each_caller_format_and_question_has_its_own(shared: tuple[Town, Tell]) -> None:
    town, _ = shared
    # Tokens first: making one is a commit, after which nothing is remembered that could be given to another.
    outsider, _ = town.token("analyst", "harbour"), town.token("collector")
    remembered(town, "by_shop", json={})
    assert problem(town.run("by_shop", role="collector", json={})) == "forbidden"
    remembered(town, "by_shop", json={})
    hidden = town.ask("POST", "/v1/queries/by_shop/releases", token=outsider, json={})
    assert problem(hidden) == "not-found"
    assert remembered(town, "by_shop", json={}, headers={"Accept": "text/csv"}).text.startswith("note,")
    assert remembered(town, "spend_by_band", json={"parameters": DATES}).json()["parameters"] == DATES
    assert problem(town.run("by_shop", json={}, headers={"Accept": "image/png"})) == "not-acceptable"
    assert problem(town.run("by_shop", json={"parameters": {"x": 1}})) == "invalid-parameters"
    assert problem(town.run("by_shop", content=b"{}", headers={"Content-Type": "text/plain"})) != ""
    assert problem(town.ask("POST", "/v1/queries/by_shop/releases", json={})) == "unauthorized"


def test_a_new_release_and_one_under_a_key_are_never_given_from_memory(shared: tuple[Town, Tell]) -> None:
    town, _ = shared
    first, second = (town.run("by_shop", json={"reuse": "never"}) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    keyed = [town.run("by_shop", json={}, headers={"Idempotency-Key": "k"}) for _ in range(3)]
    assert {answer.json()["release_id"] for answer in keyed} == {second.json()["release_id"]}
    with statements(town) as seen:
        town.run("by_shop", json={}, headers={"Idempotency-Key": "k"})
    assert seen


def test_what_another_process_does_to_the_budget_is_in_the_next_replay(shared: tuple[Town, Tell]) -> None:
    town, tell = shared
    before = remembered(town, "by_shop").json()
    tell("budgets.grant", "town", rho=0.25, reason="more")
    granted = town.run("by_shop").json()
    assert granted["budget"]["rho"] == pytest.approx(before["budget"]["rho"] + 0.25)
    remembered(town, "by_shop")
    tell("releases.make", "spend_by_band", {}, fresh=True)
    charged = town.run("by_shop").json()
    assert charged["budget"]["rho_spent"] == pytest.approx(granted["budget"]["rho_spent"] + 0.03)
    assert charged | {"budget": None} == before | {"budget": None}


def test_a_token_that_another_process_revokes_or_rotates_ends_with_the_next_request(shared: tuple[Town, Tell]) -> None:
    town, tell = shared
    for method in ("tokens.revoke", "tokens.rotate"):
        token = town.workspace.tokens.create(ME, method, "analyst")
        remembered(town, "by_shop", role="", token=token)
        tell(method, method)
        assert problem(town.run("by_shop", role="", token=token)) == "unauthorized"


def test_a_freeze_by_another_process_holds_from_the_next_request(shared: tuple[Town, Tell]) -> None:
    town, tell = shared
    before = remembered(town, "boats")
    tell("budgets.freeze", "harbour", frozen=True)
    assert problem(town.run("boats")) == "frozen"
    tell("budgets.freeze", "harbour", frozen=False)
    assert town.run("boats").content == before.content


def test_a_release_that_another_process_withdraws_is_not_given_again(shared: tuple[Town, Tell]) -> None:
    town, tell = shared
    before = remembered(town, "boats").json()
    tell("releases.withdraw", before["release_id"], "the source was wrong")
    after = town.run("boats")
    assert after.status_code == 201
    assert after.json()["release_id"] != before["release_id"]


def test_a_query_that_another_process_revokes_is_not_answered(shared: tuple[Town, Tell]) -> None:
    town, tell = shared
    remembered(town, "spend_by_band")
    tell("review.revoke", "spend_by_band")
    assert problem(town.run("spend_by_band")) == "not-approved"


class Watch:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


@contextmanager
def timed(home: Path, files: Path, watch: Watch) -> Iterator[Town]:
    """The town by another clock."""
    store = open_store(home, watch)
    engines, key = Engines(home / "data", (home / "bounding.key").read_bytes()), (home / "bounding.key").read_bytes()
    turns = Turns(home / "turns.lock", Limits())
    with closing(Workspace(home, store, engines, key, turns=turns, grid=NO_GRID)) as workspace:
        app = create_app(workspace)
        with start_blocking_portal() as portal:
            yield Town(workspace, app, InMemory(app, portal), files)


def test_what_ends_by_itself_ends_in_memory_too(home: Path, town_files: Path) -> None:
    watch = Watch()
    began, day = watch.now, timedelta(days=1)
    with timed(home, town_files, watch) as town:
        short = town.workspace.tokens.create(ME, "short", "analyst", life=day)
        remembered(town, "by_shop", role="", token=short)
        watch.now = began + day
        assert problem(town.run("by_shop", role="", token=short)) == "unauthorized"

        before = remembered(town, "by_shop").json()
        version = before["query_version"]
        town.workspace.review.revoke(ME, "by_shop")
        town.workspace.review.approve(ME, "by_shop", version, expires_after=day)
        remembered(town, "by_shop")
        watch.now += day
        assert problem(town.run("by_shop")) == "not-approved"

        town.workspace.review.approve(ME, "by_shop", version)
        remembered(town, "by_shop")
        watch.now = began + 30 * day
        after = town.run("by_shop")
        assert after.status_code == 201
        assert after.json()["release_id"] != before["release_id"]
