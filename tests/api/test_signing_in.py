"""A browser's way in and out: a cookie of its own, forms that are its own, and nothing that tells tokens apart."""

from __future__ import annotations

import re
from http.cookies import SimpleCookie

import httpx
import pytest
from api_routes import TABLE
from api_town import ME, Browser, Town

from dpstats.errors import RateLimited
from dpstats.web.signing_in import SPAN_S, TRIES, Tries


def cookies_of(answer: httpx.Response) -> SimpleCookie:
    found: SimpleCookie = SimpleCookie()
    for line in answer.headers.get_list("set-cookie"):
        found.load(line)
    return found


def sign_in(browser: Browser, token: str, **sent: str) -> httpx.Response:
    return browser.post("/sign-in", data=browser.fields(token=token, **sent))


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_cookie_is_for_this_site_alone_and_holds_no_token(quiet_town: Town, scheme: str) -> None:
    with quiet_town.browser() as browser:
        browser.headers["X-Forwarded-Proto"] = scheme
        answer = sign_in(browser, quiet_town.token())
        cookie = cookies_of(answer)["dpstats-session"]
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "strict", "/")
    assert bool(cookie["secure"]) == (scheme == "https")
    assert quiet_town.token() not in str(answer.headers)


def test_unknown_expired_and_revoked_tokens_are_refused_in_the_same_words(town: Town) -> None:
    revoked = town.token("job")
    town.workspace.tokens.revoke(ME, "job")
    pages = []
    with town.browser() as browser:
        for token in ("dps_unknown", revoked, "", "x" * 10_000):
            answer = sign_in(browser, token)
            assert (answer.status_code, "dpstats-session" in cookies_of(answer)) == (401, False)
            pages.append(answer.text)
    assert len(set(pages)) == 1


def test_sign_ins_are_counted_whether_right_or_wrong(town: Town) -> None:
    with town.browser() as browser:
        statuses = [sign_in(browser, "dps_unknown").status_code for _ in range(TRIES)]
        late = sign_in(browser, town.token())
    assert set(statuses) == {401}
    assert late.status_code == 429
    assert 1 <= int(late.headers["Retry-After"]) <= SPAN_S
    assert "dpstats-session" not in cookies_of(late)


def test_refusals_from_an_address_keep_nobody_there_from_signing_in_nor_sign_ins_from_refusing(town: Town) -> None:
    with town.browser() as browser:
        refusals = [browser.post("/opt-out", data=browser.fields(unit="1")).status_code for _ in range(TRIES + 1)]
        assert refusals == [200] * TRIES + [429]
        assert sign_in(browser, town.token()).status_code == 303
    with town.browser() as other:
        for _ in range(TRIES + 1):
            late = sign_in(other, "dps_unknown")
        assert late.status_code == 429
        assert other.post("/opt-out", data=other.fields(unit="1")).status_code == 200


def test_tries_are_counted_by_address_and_forgotten_after_their_span() -> None:
    now = [0.0]
    tries = Tries(lambda: now[0])
    for _ in range(TRIES):
        tries.take("a")
    with pytest.raises(RateLimited) as refused:
        tries.take("a")
    assert refused.value.retry_after_s == SPAN_S
    tries.take("b")
    now[0] = SPAN_S
    tries.take("a")


@pytest.mark.parametrize(
    ("onward", "leads"),
    [
        ("/welcome?x=1", "/welcome?x=1"),
        ("https://elsewhere", "/"),
        ("//elsewhere", "/"),
        ("/\\elsewhere", "/"),
        ("/a\r\nb", "/"),
        ("", "/"),
    ],
)
def test_signing_in_leads_on_to_a_page_of_this_site_only(quiet_town: Town, onward: str, leads: str) -> None:
    with quiet_town.browser() as browser:
        assert sign_in(browser, quiet_town.token(), onward=onward).headers["Location"] == leads


def test_who_is_not_signed_in_is_led_back_to_the_page_after_signing_in(quiet_town: Town) -> None:
    with quiet_town.browser() as browser:
        answer = browser.get("/welcome?x=1")
    assert answer.status_code == 401
    assert 'name="onward" value="/welcome?x=1"' in answer.text


def test_signing_out_ends_the_sign_in_wherever_its_cookie_is(quiet_town: Town) -> None:
    with quiet_town.browser(quiet_town.token()) as browser, quiet_town.browser() as copy:
        copy.cookies.update(browser.cookies)
        assert copy.get("/welcome").status_code == 200
        assert browser.post("/sign-out", data=browser.fields()).headers["Location"] == "/"
        assert (browser.get("/welcome").status_code, copy.get("/welcome").status_code) == (401, 401)


def test_a_revoked_token_ends_its_sign_ins_at_once_and_the_page_says_so(town: Town) -> None:
    with town.browser(town.token("steward")) as browser:
        assert browser.get("/welcome").status_code == 200
        town.workspace.tokens.revoke(ME, "steward")
        answer = browser.get("/welcome")
    assert (answer.status_code, "Your sign-in has ended" in answer.text) == (401, True)


@pytest.mark.parametrize("route", [route for route in TABLE if route[0] == "POST" and "/v1" not in route[1]])
def test_no_form_is_taken_that_is_not_from_a_page_of_this_browser(quiet_town: Town, route: tuple[str, str]) -> None:
    path = re.sub(r"\{\w+\}", "x", route[1])
    with quiet_town.browser(quiet_town.token("steward")) as browser, quiet_town.browser() as other:
        for form in ({}, {"proof": ""}, {"proof": "0" * 64}, other.fields()):
            assert browser.post(path, data=form).status_code == 403
        elsewhere = {"Sec-Fetch-Site": "cross-site"}
        assert browser.post(path, data=browser.fields(), headers=elsewhere).status_code == 403


def test_a_cookie_counts_for_nothing_in_the_api(quiet_town: Town) -> None:
    with quiet_town.browser(quiet_town.token("steward")) as browser:
        for path in ("/v1/datasets", "/v1/queries", "/v1/nope"):
            assert browser.get(path).status_code == 401


def test_an_error_is_a_page_for_a_browser_and_a_problem_for_a_program(quiet_town: Town) -> None:
    with quiet_town.browser(quiet_town.token()) as browser:
        page, problem = browser.get("/nope"), quiet_town.ask("GET", "/nope")
        api = browser.get("/v1/nope", headers={"Authorization": f"Bearer {quiet_town.token()}"})
    assert (page.status_code, problem.status_code, api.status_code) == (404, 404, 404)
    assert page.headers["Content-Type"].startswith("text/html")
    assert {answer.headers["Content-Type"] for answer in (problem, api)} == {"application/problem+json"}
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
