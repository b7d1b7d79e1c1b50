"""How one console is run."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jackline.home import Home

PORT = 8470
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address to listen on."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, kw_only=True)
class OIDC:
    """Where users may log in besides here."""

    issuer: str
    client: str
    secret: str = field(default="", repr=False)
    claim: str = "email"
    """The claim that is a user's name here."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the command line says; times are seconds."""

    home: Home
    host: str = "127.0.0.1"
    port: int = PORT
    bundle: Path = Path("jackline.yaml")
    """The bundle that the page shows and changes."""
    names: tuple[str, ...] = ()
    """Host names by which browsers may call it, beside those of loopback and the address that it listens on."""
    secure: bool = False
    """Browsers reach it by https: here, or at what stands before it."""
    ingest: bool = True
    """Whether this console brings journals into the index; another process may do it as well."""
    alerts: bool = False
    """Whether this console looks for alerts, as `jackline up` does."""
    heartbeat_s: float = 15.0
    session_s: float = 12 * 3600.0
    """How long a login lasts."""
    idle_s: float = 2 * 3600.0
    """How long it lasts without a request."""
    oidc: OIDC | None = None
    streams: int = 200
    """Streams that are served at once."""
    streams_each: int = 50
    """Of those, for one user or token: each page that is open has one."""
    body_s: float = 30.0
    """How long a request's body may take."""

    @property
    def loopback(self) -> bool:
        """Whether only this machine reaches it: then there is one user, who started it."""
        return is_loopback(self.host)

    @property
    def cookie(self) -> str:
        """The cookie's name. Cookies know no ports: two consoles of one machine must not take each other's."""
        return "__Host-jackline" if self.secure else f"jackline_{self.port}"

    @property
    def state_cookie(self) -> str:
        """The cookie of a login that was begun at a provider: no other host may set it, nor begin logins so."""
        return "__Host-jackline_oidc" if self.secure else f"jackline_oidc_{self.port}"

    @property
    def hosts(self) -> frozenset[str]:
        """What may stand in `Host`, without a port. Anything else is somebody who rebinds a name to this address."""
        own = self.host if ":" not in self.host else f"[{self.host}]"
        return frozenset(name.lower() for name in (*LOOPBACK_NAMES, own, *self.names))
