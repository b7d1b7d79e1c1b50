"""Events and the time that passes, handed to the signals of the rules in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from jackline.events import AlertResolved
from jackline.request import RETURNS
from jackline_console.alerts import lines
from jackline_console.alerts.memory import Act, Memory
from jackline_console.alerts.signals import SIGNALS
from jackline_console.alerts.signals.loops import BROKEN_OFF, FAILED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from jackline.alert_rules import AlertRule
    from jackline.events import AlertFired
    from jackline.stores import AlertRow, EventRow
    from jackline_console.alerts.signals.signal import Baselines, Signal

_SILENT = frozenset({"output", *RETURNS.values()})
_UNCOUNTED = frozenset({"cancelled", "abandoned", "outcome unknown"})
_SIGNALLED = (".Denied", ".Halted", ".ApprovalPending")
"""How errors end that come from a decision further within: they say nothing of the tool."""
_ENDS = {"approval_denied": True, "approval_expired": True, "approval_consumed": True, "approval_approved": False}
_MOMENTS = ("denied", "outcome", "spent", "unpriced", "ended", "agent", "tool", "amended", "lost", "widened", "tick")


class Evaluator:
    """Rules at work. Not thread-safe: one thread feeds it."""

    def __init__(self, baselines: Baselines, emit: Callable[[AlertFired | AlertResolved], None]) -> None:
        self.memory = Memory()
        self.signals: dict[str, Signal] = {}
        """By rule."""
        self.muted = False
        """While true nothing is emitted: what is fed is of the past, and only fills windows."""
        self._baselines, self._emit = baselines, emit
        self._asked: dict[str, list[Callable[..., None]]] = {moment: [] for moment in _MOMENTS}
        self.kinds: dict[str, Callable[[EventRow, float], None]] = {
            "decided": self._decided,
            "completed": self._completed,
            "failed": self._failed,
            "run_started": self._run_started,
            "run_ended": self._run_ended,
            "session_started": self._heard,
            "session_reopened": self._heard,
            "session_ended": self._session_ended,
            "session_halted": self._session_ended,
            "approval_requested": self._approval_requested,
            **dict.fromkeys(_ENDS, self._approval_ended),
            "agent_seen": self._agent_seen,
            "agent_amended": self._agent_amended,
            "tool_seen": self._tool_seen,
            "events_lost": self._events_lost,
            "bundle_activated": self._bundle,
            "bundle_changed": self._bundle,
        }

    def use(self, rules: Iterable[AlertRule], now: float) -> None:
        """Put rules in force; those that did not change go on, alerts of those that are gone are resolved."""
        before, self.signals = self.signals, {}
        for rule in rules:
            old = before.pop(rule.name, None)
            if old is not None and old.rule == rule:
                self.signals[rule.name] = old
                continue
            made = self.signals[rule.name] = SIGNALS[rule.kind](rule, self.memory, self._baselines, self._edge)
            if old is not None and (old.rule.kind, old.rule.by) == (rule.kind, rule.by):
                old.states.rule = rule
                made.states = old.states
            elif old is not None:
                old.states.close(now, "its rule was changed")
        for gone in before.values():
            gone.states.close(now, "its rule is gone")
        for moment, asked in self._asked.items():
            found = (getattr(signal, moment, None) for signal in self.signals.values())
            asked[:] = [method for method in found if method is not None]

    def feed(self, row: EventRow, at: float) -> None:
        """Take in an event that happened at a time (Unix seconds). A line that does not fit its kind says nothing."""
        take = self.kinds.get(row.kind)
        if take is not None:
            try:
                take(row, at)
            except msgspec.MsgspecError:
                return

    def tick(self, now: float) -> None:
        """Let time pass: call it about once a second."""
        for session in self.memory.forgotten(now):
            self._tell("ended", session, now, "nothing was heard of it for long")
        self._tell("tick", now)

    def settle(self, known: Iterable[AlertRow], now: float) -> None:
        """Begin with the alerts that are on record, whatever was fed before; those of no rule are resolved."""
        rows = list(known)
        for signal in self.signals.values():
            signal.states.clear()
        for row in rows:
            found = self.signals.get(row.rule)
            fits = found is not None and found.rule.kind == row.signal and found.states.restore(row)
            if not fits and row.resolved is None:
                same = {"alert": row.alert, "rule": row.rule, "signal": row.signal, "severity": row.severity}
                over = AlertResolved(at=now, group=row.group, message="its rule is gone", since=row.since, **same)  # type: ignore[arg-type]
                self._edge(over)

    def _edge(self, event: AlertFired | AlertResolved) -> None:
        if not self.muted:
            self._emit(event)

    def _tell(self, moment: str, *what: Any) -> None:
        for method in self._asked[moment]:
            method(*what)

    def _decided(self, row: EventRow, at: float) -> None:
        line = lines.decided(row.body)
        session = self.memory.session(row.session, row.agent, at)
        if line.reservation is not None:
            session.hold(line.reservation)
        if line.effect in ("deny", "halt"):
            self._tell("denied", session, line, row.agent, at)
        elif line.effect != "escalate" and line.action not in _SILENT:
            session.ended = False
            act = Act(row.agent)
            if line.action == "tool.call":
                act.call = [f"{line.resource}\0{line.args}", ""]
                session.calls.append(act.call)
            session.begin(line.span, act)

    def _completed(self, row: EventRow, at: float) -> None:
        self._outcome(row, at, completed=True)

    def _failed(self, row: EventRow, at: float) -> None:
        self._outcome(row, at, completed=False)

    def _outcome(self, row: EventRow, at: float, *, completed: bool) -> None:
        line = lines.outcome(row.body)
        session = self.memory.session(row.session, "", at)
        act = session.acts.pop(line.span, None)
        if line.action == "tool.call":
            failed: bool | None = not completed
            if not completed and (line.error in _UNCOUNTED or line.error.endswith(_SIGNALLED)):
                failed = None
            if act is not None and act.call is not None:
                result = line.result or "-"
                act.call[1] = f"{FAILED}{line.error}" if failed else BROKEN_OFF if failed is None else result
            for method in self._asked["outcome"]:
                method(session, act, line, at, failed)
        if line.cost is not None:
            session.spent += line.cost.micro_usd
            if line.cost.micro_usd:
                self._tell("spent", session, line.cost.micro_usd, at)
        elif line.action == "model.call" and (completed or line.usage is not None):
            self._tell("unpriced", session, act, line, at)

    def _run_started(self, row: EventRow, at: float) -> None:
        session = self.memory.session(row.session, row.agent, at)
        session.ended = False
        session.runs.add(lines.run(row.body).span)

    def _run_ended(self, row: EventRow, at: float) -> None:
        self.memory.session(row.session, row.agent, at).runs.discard(lines.run(row.body).span)

    def _heard(self, row: EventRow, at: float) -> None:
        self.memory.session(row.session, "", at).ended = False

    def _session_ended(self, row: EventRow, at: float) -> None:
        session = self.memory.sessions.pop(row.session, None)
        if session is not None:
            session.ended = True
            why = "its session ended" if row.kind == "session_ended" else "its session was halted"
            self._tell("ended", session, at, why)

    def _approval_requested(self, row: EventRow, at: float) -> None:
        self.memory.session(row.session, row.agent, at)
        self.memory.asked(row.session, row.agent, at, lines.question(row.body))

    def _approval_ended(self, row: EventRow, _at: float) -> None:
        self.memory.answered(lines.question(row.body).approval, over=_ENDS[row.kind])

    def _agent_seen(self, row: EventRow, at: float) -> None:
        agent = lines.registered(row.body).agent
        if not isinstance(agent, str):
            self._tell("agent", agent.name, agent.status, at)

    def _agent_amended(self, row: EventRow, at: float) -> None:
        line = lines.registered(row.body)
        self._tell("amended", row.agent.partition("@")[0], line.changes, at)

    def _tool_seen(self, row: EventRow, at: float) -> None:
        line = lines.registered(row.body)
        if not line.baseline:
            self._tell("tool", row.agent.partition("@")[0], line.tool.name, line.previous, at)

    def _events_lost(self, row: EventRow, at: float) -> None:
        self._tell("lost", lines.counted(row.body).count, at)

    def _bundle(self, row: EventRow, at: float) -> None:
        ways = lines.counted(row.body).widened
        if ways:
            self._tell("widened", ways, at)
