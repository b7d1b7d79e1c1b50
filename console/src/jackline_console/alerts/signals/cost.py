"""What sessions and agents spend: how much of their budget, and how fast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jackline_console.alerts.signals.signal import Signal, dollars, whose
from jackline_console.alerts.states import FIRING, OK, WARNING, Facts

if TYPE_CHECKING:
    from jackline_console.alerts.memory import Session

_MINUTE, _MINUTES = 60.0, 300.0
_PARTS = 150
"""Parts of a window whose short one is a 48th of the longest."""


class Budgeted(Signal):
    """Looks at sessions that have a budget."""

    def budget(self, session: Session) -> int:
        """Micro-dollars; 0 where there is none."""
        return session.cap or self.when.limit or 0


class SessionCost(Budgeted):
    """What a session has spent, against its budget."""

    def spent(self, session: Session, _micro: int, at: float) -> None:
        """Judge it after each call that cost something."""
        budget = self.budget(session)
        if not budget:
            return
        share = session.spent / budget
        level = FIRING if share >= self.when.fire else WARNING if share >= self.when.warn else OK
        key = (session.id,)
        if level or key in self.states.on:
            told = f"{whose(session)} has spent {dollars(session.spent)} of {dollars(budget)}"
            threshold = self.when.fire if level == FIRING else self.when.warn
            self.states.judge(key, level, at, lambda: Facts(share, threshold, "share", f"{told}, {share:.0%}"))


class CostRate(Signal):
    """What is spent in a minute, over one minute and over five."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._window = self.window(_MINUTES)

    def spent(self, session: Session, micro: int, at: float) -> None:
        """Count what a call cost."""
        key = self.key(session)
        self._window.add(key, at, micro)
        if key in self.states.on or self.rule.by != "session" or session.spent >= self.when.per_minute:
            self._judge(key, at)

    def tick(self, now: float) -> None:
        """A rate falls by itself."""
        for key in list(self.states.on):
            self._judge(key, now)
        super().tick(now)

    def _judge(self, key: tuple[str, ...], at: float) -> None:
        short, _ = self._window.sum(key, at, _MINUTE)
        long, calls = self._window.sum(key, at, _MINUTES)
        rate = min(short, long * _MINUTE / _MINUTES)
        level = FIRING if rate >= self.when.per_minute and calls >= self.when.calls else OK
        if level or key in self.states.on:
            who = f"{self.rule.by} {key[0][:40]}" if key else "all agents"
            told = f"{who}: {dollars(rate)} a minute, over one minute and over five"
            limit = float(self.when.per_minute)
            self.states.judge(key, level, at, lambda: Facts(rate, limit, "micro_usd/min", told))


class BurnRate(Budgeted):
    """How many times faster than evenly a session spends its budget, over a long and a short window together."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        period = self.when.period
        rows = ((self.when.fast, period / 12), (self.when.slow, period / 3))
        self._rows = [(rate, max(long, _MINUTE), max(long / 12, 5.0)) for rate, long in rows]
        self._window = self.window(max(long for _, long, _ in self._rows), _PARTS)
        self._least = min(rate * long / period for rate, long, _ in self._rows)
        """The smallest share of a budget with which a long window can fire."""

    def spent(self, session: Session, micro: int, at: float) -> None:
        """Count what a call cost."""
        key = (session.id,)
        self._window.add(key, at, micro)
        budget = self.budget(session)
        if budget and (session.spent >= self._least * budget or key in self.states.on):
            self._judge(session, budget, at)

    def tick(self, now: float) -> None:
        """A rate falls by itself."""
        for key in list(self.states.on):
            session = self.memory.sessions.get(key[0])
            if session is not None:
                self._judge(session, self.budget(session), now)
        super().tick(now)

    def _judge(self, session: Session, budget: int, at: float) -> None:
        key, evenly = (session.id,), budget / self.when.period
        for rate, long, short in self._rows:
            amount, calls = self._window.sum(key, at, long)
            burn = min(amount / long, self._window.sum(key, at, short)[0] / short) / evenly if evenly else 0.0
            if burn >= rate and calls >= self.when.calls:
                told = f"{whose(session)} spends its {dollars(budget)} {burn:.1f} times too fast, over {long:.0f} s"
                facts = Facts(burn, rate, "x", told)
                self.states.judge(key, FIRING, at, lambda facts=facts: facts)  # type: ignore[misc]
                return
        self.states.judge(key, OK, at)


class Exhaustion(Budgeted):
    """When a session's budget will be spent, at the slower of the rates of one minute and of five."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._window = self.window(_MINUTES)

    def spent(self, session: Session, micro: int, at: float) -> None:
        """Count what a call cost."""
        key = (session.id,)
        self._window.add(key, at, micro)
        budget = self.budget(session)
        if budget and (session.spent >= self.when.spent * budget or key in self.states.on):
            self._judge(session, budget, at)

    def tick(self, now: float) -> None:
        """A rate falls by itself."""
        for key in list(self.states.on):
            session = self.memory.sessions.get(key[0])
            if session is not None:
                self._judge(session, self.budget(session), now)
        super().tick(now)

    def _judge(self, session: Session, budget: int, at: float) -> None:
        key, age = (session.id,), min(max(at - session.started, _MINUTE), _MINUTES)
        long, calls = self._window.sum(key, at, _MINUTES)
        rate = min(self._window.sum(key, at, _MINUTE)[0] / _MINUTE, long / age)
        left = max(budget - session.spent, 0)
        within = left / rate if rate else float("inf")
        holds = calls >= self.when.calls and within < self.when.within
        if holds or key in self.states.on:
            told = f"{whose(session)}: its {dollars(budget)} will be spent in {within:.0f} s"
            facts = Facts(within, self.when.within, "s", told)
            self.states.judge(key, FIRING if holds else OK, at, lambda: facts)
