"""An OIDC issuer on this machine: a real HTTP server with keys of its own, which a test may change or take away."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

AUDIENCE = "dpstats-tests"
DISCOVERY = "/.well-known/openid-configuration"


def new_key(algorithm: str = "EdDSA", bits: int = 2048) -> Any:
    match algorithm:
        case "RS256":
            return rsa.generate_private_key(65537, bits)
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
        case _:
            return ed25519.Ed25519PrivateKey.generate()


def public_jwk(kid: str, key: Any, algorithm: str = "EdDSA") -> dict[str, Any]:
    jwk = get_default_algorithms()[algorithm].to_jwk(key.public_key(), as_dict=True)
    return {**jwk, "kid": kid, "use": "sig", "alg": algorithm}  # type: ignore[dict-item]


class LocalIssuer:
    """What it serves, by path: a status and a body; and how often it was asked."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.key = new_key()
        self.asked: list[str] = []
        self.documents: dict[str, tuple[int, bytes]] = {}
        self.describe({"issuer": address, "jwks_uri": f"{address}/keys"})
        self.publish(public_jwk("first", self.key))

    def describe(self, document: object) -> None:
        self.documents[DISCOVERY] = 200, json.dumps(document).encode()

    def publish(self, *keys: dict[str, Any]) -> None:
        self.documents["/keys"] = 200, json.dumps({"keys": keys}).encode()

    def claims(self, **changed: Any) -> dict[str, Any]:
        """What a good token says, with some of it changed; None leaves a claim out."""
        now = int(time.time())
        said = {
            "iss": self.address,
            "aud": AUDIENCE,
            "sub": "ana",
            "iat": now,
            "exp": now + 600,
            "dpstats_role": "analyst",
            "dpstats_datasets": "*",
        } | changed
        return {name: value for name, value in said.items() if value is not None}

    def token(self, key: Any = None, algorithm: str = "EdDSA", kid: str | None = "first", **changed: Any) -> str:
        headers = {} if kid is None else {"kid": kid}
        return jwt.encode(self.claims(**changed), key or self.key, algorithm, headers)


@contextmanager
def local_issuer() -> Iterator[LocalIssuer]:
    """Serves until the end."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked.append(self.path)
            status, body = issuer.documents.get(self.path, (404, b"{}"))
            self.send_response(status)
            if status == 302:
                self.send_header("Location", body.decode())
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        issuer = LocalIssuer(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield issuer
        server.shutdown()
        thread.join()
