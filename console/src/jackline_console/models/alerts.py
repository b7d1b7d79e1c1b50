"""What fires."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from jackline_console.models.basics import Page


class Sent(BaseModel):
    """What a channel was told."""

    channel: str
    at: float
    ok: bool
    error: str


class Alert(BaseModel):
    """One alert, from its first moment to its end."""

    alert: str
    rule: str
    severity: Literal["info", "warning", "critical"]
    state: Literal["warning", "firing", "resolved", "no_data"]
    group: dict[str, str]
    value: float | None
    threshold: float | None
    unit: str
    message: str
    since: float
    last: float
    resolved: float | None
    silenced_until: float | None
    sent: list[Sent]


class Alerts(Page[Alert]):
    """Alerts; `running`: whether this console evaluates any."""

    running: bool
