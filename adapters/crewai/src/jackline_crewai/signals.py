"""What a refused act raises in CrewAI: Jackline's signals, each also what CrewAI neither retries nor hides.

`HookAborted` is CrewAI's own word for a deliberate stop: retries, guardrails and memory let it through. Two places do
not: the body of a tool and delegation, where every exception becomes text. What is refused there is told as text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crewai.hooks.dispatch import HookAborted

from jackline.decision import Decision
from jackline.errors import ApprovalPending, Denied, Halted, Signal, describe

if TYPE_CHECKING:
    from collections.abc import Callable

    from jackline.session import Halt, Session


class _Aborting(Signal):
    """CrewAI lets it through to the caller of the crew."""

    _flow_listener_logged = True
    """CrewAI's flows log an exception as an error unless they have logged it before; a refusal is none."""

    def __init__(self, decision: Decision, message: str | None = None) -> None:
        self.reason = message if message is not None else describe(decision)
        self.source: Any = f"jackline policy '{decision.policy}'"
        self.decision = decision
        Exception.__init__(self, self.reason)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return type(self), (self.decision, self.reason)


class DeniedCall(_Aborting, Denied, HookAborted):
    """An act did not start. A denial is no outage: nothing retries it."""


class PendingCall(_Aborting, ApprovalPending, HookAborted):
    """An act waits for a human."""


class HaltedRun(_Aborting, Halted, HookAborted):
    """The session has ended."""


def signal(decision: Decision) -> Signal:
    """The exception for a decision that does not permit its act."""
    return {"halt": HaltedRun, "escalate": PendingCall}.get(decision.effect, DeniedCall)(decision)


def ended(session: Session, halt: Halt) -> HaltedRun:
    """What ends a run whose session was halted below it, where CrewAI has made text of that."""
    return HaltedRun(
        Decision(effect="halt", reason=halt.reason, policy=halt.policy, rule=halt.rule, session=session.id)
    )
