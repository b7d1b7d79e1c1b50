"""Immutable past-tense facts, as the journal writes them: one line, one event.

Every event has `at` (Unix seconds). The journal adds `v`, `seq`, `prev` and `hash`; it writes the kind first.
Readers keep kinds that they do not know.
"""

from __future__ import annotations

from jackline.events.access import AccessAmended, LoggedIn, LoggedOut, LoginFailed
from jackline.events.acts import BudgetPruned, BudgetToppedUp, Completed, Cost, Decided, Failed, HoldBooked, Http, Usage
from jackline.events.agents import AgentAmended, AgentSeen, ModelSeen, ToolSeen
from jackline.events.alerts import AlertChannelTried, AlertFired, AlertResolved, AlertSilenced, AlertSilenceLifted
from jackline.events.approvals import (
    ApprovalAnswerRefused,
    ApprovalApproved,
    ApprovalConsumed,
    ApprovalDenied,
    ApprovalExpired,
    ApprovalRequested,
)
from jackline.events.bundles import BundleActivated, BundleChanged, BundleQuestioned, BundleRejected
from jackline.events.callers import CallerRefused
from jackline.events.record import Event, EventsLost, JournalClosed, JournalOpened
from jackline.events.sessions import (
    RunEnded,
    RunStarted,
    SessionEnded,
    SessionHalted,
    SessionReopened,
    SessionStarted,
    SessionStopped,
)

__all__ = [
    "KINDS",
    "AccessAmended",
    "AgentAmended",
    "AgentSeen",
    "AlertChannelTried",
    "AlertFired",
    "AlertResolved",
    "AlertSilenceLifted",
    "AlertSilenced",
    "ApprovalAnswerRefused",
    "ApprovalApproved",
    "ApprovalConsumed",
    "ApprovalDenied",
    "ApprovalExpired",
    "ApprovalRequested",
    "BudgetPruned",
    "BudgetToppedUp",
    "BundleActivated",
    "BundleChanged",
    "BundleQuestioned",
    "BundleRejected",
    "CallerRefused",
    "Completed",
    "Cost",
    "Decided",
    "Event",
    "EventsLost",
    "Failed",
    "HoldBooked",
    "Http",
    "JournalClosed",
    "JournalOpened",
    "LoggedIn",
    "LoggedOut",
    "LoginFailed",
    "ModelSeen",
    "RunEnded",
    "RunStarted",
    "SessionEnded",
    "SessionHalted",
    "SessionReopened",
    "SessionStarted",
    "SessionStopped",
    "ToolSeen",
    "Usage",
]

KINDS: dict[str, type[Event]] = {str(kind.__struct_config__.tag): kind for kind in Event.__subclasses__()}
"""Every kind by the name that its lines have."""
