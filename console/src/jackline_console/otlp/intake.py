"""Reported steps, put on record: each span once, where it belongs, under agents that nothing of ours stands before."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

from jackline.events import Completed, Decided, Event, Failed, RunEnded, RunStarted, SessionEnded, SessionStarted
from jackline.journal import Journal
from jackline.opening import history, load_prices
from jackline.plain import Digester, canonical, plain
from jackline.registry import Registry
from jackline.request import Agent, Tool
from jackline.session import session_id
from jackline_console.otlp.held import Held
from jackline_console.otlp.memory import WRITER, Memory, Place, Trace
from jackline_console.reported import LABELS, NAMESPACE, is_reported

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jackline.events import Cost
    from jackline.home import Home
    from jackline.prices import Prices
    from jackline.request import Action
    from jackline.stores import Store
    from jackline_console.otlp.memory import Key
    from jackline_console.otlp.steps import Step

REASON = "reported over OTLP: nothing judged it"
_ACTIONS: dict[str, Action] = {
    "model": "model.call",
    "tool": "tool.call",
    "retrieval": "retrieval",
    "embedding": "embedding",
}
_AGENTS = 2000
"""Agents that one process registers; what further ones do is put down to `OTHERS`: names must not fill the registry."""
OTHERS = "other reported agents"
_SWEEP_S = 1.0


def trace_session(trace: str) -> str:
    """The session of a trace without a conversation. Never the trace's own id: who reports would choose it."""
    return session_id(NAMESPACE, "", trace)


class Intake:
    """One for a console. Thread-safe: one request is taken in at a time."""

    def __init__(self, home: Home, store: Store, told: Callable[[], object], clock: Callable[[], float]) -> None:
        """`told` is called after something was written. Nothing is opened before the first span comes."""
        self._home, self._store, self._told, self._clock = home, store, told, clock
        self._lock = threading.Lock()
        self._journal: Journal | None = None
        self._memory = Memory()
        self._held_in = home.path / "otlp" / "held"
        self.held = Held(self._held_in)
        self._swept = 0.0
        self._agents = set[tuple[str, str]]()
        self.counts: Counter[str] = Counter()
        """By what came: see `models.otlp.Reports`."""

    def close(self) -> None:
        """Close the journal."""
        with self._lock:
            self.held.close()
            if self._journal is not None:
                self._journal.close()

    def take(self, steps: Sequence[Step]) -> None:
        """Put steps on record. Raises JournalError where it cannot be: then the whole request is to be sent again."""
        if not steps:
            return
        with self._lock:
            self._ready()
            new = [self._digested(step) for step in steps if (step.trace, step.span) not in self.held.waiting]
            self.counts["repeated"] += len(steps) - len(new)
            pool = [*new, *self.held.of({step.trace for step in steps})]
            waiting = self._memory.waiting(pool)
            written = self._take([step for step in pool if (step.trace, step.span) not in waiting])
            self.held.keep([step for step in new if (step.trace, step.span) in waiting], self._clock())
        if written:
            self._told()

    def sweep(self) -> None:
        """Put on record what has waited for long enough; it looks once a second. Raises JournalError."""
        now = self._clock()
        if 0.0 <= now - self._swept < _SWEEP_S:
            return
        self._swept = now
        with self._lock:
            if self._journal is None and not any(self._held_in.glob("*.jsonl")):
                return
            self._ready()
            written = self._take(self.held.due(now))
        if written:
            self._told()

    def _take(self, steps: Sequence[Step]) -> int:
        written = _Taking(self, steps).run() if steps else 0
        self.held.let_go([(step.trace, step.span) for step in steps])
        self._memory.trim()
        return written

    def _digested(self, step: Step) -> Step:
        """A step without what was said: of arguments and results only keyed digests are kept, wherever."""
        step.args, step.result = self._digest(step.args), self._digest(step.result)
        return step

    def _digest(self, given: object) -> str:
        return "" if given is None else self.digester.digest(canonical(plain(given)))

    def _ready(self) -> None:
        if self._journal is not None:
            return
        self._memory.recall(self._home.journals, self._clock())
        self.prices: Prices = load_prices(self._home)
        self.digester = Digester(self._home.key())
        self._journal = Journal.open(self._home.journals, writer=WRITER, clock=self._clock)
        self.registry = Registry(self._home.registry, self._journal.append, self._clock)
        self.registry.open(lambda: history(self._home))
        self.held.adopt()

    @property
    def memory(self) -> Memory:
        """What was reported of late."""
        return self._memory

    def write(self, event: Event) -> None:
        """Put one event on record."""
        assert self._journal is not None
        self._journal.append(event)

    def is_on_record(self, session: str, span: str) -> bool:
        """Whether the index has a step, of whenever."""
        return self._store.span(session, span) is not None

    def agent(self, name: str, step: Step) -> Agent:
        """The agent of a step, registered as one that only reports; the name of one that is judged stays that one's."""
        # An @ would make it a key that can be another agent's, of another version.
        name, version = name.replace("@", " at "), step.version.replace("@", " at ")
        if (name, version) not in self._agents and len(self._agents) >= _AGENTS:
            name, version = OTHERS, ""
        self._agents.add((name, version))
        self.registry.refresh()
        while self._is_governed(name, version):
            name = f"{name} (reported)"
        seen = Agent(
            name=name,
            version=version,
            framework=step.framework,
            environment=step.environment,
            labels={**LABELS, "service": step.service},
            managed=False,
        )
        return self.registry.agent(seen, tools=())  # what it reports first is not what it may use

    def _is_governed(self, name: str, version: str) -> bool:
        """Whether an agent that is judged has the name, or a key like that of this name and version."""
        roster = self.registry.roster
        entries = (roster.entries.get(one) for one in (name, roster.parts(f"{name}@{version}")[0]))
        return any(entry is not None and entry.versions and not is_reported(entry) for entry in entries)

    def cost(self, step: Step) -> Cost | None:
        """What a model call cost by this home's prices; what a span says of money is somebody else's sum."""
        if step.usage is None:
            return None
        for model in dict.fromkeys((step.model, step.name)):
            found = self.prices.cost(model, step.provider, step.usage, step.started) if model else None
            if found is not None:
                return found
        return None


class _Taking:
    """One request's steps."""

    def __init__(self, intake: Intake, steps: Sequence[Step]) -> None:
        self._intake, self._memory = intake, intake.memory
        self._steps = sorted(steps, key=lambda step: step.started)
        self._events: list[tuple[float, int, Key, Event]] = []

    def run(self) -> int:
        """Find out what is new, where it stands, and write it in the order of its time."""
        new = self._new()
        self._place(new)
        acting: dict[str, list[Step]] = {}
        for step in new:
            place = self._memory.places[step.trace, step.span]
            self._intake.counts["spans" if place.kept else "no_act"] += 1
            if place.kept:
                acting.setdefault(step.trace, []).append(step)
                self._start(step)
                (self._run_events if place.agent else self._act_events)(step, place)
        for trace, told in acting.items():
            self._end(trace, told)
        self._events.sort(key=lambda one: one[:2])
        self._write()
        return len(self._events)

    def _write(self) -> None:
        """All of it. What cannot be written is forgotten, so that it is new when it is sent again."""
        written = 0
        try:
            for _, _, _, event in self._events:
                self._intake.write(event)
                written += 1
        finally:
            for _, _, (trace, span), _ in self._events[written:]:
                self._memory.places.pop((trace, span), None)
                self._memory.traces.pop(trace, None)

    def _new(self) -> list[Step]:
        """The steps that nobody told of before; each trace gets its session here."""
        found: dict[Key, Step] = {}
        named = {step.trace: step for step in reversed(self._steps) if step.conversation}
        doubtful = set[str]()
        for step in self._steps:
            if not step.kind and step.trace not in self._memory.traces:  # no act: it decides nothing of a session
                key = step.trace, step.span
                if key in found or key in self._memory.places:
                    self._intake.counts["repeated"] += 1
                else:
                    found[key] = step
                continue
            fresh = step.trace not in self._memory.traces
            session = self._session(step, named.get(step.trace))
            if fresh and self._is_indexed(step, session):
                doubtful.add(step.trace)
            known = (step.trace, step.span) in found or self._memory.knows(step, session)
            if known or (step.trace in doubtful and self._intake.is_on_record(session, step.span)):
                self._intake.counts["repeated"] += 1
            else:
                found[step.trace, step.span] = step
        return list(found.values())

    def _is_indexed(self, step: Step, session: str) -> bool:
        """Whether the index has a trace that this process was not told of: its first act stands for all."""
        first = next((one for one in self._steps if one.trace == step.trace and one.kind), None)
        return first is not None and self._intake.is_on_record(session, first.span)

    def _session(self, step: Step, named: Step | None) -> str:
        """The session of a trace: its conversation's where that was told with its first spans, else its own."""
        trace = self._memory.traces.get(step.trace)
        if trace is None:
            own = (
                trace_session(step.trace) if named is None else session_id(NAMESPACE, named.service, named.conversation)
            )
            trace = self._memory.traces[step.trace] = Trace(session=own, service=(named or step).service)
        if named is not None and not trace.conversation:
            trace.conversation, trace.user = named.conversation, named.user
        trace.user = trace.user or step.user
        return trace.session

    def _start(self, step: Step) -> None:
        trace = self._memory.traces[step.trace]
        if trace.told == trace.conversation:
            return
        trace.told = trace.conversation
        event = SessionStarted(
            at=step.started,
            session=trace.session,
            external_id=trace.conversation or step.trace,
            user=trace.user,
            labels=LABELS,
            application=trace.service,
            namespace=NAMESPACE,
        )
        self._events.append((step.started, 0, (step.trace, step.span), event))

    def _end(self, name: str, told: list[Step]) -> None:
        """End a session with its root; by a clock that is behind others' it is over when its last act began."""
        trace = self._memory.traces[name]
        root = next((step for step in told if not step.parent), None)
        before = trace.ended
        if root is not None:
            trace.ended, trace.how = root.ended, "error" if root.error else "root"
        if not trace.how:
            return
        trace.ended = max(trace.ended, *(step.started for step in told))
        if root is not None or trace.ended > before:
            event = SessionEnded(at=trace.ended, session=trace.session, how=trace.how)
            self._events.append((trace.ended, 4, (name, told[-1].span), event))

    def _place(self, new: list[Step]) -> None:
        """Say of each step whether it is one on record. Parents come first, model calls from the innermost out."""
        memory = self._memory
        for step in new:
            memory.places[step.trace, step.span] = Place(step.parent, kept=False)
        depths = {(step.trace, step.span): self._height(step) for step in new}
        for step in sorted(new, key=lambda one: -depths[one.trace, one.span]):
            if (step.kind == "model" and step.usage is not None) or (step.trace, step.span) in memory.covered:
                memory.cover(step)
        for step in sorted(new, key=lambda one: depths[one.trace, one.span]):
            self._decide(step)

    def _height(self, step: Step) -> int:
        span, count = step.parent, 0
        while span and count < 1000:  # noqa: PLR2004 - parents in a circle
            place = self._memory.places.get((step.trace, span))
            span, count = place.parent if place else "", count + 1
        return count

    def _decide(self, step: Step) -> None:
        """Keep acts and runs; and what encloses nothing but a step that is on record already, as its run."""
        memory, key = self._memory, (step.trace, step.span)
        above = memory.run_of(step)
        kind = step.kind
        if kind == "model" and key in memory.covered:
            kind = ""
        if kind == "agent" and above is not None and above.agent == self._agent(step, above).key:
            kind = "" if key not in memory.awaited else kind
        if not kind and key not in memory.awaited:
            return
        agent = "" if kind in _ACTIONS else self._agent(step, above).key
        run = above.run if above else step.trace
        if agent and above is not None:
            run = hashlib.sha256(f"{step.trace}{step.span}".encode()).hexdigest()[:32]
        depth = above.depth + bool(agent) if above else 0
        memory.places[key] = Place(step.parent, kept=True, agent=agent, run=run, depth=depth)
        parent, place = memory.above(step)
        if parent and place is None:
            memory.awaited[step.trace, parent] = None

    def _agent(self, step: Step, above: Place | None) -> Agent:
        """By the step's own word, else that of the run above it, else the service."""
        if step.agent and step.kind:
            return self._intake.agent(step.agent, step)
        name = self._intake.registry.roster.parts(above.agent)[0] if above and above.agent else step.agent
        return self._intake.agent(name or step.service, step)

    def _run_events(self, step: Step, place: Place) -> None:
        parent, _ = self._memory.above(step)
        above = self._memory.run_of(step)
        session = self._memory.traces[step.trace].session
        where = {"session": session, "run": place.run, "span": step.span, "agent": place.agent}
        started = RunStarted(
            at=step.started,
            parent=parent,
            parent_run=above.run if above else "",
            depth=place.depth,
            **where,
        )
        key = step.trace, step.span
        ended = RunEnded(at=step.ended, error=step.error, **where)
        self._events += [(step.started, 1, key, started), (step.ended, 3, key, ended)]

    def _act_events(self, step: Step, place: Place) -> None:
        intake, action = self._intake, _ACTIONS[step.kind]
        agent = self._agent(step, self._memory.run_of(step))
        if step.kind == "tool":
            intake.registry.tool(agent, Tool(name=step.name))
        elif step.kind == "model":
            intake.registry.model(agent, step.name)
        session = self._memory.traces[step.trace].session
        where: dict[str, Any] = {"session": session, "run": place.run, "span": step.span, "resource": step.name}
        decided = Decided(
            at=step.started,
            agent=agent.key,
            action=action,
            effect="allow",
            parent=self._memory.above(step)[0],
            call_id=step.call_id,
            args=step.args,
            reason=REASON,
            mode="observe",
            registry={"managed": False, "source": NAMESPACE, "trace": step.trace},
            **where,
        )
        took = (step.ended - step.started) * 1000
        cost = intake.cost(step)
        outcome: Completed | Failed
        if step.error:
            outcome = Failed(
                at=step.ended, action=action, error=step.error, duration_ms=took, usage=step.usage, cost=cost, **where
            )
        else:
            outcome = Completed(
                at=step.ended,
                action=action,
                duration_ms=took,
                usage=step.usage,
                cost=cost,
                model=step.model,
                result=step.result,
                **where,
            )
        key = step.trace, step.span
        self._events += [(step.started, 2, key, decided), (step.ended, 2, key, outcome)]
