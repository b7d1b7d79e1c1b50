"""Immutable past-tense facts, as the journal writes them: one line, one event.

Every event has `at` (Unix seconds). The journal adds `v`, `seq`, `prev` and `hash`; it writes the kind first.
Readers keep kinds that they do not know.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from jackline.decision import Effect, Finding, Mode, Reservation, Unit, Verdict  # noqa: TC001 - msgspec reads them
from jackline.request import Action, Agent, Tool  # noqa: TC001 - msgspec reads them


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind"):
    """What every event has."""

    at: float


class JournalOpened(Event, frozen=True, kw_only=True, omit_defaults=True, tag="journal_opened"):
    """The first line of a segment; `prev` of the first segment is 64 zeros."""

    journal: str
    segment: int
    writer: str
    """What writes: `guard`, `cli`, `console`, `alerter`."""
    pid: int
    host: str
    boot: str
    python: str
    jackline: str


class JournalClosed(Event, frozen=True, kw_only=True, omit_defaults=True, tag="journal_closed"):
    """The last line of a segment; `next` names the segment that goes on, or is empty at the end."""

    journal: str
    next: str = ""


class SessionStarted(Event, frozen=True, kw_only=True, omit_defaults=True, tag="session_started"):
    """A session was first seen by this process."""

    session: str
    external_id: str = ""
    user: str = ""
    labels: dict[str, str] = {}
    application: str = ""
    namespace: str = ""


class SessionEnded(Event, frozen=True, kw_only=True, omit_defaults=True, tag="session_ended"):
    """A session ended: explicitly, with its root run, or idle."""

    session: str
    how: Literal["explicit", "root", "idle", "error"] = "explicit"


class SessionHalted(Event, frozen=True, kw_only=True, omit_defaults=True, tag="session_halted"):
    """No act of this session starts after this line."""

    session: str
    reason: str
    policy: str = ""
    rule: str = ""
    span: str = ""


class SessionReopened(Event, frozen=True, kw_only=True, omit_defaults=True, tag="session_reopened"):
    """A human lifted a halt."""

    session: str
    who: str
    why: str


class RunStarted(Event, frozen=True, kw_only=True, omit_defaults=True, tag="run_started"):
    """One invocation of one agent began."""

    session: str
    run: str
    span: str
    agent: str
    parent: str = ""
    parent_run: str = ""
    depth: int = 0


class RunEnded(Event, frozen=True, kw_only=True, omit_defaults=True, tag="run_ended"):
    """One invocation of one agent ended."""

    session: str
    run: str
    span: str
    agent: str
    error: str = ""


class Http(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is on record of an outgoing request beside its host: how it goes out, and what came of it."""

    method: str = ""
    """`CONNECT` for a connection that no wrapped library made."""
    scheme: str = ""
    """`http`, `https`, `ws`, `wss`; `tcp` or `udp` for a connection that no wrapped library made."""
    port: int = 0
    """As connected to."""
    proxy: str = ""
    """The proxy that it goes through, as `host:port`."""
    status: int = 0
    """Of the response; 0 where there was none."""
    sent: int | None = None
    """Bytes of the request's body; None where they are not known before it ends."""
    received: int | None = None
    """Bytes of the response's body that arrived."""


class Decided(Event, frozen=True, kw_only=True, omit_defaults=True, tag="decided"):
    """A request was judged; the act may start only after this line is written."""

    session: str
    run: str
    span: str
    agent: str
    action: Action
    resource: str
    effect: Effect
    parent: str = ""
    fingerprint: str = ""
    call_id: str = ""
    args: str = ""
    """Keyed digest of the arguments that will be executed: 32 hex digits."""
    size: int = 0
    """Bytes of their canonical form."""
    reason: str = ""
    policy: str = ""
    rule: str = ""
    revision: str = ""
    mode: Mode = "enforce"
    would: Effect | None = None
    verdicts: tuple[Verdict, ...] = ()
    evaluated: tuple[str, ...] = ()
    limits: dict[str, int] = {}
    reservation: Reservation | None = None
    registry: dict[str, Any] = {}
    """What the registry answered: the agent's status and labels, the tool's status."""
    http: Http | None = None
    """Of an `http.request`: how it goes out."""
    approvals: tuple[str, ...] = ()
    """The ids of the approvals that it waits for, or that permitted or refused it."""


class Usage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Tokens of one model call. Input includes cached tokens, output includes reasoning (OTel's convention)."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0
    estimated: bool = False
    """True where the provider told nothing and the numbers are an upper bound."""


class Cost(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one call cost, and by which price."""

    micro_usd: int
    matched: str = ""
    """The model that the price table matched."""
    source: str = ""
    """`genai-prices 0.2.3`, `override`, `configured default`, `cache hit`."""


class Completed(Event, frozen=True, kw_only=True, omit_defaults=True, tag="completed"):
    """An act ended well."""

    session: str
    run: str
    span: str
    action: Action
    resource: str
    duration_ms: float
    result: str = ""
    """Keyed digest of the result."""
    size: int = 0
    usage: Usage | None = None
    cost: Cost | None = None
    """None for a model call means unpriced, never free."""
    model: str = ""
    """The model that answered, where it says."""
    settled: dict[str, int] = {}
    """What the ledger booked, by scope."""
    notes: tuple[Finding, ...] = ()
    http: Http | None = None
    """Of an `http.request`: status and bytes."""


class Failed(Event, frozen=True, kw_only=True, omit_defaults=True, tag="failed"):
    """An act ended with an error, was cancelled, or its outcome is unknown."""

    session: str
    run: str
    span: str
    action: Action
    resource: str
    error: str
    """The exception's qualified class name, or `cancelled`, `abandoned`, `outcome unknown`."""
    duration_ms: float = 0.0
    message: str = ""
    """Only where payloads are captured in full."""
    usage: Usage | None = None
    cost: Cost | None = None
    settled: dict[str, int] = {}
    http: Http | None = None
    """Of an `http.request`: status and bytes, as far as it came."""


class AgentSeen(Event, frozen=True, kw_only=True, omit_defaults=True, tag="agent_seen"):
    """An agent, or a version of it, was seen for the first time."""

    agent: Agent
    models: tuple[str, ...] = ()
    tools: tuple[Tool, ...] = ()
    revision: str = ""


class ToolSeen(Event, frozen=True, kw_only=True, omit_defaults=True, tag="tool_seen"):
    """A known agent has a tool that it had not, or one whose fingerprint is another."""

    agent: str
    tool: Tool
    previous: str = ""
    """The fingerprint before the change."""
    baseline: bool = False
    """True for one of the tools that the agent had when it was first seen: it counts as permitted."""


class ModelSeen(Event, frozen=True, kw_only=True, omit_defaults=True, tag="model_seen"):
    """A known agent uses a model that it had not used."""

    agent: str
    model: str


class AgentAmended(Event, frozen=True, kw_only=True, omit_defaults=True, tag="agent_amended"):
    """A human (or a manifest) changed what the registry says of an agent."""

    agent: str
    who: str
    why: str = ""
    changes: dict[str, Any] = {}
    """`status`, `team`, `labels`, `environment`, `permit` (tool name -> fingerprint or `*`), `forbid` (tool names),
    `declared` (what a manifest says)."""


class BundleActivated(Event, frozen=True, kw_only=True, omit_defaults=True, tag="bundle_activated"):
    """A bundle came into force in this process."""

    revision: str
    source: str
    mode: Mode = "enforce"
    policies: tuple[str, ...] = ()
    previous: str = ""
    widened: tuple[str, ...] = ()
    """How the new revision permits more than the one before."""


class BundleRejected(Event, frozen=True, kw_only=True, omit_defaults=True, tag="bundle_rejected"):
    """A changed bundle could not be loaded; the last good one stays in force."""

    source: str
    error: str
    revision: str = ""
    """The revision that stays in force."""


class BundleQuestioned(Event, frozen=True, kw_only=True, omit_defaults=True, tag="bundle_questioned"):
    """A tool appeared whose arguments a condition of the bundle does not fit."""

    revision: str
    tool: str
    problems: tuple[str, ...]
    """`file:line:column: what is wrong`. Such a condition counts as true where it refuses, as false where it allows."""


class HoldBooked(Event, frozen=True, kw_only=True, omit_defaults=True, tag="hold_booked"):
    """A hold outlived its process: the outcome is unknown, and all of it counts as spent."""

    reservation: str
    """As in the Decided event that carries it."""
    pid: int
    settled: dict[str, int]
    """What the ledger booked, by scope."""


class EventsLost(Event, frozen=True, kw_only=True, omit_defaults=True, tag="events_lost"):
    """Observations that could not be written, counted."""

    count: int
    reason: str


class BudgetToppedUp(Event, frozen=True, kw_only=True, omit_defaults=True, tag="budget_topped_up"):
    """A human raised what may be spent in one scope of a budget, until the scope's window ends."""

    scope: str
    """The ledger's key: `session-ceiling/session/4f…/usd`."""
    unit: Unit
    amount: int
    """By how much it was raised: micro-dollars, tokens or calls."""
    raised: int
    """By how much it is raised with this, in all."""
    who: str
    why: str


class SessionStopped(Event, frozen=True, kw_only=True, omit_defaults=True, tag="session_stopped"):
    """A human asked that a session stop (or pause)."""

    session: str
    who: str
    why: str
    pause: bool = False


class ApprovalRequested(Event, frozen=True, kw_only=True, omit_defaults=True, tag="approval_requested"):
    """A policy escalated an act: people are asked, and it is not done before they agree."""

    approval: str
    session: str
    run: str
    span: str
    agent: str
    action: Action
    resource: str
    policy: str
    rule: str = ""
    reason: str = ""
    to: tuple[str, ...] = ()
    needed: int = 1
    expires: float
    args: str = ""
    """Keyed digest of the arguments: 32 hex digits."""


class ApprovalApproved(Event, frozen=True, kw_only=True, omit_defaults=True, tag="approval_approved"):
    """An approver said yes; whether it counts is the guard's to decide, which looks at the signature."""

    approval: str
    session: str
    who: str
    why: str = ""
    edited: bool = False
    """Whether other arguments were approved than those asked about."""


class ApprovalDenied(Event, frozen=True, kw_only=True, omit_defaults=True, tag="approval_denied"):
    """An approver said no, or responded in the act's place."""

    approval: str
    session: str
    who: str
    why: str = ""
    responded: bool = False
    """Whether `why` is for the agent, in place of a result."""


class ApprovalExpired(Event, frozen=True, kw_only=True, omit_defaults=True, tag="approval_expired"):
    """Too few agreed in time: the answer is no."""

    approval: str
    session: str


class ApprovalConsumed(Event, frozen=True, kw_only=True, omit_defaults=True, tag="approval_consumed"):
    """An approval was used, for one act; it never permits another."""

    approval: str
    session: str
    span: str
    by: tuple[str, ...] = ()
    """Who agreed."""
    edited: bool = False
    """Whether the act has the arguments that they approved in place of those asked about."""


class ApprovalAnswerRefused(Event, frozen=True, kw_only=True, omit_defaults=True, tag="approval_answer_refused"):
    """An answer does not count: forged, of another question, or of somebody who may not answer."""

    approval: str
    session: str
    why: str


KINDS: dict[str, type[Event]] = {str(kind.__struct_config__.tag): kind for kind in Event.__subclasses__()}
