"""Logging in at an OpenID provider: code flow with PKCE; the provider says who it is, the users' file what they may."""

from __future__ import annotations

import contextlib
import secrets
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import OAuth2Client
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from jackline.errors import JacklineError
from jackline_console.access.attempts import network
from jackline_console.settings import is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jackline_console.settings import OIDC

_FOUND_S = 3600.0
_ROTATED_S = 60.0
"""A token of a key that is not known has the keys asked for again, this often at most."""
_FAILED_S = 5.0
"""A provider that could not be asked is left alone for so long: whoever floods does not wait for it in every thread."""
_PENDING_S = 600.0
_MOST = 1000
_EACH = 20
"""Logins that were begun from one place, and not ended: its oldest goes, nobody else's."""
_ASKING = 3
"""Threads that may wait for the provider at once; others are told to come again."""
_TIMEOUT_S = 5.0
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA", "Ed25519"]


class OIDCError(JacklineError):
    """The provider cannot be asked, or what it says does not count."""


@dataclass(frozen=True, kw_only=True)
class Begun:
    """A login that was begun: what its end must fit."""

    nonce: str
    verifier: str
    expires: float
    place: str


class Provider:
    """One provider. Thread-safe. Raises OIDCError."""

    def __init__(self, settings: OIDC) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._turn = threading.BoundedSemaphore(_ASKING)
        self._begun: dict[str, Begun] = {}
        self._found: tuple[float, dict[str, Any], KeySet] | None = None
        self._failed: tuple[float, str] = (-_FAILED_S, "")
        self._tls = httpx.create_ssl_context()  # once: it reads every authority's certificate
        _require_https(settings.issuer, settings.issuer)

    def begin(self, redirect: str, now: float, address: str) -> tuple[str, str]:
        """Where to send the browser, and the state that it must bring back."""
        with self._asking():
            facts, _ = self._discovered(now, _FOUND_S)
        begun = Begun(
            nonce=secrets.token_urlsafe(24),
            verifier=secrets.token_urlsafe(48),
            expires=now + _PENDING_S,
            place=network(address),
        )
        with self._client(redirect) as client:
            url, state = client.create_authorization_url(
                facts["authorization_endpoint"], nonce=begun.nonce, code_verifier=begun.verifier
            )
        with self._lock:
            self._begun = {key: one for key, one in self._begun.items() if now < one.expires}
            own = [key for key, one in self._begun.items() if one.place == begun.place]
            for key in own[: max(0, len(own) - _EACH + 1)]:
                del self._begun[key]
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
        try:
            with self._asking():
                found = self._claims(redirect, begun, code, now)
            self._check(found, begun, now)
        except (httpx.HTTPError, AuthlibBaseError, JoseError, ValueError, AttributeError, TypeError) as error:
            raise OIDCError(f"the provider's answer does not count: {type(error).__name__}: {error}") from error
        name = found.get(self._settings.claim)
        if not isinstance(name, str) or not name:
            raise OIDCError(f"the provider's token has no claim '{self._settings.claim}'")
        if self._settings.claim == "email" and found.get("email_verified") not in (None, True, "true"):
            raise OIDCError("the provider has not verified that address")
        return name

    def _claims(self, redirect: str, begun: Begun, code: str, now: float) -> dict[str, Any]:
        """What the provider's token says, by its signature."""
        facts, keys = self._discovered(now, _FOUND_S)
        with self._client(redirect) as client:
            token = client.fetch_token(
                facts["token_endpoint"], grant_type="authorization_code", code=code, code_verifier=begun.verifier
            )
        text = str(token.get("id_token", ""))
        try:
            return jwt.decode(text, keys, algorithms=_ALGORITHMS).claims
        except (JoseError, ValueError):  # maybe of a key that is newer than what is known
            _, newer = self._discovered(now, _ROTATED_S)
            if newer is keys:
                raise
            return jwt.decode(text, newer, algorithms=_ALGORITHMS).claims

    def _check(self, claims: dict[str, Any], begun: Begun, now: float) -> None:
        """Hold a token to what was asked. Raises JoseError."""
        registry = jwt.JWTClaimsRegistry(
            now=int(now),
            leeway=60,
            iss={"essential": True, "value": self._settings.issuer},
            aud={"essential": True, "value": self._settings.client},
            exp={"essential": True},
            nonce={"essential": True, "value": begun.nonce},
            azp={"value": self._settings.client},
        )
        registry.validate(claims)
        audience = claims["aud"]
        if isinstance(audience, list) and len(audience) > 1 and "azp" not in claims:
            raise ValueError("it is for several clients, and does not say for which it was made")

    def _client(self, redirect: str) -> OAuth2Client:
        return OAuth2Client(
            client_id=self._settings.client,
            client_secret=self._settings.secret or None,
            token_endpoint_auth_method="client_secret_basic" if self._settings.secret else "none",
            scope="openid profile email",
            redirect_uri=redirect,
            code_challenge_method="S256",
            timeout=_TIMEOUT_S,
            verify=self._tls,
        )

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        if not self._turn.acquire(blocking=False):
            raise OIDCError("too many are logging in just now: begin it again in a moment")
        try:
            yield
        finally:
            self._turn.release()

    def _discovered(self, now: float, oldest_s: float) -> tuple[dict[str, Any], KeySet]:
        """The provider's own description and keys, at most so old; not asked for again right after it failed."""
        with self._lock:
            if self._found is not None and now - self._found[0] < oldest_s:
                return self._found[1:]
            failed, why = self._failed
        if 0 <= now - failed < _FAILED_S:
            raise OIDCError(why)
        try:
            facts, keys = self._described()
        except OIDCError as error:
            with self._lock:
                self._failed = (now, str(error))
            raise
        with self._lock:
            self._found = (now, facts, keys)
        return facts, keys

    def _described(self) -> tuple[dict[str, Any], KeySet]:
        issuer = self._settings.issuer
        try:
            with httpx.Client(timeout=_TIMEOUT_S, verify=self._tls) as client:
                answer = client.get(f"{issuer.rstrip('/')}/.well-known/openid-configuration").raise_for_status()
                facts: dict[str, Any] = answer.json()
                if facts.get("issuer") != issuer:
                    raise OIDCError(f"{issuer} says that it is {facts.get('issuer')!r}")
                for name in _ENDPOINTS:
                    _require_https(facts[name], issuer)
                return facts, KeySet.import_key_set(client.get(facts["jwks_uri"]).raise_for_status().json())
        except (httpx.HTTPError, JoseError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise OIDCError(f"the provider {issuer} cannot be asked: {type(error).__name__}: {error}") from error


def _require_https(url: str, issuer: str) -> None:
    """Refuse a provider in the clear, but one on this machine: whoever is in between would say who everybody is."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        raise OIDCError(f"the provider {issuer} is asked at {url}: https was expected")
