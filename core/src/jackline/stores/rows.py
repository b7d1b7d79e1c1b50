"""What a store answers: one record for each thing that can be asked for, ready to be written as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from jackline.journal.line import Head, decode

if TYPE_CHECKING:
    from jackline.events import Event

SessionState = Literal["running", "open", "ended", "halted", "crashed"]
"""`open`: its processes ended properly, it may go on; `crashed`: one died in it, and it neither ended nor went on."""
Outcome = Literal["completed", "failed", "unknown", "running", "not run", ""]
"""`unknown`: permitted, and its process is gone without a word; empty where nothing is to come of the step."""


ApprovalState = Literal["pending", "denied", "expired", "consumed"]
"""As the journals tell it: one that nobody looked at stays `pending` after it has lapsed."""


AlertState = Literal["warning", "firing", "no_data", "resolved"]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What every answer has."""

    def plain(self) -> dict[str, Any]:
        """The row as JSON-like data."""
        told: dict[str, Any] = msgspec.to_builtins(self)
        return told


class SessionRow(Row, frozen=True, kw_only=True):
    """One session, over all its processes. Times are Unix seconds, money is in micro-dollars."""

    session: str
    external_id: str
    user: str
    application: str
    namespace: str
    labels: dict[str, str]
    state: SessionState
    agents: tuple[str, ...]
    started: float
    ended: float | None
    last_at: float
    how: str
    halted: bool
    halt_reason: str
    halt_policy: str
    halt_rule: str
    cost_micro_usd: int
    """What is settled; a crashed session's cost up to the crash."""
    unpriced: int
    """Model calls without a known price: they are not in the cost."""
    input_tokens: int
    output_tokens: int
    decisions: int
    modified: int
    escalated: int
    denied: int
    halts: int
    """Decisions with the effect `halt`."""
    would_deny: int
    """Decisions in observe mode that would have been escalate, deny or halt."""
    runs: int
    model_calls: int
    tool_runs: int
    failures: int
    unknown: int
    """Acts that were permitted and whose outcome nobody knows."""
    running: int
    """Acts that are under way."""
    waiting: int = 0
    """Questions to people that are open."""

    @property
    def tokens(self) -> int:
        """Input and output tokens together."""
        return self.input_tokens + self.output_tokens


class SpanRow(Row, frozen=True, kw_only=True):
    """One step of a session's trace."""

    session: str
    span: str
    parent: str
    run: str
    agent: str
    kind: str
    """`run`, or the action."""
    name: str
    """The agent of a run; else the tool, model, retriever or host."""
    depth: int
    started: float
    ended: float | None
    duration_ms: float | None
    outcome: Outcome
    error: str
    effect: str
    would: str
    mode: str
    reason: str
    policy: str
    rule: str
    return_effect: str
    """What was decided on the result; empty where nothing was."""
    return_reason: str
    return_policy: str
    return_rule: str
    model: str
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    estimated: bool
    cost_micro_usd: int | None
    """None where nothing was priced."""
    matched: str
    held_micro_usd: int
    """The largest sum that was held for the act: what counts as spent while its outcome is unknown."""
    args: str
    result: str
    """Digests of what was sent and what came back; see `jackline.journal.find_payloads`."""
    call_id: str
    journal: str
    seq: int
    """The line of the decision (or of the run's start) that proves the step."""
    method: str = ""
    """Of an `http.request`, like the next five; `name` is its host."""
    scheme: str = ""
    port: int = 0
    status: int = 0
    """0 where no response arrived."""
    sent: int | None = None
    """Bytes of its body, where they are known."""
    received: int | None = None


class ApprovalRow(Row, frozen=True, kw_only=True):
    """One question to people, as the journals tell it. Times are Unix seconds."""

    approval: str
    state: ApprovalState
    session: str
    run: str
    span: str
    """The step that was asked about first."""
    agent: str
    action: str
    resource: str
    policy: str
    rule: str
    reason: str
    to: tuple[str, ...]
    needed: int
    asked: float
    expires: float
    args: str
    """Digest of the arguments; see `jackline.journal.find_payloads`."""
    yes: int
    """How many answers said yes; whether they count, a guard decides."""
    ended: float | None
    """When it was used, denied, or ended as expired."""
    by: tuple[str, ...]
    """Who agreed to what was used, or who denied it, or who said yes last."""
    why: str
    edited: bool
    """Whether other arguments were approved than those asked about."""
    responded: bool
    """With `denied`: the agent was answered in the act's place."""
    used_span: str
    """The step for which it was used."""
    refused: int
    """Answers that a guard found not to count."""
    refused_why: str
    """The last of the reasons."""


class AlertRow(Row, frozen=True, kw_only=True):
    """One alert, from its first moment to its end. Times are Unix seconds."""

    alert: str
    rule: str
    signal: str
    severity: str
    state: AlertState
    group: dict[str, str]
    """`agent`, `session`, `tool`, as far as its rule tells them apart."""
    value: float | None
    threshold: float | None
    unit: str
    message: str
    since: float
    last: float
    """When its state changed last."""
    resolved: float | None
    resolved_message: str


class ToolRow(Row, frozen=True, kw_only=True):
    """One tool of one agent."""

    agent: str
    tool: str
    fingerprint: str
    status: str
    """`known`, `new` or `changed`; empty for a tool that was asked for and that no registry event names."""
    permitted: bool
    """Whether the registry knows this fingerprint as permitted; policies may still say no."""
    read_only: bool | None
    provider: bool
    first_seen: float
    last_seen: float
    calls: int
    failures: int
    denials: int


class AgentRow(Row, frozen=True, kw_only=True):
    """One version of one agent, as the registry's events tell it."""

    agent: str
    """`name` or `name@version`."""
    name: str
    version: str
    framework: str
    framework_version: str
    team: str
    environment: str
    status: str
    managed: bool
    labels: dict[str, str]
    revision: str
    first_seen: float
    last_seen: float
    models: tuple[str, ...]
    tools: tuple[ToolRow, ...]


class UsageRow(Row, frozen=True, kw_only=True):
    """Model calls, summed; `hour` is the Unix time at which it begins. A column that is not grouped by is empty."""

    hour: int | None
    agent: str
    model: str
    calls: int
    failures: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    cost_micro_usd: int
    unpriced: int


class ToolUsageRow(Row, frozen=True, kw_only=True):
    """Tool calls, summed."""

    hour: int | None
    agent: str
    tool: str
    calls: int
    failures: int
    denials: int
    duration_us: int


class PolicyUsageRow(Row, frozen=True, kw_only=True):
    """What policies answered, summed."""

    hour: int | None
    policy: str
    rule: str
    effect: str
    mode: str
    verdicts: int
    decisions: int
    """How often this answer was the combined decision."""


class AgentUsageRow(Row, frozen=True, kw_only=True):
    """What was decided on an agent's acts, summed."""

    hour: int | None
    agent: str
    decisions: int
    modified: int
    escalated: int
    denied: int
    halts: int
    would_deny: int


class Bucket(Row, frozen=True, kw_only=True):
    """How many values were greater than the bucket before, and at most `to`."""

    to: float
    count: int


class WaitRow(Row, frozen=True, kw_only=True):
    """How long people took over approvals that ended in one way; `buckets` leaves out what took longer than all."""

    state: ApprovalState
    count: int
    seconds: float
    buckets: tuple[Bucket, ...]


class DistributionRow(Row, frozen=True, kw_only=True):
    """How values lie: micro-dollars of sessions, milliseconds of sessions, microseconds of calls; within 2 %."""

    agent: str
    name: str
    """The tool or model; empty for sessions, and where it is not grouped by."""
    count: int
    total: int
    least: float
    most: float
    p50: float
    p90: float
    p95: float
    p99: float
    buckets: tuple[Bucket, ...]


class AuditRow(Row, frozen=True, kw_only=True):
    """One line of a rare kind."""

    journal: str
    seq: int
    at: float
    kind: str
    body: str

    @property
    def event(self) -> Event | None:
        """The event; None where this version does not know its kind or its form."""
        return decode(self.kind, self.body.encode())


class CeilingRow(Row, frozen=True, kw_only=True):
    """The scope that had least left when a session last reserved something."""

    policy: str
    scope: str
    unit: str
    cap: int
    spent: int
    held: int
    """By this act and by others."""


class EventRow(Row, frozen=True, kw_only=True):
    """One line of one journal."""

    position: int
    """Where it came into this store: the cursor of a stream, valid for one `epoch`."""
    journal: str
    seq: int
    at: float
    kind: str
    session: str
    agent: str
    body: str
    """The event as JSON, as it was written."""

    @property
    def event(self) -> Event | None:
        """The event; None where this version does not know its kind or its form."""
        return decode(self.kind, self.body.encode())


class Position(Row, frozen=True, kw_only=True):
    """How far a journal is ingested."""

    journal: str
    segment: int = 1
    offset: int = 0
    """Bytes of that segment."""
    seq: int = 0
    hash: str = ""
    clock: float = 0.0
    """The latest `at` so far: lines are ordered by it, so that a clock set back does not reorder a journal."""

    @property
    def head(self) -> Head | None:
        """The last line that was ingested; None before the first."""
        return Head(self.seq, self.hash) if self.seq else None
