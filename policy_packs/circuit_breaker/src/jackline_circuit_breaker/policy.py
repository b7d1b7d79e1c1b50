"""The policy `circuit_breaker`: it remembers what a session did, and stops what leads nowhere before it is done again.

`evaluate` looks and `observe` counts. Both happen in one critical section for each decision, so calls that run side by
side are counted one after another. The journal learns digests from the guard only; the policy's own stay in its memory.
"""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING, Any, ClassVar, Self

from jackline.decision import PERMITTING, Finding, Verdict
from jackline.events import Completed, Decided, Failed
from jackline.policy import Phase, Reach
from jackline_circuit_breaker import calls, failures, history, spending, streaks
from jackline_circuit_breaker.options import SEVERITY, CircuitBreakerOptions
from jackline_circuit_breaker.trips import Trip, again, capped, said, stepped
from jackline_circuit_breaker.widening import widened

if TYPE_CHECKING:
    from jackline.build_context import BuildContext
    from jackline.decision import Effect
    from jackline.events import Event
    from jackline.policy import State
    from jackline.request import Action, Request

_CALLS: frozenset[Action] = frozenset({"tool.call", "retrieval", "agent.spawn"})
"""The acts among which loops are looked for."""
_STEPS: frozenset[Action] = _CALLS | {"model.call", "embedding"}
"""The acts that are counted as steps."""

_LOOPS = frozenset({"no_progress", "repeats", "cycles", "same_result", "similar", "polls"})
"""Blocked calls of these kinds in a row show that the agent does not take the hint."""
_ONCE = frozenset({"cost", "wall_time"})
"""Findings that would be given for every act from then on."""
_EFFECTS: dict[str, Effect] = {"record": "allow", "deny": "deny", "halt": "halt"}

_TOOLS = 64
"""Tools that are remembered; the one called least recently makes way."""
_ASKED = 4
"""Requests between the question and its decision: one, unless a signal's handler acts in between."""
_KEPT = 64
"""Polls under way that are remembered; calls that have ended and were not read, or the other way round."""
_READ = 200
"""Characters of a result that are read for it."""
_NAMES = 1024
"""Names of tools of which is remembered whether they are polls."""
_SHOWN = 80
"""Characters of a name in a reason."""


class CircuitBreaker:
    """Loops, failing tools and caps of a session. A meter: an agent's sub-agents count as it does."""

    phase: ClassVar[Phase] = "meter"
    Options: ClassVar[type[CircuitBreakerOptions]] = CircuitBreakerOptions

    def __init__(self, name: str, options: CircuitBreakerOptions, context: BuildContext) -> None:
        self.name = name
        self.options = options
        self._mode = context.mode
        reads = bool(options.errors.results) and options.errors.action != "off"
        self.reach = Reach(actions=_STEPS | {"tool.return"} if reads else _STEPS)
        self._polls = [re.compile(fnmatch.translate(text)).match for text in options.polls.tools]
        self._errors_told = [re.compile(fnmatch.translate(text)).match for text in options.errors.results if reads]
        self._known: dict[str, bool] = {}
        self._rests = SEVERITY[options.errors.action] >= SEVERITY["deny"]

    @classmethod
    def build(cls, name: str, options: CircuitBreakerOptions, context: BuildContext) -> Self:
        """Make the policy of a bundle entry."""
        for path, message, hint in options.mistakes():
            context.problem(message, path=path, hint=hint)
        return cls(name, options, context)

    def evaluate(self, request: Request, state: State) -> Verdict | None:
        """None where nothing is found; else a finding, a denial or a halt, whichever is most severe."""
        memory = state.memory
        if request.action not in _STEPS:
            if self._errors_told and request.action == "tool.return":
                self._read(request, memory)
            return None
        if request.at - memory.get("latest", request.at) > self.options.quiet:
            history.forget(memory)
        found: list[Trip] = []
        capped(self.options, request, memory, found)
        if request.action in _CALLS:
            self._call(request, memory, found)
        elif request.action == "model.call" and self.options.cost.action != "off":
            dearer = spending.accelerated(memory, self.options.cost)
            trip = Trip("cost", self.options.cost.action, dearer)
            if dearer and not said(memory, trip):
                found.append(trip)
        return self._verdict(memory, found) if found else None

    def observe(self, event: Event, state: State) -> None:
        """Count what was decided, and take note of what came of it."""
        memory = state.memory
        if isinstance(event, Decided):
            if event.action in _STEPS:
                self._decided(event, memory)
            elif event.action == "tool.return":
                self._told(event.span, memory)
        elif isinstance(event, (Completed, Failed)):
            if event.action in _CALLS:
                self._ended(event, memory)
            elif event.action == "model.call" and event.cost is not None:
                spending.spent(memory, event.cost.micro_usd)
                if "cost" in memory.get("said", ()) and not spending.accelerated(memory, self.options.cost):
                    memory["said"].remove("cost")

    def widens(self, previous: CircuitBreaker) -> tuple[str, ...]:
        """How these options permit more than `previous` did, a sentence each; empty where they do not."""
        return widened(self.options, previous.options)

    def _call(self, request: Request, memory: dict[str, Any], found: list[Trip]) -> None:
        """Look at a call, and keep what it is known by for when it is decided."""
        data = calls.arguments(request)
        call, tool = calls.call(request, data), calls.tool(request.action, request.resource)
        known = memory.get("tools", {}).get(tool)
        name = request.resource[:_SHOWN].encode("utf-8", "backslashreplace").decode()
        if known is not None:
            self._errors(known, request.at, name, found)
        poll, drawn, near = self._is_poll(request), None, False
        if poll:
            self._polled(known, call, name, found)
        else:
            if self.options.similar.action != "off":
                drawn, near = streaks.likeness(known, data, self.options.similar.alike)
            self._repeated(memory, call, name, found)
            self._streaks(known, call, name, found, near=near)
        _put(memory, "asked", request.span, [call, poll, drawn, near], _ASKED)

    def _read(self, request: Request, memory: dict[str, Any]) -> None:
        """Remember whether a result says that its tool failed."""
        text = request.args.get("result")
        failed = isinstance(text, str) and any(matches(text[:_READ]) for matches in self._errors_told)
        _put(memory, "read", request.span, failed)

    def _errors(self, known: dict[str, Any], at: float, name: str, found: list[Trip]) -> None:
        action = self.options.errors.action
        if "why" not in known or action == "off":
            return
        if action == "record":
            found.append(Trip("errors", action, f"'{name}' {known['why']}"))
        elif blocked := failures.blocked(known, at):
            found.append(Trip("errors", action, f"'{name}' {known['why']}: {blocked}"))

    def _polled(self, known: dict[str, Any] | None, call: str, name: str, found: list[Trip]) -> None:
        action, at = self.options.no_progress.action, self.options.polls.unchanged
        seen = known["same"] if known is not None and known.get("polled") == call else 0
        if action != "off" and again(seen, at, action):
            found.append(Trip("polls", action, f"'{name}' was polled {seen} times without a change"))

    def _repeated(self, memory: dict[str, Any], call: str, name: str, found: list[Trip]) -> None:
        """Exact repeats and cycles."""
        progress, repeats, cycles = self.options.no_progress, self.options.repeats, self.options.cycles
        tried = history.attempts(memory, call)
        if repeats.action != "off" and (tried == repeats.at if repeats.action == "record" else tried >= repeats.at):
            reason = f"'{name}' was called {tried} times with the same arguments: go on without calling it again"
            found.append(Trip("repeats", repeats.action, reason))
        earlier = history.earlier(memory, call)
        if not earlier:
            return  # neither a repeat nor part of a cycle
        if progress.action != "off" and len(earlier) >= progress.at and not history.progressed(memory, call):
            # Where a failing tool is let alone for a while, the same call is how it is tried again.
            seen = history.unchanged(history.without_failures(earlier) if self._rests else earlier)
            if seen == progress.at if progress.action == "record" else seen >= progress.at:
                reason = (
                    f"'{name}' was called {seen} times with the same arguments and gave nothing new: "
                    "change the arguments, or go on without it"
                )
                found.append(Trip("no_progress", progress.action, reason))
        if cycles.action != "off":
            period = history.cycle(memory, call, cycles.periods, first=cycles.action == "record")
            if period:
                reason = f"the same {period} calls go round with the same results: do something else"
                found.append(Trip("cycles", cycles.action, reason))

    def _streaks(self, known: dict[str, Any] | None, call: str, name: str, found: list[Trip], *, near: bool) -> None:
        """A tool that answers the same, whatever it is asked."""
        if known is None:
            return
        same, similar = self.options.same_result, self.options.similar
        seen = streaks.answering_the_same(known, call)
        if same.action != "off" and again(seen, same.at, same.action):
            reason = f"'{name}' gave the same result {seen} times in a row, whatever it was asked"
            found.append(Trip("same_result", same.action, reason))
        if near and seen >= similar.at:
            seen = streaks.similar(known)
            if again(seen, similar.at, similar.action):
                reason = f"'{name}' gave the same result {seen} times in a row for nearly the same arguments"
                found.append(Trip("similar", similar.action, reason))

    def _verdict(self, memory: dict[str, Any], found: list[Trip]) -> Verdict:
        worst = max(found, key=lambda trip: SEVERITY[trip.action])
        rule, action, reason = worst
        most, blocked = self.options.halt_after, memory.get("blocked", 0)
        if action == "deny" and rule in _LOOPS and most is not None and blocked >= most:
            rule, action = "halt_after", "halt"
            reason = f"{blocked} calls in a row were blocked and the agent goes on; the last: {reason}"
        return Verdict(
            effect=_EFFECTS[action],
            reason="" if action == "record" else reason,
            rule=rule,
            policy=self.name,
            mode=self._mode,
            findings=tuple(Finding(kind="circuit_breaker", place=trip.rule, note=trip.reason) for trip in found),
        )

    def _decided(self, event: Decided, memory: dict[str, Any]) -> None:
        asked = memory.get("asked", {}).pop(event.span, None)
        own = next((verdict for verdict in event.verdicts if verdict.policy == self.name), None)
        if own is not None:
            self._answered(own, event, memory)
        memory.setdefault("first", event.at)
        memory["latest"] = event.at
        if event.action == "model.call":
            memory["turn"] = True
        if asked is not None and not asked[1]:
            history.tried(memory, asked[0])
        if event.effect in PERMITTING:
            if event.action in _CALLS:
                memory.pop("blocked", None)
            stepped(memory, event.action, event.run)
            if asked is not None:
                self._started(event, memory, asked)

    def _answered(self, own: Verdict, event: Decided, memory: dict[str, Any]) -> None:
        """Take note of what this policy itself said."""
        if own.effect == "halt":
            memory.clear()  # where a human reopens the session, or it is only observed, all is counted anew
            return
        for finding in own.findings:
            if finding.place in _ONCE and finding.place not in memory.get("said", ()):
                memory.setdefault("said", []).append(finding.place)
        known = memory.get("tools", {}).get(calls.tool(event.action, event.resource))
        if known is not None and self.options.errors.action == "record":
            known.pop("why", None)
        if own.effect == "deny" and own.rule in _LOOPS:
            if memory.get("turn", True):  # calls that the model asked for at once are blocked as one
                memory["blocked"] = memory.get("blocked", 0) + 1
                if "turn" in memory:
                    memory["turn"] = False
            if known is not None and own.rule == "same_result":
                streaks.blocked(known, self.options.same_result.at)

    def _started(self, event: Decided, memory: dict[str, Any], asked: list[Any]) -> None:
        call, poll, drawn, near = asked
        tools, tool = memory.setdefault("tools", {}), calls.tool(event.action, event.resource)
        known = tools[tool] = tools.pop(tool, None) or {}
        if len(tools) > _TOOLS:
            del tools[next((each for each, of in tools.items() if "until" not in of), next(iter(tools)))]
        failures.permitted(known, event.span, event.at)
        if not poll:
            history.started(memory, call, event.span, drawn, near=near)
            return
        _put(memory, "polls", event.span, call)

    def _ended(self, event: Completed | Failed, memory: dict[str, Any]) -> None:
        tool, result = calls.tool(event.action, event.resource), calls.result(event)
        if isinstance(event, Failed):
            self._closed(memory, event.span, tool, event.at, result, event.error)
        elif self._errors_told and event.action == "tool.call":
            _put(memory, "unread", event.span, [tool, event.at, result])
            self._told(event.span, memory)
        else:
            self._closed(memory, event.span, tool, event.at, result, None)

    def _told(self, span: str, memory: dict[str, Any]) -> None:
        """Close a call that has ended and whose result was read; frameworks differ in which comes first."""
        unread, read = memory.get("unread", {}), memory.get("read", {})
        if span in unread and span in read:
            tool, at, result = unread.pop(span)
            failed = read.pop(span)
            self._closed(memory, span, tool, at, calls.FAILED if failed else result, "told" if failed else None)

    def _closed(self, memory: dict[str, Any], span: str, tool: str, at: float, result: str, error: str | None) -> None:
        entry, call = history.ended(memory, span, result), memory.get("polls", {}).pop(span, None)
        known = memory.get("tools", {}).get(tool)
        if known is None:
            return
        if self.options.errors.action != "off":
            failures.ended(known, self.options.errors, span, at, error)
        if entry is not None:
            streaks.ended(known, entry)
        elif call is not None:
            same = known.get("polled") == call and known.get("answer") == result
            known["polled"], known["answer"] = call, result
            known["same"] = known["same"] + 1 if same else 1

    def _is_poll(self, request: Request) -> bool:
        """Whether a tool is marked as one that is called again with the same arguments: by its label or its name."""
        if request.tool is not None and request.tool.labels.get("poll") == "yes":
            return True
        if not self._polls:
            return False
        name = request.resource
        poll = self._known.get(name)
        if poll is None:
            poll = any(matches(name) for matches in self._polls)
            if len(self._known) >= _NAMES:
                self._known.clear()
            if len(name) <= _SHOWN:
                self._known[name] = poll
        return poll


def _put(memory: dict[str, Any], part: str, key: str, value: object, most: int = _KEPT) -> None:
    """Write an entry; where there are too many, the one written first makes way."""
    entries = memory.setdefault(part, {})
    entries[key] = value
    if len(entries) > most:
        del entries[next(iter(entries))]
