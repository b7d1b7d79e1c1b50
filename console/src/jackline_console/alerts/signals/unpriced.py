"""Model calls that nobody knows the price of: no ceiling in money holds for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jackline_console.alerts.signals.registry import Happened

if TYPE_CHECKING:
    from jackline_console.alerts.lines import Outcome
    from jackline_console.alerts.memory import Act, Session


class UnpricedCalls(Happened):
    """Counted by agent."""

    def unpriced(self, session: Session, act: Act | None, line: Outcome, at: float) -> None:
        """One such call."""
        agent = act.agent if act is not None else session.agent
        model = line.resource
        self.count(self.key(session, agent), at, 1, lambda n: f"{agent}: {n:.0f} calls without a price, last '{model}'")
