"""Beneath the libraries: connections that a tool makes through anything else, seen by Python's audit hook.

A hook cannot be taken away again. While nothing is governed this one compares a text and returns.
"""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING, Any

from jackline.session import CURRENT
from jackline.wrapping import Wraps
from jackline_http.enforce import GOVERNING, LIVE, Exchange, HttpAct
from jackline_http.translate import Sending

if TYPE_CHECKING:
    from collections.abc import Callable

    from jackline.guard import Guard

_EVENTS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_FAMILIES = (socket.AF_INET, socket.AF_INET6)
_CAPACITY = 4096

_names: dict[str, str] = {}
"""The name that an address was last found for: what connects is only told the address."""
_sent: set[tuple[str, str, int]] = set()
"""Where datagrams of a span went already: each of them is no act of its own."""


class Names(Wraps):
    """Remembers which name an address was looked up for."""

    def put_on(self) -> None:
        """Wrap Python's way to look a name up."""
        self.wrap(socket, "getaddrinfo", _remembering)


class Net:
    """The hook, which is put in once and does nothing until it is on."""

    def __init__(self) -> None:
        self.on = False
        self._hooked = False
        self._looked_up = Names()

    def cast(self) -> None:
        """See connections from now on."""
        if not self._hooked:
            sys.addaudithook(_hook)
            self._hooked = True
        self._looked_up.install()
        self.on = True

    def haul(self) -> None:
        """See nothing any more."""
        self.on = False
        self._looked_up.remove()
        _names.clear()
        _sent.clear()


NET = Net()


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if event in _EVENTS and NET.on:
        _leaving(args[0], args[1], datagram=event != "socket.connect")


def _leaving(used: Any, address: Any, *, datagram: bool) -> None:
    """Ask about a connection, or a first datagram, that a tool makes by itself; raises where it may not be."""
    scope = CURRENT.get()
    if scope is None or scope.span in LIVE:
        return
    asked = tuple(
        each.guard for each in (scope, *scope.others) if each.action == "tool.call" and each.guard in GOVERNING.guards
    )
    if not asked or not isinstance(address, tuple) or used.family not in _FAMILIES or not GOVERNING.asks():
        return
    where, port = str(address[0]), int(address[1])
    if datagram:
        if (scope.span, where, port) in _sent:
            return
        if len(_sent) >= _CAPACITY:
            _sent.clear()
    scheme = "udp" if used.type == socket.SOCK_DGRAM else "tcp"
    _ask(asked, Sending("CONNECT", scheme, _names.get(where, where), port, ""))
    if datagram:
        _sent.add((scope.span, where, port))


def _ask(guards: tuple[Guard, ...], sending: Sending) -> None:
    """Ask the guards of the tool alone, without waiting: there is nothing to await in a hook."""
    connection = Connection("socket", PermissionError, None, sending, guards)
    connection.ask()
    connection.close()  # what becomes of it is not seen


class Connection(Exchange):
    """A connection that no library of ours makes: it is let go or not, and that is all that is known of it."""

    def _take(self, act: HttpAct) -> None:
        self._acts.append(act)
        if act.decision is not None and act.decision.args is not None:
            raise act.refused("a connection cannot be changed as policy asks")


def _remembering(original: Callable[..., Any]) -> Callable[..., Any]:
    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        found = original(host, *args, **kwargs)
        name = host.decode("idna") if isinstance(host, bytes) else host
        if NET.on and isinstance(name, str) and name:
            if len(_names) >= _CAPACITY:
                _names.clear()
            for *_, address in found:
                if address[0] != name:
                    _names[str(address[0])] = name
        return found

    return getaddrinfo
