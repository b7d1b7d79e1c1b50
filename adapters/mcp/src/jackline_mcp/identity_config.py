"""Who may call a gateway, as `jackline-mcp.yaml` says it: tokens, certificates, OAuth clients."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"
]  # none that anybody could make with a public key
ClientClaim = Literal["client_id", "azp", "sub"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
UNKNOWN = ("oauth:", "certificate:")
"""How the names of callers begin that no entry names; nobody who is named can be called so."""
_MARKS = ("sha256:", "subject:", "DNS:", "URI:", "email:", "IP:")
_DIGEST = re.compile(r"^[0-9a-f]{64}$")


def _many(found: Any) -> Any:
    if isinstance(found, str):
        return (found,)
    return tuple(found) if isinstance(found, list) else found


def _digest(text: str) -> str:
    if not _DIGEST.match(text):
        raise ValueError("expected 64 hex digits, in lower case")
    return text


def _mark(text: str) -> str:
    kind = next((each for each in _MARKS if text.startswith(each) and len(text) > len(each)), None)
    if kind is None:
        raise ValueError(f"a certificate is named by one of {', '.join(_MARKS)} see: jackline mcp certificate FILE")
    if kind == "sha256:":
        return kind + _digest(text.removeprefix(kind).replace(":", "").lower())
    return text.lower().replace("dns:", "DNS:", 1) if kind == "DNS:" else text


Digest = Annotated[str, BeforeValidator(lambda text: _digest(text) if isinstance(text, str) else text)]
Mark = Annotated[str, BeforeValidator(lambda text: _mark(text) if isinstance(text, str) else text)]


class Part(BaseModel):
    """A part of the file: what it does not know, it refuses."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CallerEntry(Part):
    """One caller: who it is here, and how it is known. Each of these may be one text or a list."""

    token_sha256: Annotated[tuple[Digest, ...], BeforeValidator(_many)] = ()
    certificate: Annotated[tuple[Mark, ...], BeforeValidator(_many)] = ()
    """`sha256:...`, `subject:...`, `DNS:...`, `URI:...`, `email:...` or `IP:...` of a client certificate."""
    oauth_client: Annotated[tuple[str, ...], BeforeValidator(_many)] = ()
    user: str = ""
    labels: dict[str, str] = {}
    servers: tuple[Name, ...] | None = None
    """Which servers it may reach; all where none is named."""

    @model_validator(mode="after")
    def _known_somehow(self) -> CallerEntry:
        if not (self.token_sha256 or self.certificate or self.oauth_client):
            raise ValueError("a caller has `token_sha256`, `certificate` or `oauth_client`")
        return self


class TlsEntry(Part):
    """TLS of the gateway's own. Files are relative to the configuration."""

    certificate: str
    """PEM, with its chain."""
    key: str = ""
    """PEM; where it is not in the certificate's file."""
    client_ca: str = ""
    """PEM: who signs the certificates of clients. Without it none is asked for."""
    client_certificate: Literal["required", "optional"] = "required"


class OAuthEntry(Part):
    """The authorization server whose tokens count."""

    issuer: str
    jwks: str
    """Its keys: an https address, or a file relative to the configuration."""
    url: str = ""
    """How clients call this gateway, without a path: `https://gateway.example`. Otherwise where it listens."""
    audience: Annotated[tuple[str, ...], BeforeValidator(_many)] = ()
    """What tokens may be made for, beside the address of the server that is called."""
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = ("RS256", "PS256", "ES256", "EdDSA")
    client: Annotated[tuple[ClientClaim, ...], BeforeValidator(_many), Field(min_length=1)] = ("client_id", "azp")
    """Which claims say who the client is; the first that is there."""
    scopes: tuple[str, ...] = ()
    """What a token must permit."""
    refresh: Annotated[float, Field(ge=10)] = 300.0
    """Seconds after which the keys are asked for again."""

    @field_validator("issuer")
    @classmethod
    def _address(cls, text: str) -> str:
        return _safe(text)

    @field_validator("url")
    @classmethod
    def _origin(cls, text: str) -> str:
        if text and (urlsplit(_safe(text)).path.strip("/") or urlsplit(text).query):
            raise ValueError(f"{text!r} has a path; expected only how it begins, as https://gateway.example")
        return text.rstrip("/")

    @field_validator("jwks")
    @classmethod
    def _keys(cls, text: str) -> str:
        return _safe(text) if "://" in text else text


def _safe(text: str) -> str:
    """An address that nobody in between can answer for."""
    parts = urlsplit(text)
    if not parts.hostname or parts.fragment:
        raise ValueError(f"{text!r} is no https address")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
        raise ValueError(f"{text!r} is not https: whoever is in between could say who everybody is")
    return text


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
