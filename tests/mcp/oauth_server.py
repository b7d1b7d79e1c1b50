"""An authorization server on this machine: metadata, the client-credentials grant, keys that can be changed."""

from __future__ import annotations

import base64
import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENTS = {"build-bot": "secret-of-build", "stranger": "secret-of-stranger"}


class AuthorizationServer:
    """Issues access tokens for whatever resource is asked for."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "first", "use": "sig"})
        self.keys: list[Any] = [self.key.as_dict(private=False)]
        self.issuer = ""
        self.fetched = 0
        """How often somebody has asked for the keys."""
        self.asked: list[dict[str, list[str]]] = []
        self.broken = False

    def token(self, audience: Any, *, key: Any = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """An access token; a claim that is None is left out."""
        now = int(time.time())
        told = {"iss": self.issuer, "aud": audience, "client_id": "build-bot", "iat": now, "exp": now + 600, **claims}
        told = {name: item for name, item in told.items() if item is not None}
        key = key or self.key
        head = {"alg": "RS256", "kid": key.kid or "none", "typ": "at+jwt", **(header or {})}
        return jws.serialize_compact(head, json.dumps(told).encode(), key, algorithms=[head["alg"]])

    def rotate(self) -> ECKey:
        """Publish a further key, of another kind."""
        made = ECKey.generate_key("P-256", {"kid": "second", "use": "sig"})
        self.keys.append(made.as_dict(private=False))
        return made

    @contextmanager
    def running(self) -> Iterator[AuthorizationServer]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _answering(self))
        self.issuer = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "response_types_supported": ["code"],
            "grant_types_supported": ["client_credentials"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        }

    def grant(self, authorization: str, asked: dict[str, list[str]]) -> tuple[int, dict[str, Any]]:
        """The answer of the token endpoint."""
        self.asked.append(asked)
        told = base64.b64decode(authorization.removeprefix("Basic ")).decode()
        client, _, secret = (unquote(part) for part in told.partition(":"))
        if CLIENTS.get(client) != secret or asked.get("grant_type") != ["client_credentials"]:
            return 401, {"error": "invalid_client"}
        text = self.token(asked.get("resource", [""])[0], client_id=client, scope=asked.get("scope", [""])[0])
        return 200, {"access_token": text, "token_type": "Bearer", "expires_in": 600}


def _answering(here: AuthorizationServer) -> type[BaseHTTPRequestHandler]:
    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/keys":
                here.fetched += 1
                self._answer(500 if here.broken else 200, {"keys": here.keys})
            elif self.path.startswith("/.well-known/oauth-authorization-server"):
                self._answer(200, here.metadata())
            else:
                self._answer(404, {})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            self._answer(*here.grant(self.headers["authorization"], parse_qs(body)))

        def _answer(self, status: int, told: dict[str, Any]) -> None:
            data = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Answering
