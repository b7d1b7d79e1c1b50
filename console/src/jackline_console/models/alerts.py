"""What fires, by which rules, and what nobody is told of."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints

from jackline_console.models.basics import Asked, Page, Why

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Value = Annotated[str, StringConstraints(min_length=1, max_length=400)]
Severity = Literal["info", "warning", "critical"]


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
    severity: Severity
    state: Literal["warning", "firing", "resolved", "no_data"]
    group: dict[str, str]
    reported: bool
    """About a session or an agent that is only reported."""
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
    """Alerts; `running`: whether this console evaluates any; `problem`: what goes wrong with that, or nothing."""

    running: bool
    problem: str


class Rule(BaseModel):
    """One rule in force; durations in seconds, money in micro-dollars."""

    rule: str
    kind: str
    severity: Severity
    when: dict[str, Any]
    for_s: float
    group: Literal["agent", "session", "tool", ""]
    cooldown_s: float
    channels: list[str]
    firing: int


class Rules(Page[Rule]):
    """The rules in force; without a bundle that says otherwise, the defaults."""


class PreviewAsked(Asked):
    """A rule as a bundle says it (`kind`, `when`, `for`, ...), and between which times it is tried."""

    rule: dict[str, Any]
    name: Name = "preview"
    since: float = Field(ge=0, le=1e11)
    until: float = Field(ge=0, le=1e11)


class Preview(BaseModel):
    """When the rule would have fired, and how many events it was shown."""

    fired: list[Alert]
    evaluated: int


class Silence(BaseModel):
    """What nobody is told of, until when, and who wanted it."""

    silence: str
    rule: str
    group: dict[str, str]
    until: float
    who: str
    why: str
    at: float


class Silences(Page[Silence]):
    """Those in force, the latest first."""


class SilenceAsked(Asked):
    """Silence a rule, a group (`agent`, `session`, `tool`), or both; neither is everything."""

    rule: Annotated[str, StringConstraints(max_length=64)] = ""
    group: dict[Literal["agent", "session", "tool"], Value] = Field(default={})
    for_s: float = Field(gt=0, le=30 * 86400)
    why: Why


class SilenceDone(Silence):
    """A silence that began or ended."""

    done: Literal["silenced", "lifted"]
