"""What nobody is to be told of for a time: acts of people, as the record has them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from jackline.events import AlertSilenced, AlertSilenceLifted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jackline.stores import EventRow

KINDS = ("alert_silenced", "alert_silence_lifted")
_MOST = 2000


class Silences:
    """Every silence that is not over. Thread-safe."""

    def __init__(self, store: Any) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, AlertSilenced] = {}
        self._lifted: set[str] = set()
        for row in store.audits(KINDS, _MOST):
            self._take(row.event)

    def take(self, event: AlertSilenced | AlertSilenceLifted) -> None:
        """What a person did here: in force at once."""
        self._take(event)

    def feed(self, row: EventRow) -> None:
        """What a person did in another console."""
        if row.kind in KINDS:
            self._take(row.event)

    def _take(self, event: Any) -> None:
        with self._lock:
            if isinstance(event, AlertSilenced) and event.silence not in self._lifted:
                self._held[event.silence] = event
            elif isinstance(event, AlertSilenceLifted):
                self._lifted.add(event.silence)
                self._held.pop(event.silence, None)

    def held(self, now: float) -> list[AlertSilenced]:
        """Those in force, the latest first."""
        with self._lock:
            for name in [name for name, one in self._held.items() if one.until <= now]:
                del self._held[name]
            return sorted(self._held.values(), key=lambda one: -one.at)

    def until(self, rule: str, group: Mapping[str, str], now: float) -> float | None:
        """Until when nobody is told of a rule's alert for a group; None: it is told."""
        found = None
        for one in self.held(now) if self._held else ():
            if one.rule in ("", rule) and all(group.get(name) == value for name, value in one.group.items()):
                found = max(found or 0.0, one.until)
        return found
