"""Sessions that run for too long, or that nothing is heard of."""

from __future__ import annotations

from jackline_console.alerts.signals.signal import Signal, whose
from jackline_console.alerts.states import FIRING, OK, Facts


class SessionDuration(Signal):
    """How long a session has been running, against those of the same version of its agent."""

    def tick(self, now: float) -> None:
        """Sessions grow older by themselves."""
        for key in list(self.states.on):
            session = self.memory.sessions.get(key[0])
            if session is None or not session.running:
                self.states.judge(key, OK, now, why="nothing runs in it any more")
        most: dict[str, float] = {}
        for session in self.memory.sessions.values():
            if not session.running:
                continue
            agent = session.agent
            limit = most.get(agent)
            if limit is None:
                known, usual = self.baselines.duration(agent, now)
                enough = known >= self.when.sessions and usual > 0
                limit = most[agent] = self.when.times * usual if enough else float("inf")
            age = now - session.started
            if age > limit:
                usual = limit / self.when.times
                told = (
                    f"{whose(session)} has been running for {age:.0f} s; of its agent's, 95 % end within {usual:.0f} s"
                )
                facts = Facts(age, limit, "s", told)
                self.states.judge((session.id,), FIRING, now, lambda facts=facts: facts)  # type: ignore[misc]
        super().tick(now)


class SilentSession(Signal):
    """A running session without an event; one that waits for people is not silent."""

    def tick(self, now: float) -> None:
        """Silence is an event that does not come."""
        after, waiting = self.when.after, {one.session for one in self.memory.waiting.values()}
        for key in list(self.states.on):
            session = self.memory.sessions.get(key[0])
            if session is None or now - session.last < after or not session.running or session.id in waiting:
                self.states.judge(key, OK, now, why="it is heard of again")
        for session in self.memory.sessions.values():
            silent = now - session.last
            if silent >= after and session.running and session.id not in waiting:
                told = f"nothing is heard of {whose(session)}, for {silent:.0f} s by now"
                facts = Facts(silent, after, "s", told)
                self.states.judge((session.id,), FIRING, now, lambda facts=facts: facts)  # type: ignore[misc]
        super().tick(now)
