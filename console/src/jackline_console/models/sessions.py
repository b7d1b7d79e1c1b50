"""Sessions, their steps, and what runs."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from jackline_console.models.basics import Done, Page, StreamEvent

SessionState = Literal["running", "open", "ended", "halted", "crashed"]


class Session(BaseModel):
    """One session, over all its processes."""

    session: str
    external_id: str
    user: str
    application: str
    namespace: str
    reported: bool
    """Told over OTLP after the acts: nothing judged them, and nothing here can hold them."""
    labels: dict[str, str]
    state: SessionState
    agents: list[str]
    started: float
    ended: float | None
    last_at: float
    how: str
    halted: bool
    paused: bool
    halt_reason: str
    halt_policy: str
    halt_rule: str
    cost_micro_usd: int
    unpriced: int
    input_tokens: int
    output_tokens: int
    tokens: int
    decisions: int
    modified: int
    escalated: int
    denied: int
    halts: int
    would_deny: int
    runs: int
    model_calls: int
    tool_runs: int
    failures: int
    unknown: int
    running: int


class Ceiling(BaseModel):
    """The tightest scope that a session's last reservation found."""

    scope: str
    policy: str
    unit: Literal["usd", "tokens", "calls"]
    cap: int
    spent: int
    held: int
    session: bool


class Rate(BaseModel):
    """What was spent in each step, the oldest first."""

    step_s: int
    until: float
    micro_usd: list[int]


class Act(BaseModel):
    """What runs now."""

    span: str
    kind: str
    name: str
    agent: str
    started: float


class StopView(BaseModel):
    """What a person asked of a session."""

    who: str
    why: str
    at: float
    pause: bool


class AlertMark(BaseModel):
    """An alert about a session."""

    alert: str
    rule: str
    severity: str
    state: str


class LiveSession(Session):
    """A session as the page *Live* shows it."""

    ceiling: Ceiling | None
    rate: Rate
    micro_usd_per_min: float
    exhausted_in_s: float | None
    now: list[Act]
    waiting: list[str]
    stop: StopView | None
    alerts: list[AlertMark]


class LiveSessions(Page[LiveSession]):
    """What runs, and where a stream goes on from."""

    at: float
    cursor: str


class Reopened(BaseModel):
    """Who lifted a session's end last."""

    who: str
    why: str


class Wait(BaseModel):
    """How long a step waited for people."""

    approval: str
    span: str
    from_: float
    to: float | None
    state: str

    model_config = {"populate_by_name": True, "alias_generator": lambda name: name.rstrip("_")}


class SessionWhole(Session):
    """A session, and what its page shows above its steps."""

    cursor: str
    ceiling: Ceiling | None
    stop: StopView | None
    reopened: Reopened | None
    waits: list[Wait]
    events: int
    spans: int


class Span(BaseModel):
    """One step. What is at its default is left out."""

    span: str
    parent: str = ""
    run: str = ""
    agent: str = ""
    kind: str
    name: str = ""
    depth: int = 0
    started: float = 0.0
    ended: float | None = None
    duration_ms: float | None = None
    outcome: str = ""
    error: str = ""
    effect: str = ""
    would: str = ""
    mode: str = ""
    reason: str = ""
    policy: str = ""
    rule: str = ""
    return_effect: str = ""
    return_reason: str = ""
    return_policy: str = ""
    return_rule: str = ""
    model: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False
    cost_micro_usd: int | None = None
    matched: str = ""
    held_micro_usd: int = 0
    args: str = ""
    result: str = ""
    call_id: str = ""
    journal: str = ""
    seq: int = 0
    method: str = ""
    scheme: str = ""
    port: int = 0
    status: int = 0
    sent: int | None = None
    received: int | None = None


class Spans(Page[Span]):
    """The steps of a session, in the order of their decisions."""

    total: int
    cursor: str


class SpanWhole(BaseModel):
    """Everything on record of one step."""

    span: Span
    revision: str
    verdicts: list[dict[str, Any]]
    events: list[StreamEvent]
    approvals: list[str]


class Node(BaseModel):
    """An agent, a tool, a model, a host."""

    id: str
    kind: Literal["agent", "model", "tool", "host", "retriever"]
    name: str
    calls: int
    failures: int
    denied: int
    cost_micro_usd: int


class Edge(BaseModel):
    """Who called whom."""

    from_: str
    to: str
    calls: int
    failures: int
    denied: int
    cost_micro_usd: int

    model_config = {"populate_by_name": True, "alias_generator": lambda name: name.rstrip("_")}


class Graph(BaseModel):
    """Agents, sub-agents, and what they used."""

    nodes: list[Node]
    edges: list[Edge]


class PayloadView(BaseModel):
    """What was kept of arguments or a result."""

    digest: str
    size: int
    capture: str
    cut: bool
    erased: bool
    value: Any
    messages: list[str]


class SessionDone(Done):
    """What a person did to a session."""

    session: str
