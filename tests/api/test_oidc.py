"""JWTs of an OIDC issuer: who is let in as whom, and that whatever is not exactly right lets nobody in."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import pytest
from api_routes import CALLERS, PLACEHOLDERS, TABLE, ask, bare
from api_town import ME, Town, opened
from cryptography.hazmat.primitives import serialization
from local_issuer import AUDIENCE, DISCOVERY, LocalIssuer, local_issuer, new_key, public_jwk

from dpstats.api.issuer_keys import AGAIN_AFTER_S, KEPT_S, MAX_DOCUMENT_BYTES, IssuerKeys
from dpstats.api.oidc import LEEWAY_S, MAX_TOKEN_LENGTH, Issuer, OidcTerms, issuer_of
from dpstats.errors import FileError
from dpstats.settings import read_settings


@dataclass
class Door:
    """A town that believes a local issuer, and the clock by which it keeps the issuer's keys."""

    town: Town
    issuer: LocalIssuer
    seconds: float = 1000.0

    def status(self, token: str, path: str = "/v1/datasets") -> int:
        return self.town.ask("GET", path, token=token).status_code


@pytest.fixture
def door(home: Path, town_files: Path) -> Iterator[Door]:
    with local_issuer() as issuer:
        terms = OidcTerms(issuer.address, AUDIENCE, "dpstats_role", "dpstats_datasets")
        keys = IssuerKeys(issuer.address, lambda: made.seconds)
        with opened(home, town_files, Issuer(terms, keys)) as town:
            made = Door(town, issuer)
            yield made


def encoded(part: object) -> str:
    text = part if isinstance(part, str) else json.dumps(part)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def signed(issuer: LocalIssuer, header: object, payload: object) -> str:
    """A token with parts as they are written here, truly signed by the issuer."""
    text = f"{encoded(header)}.{encoded(payload)}"
    return f"{text}.{base64.urlsafe_b64encode(issuer.key.sign(text.encode())).decode().rstrip('=')}"


# -- who is let in ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_good_token_is_let_in_and_the_keys_are_fetched_once(door: Door, algorithm: str) -> None:
    key = new_key(algorithm)
    door.issuer.publish(public_jwk("k", key, algorithm))
    tokens = [door.issuer.token(key, algorithm, "k", sub=name) for name in ("ana", "bo")]
    assert [door.status(token) for token in tokens * 2] == [200] * 4
    assert door.issuer.asked == [DISCOVERY, "/keys"]


def test_the_issuer_is_asked_for_nothing_before_a_jwt_comes(door: Door) -> None:
    assert door.status(door.town.token()) == 200
    assert door.status("dps_unknown") == 401
    assert door.issuer.asked == []


@pytest.mark.parametrize("role", ["analyst", "job", "steward", "collector"])
@pytest.mark.parametrize("datasets", ["*", ["harbour"]])
def test_a_role_of_a_claim_may_do_what_a_token_of_that_role_may(door: Door, role: str, datasets: object) -> None:
    caller = role if datasets == "*" else f"{role} of another dataset"
    if caller not in CALLERS:
        caller = role  # a collector or job of one dataset is in no table: a route is denied to it all the same
    token = door.issuer.token(dpstats_role=role, dpstats_datasets=datasets)
    door.town.run()  # what a feature view shows
    for (method, path), case in TABLE.items():
        if method == "GET" and not case.page and not any(made in case.path for made in ("RELEASE", *PLACEHOLDERS)):
            expected = case.statuses[caller]
            if role == "job" and datasets != "*":
                expected = case.statuses["analyst of another dataset"]
            assert door.status(token, case.path) == expected, path


def test_a_list_of_roles_may_hold_other_systems_roles_but_one_of_ours(door: Door) -> None:
    statuses = [
        door.status(door.issuer.token(dpstats_role=roles))
        for roles in (["offline_access", "analyst"], ["analyst", "steward"], ["offline_access"], [])
    ]
    assert statuses == [200, 401, 401, 401]


def test_the_ledger_names_the_subject_and_the_issuer_and_the_token_has_no_cap(door: Door) -> None:
    path = "/v1/queries/spend_by_band/releases"
    made = door.town.ask("POST", path, token=door.issuer.token(sub="ana@example.org"))
    assert made.status_code == 201
    entry = door.town.workspace.budgets.entries(ME, "town")["entries"][-1]
    assert entry["actor"] == f"ana@example.org@{door.issuer.address}"
    assert door.town.workspace.budgets.verify(ME).ok


def test_datasets_of_a_claim_are_all_that_is_seen(door: Door) -> None:
    token = door.issuer.token(dpstats_datasets=["harbour"])
    listed = door.town.ask("GET", "/v1/datasets", token=token).json()["items"]
    assert [item["dataset"] for item in listed] == ["harbour"]
    assert door.status(token, "/v1/datasets/town") == 404


# -- who is not ------------------------------------------------------------------------------------------------------

Now = int
WRONG: dict[str, Callable[[LocalIssuer, Now], str]] = {
    "expired": lambda issuer, now: issuer.token(exp=now - LEEWAY_S - 1),
    "not yet valid": lambda issuer, now: issuer.token(nbf=now + LEEWAY_S + 60),
    "issued in the future": lambda issuer, now: issuer.token(iat=now + LEEWAY_S + 60),
    "without an end": lambda issuer, _: issuer.token(exp=None),
    "an end that is no number": lambda issuer, _: issuer.token(exp="tomorrow"),
    "an end that is never": lambda issuer, _: issuer.token(exp=float("inf")),
    "an end beyond floats": lambda issuer, _: signed(
        issuer, HEADER, json.dumps(issuer.claims()).replace('"exp": ', '"exp": 1e999, "was": ')
    ),
    "another audience": lambda issuer, _: issuer.token(aud="another"),
    "no audience": lambda issuer, _: issuer.token(aud=None),
    "another issuer": lambda issuer, _: issuer.token(iss="https://issuer.example"),
    "the issuer with a slash": lambda issuer, _: issuer.token(iss=issuer.address + "/"),
    "no issuer": lambda issuer, _: issuer.token(iss=None),
    "no subject": lambda issuer, _: issuer.token(sub=None),
    "a blank subject": lambda issuer, _: issuer.token(sub=" "),
    "a subject that is no name": lambda issuer, _: issuer.token(sub="ana\nforged line"),
    "a subject without end": lambda issuer, _: issuer.token(sub="a" * 256),
    "no role": lambda issuer, _: issuer.token(dpstats_role=None),
    "an unknown role": lambda issuer, _: issuer.token(dpstats_role="admin"),
    "a role in capitals": lambda issuer, _: issuer.token(dpstats_role="STEWARD"),
    "a role that is an object": lambda issuer, _: issuer.token(dpstats_role={"steward": True}),
    "no datasets": lambda issuer, _: issuer.token(dpstats_datasets=None),
    "an empty list of datasets": lambda issuer, _: issuer.token(dpstats_datasets=[]),
    "datasets that are no texts": lambda issuer, _: issuer.token(dpstats_datasets=[1, True, ""]),
    "another key": lambda issuer, _: issuer.token(new_key()),
    "no key id": lambda issuer, _: issuer.token(kid=None),
    "an unknown key id": lambda issuer, _: issuer.token(kid="unknown"),
    "a key id that is no text": lambda issuer, _: signed(issuer, HEADER | {"kid": 1}, issuer.claims()),
    "alg none": lambda issuer, _: f"{encoded(HEADER | {'alg': 'none'})}.{encoded(issuer.claims())}.",
    "alg none, signed": lambda issuer, _: signed(issuer, HEADER | {"alg": "none"}, issuer.claims()),
    "no alg": lambda issuer, _: signed(issuer, {"kid": "first"}, issuer.claims()),
    "another algorithm's name": lambda issuer, _: signed(issuer, HEADER | {"alg": "RS256"}, issuer.claims()),
    "an extension that must be understood": lambda issuer, _: signed(
        issuer, HEADER | {"crit": ["exp"], "exp": 1}, issuer.claims()
    ),
    "a payload outside of the token": lambda issuer, _: signed(
        issuer, HEADER | {"crit": ["b64"], "b64": False}, issuer.claims()
    ),
    "a claim twice": lambda issuer, _: signed(
        issuer, HEADER, json.dumps(issuer.claims())[:-1] + ', "dpstats_role": "steward"}'
    ),
    "a header's name twice": lambda issuer, _: signed(
        issuer, '{"alg": "EdDSA", "kid": "first", "kid": "first"}', issuer.claims()
    ),
    "a payload that is a list": lambda issuer, _: signed(issuer, HEADER, [issuer.claims()]),
    "a payload that is no JSON": lambda issuer, _: signed(issuer, HEADER, "{"),
    "a payload nested without end": lambda issuer, _: signed(issuer, HEADER, "[" * 5000),
    "a changed payload": lambda issuer, _: changed(issuer.token(), 1),
    "a changed signature": lambda issuer, _: changed(issuer.token(), 2),
    "a token without end": lambda issuer, _: issuer.token(more="x" * MAX_TOKEN_LENGTH),
    "nothing but points": lambda issuer, _: "..",
    "five parts, encrypted": lambda issuer, _: "a.b.c.d.e",
    "letters that are no base64": lambda issuer, _: f"ü.ü.{issuer.token().rpartition('.')[2]}",
}
HEADER = {"alg": "EdDSA", "kid": "first"}


def changed(token: str, part: int) -> str:
    parts = token.split(".")
    parts[part] = ("A" if parts[part][0] != "A" else "B") + parts[part][1:]
    return ".".join(parts)


def test_what_is_not_exactly_right_is_nobody(door: Door) -> None:
    nobody = bare(door.town.ask("GET", "/v1/datasets"))
    assert door.status(door.issuer.token()) == 200
    for name, make in WRONG.items():
        token = make(door.issuer, int(time.time())).encode()
        answer = door.town.ask("GET", "/v1/datasets", headers={"Authorization": b"Bearer " + token})
        assert bare(answer) == nobody, name
    assert door.status(door.issuer.token()) == 200


def test_clocks_may_differ_by_a_little(door: Door) -> None:
    now = int(time.time())
    assert door.status(door.issuer.token(exp=now - LEEWAY_S // 2, nbf=now + LEEWAY_S // 2)) == 200


def test_a_public_key_is_no_shared_secret(door: Door) -> None:
    key = new_key("RS256")
    public = key.public_key()
    published = public_jwk("k", key, "RS256")
    door.issuer.publish(published)
    assert door.status(door.issuer.token(key, "RS256", "k")) == 200
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    for secret in (pem, pem.rstrip(), json.dumps(published).encode(), published["n"].encode()):
        for algorithm in ("HS256", "HS512"):
            header, payload = encoded({"alg": algorithm, "kid": "k"}), encoded(door.issuer.claims())
            made = jwt.algorithms.HMACAlgorithm(getattr(jwt.algorithms.HMACAlgorithm, "SHA" + algorithm[2:]))
            signature = made.sign(f"{header}.{payload}".encode(), secret)
            token = f"{header}.{payload}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"
            assert door.status(token) == 401


@pytest.mark.parametrize(
    "unusable",
    [
        {"kty": "oct", "k": encoded("s" * 32), "alg": "HS256"},
        {"kty": "oct", "k": encoded("s" * 32)},
        {"use": "enc"},
        {"alg": "PS256"},
        {"kid": 7},
        {"d": "AAAA"},
        "no key",
    ],
)
def test_keys_that_are_for_something_else_are_passed_over(door: Door, unusable: Any) -> None:
    key = new_key("RS256")
    jwk = public_jwk("k", key, "RS256")
    door.issuer.publish(
        public_jwk("first", door.issuer.key), jwk | unusable if isinstance(unusable, dict) else unusable
    )
    assert door.status(door.issuer.token(key, "RS256", "k")) == 401
    assert door.status(jwt.encode(door.issuer.claims(), "s" * 32, "HS256", {"kid": "k"})) == 401
    assert door.status(door.issuer.token()) == 200


def test_a_key_that_is_too_short_is_not_taken(door: Door) -> None:
    key = new_key("RS256", bits=1024)
    door.issuer.publish(public_jwk("short", key, "RS256"))
    text = f"{encoded({'alg': 'RS256', 'kid': 'short'})}.{encoded(door.issuer.claims())}"
    signature = jwt.algorithms.RSAAlgorithm(jwt.algorithms.RSAAlgorithm.SHA256).sign(text.encode(), key)
    assert door.status(f"{text}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}") == 401


# -- keys that change, and keys that cannot be had -------------------------------------------------------------------


def test_a_new_key_is_fetched_when_a_token_names_it_but_not_again_and_again(door: Door) -> None:
    assert door.status(door.issuer.token()) == 200
    key = new_key()
    token = door.issuer.token(key, kid="second")
    assert door.status(token) == 401
    door.issuer.publish(public_jwk("second", key))
    assert [door.status(token) for _ in range(3)] == [401] * 3
    assert len(door.issuer.asked) == 2  # whoever makes ids up cannot make this service ask without end
    door.seconds += AGAIN_AFTER_S
    assert door.status(token) == 200
    assert door.status(door.issuer.token()) == 401  # the first key is gone
    assert len(door.issuer.asked) == 4


def test_a_key_that_the_issuer_withdrew_is_refused_once_the_kept_ones_are_old(door: Door) -> None:
    assert door.status(door.issuer.token()) == 200
    door.issuer.publish()
    door.seconds += KEPT_S - 1
    assert door.status(door.issuer.token()) == 200
    door.seconds += 1
    assert door.status(door.issuer.token()) == 401


BROKEN: dict[str, Callable[[LocalIssuer], object]] = {
    "no document": lambda issuer: issuer.documents.pop(DISCOVERY),
    "no keys": lambda issuer: issuer.documents.pop("/keys"),
    "an error": lambda issuer: issuer.documents.update({"/keys": (500, b'{"keys": []}')}),
    "a redirect": lambda issuer: issuer.documents.update({"/keys": (302, f"{issuer.address}/elsewhere".encode())}),
    "no JSON": lambda issuer: issuer.documents.update({"/keys": (200, b"<html>")}),
    "no object": lambda issuer: issuer.documents.update({"/keys": (200, b"[]")}),
    "no list": lambda issuer: issuer.documents.update({"/keys": (200, b'{"keys": {}}')}),
    "too much": lambda issuer: issuer.documents.update({"/keys": (200, b" " * (MAX_DOCUMENT_BYTES + 1))}),
    "another issuer's document": lambda issuer: issuer.describe(
        {"issuer": "https://issuer.example", "jwks_uri": f"{issuer.address}/keys"}
    ),
    "keys by a way that anybody can change": lambda issuer: issuer.describe(
        {"issuer": issuer.address, "jwks_uri": "http://issuer.example/keys"}
    ),
    "keys from a file": lambda issuer: issuer.describe({"issuer": issuer.address, "jwks_uri": "file:///etc/passwd"}),
    "an address that is none": lambda issuer: issuer.describe({"issuer": issuer.address, "jwks_uri": "http://[/"}),
    "no address": lambda issuer: issuer.describe({"issuer": issuer.address}),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_an_issuer_that_gives_no_keys_lets_nobody_in(door: Door, broken: Callable[[LocalIssuer], object]) -> None:
    whole = dict(door.issuer.documents)
    broken(door.issuer)
    for _ in range(2):
        answer = door.town.ask("GET", "/v1/datasets", token=door.issuer.token())
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/unavailable")
        assert "Retry-After" in answer.headers
    assert door.status(door.town.token()) == 200  # the workspace's own tokens do not need the issuer
    door.issuer.documents.update(whole)
    door.seconds += AGAIN_AFTER_S
    assert door.status(door.issuer.token()) == 200
    broken(door.issuer)
    door.seconds += KEPT_S
    assert door.status(door.issuer.token()) == 503  # keys that were good once are not good for ever


def test_an_issuer_that_is_not_there_lets_nobody_in(home: Path, town_files: Path) -> None:
    with local_issuer() as issuer:
        token = issuer.token()
    terms = OidcTerms(issuer.address, AUDIENCE, "dpstats_role", "dpstats_datasets")
    with opened(home, town_files, Issuer(terms, IssuerKeys(issuer.address))) as town:
        assert town.ask("GET", "/v1/datasets", token=token).status_code == 503


def test_many_at_once_fetch_the_keys_once(door: Door) -> None:
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(door.status(door.issuer.token()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 8
    assert door.issuer.asked == [DISCOVERY, "/keys"]


# -- settings --------------------------------------------------------------------------------------------------------


def test_without_an_issuer_a_jwt_is_nobody(quiet_town: Town) -> None:
    assert issuer_of(read_settings()) is None
    with local_issuer() as issuer:
        assert quiet_town.ask("GET", "/v1/datasets", token=issuer.token()).status_code == 401
        assert issuer.asked == []
        assert ask(quiet_town, ("GET", "/v1/datasets"), "analyst").status_code == 200


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({"oidc_issuer": "https://issuer.example"}, "DPSTATS_OIDC_AUDIENCE"),
        ({"oidc_audience": "dpstats"}, "DPSTATS_OIDC_AUDIENCE"),
        ({"oidc_issuer": "https://issuer.example", "oidc_audience": " "}, "DPSTATS_OIDC_AUDIENCE"),
        *(
            ({"oidc_issuer": issuer, "oidc_audience": "dpstats"}, "DPSTATS_OIDC_ISSUER")
            for issuer in (
                "http://issuer.example",
                "issuer.example",
                "https://",
                "https://user:pass@issuer.example",
                "https://issuer.example?x=1",
                "https://issuer.example#x",
                "http://127.0.0.1.issuer.example",
                "file:///etc/passwd",
                "https://issuer.example:99999",
            )
        ),
        ({"oidc_role_claim": ""}, "DPSTATS_OIDC_ROLE_CLAIM"),
    ],
)
def test_settings_that_would_let_somebody_else_in_stop_the_start(given: dict[str, str], key: str) -> None:
    with pytest.raises(FileError, match=key):
        read_settings(**given)


def test_the_settings_name_whom_to_believe() -> None:
    given = {"oidc_issuer": "https://issuer.example/realms/one", "oidc_audience": "dpstats", "oidc_role_claim": "r"}
    issuer = issuer_of(read_settings(**given))
    assert issuer is not None
    assert issuer._terms == OidcTerms("https://issuer.example/realms/one", "dpstats", "r", "dpstats_datasets")
