"""The policy `escalation`: a request's risk is the sum of what adds to it, and gates open at thresholds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jackline.decision import PERMITTING, Verdict
from jackline.events import Decided
from jackline.policy import Phase, Reach
from jackline_escalation.options import EscalationOptions
from jackline_escalation.risk import Part, destinations, parts
from jackline_escalation.widening import widened

if TYPE_CHECKING:
    from jackline.build_context import BuildContext
    from jackline.condition import Condition
    from jackline.events import Event
    from jackline.policy import State
    from jackline.request import Request
    from jackline_escalation.options import GateAt

_SEEN = 1024
"""Destinations remembered of a session; what was forgotten is new again."""
_ASKED = 64
"""Requests whose decision is not known yet."""


class Escalation:
    """Asks people where risk adds up to a gate's threshold."""

    Options = EscalationOptions
    phase: Phase = "judge"

    def __init__(self, name: str, options: EscalationOptions, conditions: tuple[Condition, ...]) -> None:
        self.name = name
        self.options = options
        self.reach = Reach(actions=frozenset({"tool.call", "http.request", "agent.spawn"}))
        self.observes = options.new_destination is not None
        self._conditions = conditions
        self._gates = sorted(options.gates, key=lambda gate: gate.at)

    @classmethod
    def build(cls, name: str, options: EscalationOptions, context: BuildContext) -> Escalation:
        """Make the policy of a bundle entry; what is wrong with it is noted in the context."""
        conditions = tuple(
            context.compile(rule.when, path=("rules", place, "when")) for place, rule in enumerate(options.rules)
        )
        first: dict[int, int] = {}
        for place, gate in enumerate(options.gates):
            context.check_gate(gate, path=("gates", place))
            if gate.at in first:
                message = f"two gates stand at {gate.at}"
                context.problem(message, path=("gates", place, "at"), hint="give each a threshold of its own")
            first.setdefault(gate.at, place)
        most = _most(options)
        for place, gate in enumerate(options.gates):
            if gate.at > most:
                message = f"no risk reaches {gate.at}: all that adds to it is {most}"
                context.problem(message, path=("gates", place, "at"), hint="lower the threshold, or add more")
        return cls(name, options, conditions)

    def evaluate(self, request: Request, state: State) -> Verdict | None:
        """Answer escalate from the lowest gate's threshold on, else None."""
        if self.reach.actions is not None and request.action not in self.reach.actions:
            return None
        found = parts(request, self.options, self._conditions, self._unseen(request, state))
        risk = sum(part.add for part in found)
        gate = next((gate for gate in reversed(self._gates) if risk >= gate.at), None)
        return None if gate is None else _asking(gate, risk, found)

    def observe(self, event: Event, state: State) -> None:
        """Remember where permitted acts went."""
        if not isinstance(event, Decided):
            return
        went = state.memory.get("asked", {}).pop(event.span, ())
        if event.effect in PERMITTING:
            seen: dict[str, Any] = state.memory.setdefault("seen", {})
            seen.update(dict.fromkeys(went, 1))
            while len(seen) > _SEEN:
                del seen[next(iter(seen))]

    def widens(self, previous: Escalation) -> tuple[str, ...]:
        """Say how this policy permits more than the one it replaces."""
        return tuple(widened(self.options, previous.options))

    def _unseen(self, request: Request, state: State) -> list[str]:
        """The arguments that name a new destination; what the request goes to is kept until it is decided."""
        if self.options.new_destination is None:
            return []
        going = destinations(request, self.options.new_destination)
        asked = state.memory.setdefault("asked", {})
        asked[request.span] = list(going)
        while len(asked) > _ASKED:
            del asked[next(iter(asked))]
        seen = state.memory.get("seen", {})
        return sorted({path for key, path in going.items() if key not in seen})


def _asking(gate: GateAt, risk: int, found: list[Part]) -> Verdict:
    told = ", ".join(f"{part.why} +{part.add}" for part in found)
    detail = {**gate.terms(), "risk": risk}
    return Verdict(effect="escalate", rule=f"risk {gate.at}", reason=f"risk {risk}: {told}", detail=detail)


def _most(options: EscalationOptions) -> int:
    """The largest risk that anything can have."""
    most = sum(rule.add for rule in options.rules) + options.new_tool
    if options.declared is not None:
        most += max(*options.declared.add.values(), options.declared.undeclared, 0)
    if options.amount is not None:
        most += max(step.add for step in options.amount.steps)
    most += options.new_destination.add if options.new_destination is not None else 0
    return most + (options.off_hours.add if options.off_hours is not None else 0)
