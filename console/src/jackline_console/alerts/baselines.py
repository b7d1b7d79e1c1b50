"""What is usual, from the index's distributions and totals; asked every few minutes at most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

KEPT_S = 300.0
DAYS_S = 30 * 86400.0
_DAY_S = 86400.0


class StoreBaselines:
    """Of the sessions of the last 30 days, and the calls of the last 24 hours."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self._durations: tuple[float, Mapping[str, tuple[int, float]]] = (float("-inf"), {})
        self._failures: dict[str, tuple[float, Mapping[str, tuple[int, float]]]] = {}

    def duration(self, agent: str, now: float) -> tuple[int, float]:
        """How many sessions of an agent's version are known, and their 95th percentile in seconds."""
        asked, found = self._durations
        if not 0 <= now - asked < KEPT_S:
            rows = self._store.distributions("session_duration", ("agent",), since=now - DAYS_S)
            found = {row.agent: (row.count, row.p95 / 1000) for row in rows}
            self._durations = (now, found)
        return found.get(agent, (0, 0.0))

    def failures(self, by: str, name: str, now: float) -> tuple[int, float]:
        """How many calls of a tool (or by an agent) the last 24 hours had, and the share that failed."""
        asked, found = self._failures.get(by, (float("-inf"), {}))
        if not 0 <= now - asked < KEPT_S:
            rows = self._store.tool_usage((by,), since=now - _DAY_S)
            found = {getattr(row, by): (row.calls, row.failures / row.calls) for row in rows if row.calls}
            self._failures[by] = (now, found)
        return found.get(name, (0, 0.0))
