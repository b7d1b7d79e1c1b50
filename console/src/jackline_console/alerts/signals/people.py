"""What is denied again and again, and what waits for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jackline_console.alerts.signals.signal import Signal
from jackline_console.alerts.states import FIRING, OK, Facts
from jackline_console.alerts.windows import Key

if TYPE_CHECKING:
    from jackline_console.alerts.lines import Decided
    from jackline_console.alerts.memory import Session


class DenialBurst(Signal):
    """How often acts are denied."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._window = self.window(self.when.window)

    def denied(self, session: Session, line: Decided, agent: str, at: float) -> None:
        """Count one."""
        key = self.key(session, agent)
        self._window.add(key, at)
        self._judge(key, at, line.resource)

    def tick(self, now: float) -> None:
        """What is older than the window counts no more."""
        for key in list(self.states.on):
            self._judge(key, now, "")
        super().tick(now)

    def _judge(self, key: tuple[str, ...], at: float, last: str) -> None:
        count = self._window.sum(key, at, self.when.window)[1]
        holds = count > self.when.above
        if holds or key in self.states.on:
            more = f", last '{last}'" if last else ""
            told = f"{self.rule.by} {key[0][:40]}: {count} acts denied within {self.when.window:.0f} s{more}"
            facts = Facts(count, self.when.above, "", told)
            self.states.judge(key, FIRING if holds else OK, at, lambda: facts)


class ApprovalAge(Signal):
    """How long the oldest open question waits."""

    def tick(self, now: float) -> None:
        """Questions grow older by themselves."""
        oldest: dict[Key, tuple[float, str]] = {}
        for one in self.memory.waiting.values():
            if now - one.at >= self.when.older:
                by = self.rule.by
                key: Key = (one.session,) if by == "session" else (one.agent,) if by == "agent" else ()
                told = f"'{one.agent}' asks people for {one.what}"
                oldest[key] = min(oldest.get(key, (one.at, told)), (one.at, told))
        for group, (at, told) in oldest.items():
            age = now - at
            facts = Facts(age, self.when.older, "s", f"{told}, for {age:.0f} s by now")
            self.states.judge(group, FIRING, now, lambda facts=facts: facts)  # type: ignore[misc]
        for group in [group for group in self.states.on if group not in oldest]:
            self.states.judge(group, OK, now, why="nobody is waited for any more")
        super().tick(now)

    def ended(self, session: Session, at: float, why: str) -> None:
        """Questions outlive sessions."""
