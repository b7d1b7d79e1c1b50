"""A session's story as events, for tests of what reads journals: write it, ingest it, ask for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jackline.decision import Verdict
from jackline.events import (
    ApprovalRequested,
    Completed,
    Cost,
    Decided,
    Event,
    Failed,
    RunEnded,
    RunStarted,
    SessionEnded,
    SessionStarted,
    Usage,
)
from jackline.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from jackline.stores import Store

AT = 1_800_000_000.0
ONE = "1" * 32
TWO = "2" * 32
RUN = "a" * 32
ROOT = "f" * 16
_WHAT = ("session_cost", "session_duration", "tool", "model", "decision")


def decided(span: str, action: str, resource: str, effect: str = "allow", **more: Any) -> Decided:
    """A decision of session ONE; `more` are further fields."""
    fields: dict[str, Any] = {"at": AT + 1, "session": ONE, "run": RUN, "agent": "support@2", "parent": ROOT} | more
    return Decided(span=span, action=action, resource=resource, effect=effect, **fields)  # type: ignore[arg-type]


def completed(span: str, action: str, resource: str, **more: Any) -> Completed:
    """An outcome of session ONE."""
    fields: dict[str, Any] = {"at": AT + 2, "session": ONE, "run": RUN, "duration_ms": 5.5} | more
    return Completed(span=span, action=action, resource=resource, **fields)  # type: ignore[arg-type]


def approval(digit: str, **more: Any) -> ApprovalRequested:
    """A question of session ONE, about step 03; its id is 64 times `digit`."""
    fields: dict[str, Any] = {
        "at": AT + 1,
        "session": ONE,
        "run": RUN,
        "agent": "support@2",
        "expires": AT + 1800,
    } | more
    act: dict[str, Any] = {"span": "03", "action": "tool.call", "resource": "refund", "args": "d" * 32}
    return ApprovalRequested(approval=digit * 64, policy="refunds", to=("finance",), needed=2, **act, **fields)


def story() -> list[Event]:
    """One session with a model call, a tool run, a denied tool, a failed one, and a withheld result."""
    usage = Usage(input=100, output=20, cache_read=30, reasoning=5)
    denied = Verdict(effect="deny", policy="crm-read-only", rule="default", reason="not listed")
    return [
        SessionStarted(at=AT, session=ONE, external_id="job-17", user="u-9", labels={"b": "2", "a": "1"}),
        RunStarted(at=AT, session=ONE, run=RUN, span=ROOT, agent="support@2"),
        decided("01", "model.call", "gpt-5", verdicts=(Verdict(effect="allow", policy="budget"),)),
        completed(
            "01", "model.call", "gpt-5", model="gpt-5-2026", usage=usage, cost=Cost(micro_usd=700, matched="gpt-5")
        ),
        decided("02", "tool.call", "crm.get", args="d" * 32),
        completed("02", "tool.call", "crm.get", result="c" * 32),
        decided("02", "tool.return", "crm.get", "deny", reason="a card number", policy="no-pii-out"),
        decided("03", "tool.call", "crm.delete", "deny", policy="crm-read-only", rule="default", verdicts=(denied,)),
        decided("04", "tool.call", "mail.send", would="deny"),
        Failed(at=AT + 3, session=ONE, run=RUN, span="04", action="tool.call", resource="mail.send", error="OSError"),
        RunEnded(at=AT + 4, session=ONE, run=RUN, span=ROOT, agent="support@2"),
        SessionEnded(at=AT + 4, session=ONE, how="root"),
    ]


def write(home: Path, events: Iterable[Event], *, close: bool = True) -> Journal:
    """Write events into a journal of their own."""
    journal = Journal.open(home / "journals", clock=lambda: AT)
    for event in events:
        journal.append(event)
    if close:
        journal.close()
    return journal


def dump(store: Store) -> list[Any]:
    """Everything that a store answers, apart from positions in its own order of ingest."""
    sessions = store.sessions(limit=10_000)
    events = [
        {name: value for name, value in row.plain().items() if name != "position"}
        for session in sessions
        for row in store.events(session.session)
    ]
    spans = [span.plain() for session in sessions for span in store.spans(session.session)]
    totals = [
        row.plain()
        for rows in (
            store.usage(("hour", "agent", "model")),
            store.tool_usage(("hour", "agent", "tool")),
            store.policy_usage(("hour", "policy", "rule", "effect", "mode")),
            store.agent_usage(("hour", "agent")),
            *(store.distributions(what, ("agent", "name")) for what in _WHAT),
        )
        for row in rows
    ]
    approvals = [row.plain() for session in sessions for row in store.approvals(session.session)]
    alerts = [row.plain() for row in store.alerts()]
    rest = [[agent.plain() for agent in store.agents()], approvals, alerts, sorted(store.heads().items())]
    return [[row.plain() for row in sessions], events, spans, totals, *rest]
