"""What each kind of event says of sessions, spans, agents and policies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import msgspec

from jackline import events
from jackline.stores.fold_alerts import fold_alert
from jackline.stores.fold_approvals import fold_approval, is_approval
from jackline.stores.rollups import HOUR, PERMITTED, ROOT, SILENT, Batch, sized
from jackline.stores.rows import CeilingRow

if TYPE_CHECKING:
    from collections.abc import Callable

    from jackline.decision import Reservation
    from jackline.journal import Line

_REGISTRY = (events.AgentSeen, events.ToolSeen, events.ModelSeen, events.AgentAmended)
_AUDITED = (
    events.BundleActivated,
    events.BundleChanged,
    events.BundleRejected,
    events.BundleQuestioned,
    events.BudgetToppedUp,
    events.EventsLost,
    events.LoggedIn,
    events.LoginFailed,
    events.LoggedOut,
    events.AccessAmended,
    events.AlertChannelTried,
    events.AlertSilenced,
    events.AlertSilenceLifted,
)
"""Rare kinds that people look through by themselves."""
_EFFECT_COLUMNS = {"modify": "modified", "escalate": "escalated", "deny": "denied", "halt": "halts"}
_LASTED = ("started", "last_at")
_FOREVER = 1e11
_MOST = 2**48


class _Named(msgspec.Struct):
    """What is asked of a kind that this version does not know."""

    at: float = 0.0
    session: str = ""
    agent: str = ""


_named = msgspec.json.Decoder(_Named)
_encode = msgspec.json.Encoder().encode


def fold(batch: Batch, line: Line, journal: str, clock: float) -> float:
    """Take one line into the batch; gives the journal's clock after it.

    The clock is the latest `at` of the journal so far: lines are ordered by it and by their number.
    """
    event = line.event
    if event is not None and not _is_sane(event):
        event = None
    said: Any = event if event is not None else _ask(line.body)
    at = said.at if 0.0 <= said.at < _FOREVER else 0.0
    clock = max(clock, at)
    session, agent = getattr(said, "session", ""), getattr(said, "agent", "")
    if not isinstance(agent, str):
        agent = agent.key
    stamp = f"{clock:018.6f} {journal} {line.seq:012d}"
    body = line.body.decode(errors="replace")
    row = {"journal": journal, "seq": line.seq, "at": at, "clock": clock, "kind": line.kind}
    batch.events.append(row | {"session": session, "agent": agent, "body": body})
    if session:
        batch.saw("sessions", (session,), at, _LASTED)
        batch.saw("session_journals", (session, journal), at)
    if event is not None:
        _FOLDS.get(type(event), _nothing)(batch, event, stamp)
        if is_approval(event):
            fold_approval(batch, event, stamp)
        if isinstance(event, _REGISTRY):
            batch.add("registry_events", (journal, line.seq), {"stamp": stamp, "kind": line.kind, "body": body})
        elif isinstance(event, _AUDITED):
            batch.add("audits", (journal, line.seq), {"at": at, "kind": line.kind, "body": body})
    return clock


def stamp_place(stamp: str) -> tuple[str, int]:
    """The journal and the sequence number that a stamp was made of."""
    journal, _, seq = stamp.partition(" ")[2].rpartition(" ")
    return journal, int(seq)


def _is_sane(event: Any) -> bool:
    """Whether every number of an event fits a database's integer, and its time a calendar; else it is kept raw."""
    usage, cost = getattr(event, "usage", None), getattr(event, "cost", None)
    numbers = [getattr(event, name, 0) for name in ("depth", "pid", "duration_ms", "latency_us", "needed", "expires")]
    numbers += [usage.input, usage.output, usage.cache_read, usage.cache_write, usage.reasoning] if usage else []
    numbers += [cost.micro_usd] if cost else []
    http = getattr(event, "http", None)
    numbers += [http.port, http.status, http.sent or 0, http.received or 0] if http else []
    holds = getattr(getattr(event, "reservation", None), "holds", ())  # a HoldBooked names the reservation only
    numbers += [hold.held for hold in holds]
    return 0.0 <= event.at < _FOREVER and all(abs(number) < _MOST for number in numbers)


def _ask(body: bytes) -> _Named:
    try:
        return _named.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return _Named()


def _nothing(_batch: Batch, _event: Any, _stamp: str) -> None:
    """Kinds that only stand among the events."""


def _journal_opened(batch: Batch, event: events.JournalOpened, stamp: str) -> None:
    told = {name: getattr(event, name) for name in ("writer", "pid", "host", "boot", "python", "jackline")}
    batch.add("journals", (event.journal,), {"opened": event.at, "opened_by": stamp, **told})


def _journal_closed(batch: Batch, event: events.JournalClosed, _stamp: str) -> None:
    if not event.next:
        batch.add("journals", (event.journal,), {"closed": event.at})


def _session_started(batch: Batch, event: events.SessionStarted, _stamp: str) -> None:
    told = {name: getattr(event, name) for name in ("external_id", "user", "application", "namespace")}
    labels = msgspec.json.encode(event.labels, order="sorted").decode() if event.labels else ""
    batch.add("sessions", (event.session,), {"labels": labels, **told})


def _session_ended(batch: Batch, event: events.SessionEnded, stamp: str) -> None:
    batch.add("sessions", (event.session,), {"ended_by": stamp, "ended": event.at, "how": event.how})


def _session_halted(batch: Batch, event: events.SessionHalted, stamp: str) -> None:
    why = {"halt_reason": event.reason, "halt_policy": event.policy, "halt_rule": event.rule}
    batch.add("sessions", (event.session,), {"halted_by": stamp, **why})


def _session_reopened(batch: Batch, event: events.SessionReopened, stamp: str) -> None:
    who = {"reopened_who": event.who, "reopened_why": event.why}
    batch.add("sessions", (event.session,), {"reopened_by": stamp, **who})


def _run_started(batch: Batch, event: events.RunStarted, stamp: str) -> None:
    told = {"opened_run": event.run, "opened_agent": event.agent, "parent_run": event.parent_run, "depth": event.depth}
    part = {"run_by": stamp, "parent": event.parent, "started": event.at, **told}
    batch.add("spans", (event.session, event.span), part)
    batch.add("sessions", (event.session,), {"runs": 1, "root_by": f"{stamp}{ROOT}{event.agent}"})
    _agent(batch, event.session, event.agent, event.at)


def _run_ended(batch: Batch, event: events.RunEnded, stamp: str) -> None:
    part = {"closed_by": stamp, "run_error": event.error, "ended": event.at}
    batch.add("spans", (event.session, event.span), part)


def _decided(batch: Batch, event: events.Decided, stamp: str) -> None:
    part: dict[str, Any] = {"decisions": 1, "started": event.at, "parent": event.parent}
    if event.action in SILENT:
        part |= {
            "returned_by": stamp,
            "return_action": event.action,
            "return_effect": event.effect,
            "return_reason": event.reason,
            "return_policy": event.policy,
            "return_rule": event.rule,
        }
    else:
        names = ("run", "agent", "action", "resource", "effect", "reason", "policy", "rule", "mode", "args", "call_id")
        part |= {name: getattr(event, name) for name in names}
        held = _held(event.reservation)
        part |= {"decided_by": stamp, "decided_at": event.at, "would": event.would or "", "held_micro_usd": held}
        if event.http is not None:
            part |= {name: getattr(event.http, name) for name in ("method", "scheme", "port")}
    batch.add("spans", (event.session, event.span), part)
    counts = {"decisions": 1}
    if event.effect in _EFFECT_COLUMNS:
        counts[_EFFECT_COLUMNS[event.effect]] = 1
    if event.would is not None and event.would not in PERMITTED:
        counts["would_deny"] = 1
    batch.add("agent_hourly", (int(event.at) // HOUR * HOUR, event.agent), counts)
    told = {**counts, "decided_at": event.at, "root_by": f"{stamp}{ROOT}{event.agent}"}
    if event.reservation is not None:
        told |= _ceiling(event.reservation, stamp)
    batch.add("sessions", (event.session,), told)
    _agent(batch, event.session, event.agent, event.at)
    what = {"tool.call": "tool", "model.call": "model"}.get(event.action)
    if what:
        batch.saw("seen", (event.agent, what, event.resource), event.at)
    if event.latency_us > 0:
        batch.add(*sized(event.at, "decision", "", event.action, event.latency_us))
    _verdicts(batch, event)


def _verdicts(batch: Batch, event: events.Decided) -> None:
    hour = int(event.at) // HOUR * HOUR
    for verdict in event.verdicts:
        key = (hour, verdict.policy, verdict.rule, verdict.effect, verdict.mode)
        batch.add("policy_hourly", key, {"verdicts": 1})
    batch.add("policy_hourly", (hour, event.policy, event.rule, event.effect, event.mode), {"decisions": 1})


def _completed(batch: Batch, event: events.Completed, stamp: str) -> None:
    _outcome(batch, event, stamp, {"outcome": "completed", "result": event.result, "model": event.model})


def _failed(batch: Batch, event: events.Failed, stamp: str) -> None:
    _outcome(batch, event, stamp, {"outcome": "failed", "error": event.error})


def _outcome(batch: Batch, event: events.Completed | events.Failed, stamp: str, part: dict[str, Any]) -> None:
    part |= {"outcome_by": stamp, "outcome_at": event.at, "outcomes": 1, "ended": event.at, "started": event.at}
    part |= {"outcome_action": event.action, "outcome_resource": event.resource}
    part["duration_us"] = round(event.duration_ms * 1000)
    if event.http is not None:
        part |= {name: getattr(event.http, name) for name in ("status", "sent", "received")}
    if event.usage is not None:
        for name in ("input", "output", "cache_read", "cache_write", "reasoning"):
            part[f"{name}_tokens"] = getattr(event.usage, name)
        part["estimated"] = int(event.usage.estimated)
    if event.cost is not None:
        part |= {"cost_micro_usd": event.cost.micro_usd, "priced": 1, "matched": event.cost.matched}
    elif event.action == "model.call" and (event.usage is not None or isinstance(event, events.Completed)):
        part["unpriced"] = 1
    batch.add("spans", (event.session, event.span), part)


def _agent_seen(batch: Batch, event: events.AgentSeen, _stamp: str) -> None:
    key = event.agent.key
    batch.saw("seen", (key, "agent", ""), event.at)
    for model in event.models:
        batch.saw("seen", (key, "model", model), event.at)
    for tool in event.tools:
        batch.saw("seen", (key, "tool", tool.name), event.at)


def _tool_seen(batch: Batch, event: events.ToolSeen, _stamp: str) -> None:
    batch.saw("seen", (event.agent, "tool", event.tool.name), event.at)


def _model_seen(batch: Batch, event: events.ModelSeen, _stamp: str) -> None:
    batch.saw("seen", (event.agent, "model", event.model), event.at)


def _agent(batch: Batch, session: str, agent: str, at: float) -> None:
    batch.saw("session_agents", (session, agent), at)
    batch.saw("seen", (agent, "agent", ""), at)


def _held(reservation: Reservation | None) -> int:
    """The largest sum of money that one scope holds: scopes hold the same act, so they are not added."""
    holds = reservation.holds if reservation else ()
    return max((hold.held for hold in holds if hold.unit == "usd"), default=0)


def _ceiling(reservation: Reservation, stamp: str) -> dict[str, str]:
    """The scope that has least left: of money where there is one."""
    holds = [hold for hold in reservation.holds if not hold.once]
    if not holds:
        return {}
    money = [hold for hold in holds if hold.unit == "usd"]
    holds = money or holds
    tight = holds[0]
    if len(holds) > 1:
        tight = min(holds, key=lambda hold: hold.cap - hold.spent - hold.outstanding - hold.held)
    policy = tight.scope.partition("/")[0]
    row = CeilingRow(
        policy=unquote(policy) if "%" in policy else policy,
        scope=tight.scope,
        unit=tight.unit,
        cap=tight.cap,
        spent=tight.spent,
        held=tight.outstanding + tight.held,
    )
    return {"ceiling_by": stamp, "ceiling": _encode(row).decode()}


_FOLDS: dict[type, Callable[[Batch, Any, str], None]] = {
    events.JournalOpened: _journal_opened,
    events.JournalClosed: _journal_closed,
    events.SessionStarted: _session_started,
    events.SessionEnded: _session_ended,
    events.SessionHalted: _session_halted,
    events.SessionReopened: _session_reopened,
    events.RunStarted: _run_started,
    events.RunEnded: _run_ended,
    events.Decided: _decided,
    events.Completed: _completed,
    events.Failed: _failed,
    events.AlertFired: fold_alert,
    events.AlertResolved: fold_alert,
    events.AgentSeen: _agent_seen,
    events.ToolSeen: _tool_seen,
    events.ModelSeen: _model_seen,
}
