"""The signals that rules look at, by kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jackline_console.alerts.signals.cost import BurnRate, CostRate, Exhaustion, SessionCost
from jackline_console.alerts.signals.loops import Loop
from jackline_console.alerts.signals.people import ApprovalAge, DenialBurst
from jackline_console.alerts.signals.registry import ChangedTool, LostEvents, NewTool, Unregistered, WidenedBundle
from jackline_console.alerts.signals.time import SessionDuration, SilentSession
from jackline_console.alerts.signals.tools import ConsecutiveFailures, ToolFailureRate
from jackline_console.alerts.signals.unpriced import UnpricedCalls

if TYPE_CHECKING:
    from jackline_console.alerts.signals.signal import Signal

SIGNALS: dict[str, type[Signal]] = {
    "session_cost": SessionCost,
    "cost_rate": CostRate,
    "burn_rate": BurnRate,
    "exhaustion": Exhaustion,
    "tool_failure_rate": ToolFailureRate,
    "consecutive_failures": ConsecutiveFailures,
    "session_duration": SessionDuration,
    "loop": Loop,
    "denial_burst": DenialBurst,
    "approval_age": ApprovalAge,
    "silent_session": SilentSession,
    "unpriced_calls": UnpricedCalls,
    "unregistered_agent": Unregistered,
    "new_tool": NewTool,
    "changed_tool": ChangedTool,
    "lost_events": LostEvents,
    "widened_bundle": WidenedBundle,
}
"""Every kind of `jackline.alert_rules.KINDS`."""
