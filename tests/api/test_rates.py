"""A token asks as often as it may in each process, and is told when to come back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal
from api_town import InMemory, Town, opened
from local_issuer import AUDIENCE, local_issuer

from dpstats.api import create_app
from dpstats.api.issuer_keys import IssuerKeys
from dpstats.api.oidc import Issuer, OidcTerms
from dpstats.api.rates import MOST_BUCKETS, Rates
from dpstats.errors import RateLimited


class Hours:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def limited(town: Town) -> Iterator[Town]:
    """The town, where each token may ask twice a minute."""
    app = create_app(town.workspace, rate_per_minute=2)
    with start_blocking_portal() as portal:
        yield Town(town.workspace, app, InMemory(app, portal), town.files)


def test_more_requests_than_a_token_may_make_are_429_for_it_alone(limited: Town) -> None:
    answers = [limited.run() for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 200, 429]
    refused = answers[-1]
    assert refused.json()["type"] == "/problems/rate-limited"
    assert refused.json()["retry_after_s"] == int(refused.headers["Retry-After"])
    assert 1 <= int(refused.headers["Retry-After"]) <= 30
    assert limited.run(role="job").status_code == 200
    assert limited.ask("GET", "/health/live").status_code == 200
    assert limited.charges() == 1


def test_callers_that_an_issuer_vouches_for_have_a_bucket_each(home: Path, town_files: Path) -> None:
    with local_issuer() as issuer:
        terms = OidcTerms(issuer.address, AUDIENCE, "dpstats_role", "dpstats_datasets")
        with opened(home, town_files) as town, start_blocking_portal() as portal:
            app = create_app(town.workspace, issuer=Issuer(terms, IssuerKeys(issuer.address)), rate_per_minute=2)
            limited = Town(town.workspace, app, InMemory(app, portal), town.files)
            ana, bo = (issuer.token(sub=name) for name in ("ana", "bo"))
            statuses = [limited.ask("GET", "/v1/datasets", token=token).status_code for token in (ana, ana, ana, bo)]
    assert statuses == [200, 200, 429, 200]


def test_a_bucket_fills_evenly_and_holds_a_minute_s_requests() -> None:
    hours = Hours()
    rates = Rates(6, hours)
    for _ in range(6):
        rates.take("t")
    with pytest.raises(RateLimited) as refused:
        rates.take("t")
    assert refused.value.retry_after_s == 10
    hours.now += 10
    rates.take("t")
    hours.now += 3600
    for _ in range(6):
        rates.take("t")
    with pytest.raises(RateLimited):
        rates.take("t")


def test_the_buckets_of_many_tokens_are_forgotten_again() -> None:
    rates = Rates(1, Hours())
    for number in range(MOST_BUCKETS + 5):
        rates.take(str(number))
    assert len(rates._buckets) == MOST_BUCKETS


def test_more_parameters_than_any_query_has_are_refused_by_name(quiet_town: Town) -> None:
    answer = quiet_town.run(json={"parameters": {f"p{n}": 1 for n in range(1001)}})
    assert answer.status_code == 422
    assert list(answer.json()["problems"]) == ["parameters"]
