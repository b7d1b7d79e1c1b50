"""Logging in at an OpenID provider: code flow with PKCE; the provider says who it is, the users' file what they may."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import OAuth2Client
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from jackline.errors import JacklineError

if TYPE_CHECKING:
    from jackline_console.settings import OIDC

_FOUND_S = 3600.0
_PENDING_S = 600.0
_MOST = 1000
_TIMEOUT_S = 5.0
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA", "Ed25519"]


class OIDCError(JacklineError):
    """The provider cannot be asked, or what it says does not count."""


@dataclass(frozen=True, kw_only=True)
class Begun:
    """A login that was begun: what its end must fit."""

    nonce: str
    verifier: str
    expires: float


class Provider:
    """One provider. Thread-safe. Raises OIDCError."""

    def __init__(self, settings: OIDC) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._begun: dict[str, Begun] = {}
        self._found: tuple[float, dict[str, Any], KeySet] | None = None

    def begin(self, redirect: str, now: float) -> tuple[str, str]:
        """Where to send the browser, and the state that it must bring back."""
        facts, _ = self._discovered(now)
        begun = Begun(nonce=secrets.token_urlsafe(24), verifier=secrets.token_urlsafe(48), expires=now + _PENDING_S)
        with self._client(redirect) as client:
            url, state = client.create_authorization_url(
                facts["authorization_endpoint"], nonce=begun.nonce, code_verifier=begun.verifier
            )
        with self._lock:
            self._begun = {key: one for key, one in self._begun.items() if now < one.expires}
            while len(self._begun) >= _MOST:
                del self._begun[next(iter(self._begun))]
            self._begun[state] = begun
        return url, state

    def finish(self, redirect: str, state: str, code: str, now: float) -> str:
        """The name of whoever comes back with a state and a code: each state works once."""
        with self._lock:
            begun = self._begun.pop(state, None)
        if begun is None or now >= begun.expires:
            raise OIDCError("this login was not begun here, or too long ago: begin it again")
        facts, keys = self._discovered(now)
        try:
            with self._client(redirect) as client:
                token = client.fetch_token(
                    facts["token_endpoint"], grant_type="authorization_code", code=code, code_verifier=begun.verifier
                )
            found = jwt.decode(str(token.get("id_token", "")), keys, algorithms=_ALGORITHMS).claims
            self._check(found, begun, now)
        except (httpx.HTTPError, AuthlibBaseError, JoseError, ValueError) as error:
            raise OIDCError(f"the provider's answer does not count: {type(error).__name__}: {error}") from error
        name = found.get(self._settings.claim)
        if not isinstance(name, str) or not name:
            raise OIDCError(f"the provider's token has no claim '{self._settings.claim}'")
        if self._settings.claim == "email" and found.get("email_verified") is False:
            raise OIDCError("the provider has not verified that address")
        return name

    def _check(self, claims: dict[str, Any], begun: Begun, now: float) -> None:
        """Hold a token to what was asked. Raises JoseError."""
        registry = jwt.JWTClaimsRegistry(
            now=int(now),
            leeway=60,
            iss={"essential": True, "value": self._settings.issuer},
            aud={"essential": True, "value": self._settings.client},
            exp={"essential": True},
            nonce={"essential": True, "value": begun.nonce},
        )
        registry.validate(claims)

    def _client(self, redirect: str) -> OAuth2Client:
        return OAuth2Client(
            client_id=self._settings.client,
            client_secret=self._settings.secret or None,
            token_endpoint_auth_method="client_secret_basic" if self._settings.secret else "none",
            scope="openid profile email",
            redirect_uri=redirect,
            code_challenge_method="S256",
            timeout=_TIMEOUT_S,
        )

    def _discovered(self, now: float) -> tuple[dict[str, Any], KeySet]:
        """The provider's own description and keys, an hour old at most."""
        with self._lock:
            if self._found is not None and now - self._found[0] < _FOUND_S:
                return self._found[1:]
        issuer = self._settings.issuer
        try:
            with httpx.Client(timeout=_TIMEOUT_S) as client:
                answer = client.get(f"{issuer.rstrip('/')}/.well-known/openid-configuration").raise_for_status()
                facts: dict[str, Any] = answer.json()
                if facts.get("issuer") != issuer:
                    raise OIDCError(f"{issuer} says that it is {facts.get('issuer')!r}")
                keys = KeySet.import_key_set(client.get(facts["jwks_uri"]).raise_for_status().json())
        except (httpx.HTTPError, JoseError, ValueError, KeyError, TypeError) as error:
            raise OIDCError(f"the provider {issuer} cannot be asked: {type(error).__name__}: {error}") from error
        with self._lock:
            self._found = (now, facts, keys)
        return facts, keys
