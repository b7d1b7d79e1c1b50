"""What every signal has, and when it is asked.

A signal defines those of these methods that it needs; the evaluator looks for them by name once, and calls no others:

    denied(session, line, agent, at)           an act was denied
    outcome(session, act, line, at, failed)    what came of a tool's call; `failed` None: it says nothing of the tool
    spent(session, micro_usd, at)              a model was called and priced
    unpriced(session, act, line, at)           a model was called, and nobody knows the price
    ended(session, at, why)                    a session is over
    agent(name, status, at), tool(agent, tool, previous, at), amended(agent, changes, at)
    lost(count, at), widened(ways, at)
    tick(now)                                  once a second
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

from jackline_console.alerts.states import OK, States
from jackline_console.alerts.windows import PARTS, Window

if TYPE_CHECKING:
    from collections.abc import Callable

    from jackline.alert_rules import AlertRule
    from jackline.events import AlertFired, AlertResolved
    from jackline_console.alerts.memory import Memory, Session
    from jackline_console.alerts.windows import Key


class Baselines(Protocol):
    """What is usual: asked of the index, and kept for some minutes."""

    def duration(self, agent: str, now: float) -> tuple[int, float]:
        """How many sessions of an agent's version are known, and their 95th percentile in seconds."""

    def failures(self, by: str, name: str, now: float) -> tuple[int, float]:
        """How many calls of a tool (or by an agent) the last 24 hours had, and the share that failed."""


class Signal:
    """One rule at work."""

    names: ClassVar[dict[str, tuple[str, ...]]] = {
        "session": ("session",),
        "agent": ("agent",),
        "tool": ("tool",),
        "all": (),
    }
    """What the parts of a group's key are called, by what the rule tells apart."""

    def __init__(
        self,
        rule: AlertRule,
        memory: Memory,
        baselines: Baselines,
        emit: Callable[[AlertFired | AlertResolved], None],
    ) -> None:
        self.rule, self.memory, self.baselines = rule, memory, baselines
        self.when = rule.when
        self.states = States(rule, self.names[rule.by], emit)
        self._windows: list[Window] = []

    def window(self, longest: float, parts: int = PARTS) -> Window:
        """Sums by the rule's groups; those of a session go with it."""
        made = Window(longest, parts)
        self._windows.append(made)
        return made

    def key(self, session: Session, agent: str = "") -> Key:
        """The group of something that happened in a session."""
        by = self.rule.by
        if by == "session":
            return (session.id,)
        return (agent or session.agent,) if by == "agent" else ()

    def ended(self, session: Session, at: float, why: str) -> None:
        """A session is over, and with it what was said of it."""
        if self.rule.by != "session":
            return
        for window in self._windows:
            window.forget((session.id,))
        if self.states.on:
            for key in [key for key in self.states.on if key[0] == session.id]:
                self.states.judge(key, OK, at, why=why)

    def tick(self, now: float) -> None:
        """Time has passed."""
        self.states.tick(now)


def whose(session: Session) -> str:
    """Whose session it is, for messages."""
    return f"session {session.id[:8]} of {session.agent or 'an unknown agent'}"


def dollars(micro_usd: float) -> str:
    """Money, for messages."""
    return f"{micro_usd / 1_000_000:.2f} USD" if micro_usd >= 10_000 else f"{micro_usd / 1_000_000:.6f} USD"  # noqa: PLR2004 - a cent
