"""Access tokens of an authorization server: signed by a key of its own, for this gateway, and not over."""

from __future__ import annotations

import base64
import hashlib
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

from joserfc import jws, jwt

from jackline_mcp.callers import OAuthClient, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from jackline_mcp.certificates import Certificate
    from jackline_mcp.identity_config import OAuthEntry
    from jackline_mcp.issuer_keys import IssuerKeys

_LEEWAY_S = 60.0
_FOREVER = 1e12
"""Unix seconds that no token means."""
_LONGEST = 16 * 1024
_KEPT = 1000
"""Tokens whose signature need not be checked again."""
WELL_KNOWN = "/.well-known/oauth-protected-resource"


class Sound(NamedTuple):
    """What a token says that is signed, and not over."""

    client: OAuthClient
    audience: frozenset[str]
    scopes: frozenset[str]
    begins: float
    thumbprint: str
    """The certificate to which it is bound (RFC 8705); empty where it is not."""
    key: Any
    """With which its signature was checked."""


class AccessTokens:
    """Looks at the tokens of one issuer. Used on one event loop; it waits for nothing."""

    def __init__(self, settings: OAuthEntry, keys: IssuerKeys, clock: Callable[[], float] = time.time) -> None:
        self.settings, self.keys, self._clock = settings, keys, clock
        self._algorithms = list(settings.algorithms)
        self._registry = jws.JWSRegistry(algorithms=self._algorithms, strict_check_header=False)  # RFC 7515, 4.2
        self._registry.max_header_length = _LONGEST
        self._sound: OrderedDict[str, tuple[Sound, str | None, str]] = OrderedDict()

    def client(self, text: str, resource: str, certificate: Certificate | None) -> OAuthClient:
        """Whom a token names that is for `resource`; raises RefusedError."""
        digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
        kept = self._sound.get(digest)
        if kept is not None and self.keys.find(kept[1], kept[2]) is kept[0].key:
            found = kept[0]
            self._sound.move_to_end(digest)
        else:
            found, kid, algorithm = self._checked(text)
            self._sound[digest] = found, kid, algorithm
            if len(self._sound) > _KEPT:
                self._sound.popitem(last=False)
        self._require(found, resource, certificate)
        return found.client

    def _require(self, found: Sound, resource: str, certificate: Certificate | None) -> None:
        now = self._clock()
        if now >= found.client.expires:
            raise _flawed("expired", "this token has expired")
        if now < found.begins - _LEEWAY_S:
            raise _flawed("oauth-token", "this token is not valid yet")
        if not found.audience & {resource, *self.settings.audience}:
            raise _flawed("oauth-token", f"this token was not made for {resource}")
        if found.thumbprint and (certificate is None or certificate.fingerprint != found.thumbprint):
            raise _flawed("oauth-token", "this token is bound to a certificate that was not shown")
        missing = [scope for scope in self.settings.scopes if scope not in found.scopes]
        if missing:
            text = f"this token does not permit {' '.join(missing)}"
            raise RefusedError(403, "oauth-scope", text, flaw="insufficient_scope")

    def _checked(self, text: str) -> tuple[Sound, str | None, str]:
        if len(text) > _LONGEST or text.count(".") != 2:  # noqa: PLR2004 - header, claims, signature
            raise RefusedError(401, "unknown-token", "this token is nobody's", flaw="invalid_token")
        if not self.keys.known:
            raise RefusedError(503, "no-keys", f"the keys of {self.settings.issuer} could not be had yet")
        try:
            header = jws.extract_compact(text.encode(), registry=self._registry).headers()
        except Exception as error:  # whatever the library makes of bytes from anybody
            raise _flawed("oauth-token", "this token cannot be read") from error
        kid, algorithm = header.get("kid"), header.get("alg")
        if algorithm not in self._algorithms or not (kid is None or isinstance(kid, str)):
            raise _flawed("oauth-token", f"this token is not signed by one of {', '.join(self._algorithms)}")
        key = self.keys.find(kid, algorithm)
        if key is None:
            raise _flawed("oauth-token", "this token is signed by a key that the issuer has not published, or not yet")
        try:
            claims = jwt.decode(text, key, algorithms=[algorithm], registry=self._registry).claims
        except Exception as error:
            raise _flawed("oauth-token", "this token's signature is not the issuer's") from error
        try:
            return self._sound_claims(claims, key), kid, algorithm
        except ValueError as error:
            raise _flawed("oauth-token", str(error)) from error

    def _sound_claims(self, claims: Any, key: Any) -> Sound:
        issuer = self.settings.issuer
        if not isinstance(claims, dict) or claims.get("iss") != issuer:
            raise ValueError(f"this token was not issued by {issuer}")
        told = claims.get("aud")
        audience = [told] if isinstance(told, str) else told
        if not isinstance(audience, list) or not audience or not all(isinstance(each, str) for each in audience):
            raise ValueError("this token does not say for whom it was made")
        expires = _moment(claims, "exp")
        if expires is None:
            raise ValueError("this token does not say when it expires")
        begins = max(_moment(claims, "nbf") or 0.0, _moment(claims, "iat") or 0.0)
        scopes = claims.get("scope", claims.get("scp", ""))
        listed = scopes.split() if isinstance(scopes, str) else scopes if isinstance(scopes, list) else []
        return Sound(
            OAuthClient(self._client_id(claims), issuer, expires),
            frozenset(audience),
            frozenset(each for each in listed if isinstance(each, str)),
            begins,
            _thumbprint(claims.get("cnf")),
            key,
        )

    def _client_id(self, claims: dict[str, Any]) -> str:
        if "client_id" in claims and "azp" in claims and claims["client_id"] != claims["azp"]:
            raise ValueError("this token names two clients")
        found = next((claims[name] for name in self.settings.client if name in claims), None)
        if not isinstance(found, str) or not found or not found.isprintable() or not _is_text(found):
            raise ValueError(f"this token names no client in {' or '.join(self.settings.client)}")
        return found


def metadata(settings: OAuthEntry, resource: str) -> dict[str, Any]:
    """What a client reads to find its authorization server (RFC 9728)."""
    scopes = {"scopes_supported": list(settings.scopes)} if settings.scopes else {}
    return {
        "resource": resource,
        "authorization_servers": [settings.issuer],
        "bearer_methods_supported": ["header"],
        **scopes,
    }


def challenge(settings: OAuthEntry | None, base: str, path: str, flaw: str, text: str) -> str:
    """The `WWW-Authenticate` of a refusal: where to get a token, and what is wrong with this one."""
    told = []
    if settings is not None:
        told.append(("resource_metadata", f"{base}{WELL_KNOWN}{path}"))
        if settings.scopes:
            told.append(("scope", " ".join(settings.scopes)))
    if flaw:
        told += [("error", flaw), ("error_description", text)]
    return " ".join(["Bearer", ", ".join(f'{name}="{_quoted(value)}"' for name, value in told)]).strip()


def _quoted(text: str) -> str:
    safe = "".join(each if each.isascii() and each.isprintable() else "?" for each in text)
    return safe.replace("\\", "/").replace('"', "'")


def _flawed(kind: str, text: str) -> RefusedError:
    return RefusedError(401, kind, text, flaw="invalid_token")


def _moment(claims: dict[str, Any], name: str) -> float | None:
    found = claims.get(name)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int | float) or not -_FOREVER < found < _FOREVER:
        raise ValueError(f"this token's `{name}` is no time")
    return float(found)


def _thumbprint(bound: Any) -> str:
    """To which certificate a token is bound, in hex; raises ValueError where that is nothing that can be seen here."""
    if bound is None:
        return ""
    told = bound.get("x5t#S256") if isinstance(bound, dict) and len(bound) == 1 else None
    if not isinstance(told, str):
        raise ValueError("this token is bound to a key, and it cannot be seen here whether its holder has it")  # noqa: TRY004
    return base64.urlsafe_b64decode(told + "=" * (-len(told) % 4)).hex()


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
