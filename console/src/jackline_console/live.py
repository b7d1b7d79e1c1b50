"""Sessions as the page *Live* shows them: what they spend, how fast, against which ceiling, and what they do now."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from jackline.control import Control
from jackline.events import Completed, Failed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jackline.control import Stop
    from jackline.home import Home
    from jackline.stores import EventRow, SessionRow
    from jackline_console.questions import Questions

STEP_S = 10
STEPS = 30
RECENT_S = 300.0
_SHOWN = 5


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


class Live:
    """Builds what the page shows. Thread-safe."""

    def __init__(self, home: Home, store: Any, questions: Questions, clock: Callable[[], float]) -> None:
        self.pulse = Pulse()
        self._control = Control(home.control)
        self._store = store
        self._questions = questions
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
        rows = self._store.live(self._clock() - RECENT_S, limit)
        kept = [row for row in rows if not agent or any(agent in (key, key.rpartition("@")[0]) for key in row.agents)]
        return self.told(kept)

    def changed(self, sessions: Sequence[str]) -> list[dict[str, Any]]:
        """These sessions as they are now."""
        return self.told(self._store.named(sessions))

    def told(self, rows: Sequence[SessionRow]) -> list[dict[str, Any]]:
        """Sessions as `LiveSession` has them."""
        now = self._clock()
        names = [row.session for row in rows]
        running = self._store.running([row.session for row in rows if row.running])
        ceilings, stops = self._store.ceilings(names), self.stops()
        waiting: dict[str, list[str]] = {}
        for one in self._questions.pending():
            waiting.setdefault(one.session, []).append(one.approval)
        found = []
        for row in rows:
            rate = self.pulse.rate(row.session, now)
            minute = float(sum(rate[-7:-1])) if sum(rate[-7:-1]) else float(rate[-1])
            ceiling = _ceiling(ceilings.get(row.session), row)
            left = ceiling["cap"] - ceiling["spent"] - ceiling["held"] if ceiling else 0
            money = ceiling is not None and ceiling["unit"] == "usd"
            acts = sorted(running.get(row.session, ()), key=lambda span: span.started)
            found.append(
                session_facts(row, stops.get(row.session))
                | {
                    "ceiling": ceiling,
                    "rate": {"step_s": STEP_S, "until": (int(now) // STEP_S + 1) * STEP_S, "micro_usd": rate},
                    "micro_usd_per_min": minute,
                    "exhausted_in_s": max(0.0, left / minute * 60) if money and minute else None,
                    "now": [
                        {"span": s.span, "kind": s.kind, "name": s.name, "agent": s.agent, "started": s.started}
                        for s in acts[-_SHOWN:]
                    ],
                    "waiting": waiting.get(row.session, []),
                    "stop": _stop(stops.get(row.session)),
                    "alerts": [],
                }
            )
        return found


def session_facts(row: SessionRow, stop: Stop | None) -> dict[str, Any]:
    """A session as `Session` has it."""
    paused = (stop is not None and stop.pause) or (row.halted and row.halt_reason.startswith("paused"))
    return {**row.plain(), "tokens": row.tokens, "paused": paused}


def _stop(stop: Stop | None) -> dict[str, Any] | None:
    return None if stop is None else {"who": stop.who, "why": stop.why, "at": stop.at, "pause": stop.pause}


def _ceiling(found: Any, row: SessionRow) -> dict[str, Any] | None:
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
