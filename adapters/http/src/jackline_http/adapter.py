"""The adapter as Jackline's core knows it: it governs what a whole process sends."""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, TypeVar

from jackline.errors import JacklineError
from jackline_http.enforce import GOVERNING, end_open
from jackline_http.libraries import Library, aiohttp, httpx, requests, urllib3
from jackline_http.net import NET

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jackline.guard import Guard

T = TypeVar("T")

LIBRARIES = (
    Library("httpx", "0.27", httpx.put_on),
    Library("httpx2", "2.0", httpx.put_on),
    Library("requests", "2.31", requests.put_on),
    Library("urllib3", "2.0", urllib3.put_on),
    Library("aiohttp", "3.9", aiohttp.put_on),
)

GAPS: Mapping[str, str] = {
    "kept connections": "what another library sends over a connection that it opened outside of the tool is not seen",
    "subprocesses": "a program that a tool starts sends what it likes: govern the tool that starts it",
    "C extensions": "what connects in C (pycurl, gRPC, psycopg, uvloop) raises no audit event: list the tool instead",
    "names in C": "a connection by address is judged by the last name that Python looked that address up for",
    "outcome of others": "a connection that no wrapped library made is on record as let go, not as made",
    "streamed bodies": "a body that is not in memory when it is sent is judged without its content",
}

_lock = threading.RLock()
_users: list[Guard] = []
"""Every `enable` that was not undone."""


class HttpAdapter:
    """Governs requests of httpx, requests, urllib3 and aiohttp, and connections that tools make without them."""

    name = "http"

    def accepts(self, agent: object) -> bool:
        """No agent: requests are the process's."""
        return False

    def attach(self, guard: Guard, agent: T) -> T:
        """Raises JacklineError: a client is not governed by itself."""
        raise JacklineError(
            f"a {type(agent).__name__} is not attached: jackline_http.enable(guard) governs all requests of a process"
        )

    def enable(self, guard: Guard) -> None:
        """Ask `guard` about every request of this process, by libraries that are loaded later too."""
        with _lock:
            if guard not in _users:
                guard.at_close(functools.partial(end_open, guard))
            _users.append(guard)
            GOVERNING.guards = tuple(dict.fromkeys(_users))
            if len(_users) == 1:
                try:
                    for library in LIBRARIES:
                        library.watch()
                    NET.cast()
                except BaseException:
                    self.disable(guard)
                    raise

    def disable(self, guard: Guard) -> None:
        """Undo `enable`; what was enabled twice wants it twice."""
        with _lock:
            if guard not in _users:
                return
            _users.remove(guard)
            GOVERNING.guards = tuple(dict.fromkeys(_users))
            if not _users:
                for library in LIBRARIES:
                    library.leave()
                if NET.on:
                    NET.haul()

    def gaps(self) -> Mapping[str, str]:
        """What cannot be guaranteed, by path."""
        return GAPS


def enable(guard: Guard) -> None:
    """Ask `guard` about every outgoing request of this process, until it is closed or `disable` is called."""
    guard.enable(HttpAdapter())


def disable(guard: Guard) -> None:
    """Undo `enable`."""
    HttpAdapter().disable(guard)
