"""Sessions while they run: what they spend, how fast, against which ceiling, what they do now and wait for.

The terminal and the console show the same facts; both feed the pulse with events as they come in.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from jackline.approvals import ApprovalError
from jackline.control import Control
from jackline.events import Completed, Failed
from jackline.person import standing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from jackline.approvals import Approvals
    from jackline.control import Stop
    from jackline.home import Home
    from jackline.stores import CeilingRow, EventRow, SessionRow, Store

STEP_S = 10
STEPS = 30
RECENT_S = 300.0
_SHOWN = 5
_MINUTE = 60 // STEP_S


class Pending(NamedTuple):
    """A question that nobody has ended yet."""

    approval: str
    session: str
    asked: float


def pending(approvals: Approvals, now: float) -> tuple[Pending, ...]:
    """What waits for people, the oldest first; a question that cannot be read is left out."""
    found = []
    for asked in approvals.all():
        try:
            question = asked.question
            if standing(asked, now) == "pending":
                found.append(Pending(question.id, question.session, question.asked))
        except ApprovalError:
            continue
    return tuple(sorted(found, key=lambda one: one.asked))


class Pulse:
    """What each session spent in the last five minutes, by steps of ten seconds; fed with events as they come in."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spent: dict[str, deque[tuple[int, int]]] = {}
        """Session -> (step, micro-dollars), the oldest first."""

    def feed(self, row: EventRow) -> None:
        """Take in an event; those that cost nothing change nothing."""
        if row.kind not in ("completed", "failed") or '"micro_usd"' not in row.body:
            return
        event = row.event
        if isinstance(event, (Completed, Failed)) and event.cost is not None:
            step = int(event.at) // STEP_S
            with self._lock:
                spent = self._spent.setdefault(event.session, deque())
                if spent and spent[-1][0] == step:
                    spent[-1] = (step, spent[-1][1] + event.cost.micro_usd)
                else:
                    spent.append((step, event.cost.micro_usd))

    def rate(self, session: str, now: float) -> list[int]:
        """Micro-dollars of each step, the oldest first; the last one is not over yet."""
        last = int(now) // STEP_S
        found = [0] * STEPS
        with self._lock:
            for step, amount in self._spent.get(session, ()):
                place = step - last + STEPS - 1
                if 0 <= place < STEPS:
                    found[place] += amount
        return found

    def prune(self, now: float) -> None:
        """Forget what is older than five minutes."""
        oldest = int(now) // STEP_S - STEPS
        with self._lock:
            for session, spent in list(self._spent.items()):
                while spent and spent[0][0] < oldest:
                    spent.popleft()
                if not spent:
                    del self._spent[session]


class LiveSessions:
    """Tells how sessions stand. Thread-safe."""

    def __init__(
        self, home: Home, store: Store, waiting: Callable[[], Iterable[Pending]], clock: Callable[[], float]
    ) -> None:
        """`waiting` gives the questions that are open."""
        self.pulse = Pulse()
        self._control = Control(home.control)
        self.store = store
        self._waiting = waiting
        self._clock = clock
        self._stops: tuple[int, dict[str, Stop]] = (-1, {})

    def close(self) -> None:
        """Let go of the control folder."""
        self._control.close()

    def stops(self) -> dict[str, Stop]:
        """What people asked to stop, by session; read where something has changed."""
        epoch, stops = self._stops
        now = self._control.epoch
        if now != epoch:
            stops = self._control.stops()
            self._stops = (now, stops)
        return stops

    def halted(self, session: str) -> bool:
        """Whether no act of a session may start: the folder knows before the journal is read."""
        return self._control.halted(session) is not None

    def sessions(self, agent: str = "", limit: int = 500) -> list[dict[str, Any]]:
        """Those that run, are held, or were active within five minutes; the latest active first."""
        rows = self.store.live(self._clock() - RECENT_S, limit)
        kept = [row for row in rows if not agent or any(agent in (key, key.rpartition("@")[0]) for key in row.agents)]
        return self.told(kept)

    def told(self, rows: Sequence[SessionRow]) -> list[dict[str, Any]]:
        """What is known of each, ready to be written as JSON; see `LiveSession` in docs/console-api.md."""
        now = self._clock()
        running = self.store.running([row.session for row in rows if row.running])
        ceilings, stops = self.store.ceilings([row.session for row in rows]), self.stops()
        waiting: dict[str, list[str]] = {}
        for one in self._waiting():
            waiting.setdefault(one.session, []).append(one.approval)
        found = []
        for row in rows:
            rate, stop = self.pulse.rate(row.session, now), stops.get(row.session)
            acts = sorted(running.get(row.session, ()), key=lambda span: span.started)
            found.append(
                session_facts(row, stop)
                | _spending(rate, ceiling_facts(ceilings.get(row.session), row))
                | {
                    "rate": {"step_s": STEP_S, "until": (int(now) // STEP_S + 1) * STEP_S, "micro_usd": rate},
                    "now": [
                        {"span": s.span, "kind": s.kind, "name": s.name, "agent": s.agent, "started": s.started}
                        for s in acts[-_SHOWN:]
                    ],
                    "waiting": waiting.get(row.session, []),
                    "stop": _stop(stop),
                }
            )
        return found


def session_facts(row: SessionRow, stop: Stop | None) -> dict[str, Any]:
    """A session, with its tokens, and whether it is paused or about to be."""
    paused = (stop is not None and stop.pause) or (row.halted and row.halt_reason.startswith("paused"))
    return {**row.plain(), "tokens": row.tokens, "paused": paused}


def ceiling_facts(found: CeilingRow | None, row: SessionRow) -> dict[str, Any] | None:
    """The tightest ceiling; what a session's own scope has spent is what the session has spent by now."""
    if found is None:
        return None
    own = f"/session/{row.session}/" in found.scope
    spent, held = found.spent, found.held
    if own and found.unit == "usd":
        spent = max(spent, row.cost_micro_usd)
        held = held if row.running else 0
    told = {"scope": found.scope, "policy": found.policy, "unit": found.unit, "cap": found.cap}
    return told | {"spent": spent, "held": held, "session": own}


def _spending(rate: list[int], ceiling: dict[str, Any] | None) -> dict[str, Any]:
    """How fast money goes over the last whole minute (before there is one, in the step that is not over)."""
    whole = sum(rate[-_MINUTE - 1 : -1])
    minute = float(whole or rate[-1])
    left = ceiling["cap"] - ceiling["spent"] - ceiling["held"] if ceiling else 0
    ends = ceiling is not None and ceiling["unit"] == "usd" and minute
    return {
        "ceiling": ceiling,
        "micro_usd_per_min": minute,
        "exhausted_in_s": max(0.0, left / minute * 60) if ends else None,
    }


def _stop(stop: Stop | None) -> dict[str, Any] | None:
    return None if stop is None else {"who": stop.who, "why": stop.why, "at": stop.at, "pause": stop.pause}
