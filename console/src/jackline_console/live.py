"""Sessions as the page *Live* shows them: the core's facts, and which alerts are about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jackline.cli.live import LiveSessions, session_facts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jackline.stores import SessionRow

__all__ = ["Live", "session_facts"]


class Live(LiveSessions):
    """Builds what the page shows. Thread-safe."""

    def changed(self, sessions: Sequence[str]) -> list[dict[str, Any]]:
        """These sessions as they are now."""
        return self.told(self.store.named(sessions))

    def told(self, rows: Sequence[SessionRow]) -> list[dict[str, Any]]:
        """Sessions as `LiveSession` has them."""
        return [facts | {"alerts": []} for facts in super().told(rows)]
