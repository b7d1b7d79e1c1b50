"""A web server that comes back from where it was told to end, so that what was opened is closed."""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    from collections.abc import Iterator


class Server(uvicorn.Server):
    """uvicorn's own raises the signal again: the process would be gone before sessions and journal are closed."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End at SIGINT and SIGTERM."""
        kept = {each: signal.signal(each, self.handle_exit) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, before in kept.items():
                signal.signal(each, before)
