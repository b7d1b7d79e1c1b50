"""What the servers of this distribution share: where they listen, and how they end."""

from __future__ import annotations

import contextlib
import signal
import socket
from typing import TYPE_CHECKING

import uvicorn

from jackline.errors import JacklineError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jackline_console.settings import Settings


class Quiet(uvicorn.Server):
    """Ends at a signal, and lets what comes after it be done."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End at SIGINT and SIGTERM; uvicorn would raise them again, and nothing after it would be done."""
        kept = {each: signal.signal(each, self.handle_exit) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, before in kept.items():
                signal.signal(each, before)


def listen(settings: Settings) -> socket.socket:
    """The socket of a server. Raises JacklineError."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # With its protocol named, asyncio sets TCP_NODELAY: else an answer's body waits 40 ms for its head to be confirmed.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((settings.host, settings.port))
        made.listen(128)  # whoever follows the link at once waits, and is not refused
    except OSError as error:
        made.close()
        raise JacklineError(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror}; --port 0 takes a free port"
        ) from error
    made.set_inheritable(False)
    return made
