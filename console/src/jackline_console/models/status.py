"""How the console itself stands."""

from __future__ import annotations

from pydantic import BaseModel

from jackline_console.models.basics import Behind


class BundleFacts(BaseModel):
    """The bundle in a line; `problem` says why it cannot be loaded."""

    source: str
    revision: str
    mode: str
    problem: str


class Status(BaseModel):
    """How the console stands."""

    version: str
    home: str
    epoch: str
    cursor: str
    behind: Behind
    bundle: BundleFacts | None
    self_approval_possible: bool
    lost_events: int
    started: float


class Summary(BaseModel):
    """The head of the page."""

    running: int
    pending_approvals: int
    firing_alerts: int
    unregistered_agents: int
    cost_today_micro_usd: int
    unpriced_today: int
    lost_events: int
    cursor: str


class Health(BaseModel):
    """Whether the console answers."""

    status: str
