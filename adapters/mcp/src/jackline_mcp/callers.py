"""Who calls: the entry of the configuration that a token, a certificate or an OAuth client belongs to."""

from __future__ import annotations

import hashlib
import math
import time
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from jackline_mcp.identity_config import UNKNOWN
from jackline_mcp.relay import Client

if TYPE_CHECKING:
    from jackline_mcp.certificates import Certificate
    from jackline_mcp.config import Gateway

_LONGEST = 160
"""Characters of an OAuth client's id that stand in a name; of a longer one its digest does."""


class RefusedError(Exception):
    """A request is not let in: HTTP's status, the kind for the record, and what its sender is told."""

    def __init__(self, status: int, kind: str, text: str, *, flaw: str = "", agent: str = "") -> None:
        """`flaw`: OAuth's word for what is wrong with a token. `agent`: whose it was, where that is known."""
        self.status, self.kind, self.text, self.flaw, self.agent = status, kind, text, flaw, agent
        super().__init__(text)


class Caller(NamedTuple):
    """Who calls, as the configuration knows it."""

    name: str
    user: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    servers: tuple[str, ...] | None = None
    unknown: tuple[tuple[str, str], ...] = ()
    """Of somebody whom no entry names: what its certificate or token says, for people."""

    def client(self, session: str | None) -> Client:
        """Who that is in a session; None for one that nobody can come back to."""
        return Client(self.name, self.user, self.labels, session)


class OAuthClient(NamedTuple):
    """Whom a sound access token names."""

    id: str
    issuer: str
    expires: float
    """Unix seconds."""


class Shown(NamedTuple):
    """What somebody has shown of themselves."""

    token: str = ""
    """The SHA-256 of a bearer token; empty where there was none."""
    client: OAuthClient | None = None
    certificate: Certificate | None = None


class Callers:
    """Every entry by what it is known by. Never changed: a reload makes another one."""

    def __init__(self, config: Gateway) -> None:
        self._known: dict[tuple[str, str], Caller] = {}
        for name, entry in config.callers.items():
            caller = Caller(name, entry.user, tuple(entry.labels.items()), entry.servers)
            marks = [("token", each) for each in entry.token_sha256]
            marks += [("certificate", each) for each in entry.certificate]
            marks += [("oauth", each) for each in entry.oauth_client]
            self._known.update(dict.fromkeys(marks, caller))
        self._revoked = frozenset(config.revoked)
        self._anonymous = Caller(config.anonymous) if config.anonymous else None

    def has_token(self, digest: str) -> bool:
        """Whether a token is one of an entry's."""
        return ("token", digest) in self._known

    def of(self, shown: Shown) -> Caller:
        """Who that is; raises RefusedError. The same answer for as long as the configuration and the time allow it."""
        by_certificate = self._certified(shown.certificate) if shown.certificate is not None else None
        if not shown.token:
            found = by_certificate or self._anonymous
            if found is None:
                raise RefusedError(401, "no-credentials", "a token is needed: Authorization: Bearer TOKEN")
            return found
        by_token = self._by_token(shown)
        if by_certificate is None or by_certificate == by_token:
            return by_token
        if by_certificate.unknown:
            return by_token  # a certificate that says no more than that its CA knows the holder
        text = "the certificate is one caller's and the token another's"
        raise RefusedError(401, "two-callers", text, flaw="invalid_token", agent=by_token.name)

    def still(self, shown: Shown, caller: Caller) -> bool:
        """Whether somebody who was let in would be let in now, as the same; that time has passed is no matter here."""
        client, certificate = shown.client, shown.certificate
        ageless = Shown(
            shown.token,
            client and client._replace(expires=math.inf),
            certificate and certificate._replace(begins=0.0, ends=math.inf),
        )
        try:
            return self.of(ageless) == caller
        except RefusedError:
            return False

    def _by_token(self, shown: Shown) -> Caller:
        if shown.token in self._revoked:
            raise RefusedError(401, "revoked", "this token was revoked", flaw="invalid_token")
        known = self._known.get(("token", shown.token))
        if known is not None:
            return known
        client = shown.client
        if client is None:
            raise RefusedError(401, "unknown-token", "this token is nobody's", flaw="invalid_token")
        known = self._known.get(("oauth", client.id))
        if client.expires <= time.time():
            name = known.name if known is not None else ""
            raise RefusedError(401, "expired", "this token has expired", flaw="invalid_token", agent=name)
        if known is not None:
            return known
        told = (("oauth_client", client.id[:_LONGEST]), ("oauth_issuer", client.issuer))
        return Caller(oauth_name(client), unknown=told)

    def _certified(self, certificate: Certificate) -> Caller:
        if certificate.fingerprint in self._revoked:
            raise RefusedError(401, "revoked", "this certificate was revoked")
        if not certificate.begins <= time.time() < certificate.ends:
            raise RefusedError(401, "expired", "this certificate has expired, or is not valid yet")
        exact, *names = certificate.marks
        found = self._known.get(("certificate", exact))
        if found is not None:
            return found
        named = {self._known[key] for name in names if (key := ("certificate", name)) in self._known}
        if len(named) > 1:
            both = " and ".join(sorted(f"'{caller.name}'" for caller in named))
            raise RefusedError(401, "two-callers", f"the certificate's names are those of {both}")
        if named:
            return named.pop()
        told = (
            ("certificate_subject", certificate.subject),
            ("certificate_issuer", certificate.issuer),
            ("certificate_names", " ".join(certificate.names)),
        )
        return Caller(f"{UNKNOWN[1]}{certificate.identity}", unknown=tuple(each for each in told if each[1]))


def oauth_name(client: OAuthClient) -> str:
    """The name of an OAuth client that no entry names: the same for nobody else, whatever it calls itself."""
    identity = quote(client.id, safe="/:._~+-")
    if len(identity) > _LONGEST:
        identity = f"{identity[:100]}*{hashlib.sha256(client.id.encode(errors='surrogatepass')).hexdigest()[:32]}"
    return f"{UNKNOWN[0]}{client.issuer.removeprefix('https://')}#{identity}"
