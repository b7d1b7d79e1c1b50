"""Tools that fail: often, or again and again in one session. What was denied was no call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from jackline_console.alerts.signals.signal import Signal, whose
from jackline_console.alerts.states import FIRING, NO_DATA, OK, Facts
from jackline_console.alerts.windows import Key

if TYPE_CHECKING:
    from jackline_console.alerts.lines import Outcome
    from jackline_console.alerts.memory import Act, Session

_KNOWN = 100
"""Fewer calls in 24 hours are no baseline."""


class ToolFailureRate(Signal):
    """The share of calls that failed, against a limit and against the last 24 hours."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._calls = self.window(self.when.window)
        self._failures = self.window(self.when.window)

    def outcome(self, session: Session, act: Act | None, line: Outcome, at: float, failed: bool | None) -> None:
        """Count a call."""
        if failed is None:
            return
        by_tool = self.rule.by == "tool"
        key = (line.resource if by_tool else act.agent if act is not None else session.agent,)
        self._calls.add(key, at)
        if failed:
            self._failures.add(key, at)
        if failed or key in self.states.on:
            self._judge(key, at)

    def tick(self, now: float) -> None:
        """What is older than the window counts no more."""
        for key in list(self.states.on):
            self._judge(key, now)
        super().tick(now)

    def _judge(self, key: Key, at: float) -> None:
        when = self.when
        failures = self._failures.sum(key, at, when.window)[1]
        if failures < when.failures and key not in self.states.on:
            return
        calls = self._calls.sum(key, at, when.window)[1]
        if calls < when.calls:
            self.states.judge(key, NO_DATA, at)
            return
        rate, limit = failures / calls, when.above
        if failures >= when.failures and rate <= limit:
            known, usual = self.baselines.failures(self.rule.by, key[0], at)
            if known >= _KNOWN and usual > 0:
                limit = min(limit, when.baseline * usual)
        holds = failures >= when.failures and rate > limit
        told = f"{self.rule.by} '{key[0]}' failed in {failures} of {calls} calls within {when.window:.0f} s"
        facts = Facts(rate, limit, "share", told)
        self.states.judge(key, FIRING if holds else OK, at, lambda: facts)


class ConsecutiveFailures(Signal):
    """Failures of one tool in one session, one after another."""

    names: ClassVar[dict[str, tuple[str, ...]]] = {"session": ("session", "tool")}

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._rows: dict[str, dict[str, int]] = {}

    def outcome(self, session: Session, _act: Act | None, line: Outcome, at: float, failed: bool | None) -> None:
        """Count a failure, or begin anew."""
        rows, tool = self._rows.get(session.id), line.resource
        if not failed:
            if failed is not None and rows is not None and rows.pop(tool, 0):
                self.states.judge((session.id, tool), OK, at, why="a call ended well")
            return
        if rows is None:
            rows = self._rows[session.id] = {}
        row = rows[tool] = rows.get(tool, 0) + 1
        if row >= self.when.times:
            told = f"{whose(session)}: '{tool}' failed {row} times in a row, last with {line.error}"
            facts = Facts(row, self.when.times, "calls", told)
            self.states.judge((session.id, tool), FIRING, at, lambda: facts)

    def ended(self, session: Session, at: float, why: str) -> None:
        """A session is over."""
        self._rows.pop(session.id, None)
        super().ended(session, at, why)
