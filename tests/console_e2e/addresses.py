"""Every page of the console: what the tests look at and what pictures are taken of is one list."""

from __future__ import annotations

PAGES = {
    "live": "/",
    "sessions": "/sessions",
    "trace": "/sessions/ticket-44",
    "step": "/sessions/ticket-44?span={denied}",
    "study": "/sessions/study-57",
    "long": "/sessions/long",
    "graph": "/sessions/study-57?tab=graph",
    "replay": "/sessions/study-57?replay=1",
    "agents": "/agents",
    "agent": "/agents/support",
    "query": "/agents?where=agent.team == 'care' %26%26 'customer-data' in agent.labels",
    "approvals": "/approvals",
    "approval": "/approvals/{approval}",
    "asked": "/approvals?state=all",
    "policies": "/policies",
    "bundle": "/policies?tab=edit",
    "revisions": "/policies?tab=revisions",
    "alerts": "/alerts",
    "history": "/alerts?tab=history",
    "rules": "/alerts?tab=rules",
    "silences": "/alerts?tab=silences",
    "channels": "/alerts?tab=channels",
    "costs": "/costs",
    "costs-model": "/costs?by=model&time=day",
    "costs-managed": "/costs?by=managed",
    "access": "/access",
    "nowhere": "/sessions/ffffffff",
}
"""`{denied}` is a step that was denied, `{approval}` a question that waits."""
HELD = ("live", "alerts", "approvals", "approval", "step", "agents", "costs")
"""Pages that people open on a phone."""
REPORTED = {
    "reported-agents": "/agents",
    "reported-agent": "/agents/buyer",
    "reported-sessions": "/sessions",
    "reported-trace": "/sessions/{session}?span={step}",
    "reported-live": "/",
    "reported-alerts": "/alerts",
    "reported-costs": "/costs",
    "reported-costs-managed": "/costs?by=managed",
}
"""Pages where agents that are only reported stand beside governed ones."""
