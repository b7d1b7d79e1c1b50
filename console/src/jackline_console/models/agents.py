"""The registry."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, StringConstraints

from jackline.request import AgentStatus, ToolStatus
from jackline_console.models.basics import Because, Done, Page

Text = Annotated[str, StringConstraints(max_length=256)]
Fingerprint = Annotated[str, StringConstraints(pattern=r"^(\*|[0-9a-f]{16})$")]


class Version(BaseModel):
    """One version of an agent."""

    version: str
    key: str
    framework: str
    framework_version: str
    revision: str
    first_seen: float
    last_seen: float


class ToolView(BaseModel):
    """One tool of an agent, over its versions."""

    name: str
    fingerprint: str
    status: ToolStatus
    permitted: bool
    permitted_fingerprint: str | None
    not_permitted_since: float | None
    read_only: bool | None
    provider: bool
    suspended: bool
    first_seen: float
    last_seen: float | None
    calls: int
    failures: int
    denials: int


class Drift(BaseModel):
    """One way in which what was seen is not what was declared."""

    kind: str
    name: str
    message: str


class Recent(BaseModel):
    """What an agent did in the last days."""

    days: int
    cost_micro_usd: int
    unpriced: int
    decisions: int
    denied: int
    denial_rate: float | None
    sessions: int


class AgentView(BaseModel):
    """One agent, over its versions."""

    name: str
    status: AgentStatus
    managed: bool
    reported: bool
    """Seen by what it reports alone: nothing of ours stands before its acts."""
    team: str
    environment: str
    labels: dict[str, str]
    versions: list[Version]
    models: list[str]
    declared: dict[str, Any]
    tools: list[ToolView]
    drift: list[Drift]
    policies: list[str] | None
    first_seen: float
    last_seen: float | None
    cost_micro_usd: int
    unpriced: int
    recent: Recent


class AgentList(Page[AgentView]):
    """Agents, and versions for which a condition had no answer."""

    unclear: list[str]


class AgentChange(Because):
    """What to change of an agent; what is left out stays."""

    status: AgentStatus | None = None
    team: Text | None = None
    environment: Text | None = None
    labels: Annotated[dict[Text, Text | None], Field(max_length=100)] | None = None
    permit: Annotated[dict[Text, Fingerprint], Field(max_length=1000)] | None = None
    forbid: Annotated[list[Text], Field(max_length=1000)] | None = None


class AgentDone(Done):
    """What a person did to an agent."""

    agent: str
    changes: dict[str, Any]


class Known(BaseModel):
    """A root or field that conditions may name."""

    path: str
    type: str
    summary: str


class ConditionSchema(BaseModel):
    """What an editor completes."""

    roots: list[Known]
    functions: list[str]
