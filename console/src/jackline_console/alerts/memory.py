"""What is remembered of sessions: what runs in them, what they spent, what they wait for, their last calls."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from jackline.stores import ApprovalRow, SessionRow, SpanRow
    from jackline_console.alerts.lines import Question, Reservation

SESSIONS = 20_000
"""Sessions that are remembered; beyond them the least recently active are forgotten."""
IDLE_S = 3600.0
"""A session that has nothing under way is over for alerts when nothing is heard of it for so long."""
DEAD_S = 24 * 3600.0
"""The same for one that had something under way."""
CALLS = 24
"""The last calls of a session that loops are looked for in."""
_ACTS = 512
_QUESTIONS = 10_000


class Act:
    """An act that is under way."""

    __slots__ = ("agent", "call")

    def __init__(self, agent: str) -> None:
        self.agent = agent
        self.call: list[str] | None = None
        """Its entry among the session's last calls."""


class Session:
    """One session. Times are Unix seconds, money is in micro-dollars."""

    __slots__ = ("acts", "agent", "calls", "cap", "ended", "id", "last", "looped", "made", "runs", "spent", "started")

    def __init__(self, id_: str, agent: str, at: float) -> None:
        self.id, self.agent, self.started, self.last = id_, agent, at, at
        self.acts: dict[str, Act] = {}
        self.runs: set[str] = set()
        self.ended = False
        self.cap = 0
        """The smallest ceiling of its own, in money; 0 where none is known."""
        self.spent = 0
        self.calls: deque[list[str]] = deque(maxlen=CALLS)
        """Call and result; the result is empty while the call is under way."""
        self.made = 0
        """Calls with a result so far."""
        self.looped = 0
        """Which of them was last found to go round in circles; 0: none."""

    @property
    def running(self) -> bool:
        """Whether something is under way."""
        return not self.ended and bool(self.acts or self.runs)

    def begin(self, span: str, act: Act) -> None:
        """Note an act that may start."""
        if len(self.acts) >= _ACTS:
            del self.acts[next(iter(self.acts))]
        self.acts[span] = act

    def hold(self, reservation: Reservation) -> None:
        """Take from a reservation what the session's own ceiling is, and what it has spent."""
        own = f"/session/{self.id}/"
        for hold in reservation.holds:
            if hold.unit == "usd" and not hold.once and own in hold.scope:
                self.cap = hold.cap
                self.spent = max(self.spent, hold.spent)


class Waiting(NamedTuple):
    """An open question to people."""

    session: str
    agent: str
    at: float
    expires: float
    needed: int
    what: str


class Memory:
    """Sessions and open questions."""

    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}
        self.waiting: dict[str, Waiting] = {}
        """By approval."""

    def session(self, id_: str, agent: str, at: float) -> Session:
        """The session of an event; it is heard of now."""
        found = self.sessions.get(id_)
        if found is None:
            found = self.sessions[id_] = Session(id_, agent, at)
        elif at > found.last:
            found.last = at
        if not found.agent:
            found.agent = agent
        return found

    def asked(self, session: str, agent: str, at: float, said: Question) -> None:
        """Note a question."""
        if len(self.waiting) >= _QUESTIONS:
            del self.waiting[next(iter(self.waiting))]
        what = f"{said.action} {said.resource}".strip()
        self.waiting[said.approval] = Waiting(session, agent, at, said.expires, said.needed, what)

    def answered(self, approval: str, *, over: bool) -> None:
        """Note an answer; one that agrees is not the end where more are needed."""
        known = self.waiting.get(approval)
        if known is None:
            return
        if over or known.needed <= 1:
            del self.waiting[approval]
        else:
            self.waiting[approval] = known._replace(needed=known.needed - 1)

    def forgotten(self, now: float) -> Iterator[Session]:
        """Drop what is over, lapsed, or too much; gives the sessions that were dropped."""
        for approval in [name for name, one in self.waiting.items() if now >= one.expires > 0]:
            del self.waiting[approval]
        gone = [one for one in self.sessions.values() if now - one.last > (DEAD_S if one.running else IDLE_S)]
        most = len(self.sessions) - len(gone) - SESSIONS
        if most > 0:
            dropped = {one.id for one in gone}
            rest = (one for one in self.sessions.values() if one.id not in dropped)
            gone += sorted(rest, key=lambda one: one.last)[:most]
        for one in gone:
            del self.sessions[one.id]
            yield one

    def load(
        self, sessions: Iterable[SessionRow], acts: Mapping[str, Sequence[SpanRow]], questions: Iterable[ApprovalRow]
    ) -> None:
        """Take in what the index knows of sessions and questions that began before the events that were seen."""
        for row in sessions:
            agent = row.agents[0] if row.agents else ""
            one = self.session(row.session, agent, row.last_at)
            one.started = min(one.started, row.started)
            one.spent = max(one.spent, row.cost_micro_usd)
            for span in acts.get(row.session, ()):
                one.acts.setdefault(span.span, Act(span.agent))
        for asked in questions:
            if asked.state == "pending" and asked.approval not in self.waiting:
                what = f"{asked.action} {asked.resource}".strip()
                left = max(1, asked.needed - asked.yes)
                known = Waiting(asked.session, asked.agent, asked.asked, asked.expires, left, what)
                if asked.yes < asked.needed:
                    self.waiting[asked.approval] = known
