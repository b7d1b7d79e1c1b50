"""Where a call is made in CrewAI: in which crew, agent's run, model call or tool's body, by contextvar."""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal

from jackline.session import scope_of as current

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextvars import Token

    from jackline.guard import Guard
    from jackline.session import Scope

Kind = Literal["crew", "agent", "model", "tool"]


class Place:
    """What is going on around a call: one run of one crew or agent, one model call, or one tool's body."""

    __slots__ = ("above", "executor", "kind", "native", "refusal", "run", "said", "scopes", "speaks", "task", "tools")

    def __init__(self, kind: Kind, native: Any, scopes: Sequence[Scope], above: Place | None, task: Any = None) -> None:
        self.kind = kind
        self.native = native
        """The crew, flow, agent, model or tool object."""
        self.scopes = scopes
        """Of each guard that follows, the scope of what happens here."""
        self.above = above
        self.task = task
        self.speaks = False
        """Of an agent: what it answers goes outside, not to another agent."""
        self.said: Any = None
        """Of an agent: the last answer that was judged as its output, as plain data."""
        self.refusal: Any = None
        """Of a model call: what ended its session, in a tool that it runs itself."""
        self.run: Any = None
        """Of an agent: its run."""
        self.executor: Any = None
        """Of an agent: CrewAI's executor, once it runs; a LiteAgent is its own."""
        self.tools: Any = None
        """Of an agent: the tools that it was last seen to have."""

    @property
    def agent(self) -> Place | None:
        """The agent's run that does what is done here itself, not through a tool's code."""
        if self.kind == "agent":
            return self
        if self.kind == "model" and self.above is not None:
            return self.above.agent
        return None


PLACE: ContextVar[Place | None] = ContextVar("jackline_crewai_place", default=None)

LAST: ContextVar[Place | None] = ContextVar("jackline_crewai_last", default=None)
"""The agent's run whose last word is asked for: its steps have run out, or its plan is done."""


def restore(tokens: Iterable[Token[Any]]) -> None:
    """Put contextvars back; what ends in another context, such as a coroutine that nobody awaits, leaves none there."""
    for token in reversed(tuple(tokens)):
        with contextlib.suppress(ValueError):
            token.var.reset(token)


def scope_of(guard: Guard) -> Scope | None:
    """The scope of this guard's that the caller is in; None where it is in none."""
    scope = current(guard)
    if scope is not None:
        return scope
    place = PLACE.get()
    while place is not None:
        for found in place.scopes:
            if found.guard is guard:
                return found
        place = place.above
    return None
