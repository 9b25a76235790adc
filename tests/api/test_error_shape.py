"""Every error has one shape, whoever raised it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing

import httpx
import pytest
from api_town import ME, Town

from dpstats import errors
from dpstats.api import problems
from dpstats.errors import FileError, LedgerBroken, LockdownFailed, RateLimited, SelfTestFailed

MEDIA_TYPE = "application/problem+json"
FIELDS = ["type", "title", "status", "detail", "instance"]
RUN = "/v1/queries/spend_by_band/releases"
JSON = {"Content-Type": "application/json"}


def exhausted(town: Town) -> httpx.Response:
    town.run("costly", json={"reuse": "never"})
    return town.run("costly", json={"reuse": "never"})


def frozen(town: Town) -> httpx.Response:
    town.workspace.budgets.freeze(ME, "town", frozen=True)
    return town.run()


def used_key(town: Town) -> httpx.Response:
    town.run(headers={"Idempotency-Key": "k"})
    return town.run(headers={"Idempotency-Key": "k"}, json={"parameters": {"since": "2017-02-01"}})


def refused(town: Town) -> httpx.Response:
    """A public table whose values cannot be keys: they hold a character that turns text around."""
    odd = town.files.parent / "odd.csv"
    odd.write_text("shop\ncorner\n\u202emarket\n", encoding="utf-8")
    town.workspace.datasets.load(ME, "town", {"shops": odd})
    return town.run("by_shop")


def ledger_gone(town: Town) -> httpx.Response:
    with closing(sqlite3.connect(town.workspace.home / "ledger.db")) as other:
        other.execute("DROP TABLE datasets")
    return town.ask("GET", "/health/ready")


def unexpected(town: Town) -> httpx.Response:
    def boom() -> None:
        raise RuntimeError("a row was 51907")

    town.app.add_api_route("/v1/boom", boom)
    return town.ask("GET", "/v1/boom", role="analyst")


WAYS: dict[str, Callable[[Town], httpx.Response]] = {
    "foreign-form": lambda town: town.ask("POST", "/sign-in", data={"token": "dps_unknown"}),
    "bad-request": lambda town: town.run(content=b"{", headers=JSON),
    "unauthorized": lambda town: town.ask("GET", "/v1/datasets"),
    "forbidden": lambda town: town.ask("GET", "/v1/datasets/town/ledger", role="analyst"),
    "not-found": lambda town: town.run("nope"),
    "method-not-allowed": lambda town: town.ask("DELETE", "/health/live"),
    "not-acceptable": lambda town: town.run(headers={"Accept": "text/html"}),
    "not-approved": lambda town: town.run("draft"),
    "budget-exhausted": exhausted,
    "frozen": frozen,
    "idempotency-conflict": used_key,
    "conflict": lambda town: town.ask(
        "POST", "/v1/queries/draft/approvals", role="steward", json={"version": f"sha256:{'0' * 64}"}
    ),
    "query-refused": refused,
    "too-large": lambda town: town.run(content=b" " * (1024 * 1024 + 1), headers=JSON),
    "unsupported-media-type": lambda town: town.run(content=b"{}"),
    "invalid-parameters": lambda town: town.run(json={"parameters": {"since": "yesterday"}}),
    "internal-error": unexpected,
    "unavailable": ledger_gone,
}
CARRIED = {
    "budget-exhausted": {"scope": "dataset", "measure": "rho", "requested": 0.5, "remaining": 0.110220391502},
    "frozen": {"dataset": "town"},
    "invalid-parameters": {"problems": {"since": "must be a date YYYY-MM-DD, not 'yesterday'"}},
}


def check_shape(answer: httpx.Response, slug: str) -> None:
    body = answer.json()
    assert answer.headers["Content-Type"] == MEDIA_TYPE
    assert list(body)[:5] == FIELDS
    assert body["type"] == f"/problems/{slug}"
    assert body["status"] == answer.status_code == problems.KINDS[slug].status
    assert body["title"] == problems.KINDS[slug].title
    assert body["instance"] == answer.request.url.path
    assert body["detail"].strip()
    assert "\n" not in body["detail"]
    assert answer.headers["Cache-Control"] == "no-store"


def test_every_kind_of_problem_but_the_rate_limit_has_a_way_to_it() -> None:
    assert set(WAYS) == set(problems.KINDS) - {"rate-limited"}


@pytest.mark.parametrize("slug", WAYS)
def test_every_problem_has_the_one_shape(town: Town, slug: str) -> None:
    answer = WAYS[slug](town)
    check_shape(answer, slug)
    assert CARRIED.get(slug, {}).items() <= answer.json().items()
    assert ("WWW-Authenticate" in answer.headers) == (slug == "unauthorized")
    assert answer.headers.get("Retry-After") == ("1" if slug == "unavailable" else None)


@pytest.mark.parametrize(
    "path", ["/nope", "/v1/nope", "/v1/datasets/", "/v1/releases/a/b", "/health", "/problems/nope"]
)
def test_an_unknown_address_has_the_same_shape(quiet_town: Town, path: str) -> None:
    check_shape(quiet_town.ask("GET", path, role="analyst"), "not-found")


def test_the_path_of_a_problem_is_an_address_even_where_names_are_not(quiet_town: Town) -> None:
    answer = quiet_town.ask("GET", "/v1/queries/%22%0A%3Cb%3E%C3%A9", role="analyst")
    assert answer.json()["instance"] == "/v1/queries/%22%0A%3Cb%3E%C3%A9"


def test_the_contract_s_status_codes_stand() -> None:
    contract = {
        "unauthorized": 401,
        "forbidden": 403,
        "not-found": 404,
        "not-approved": 409,
        "invalid-parameters": 422,
        "budget-exhausted": 409,
        "frozen": 409,
        "idempotency-conflict": 409,
        "rate-limited": 429,
        "unavailable": 503,
    }
    assert {slug: problems.KINDS[slug].status for slug in contract} == contract


def test_a_rate_limit_says_when_to_come_back() -> None:
    problem = problems.problem_of(RateLimited(7))
    assert problem is not None
    assert (problem.status, problem.headers) == (429, {"Retry-After": "7"})


@pytest.mark.parametrize(
    "error", [LedgerBroken("entry 3 was changed"), LockdownFailed("read_blob"), SelfTestFailed("the clock")]
)
def test_what_waiting_does_not_mend_asks_nobody_to_try_again(error: Exception) -> None:
    problem = problems.problem_of(error)
    assert problem is not None
    assert (problem.slug, problem.headers) == ("unavailable", {})


def test_a_file_of_the_server_is_nobody_s_business_outside() -> None:
    problem = problems.problem_of(FileError("/srv/home/data/v.duckdb", "is not a data version"))
    assert problem is not None
    assert problem.slug == "unavailable"
    assert "/srv" not in problem.detail


def test_an_exception_that_is_not_ours_has_no_problem() -> None:
    assert problems.problem_of(RuntimeError("x")) is None


def test_every_error_of_the_tree_has_a_kind() -> None:
    slugs = {
        kind.slug
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.DpstatsError) and kind is not FileError
    }
    assert slugs <= set(problems.KINDS)
