"""What was decided on an act, what came of it, and what it cost."""

from __future__ import annotations

from typing import Any

import msgspec

from jackline.decision import Effect, Finding, Mode, Reservation, Unit, Verdict  # noqa: TC001 - msgspec reads them
from jackline.events.record import Event
from jackline.request import Action  # noqa: TC001 - msgspec reads them


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
    limits: dict[str, int] = {}  # noqa: RUF012 - msgspec copies it
    reservation: Reservation | None = None
    registry: dict[str, Any] = {}  # noqa: RUF012 - msgspec copies it
    """What the registry answered: the agent's status and labels, the tool's status."""
    http: Http | None = None
    """Of an `http.request`: how it goes out."""
    provenance: dict[str, str] = {}  # noqa: RUF012 - msgspec copies it
    """Where the values come from that conditions asked about, by path: `user`, `trusted`, `untrusted`, `unknown`."""
    approvals: tuple[str, ...] = ()
    """The ids of the approvals that it waits for, or that permitted or refused it."""
    latency_us: int = 0
    """How long deciding took, in microseconds, the ledger's hold among it; 0 where nobody measured."""


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
    settled: dict[str, int] = {}  # noqa: RUF012 - msgspec copies it
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
    settled: dict[str, int] = {}  # noqa: RUF012 - msgspec copies it
    http: Http | None = None
    """Of an `http.request`: status and bytes, as far as it came."""


class HoldBooked(Event, frozen=True, kw_only=True, omit_defaults=True, tag="hold_booked"):
    """A hold whose process ended before the act did: all of it counts as spent, whatever is told of the act later."""

    reservation: str
    """As in the Decided event that carries it."""
    pid: int
    settled: dict[str, int]
    """What the ledger booked, by scope."""


class BudgetPruned(Event, frozen=True, kw_only=True, omit_defaults=True, tag="budget_pruned"):
    """A human had the ledger forget scopes that are over: written before it does."""

    scopes: int
    """How many were over; those that came into use meanwhile stayed."""
    before: float
    """Unix seconds: nothing was counted in them since."""
    who: str


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
