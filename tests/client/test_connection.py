"""Networks fail: every failure is an error of ours, what may be sent again is, and nothing is paid twice."""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from api_town import Town

from dpstats.client import Client, errors

EVERY_HTTPX_ERROR = [
    kind
    for kind in vars(httpx).values()
    if inspect.isclass(kind) and issubclass(kind, Exception) and not issubclass(kind, Warning)
]
PROBLEM = {"Content-Type": "application/problem+json"}


class Flaky(httpx.BaseTransport):
    """A network that does what it is told for each request in turn, then goes through."""

    def __init__(self, through: httpx.BaseTransport, *first: Callable[[httpx.Request], httpx.Response]) -> None:
        self._through, self._first = through, list(first)
        self.requests: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        act = self._first.pop(0) if self._first else self._through.handle_request
        return act(request)


def lost(kind: type[Exception] = httpx.ConnectError) -> Callable[[httpx.Request], httpx.Response]:
    """The request never arrives."""

    def act(request: httpx.Request) -> httpx.Response:
        raise raised(kind, request)

    return act


def unanswered(town: Town) -> Callable[[httpx.Request], httpx.Response]:
    """The request arrives, and its answer is lost."""

    def act(request: httpx.Request) -> httpx.Response:
        town.transport.handle_request(request)
        raise httpx.ReadError("the connection broke")

    return act


def sent(status: int, headers: dict[str, str], body: object) -> Callable[[httpx.Request], httpx.Response]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return lambda request: httpx.Response(status, headers=headers, content=content, request=request)


def raised(kind: type[Exception], request: httpx.Request) -> Exception:
    if issubclass(kind, httpx.HTTPStatusError):
        return kind("status", request=request, response=httpx.Response(500, request=request))
    if issubclass(kind, httpx.StreamConsumed | httpx.StreamClosed | httpx.ResponseNotRead | httpx.RequestNotRead):
        return kind()
    return kind("it broke")


def through(town: Town, *first: Callable[[httpx.Request], httpx.Response]) -> tuple[Client, Flaky]:
    network = Flaky(town.transport, *first)
    return Client("http://town", town.token("steward"), transport=network), network


@pytest.fixture
def nowhere() -> Iterator[Callable[..., Client]]:
    """A client of a network that answers nothing else than it is told."""
    made: list[Client] = []

    def client(*first: Callable[[httpx.Request], httpx.Response]) -> Client:
        made.append(Client("http://town", "dps_x", transport=Flaky(httpx.MockTransport(lost()), *first)))
        return made[-1]

    yield client
    for one in made:
        one.close()


@pytest.mark.parametrize("kind", EVERY_HTTPX_ERROR, ids=lambda kind: kind.__name__)
def test_every_error_of_httpx_becomes_ours(nowhere: Callable[..., Client], kind: type[Exception]) -> None:
    with pytest.raises(errors.ClientError) as failed:
        nowhere(lost(kind)).grant("town", rho=1, reason="r")  # which is never sent again
    assert failed.value.status is None
    assert "http://town" in str(failed.value)
    assert "\n" not in str(failed.value)
    assert isinstance(failed.value, errors.ConnectionFailed) == issubclass(kind, httpx.TransportError)
    assert isinstance(failed.value, errors.TimedOut) == issubclass(kind, httpx.TimeoutException)


def test_the_list_of_httpx_errors_is_not_empty() -> None:
    assert len(EVERY_HTTPX_ERROR) >= 20


def test_what_did_not_arrive_is_sent_again(town: Town) -> None:
    client, network = through(town, lost(), lost(httpx.ConnectTimeout))
    with client:
        assert client.run("spend_by_band").replayed is False
    assert len(network.requests) == 3


def test_an_answer_that_was_lost_is_not_paid_twice(town: Town) -> None:
    client, network = through(town, unanswered(town), unanswered(town))
    with client:
        release = client.run("spend_by_band", reuse="never")
    assert town.charges() == 1
    assert release.replayed is True
    assert len({request.headers["Idempotency-Key"] for request in network.requests}) == 1


def test_two_runs_have_keys_of_their_own(town: Town) -> None:
    client, network = through(town)
    with client:
        client.run("spend_by_band", reuse="never")
        client.run("spend_by_band", reuse="never")
    assert town.charges() == 2
    assert len({request.headers["Idempotency-Key"] for request in network.requests}) == 2


def test_after_three_tries_the_error_is_given(town: Town) -> None:
    client, network = through(town, lost(), lost(), lost())
    with client, pytest.raises(errors.ConnectionFailed, match="is the service running there"):
        client.run("spend_by_band")
    assert len(network.requests) == 3
    assert town.charges() == 0


def test_a_connection_that_broke_is_looked_for_until_the_patience_is_over() -> None:
    network = Flaky(httpx.MockTransport(lost(httpx.ReadError)))
    impatient = Client("http://town", "dps_x", patience_s=0, transport=network)
    with impatient, pytest.raises(errors.ConnectionFailed):
        impatient.run("spend_by_band")
    assert len(network.requests) == 3


def test_a_grant_is_never_sent_twice(town: Town) -> None:
    client, network = through(town, unanswered(town))
    with client, pytest.raises(errors.ConnectionFailed):
        client.grant("town", rho=1, reason="r")
    assert len(network.requests) == 1
    assert len(town.workspace.store.ledger.entries("town")) == 2


def test_a_timeout_is_not_sent_again(town: Town) -> None:
    client, network = through(town, lost(httpx.ReadTimeout))
    with client, pytest.raises(errors.TimedOut, match="timeout_s"):
        client.run("spend_by_band")
    assert len(network.requests) == 1


def test_unavailable_is_tried_again_when_the_service_says_when(town: Town) -> None:
    busy = {"type": "/problems/unavailable", "title": "t", "status": 503, "detail": "busy", "instance": "/"}
    client, network = through(town, sent(503, PROBLEM | {"Retry-After": "0"}, busy))
    with client:
        assert client.datasets()
    assert len(network.requests) == 2
    client, network = through(town, sent(503, PROBLEM, busy))
    with client, pytest.raises(errors.Unavailable, match="busy"):
        client.datasets()
    assert len(network.requests) == 1


def test_a_token_that_asked_too_often_waits_and_asks_again(town: Town) -> None:
    later = {"type": "/problems/rate-limited", "detail": "later"}
    client, network = through(town, sent(429, PROBLEM | {"Retry-After": "0"}, later))
    with client:
        assert client.run("spend_by_band").replayed is False
    assert len(network.requests) == 2


def test_a_long_pause_is_left_to_the_caller(town: Town) -> None:
    later = {"type": "/problems/rate-limited", "detail": "later"}
    client, network = through(town, sent(429, PROBLEM | {"Retry-After": "31"}, later))
    with client, pytest.raises(errors.RateLimited) as refused:
        client.datasets()
    assert refused.value.retry_after_s == 31
    assert len(network.requests) == 1


def test_a_list_without_items_is_a_bad_answer(nowhere: Callable[..., Client]) -> None:
    with pytest.raises(errors.BadAnswer, match="items"):
        nowhere(sent(200, {"Content-Type": "application/json"}, {})).datasets()


def test_the_service_s_own_pause_is_kept(town: Town) -> None:
    busy = {"type": "/problems/unavailable", "detail": "busy"}
    client, _ = through(town, sent(503, PROBLEM | {"Retry-After": "1"}, busy))
    began = time.monotonic()
    with client:
        client.datasets()
    assert time.monotonic() - began >= 1


def test_a_refusal_is_never_sent_again(town: Town) -> None:
    client, network = through(town)
    with client, pytest.raises(errors.NotFound):
        client.run("nothing")
    assert len(network.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        sent(200, {"Content-Type": "text/html"}, b"<html>welcome</html>"),
        sent(200, {"Content-Type": "application/json"}, b"{"),
        sent(200, {"Content-Type": "application/json"}, [1, 2]),
        sent(200, {"Content-Type": "application/json"}, b"\xff"),
        sent(200, {}, b""),
        sent(302, {"Location": "https://elsewhere/"}, b""),
        sent(502, {"Content-Type": "text/html"}, b"bad gateway"),
        sent(500, PROBLEM, b"oops"),
        sent(404, {"Content-Type": "application/json"}, {"detail": "Not Found"}),
    ],
)
def test_what_is_no_answer_of_a_service_is_a_bad_answer(
    nowhere: Callable[..., Client], answer: Callable[[httpx.Request], httpx.Response]
) -> None:
    with pytest.raises(errors.BadAnswer, match="is it a dpstats service"):
        nowhere(answer).datasets()


def test_a_token_is_never_sent_elsewhere(nowhere: Callable[..., Client]) -> None:
    seen: list[str] = []

    def redirect(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.host)
        return httpx.Response(307, headers={"Location": "https://elsewhere/"}, request=request)

    with pytest.raises(errors.BadAnswer):
        nowhere(redirect).datasets()
    assert seen == ["town"]


def test_a_problem_of_a_kind_unknown_to_the_client_keeps_its_slug(nowhere: Callable[..., Client]) -> None:
    body = {"type": "/problems/out-of-coffee", "title": "No coffee", "status": 418}
    with pytest.raises(errors.ClientError) as failed:
        nowhere(sent(418, PROBLEM, body)).datasets()
    assert (failed.value.slug, failed.value.status, str(failed.value)) == ("out-of-coffee", 418, "No coffee")


def test_every_slug_of_the_contract_has_its_error() -> None:
    contract = (
        "unauthorized forbidden not-found not-approved invalid-parameters budget-exhausted frozen "
        "idempotency-conflict rate-limited unavailable"
    )
    for slug in contract.split():
        error = errors.of_problem({"type": f"/problems/{slug}", "detail": "d"}, 400)
        assert type(error) is errors.BY_SLUG[slug]
        assert error.slug == type(error).slug == slug
