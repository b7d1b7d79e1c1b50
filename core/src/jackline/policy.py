"""What a policy is: one question, one memory, and where it applies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import msgspec

if TYPE_CHECKING:
    from jackline.decision import Verdict
    from jackline.events import Event
    from jackline.request import Action, Agent, Request

Phase = Literal["modify", "judge", "meter"]
PHASES: tuple[Phase, ...] = ("modify", "judge", "meter")


class State:
    """A policy's own memory of one session; the guard keeps it, bounded, and keeps it over a reload.

    `memory` is plain data that only this policy writes. It must survive being written as JSON, since the
    least recently used sessions are spilled.
    """

    __slots__ = ("memory",)

    def __init__(self, memory: dict[str, Any] | None = None) -> None:
        self.memory: dict[str, Any] = {} if memory is None else memory

    def after_fork(self) -> None:
        """In the child of a fork: no lock of its own is held by anybody."""


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """Where a policy can answer at all: the engine's index is made of it. None means anywhere."""

    actions: frozenset[Action] | None = None
    tools: frozenset[str] | None = None
    """Exact tool names; only for `tool.call` and `tool.return`."""
    tool_prefixes: tuple[str, ...] = ()
    """With `tools`: names that start with one of these are reached as well."""


@runtime_checkable
class Policy(Protocol):
    """The unit of evaluation.

    A policy class is made by its bundle entry: `Class.build(name, options, context)` where `options` is an
    instance of `Class.Options` (a pydantic model that refuses unknown fields) and `context` is a
    `jackline.bundle.BuildContext` (compiles conditions, gives prices). Instances hold no session's data.
    A class without a memory of its own says `observes = False` and is not called for outcomes; one that needs the price
    table before the first act says `priced = True`; one that answers None wherever a condition is false may name that
    condition as `only_where`, and is then asked only elsewhere.
    """

    phase: Phase
    reach: Reach

    def evaluate(self, request: Request, state: State) -> Verdict | None:
        """Answer the request, or None where the policy does not apply. No I/O, no clock but `request.at`."""

    def observe(self, event: Event, state: State) -> None:
        """Take note of what was decided and of what came of it."""


@runtime_checkable
class Granting(Policy, Protocol):
    """A policy whose `allow` is a permission: where one selects the agent and none allows, the default is deny."""

    governs: frozenset[Action]
    """The actions for which an explicit allow is needed."""

    def delegates(self, request: Request, ancestor: Agent) -> Verdict | None:
        """Whether `ancestor` may hand on what the request asks for: allow, deny, or None."""
