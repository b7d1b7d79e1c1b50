"""Who is refused is on record, and whoever causes that cannot fill the disk: what is too many is counted."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from jackline.events import CallerRefused, Event, LoginFailed

MOST = 60
PER_S = 60.0


class Refusals:
    """At most `MOST` events in `PER_S` seconds, from wherever they come. Thread-safe."""

    def __init__(self, record: Callable[[Event], object]) -> None:
        self._record = record
        self._lock = threading.Lock()
        self._since = 0.0
        self._told = 0
        self._untold = 0

    def tell(self, event: LoginFailed | CallerRefused) -> None:
        """Put a refusal on record, with how many there were besides. Raises what `record` raises."""
        with self._lock:
            if not 0 <= event.at - self._since < PER_S:
                self._since, self._told = event.at, 0
            if self._told >= MOST:
                self._untold += 1
                return
            self._told += 1
            self._record(msgspec.structs.replace(event, unrecorded=self._untold))
            self._untold = 0

    def count(self) -> None:
        """Count a refusal that is not written: whoever tries has to wait already."""
        with self._lock:
            self._untold += 1
