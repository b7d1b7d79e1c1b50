"""Sessions as the page *Live* shows them: the core's facts, and which alerts are about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jackline.cli.live import LiveSessions
from jackline.cli.live import session_facts as known_facts
from jackline_console.reported import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jackline.control import Stop
    from jackline.stores import SessionRow
    from jackline_console.alerts.alerter import Alerts


def session_facts(row: SessionRow, stop: Stop | None) -> dict[str, Any]:
    """A session as `Session` has it."""
    return known_facts(row, stop) | {"reported": row.namespace == NAMESPACE}


class Live(LiveSessions):
    """Builds what the page shows. Thread-safe."""

    alerts: Alerts
    """The alerter of this console, running or not."""

    def changed(self, sessions: Sequence[str]) -> list[dict[str, Any]]:
        """These sessions as they are now."""
        return self.told(self.store.named(sessions))

    def told(self, rows: Sequence[SessionRow]) -> list[dict[str, Any]]:
        """Sessions as `LiveSession` has them."""
        found: dict[str, list[dict[str, Any]]] = {}
        for row in self.store.alerts(open_only=True) if self.alerts.running else ():
            told = {"alert": row.alert, "rule": row.rule, "severity": row.severity, "state": row.state}
            found.setdefault(row.group.get("session", ""), []).append(told)
        return [
            facts | {"alerts": found.get(facts["session"], []), "reported": facts["namespace"] == NAMESPACE}
            for facts in super().told(rows)
        ]
