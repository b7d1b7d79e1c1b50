"""The steps of one request, put on record: each span once and where it belongs, or none of it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from jackline.events import Completed, Decided, Event, Failed, RunEnded, RunStarted, SessionEnded, SessionStarted
from jackline.request import Tool
from jackline.session import session_id
from jackline_console.otlp.memory import Place, Trace
from jackline_console.reported import LABELS, NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jackline.request import Action, Agent
    from jackline_console.otlp.intake import Intake
    from jackline_console.otlp.memory import Key
    from jackline_console.otlp.steps import Step

REASON = "reported over OTLP: nothing judged it"
_ACTIONS: dict[str, Action] = {
    "model": "model.call",
    "tool": "tool.call",
    "retrieval": "retrieval",
    "embedding": "embedding",
}


def trace_session(trace: str) -> str:
    """The session of a trace without a conversation. Never the trace's own id: who reports would choose it."""
    return session_id(NAMESPACE, "", trace)


class Taking:
    """One request's steps."""

    def __init__(self, intake: Intake, steps: Sequence[Step]) -> None:
        self._intake, self._memory = intake, intake.memory
        self._steps = sorted(steps, key=lambda step: step.started)
        self._events: list[tuple[float, int, Key, Event]] = []
        self._fresh: list[Step] = []
        self._written = 0

    def run(self) -> int:
        """Find out what is new, where it stands, and write it in the order of its time.

        What cannot be written is forgotten, so that it is new when it is sent again.
        """
        known = self._memory.traces
        before = {step.trace: replace(known[step.trace]) for step in self._steps if step.trace in known}
        try:
            self._note()
            for event in self._events:
                self._intake.write(event[3])
                self._written += 1
        except BaseException:
            self._forget(before)
            raise
        return len(self._events)

    def _note(self) -> None:
        new = self._fresh = self._new()
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
        begun = self._memory.begun
        self._events = [one for one in self._events if not begun or (one[2], type(one[3])) not in begun]
        self._events.sort(key=lambda one: one[:2])

    def _forget(self, before: Mapping[str, Trace]) -> None:
        """Be as before, but for steps that are wholly on record and traces that are in part."""
        written = {key for _, _, key, _ in self._events[: self._written]}
        left = self._events[self._written :]
        whole = written - {key for _, _, key, _ in left}
        for _, _, key, event in self._events[: self._written]:
            if key not in whole and not isinstance(event, SessionStarted):
                self._memory.begun[key, type(event)] = None
        for step in self._fresh:
            if (step.trace, step.span) not in whole:
                self._memory.places.pop((step.trace, step.span), None)
        for name in {step.trace for step in self._steps} - {name for name, _ in written}:
            self._memory.traces.pop(name, None)
            if name in before:
                self._memory.traces[name] = before[name]
        for _, _, (name, _), event in left:
            if isinstance(event, SessionEnded) and name in self._memory.traces:
                trace, was = self._memory.traces[name], before.get(name)
                trace.ended, trace.how = (was.ended, was.how) if was else (0.0, "")

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
            if self._memory.traces[step.trace].partial or (fresh and self._is_indexed(step, session)):
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
            self._events.append((trace.ended, 4, (name, (root or told[-1]).span), event))

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
