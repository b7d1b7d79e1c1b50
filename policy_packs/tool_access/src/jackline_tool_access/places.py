"""Where requests may go, as a bundle writes it: `[scheme://]host[:port]`, the host exact, a glob or a network."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from jackline.facts import PORTS, host

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMES = ("http", "https", "ws", "wss", "tcp", "udp")
RAW = ("tcp", "udp")
"""Connections that were made past the libraries that are governed."""
SECURE = {"ws": "http", "wss": "https"}
"""A web socket begins as a request: where that is permitted, so is it."""

_NAME = re.compile(r"[a-z0-9_*](?:[a-z0-9_*.-]*[a-z0-9_*])?")
_PORT = re.compile(r"\*|[0-9]{1,5}")
_HIGHEST = 65535


class Flaw(NamedTuple):
    """Why a text is no place, and what would be right."""

    message: str
    hint: str


class Place:
    """One entry's place, compiled."""

    __slots__ = ("_any_port", "_match", "_network", "host", "port", "scheme", "text")

    def __init__(self, text: str) -> None:
        """Raises ValueError with a Flaw where `text` is no place."""
        self.text = text
        self.scheme, self.host, port = _parts(text)
        self._any_port = port == "*"
        self.port = int(port) if port.isdecimal() else 0
        self._network = _network(self.host) if "/" in self.host and not self.host.startswith("unix:") else None
        glob = re.escape(self.host).replace(r"\*", ".*") if "*" in self.host else None
        self._match = re.compile(glob, re.DOTALL).fullmatch if glob is not None else None

    def is_at(self, name: str) -> bool:
        """Whether this is that host: exactly, by the glob, or within the network. A glob covers no socket file."""
        if self._network is not None:
            return _is_within(name, self._network)
        if self._match is not None:
            return not name.startswith("unix:") and self._match(name) is not None
        return name == self.host

    def covers(self, http: Mapping[str, Any], schemes: frozenset[str] | None) -> bool:
        """Whether a request may go here: its scheme listed, its port this one, or the one that goes without saying."""
        scheme = http["scheme"]
        if self.scheme:
            if SECURE.get(scheme, scheme) != SECURE.get(self.scheme, self.scheme):
                return False
        elif scheme in RAW or (schemes is not None and SECURE.get(scheme, scheme) not in schemes):
            return False
        return self._is_port(http["port"], PORTS.get(scheme)) and self.is_at(http["host"])

    def denies(self, http: Mapping[str, Any]) -> bool:
        """Whether nothing may go here: on any port and by any scheme where none is named."""
        scheme = http["scheme"]
        if self.scheme and SECURE.get(scheme, scheme) != SECURE.get(self.scheme, self.scheme):
            return False
        return (not self.port or self.port == http["port"]) and self.is_at(http["host"])

    def is_proxy(self, proxy: str) -> bool:
        """Whether a proxy, `host:port`, is here; on any port where none is named."""
        name, _, port = proxy.rpartition(":")
        return (not self.port or str(self.port) == port) and self.is_at(host(name))

    def _is_port(self, port: int, usual: int | None) -> bool:
        if self._any_port or self.host.startswith("unix:"):
            return True
        return port == (self.port or usual)


def flaw(text: str) -> Flaw | None:
    """Say why a text is no place; None where it is one."""
    try:
        Place(text)
    except ValueError as error:
        return error.args[0] if isinstance(error.args[0], Flaw) else Flaw(f"{text!r} is no place", str(error))
    return None


def _parts(text: str) -> tuple[str, str, str]:
    """Scheme, host and port; the scheme and the port may be empty."""
    if not text or text != text.strip():
        raise ValueError(Flaw(f"{text!r} is no host: it is empty, or has space around it", "write the host alone"))
    if text.startswith("unix:"):
        return "", text, ""
    scheme, found, rest = text.partition("://")
    scheme, rest = (scheme.lower(), rest) if found else ("", text)
    if found and scheme not in SCHEMES:
        raise ValueError(Flaw(f"{text!r} has the scheme {scheme!r}", f"write one of {', '.join(SCHEMES)}, or none"))
    if "@" in rest:
        raise ValueError(Flaw(f"{text!r} has a user name or a password", "write the host alone"))
    network = _network_text(rest)
    if network is not None:
        return scheme, *network
    if "/" in rest or "?" in rest:
        raise ValueError(Flaw(f"{text!r} has a path", "write the host alone; a rule may ask for http.path"))
    name, port = _host_and_port(text, rest)
    if port and (not _PORT.fullmatch(port) or (port != "*" and not 0 < int(port) <= _HIGHEST)):
        raise ValueError(Flaw(f"{text!r} has the port {port!r}", f"write a number up to {_HIGHEST}, or * for any"))
    if scheme in RAW and not port:
        raise ValueError(Flaw(f"{text!r} has no port", f"write {text}:PORT, or {text}:* for any"))
    return scheme, name, port


def _host_and_port(text: str, rest: str) -> tuple[str, str]:
    if rest.startswith("["):
        inside, found, port = rest[1:].partition("]")
        if not found or (port and not port.startswith(":")) or not _is_address(inside):
            raise ValueError(Flaw(f"{text!r} has no address in its brackets", "write [::1] or [::1]:443"))
        return host(inside), port[1:]
    if rest.count(":") > 1:
        if not _is_address(rest):
            raise ValueError(Flaw(f"{text!r} has more than one port", "write host:port; an IPv6 address in brackets"))
        return host(rest), ""
    name, _, port = rest.partition(":")
    spelt = _spelt(name)
    if not _NAME.fullmatch(spelt) or ".." in spelt:
        raise ValueError(
            Flaw(f"{text!r} is no host", "write a name such as api.example.com, *.example.com or 10.0.0.0/8")
        )
    return spelt, port


def _spelt(name: str) -> str:
    """A host as requests have it; in a glob, label by label."""
    if "*" not in name:
        return host(name)
    labels = name.lower().rstrip(".").split(".")
    return ".".join(label if label.isascii() else host(label) for label in labels)


def _network_text(rest: str) -> tuple[str, str] | None:
    """A network and its port, `10.0.0.0/8:443`; None where it is none."""
    address, found, length = rest.partition("/")
    bits, _, port = length.partition(":")
    if not found or not bits.isdecimal() or not _is_address(address.removeprefix("[").removesuffix("]")):
        return None
    network = f"{address.removeprefix('[').removesuffix(']')}/{bits}"
    try:
        ipaddress.ip_network(network)
    except ValueError as error:
        wide = ipaddress.ip_network(network, strict=False) if "host bits" in str(error) else "10.0.0.0/8"
        raise ValueError(Flaw(f"{rest!r} is no network: {error}", f"write {wide}")) from error
    return network, port


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(text)


def _is_within(name: str, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    try:
        return ipaddress.ip_address(name) in network
    except ValueError:
        return False
