"""Runs of CrewAI: a crew or flow opens the session, each agent's work in it is a run, delegation is a run below it."""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from crewai.events import event_context

from jackline.decision import Decision
from jackline.errors import Signal
from jackline.rewriting import UnchangeableError, rewrite
from jackline.session import CURRENT, Scope, joined
from jackline_crewai import translate
from jackline_crewai.enforce import SpawnAct, abandon
from jackline_crewai.places import PLACE, Place, restore, scope_of
from jackline_crewai.signals import ended, signal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jackline.guard import Guard
    from jackline.request import Agent, Request
    from jackline.session import Session
    from jackline_crewai.following import Follower

VERSION = importlib.metadata.version("crewai")

_FOREIGN = "crewai.agents.agent_adapters.openai_agents"
"""Agents of another framework: CrewAI's adapter calls the bodies of tools, and the models are not CrewAI's."""


class Part(NamedTuple):
    """One guard's part of a run."""

    follower: Follower
    scope: Scope
    act: SpawnAct | None = None
    session: Session | None = None
    """The session that ends with this run."""
    began: bool = True
    """Whether a run of Jackline's began here."""


class Run:
    """One run of a crew, a flow or an agent, under every guard that follows it."""

    def __init__(self, followers: Sequence[Follower], kind: Any, native: Any, task: Any = None) -> None:
        self.followers = followers
        self.parts: list[Part] = []
        self.acts: list[SpawnAct] = []
        self.place = Place(kind, native, (), PLACE.get(), task)
        self._tokens: tuple[Any, ...] = ()
        self._events: Any = ()
        """CrewAI's events that were open before this run."""
        self._halted: frozenset[int] = frozenset()
        """The sessions that had ended before this run began: what it tries is asked and refused, and on record."""

    def enter(self) -> None:
        """What happens from now on happens in this run."""
        self.place.scopes = [part.scope for part in self.parts]
        self._halted = frozenset(id(scope.session) for scope in self.place.scopes if scope.session.halted)
        self._tokens = (CURRENT.set(joined(self.place.scopes)), PLACE.set(self.place))
        self._events = event_context._event_id_stack.get()  # noqa: SLF001 - put back in `leave`

    def leave(self, error: BaseException | None = None) -> None:
        """End the run, and the session that it opened."""
        restore(self._tokens)
        if isinstance(error, Signal):  # CrewAI leaves events open that a stop has ended, and 100 of them are too many
            event_context._event_id_stack.set(self._events)  # noqa: SLF001
        self.close(error)

    def close(self, error: BaseException | None = None) -> None:
        """Close what was begun."""
        for follower, scope, act, session, began in reversed(self.parts):
            guard = follower.guard
            if act is not None and error is None:
                act.complete(None)
            elif act is not None and error is not None:
                act.fail(error)
            if began:
                guard.end_run(scope, type(error).__qualname__ if error is not None else "")
            if session is not None:
                guard.close_session(session, "root" if error is None else "error")
        self.parts.clear()

    def check_halted(self) -> None:
        """End a run whose session was halted in it: CrewAI makes text of what is raised in a tool or a delegation."""
        for part in self.parts:
            halt = part.scope.session.halt
            if halt is not None and id(part.scope.session) not in self._halted:
                raise ended(part.scope.session, halt)


class RootRun(Run):
    """A crew's or flow's: this program acts. In a session that is there already, it is that session's."""

    def __init__(self, followers: Sequence[Follower], native: Any, inputs: Any, *, flow: bool = False) -> None:
        super().__init__(followers, "crew", native)
        for follower in followers:
            guard = follower.guard
            for agent in getattr(native, "agents", None) or ():
                identify(guard, agent, native)
            scope = scope_of(guard)
            if scope is not None:
                self.parts.append(Part(follower, scope, began=False))
                continue
            external = translate.external_session(inputs, flow=flow)
            session = guard.open_session(external or None, user=translate.user_of(inputs))
            program = guard.agent()
            base = Scope(guard=guard, session=session, run="", span="", agent=program)
            scope = guard.begin_run(program, base, root=True, program=True)
            self.parts.append(Part(follower, scope, session=None if external else session))


class AgentRun(Run):
    """An agent's work: at the root of its session, or below the agent that started it."""

    def __init__(self, followers: Sequence[Follower], native: Any, task: Any, given: Any) -> None:
        """`given`: what the agent is asked to do, as the one who starts it says."""
        super().__init__(followers, "agent", native, task)
        self.name = name_of(native)
        self.given = given
        self._spawns = [(item, SpawnAct(item)) for item in followers if _spawned(item)]
        self.place.speaks = not self._spawns
        self.place.run = self
        self.acts = [act for _, act in self._spawns]

    def _refuse_foreign(self) -> None:
        """Raise where the agent's models and tools run where nothing can be judged, and a bundle is enforced."""
        foreign = any(kind.__module__.startswith(_FOREIGN) for kind in type(self.place.native).__mro__)
        bundles = [item.guard.bundle for item in self.followers] if foreign else []
        if any(bundle is not None and bundle.mode == "enforce" for bundle in bundles):
            reason = f"the models and tools of a {type(self.place.native).__name__} run outside of CrewAI"
            raise signal(Decision(effect="deny", policy="jackline", rule="gap", reason=reason))

    def open(self) -> None:
        """Ask about the start where an agent makes it; raises where it may not be."""
        self._refuse_foreign()
        try:
            for act in self.acts:
                act.check(act.ask(self.name, self.given))
                self._permitted(act)
        except BaseException as error:
            abandon(self.acts, error)
            raise
        self._begin()

    async def aopen(self) -> None:
        """As `open`, without blocking the event loop."""
        self._refuse_foreign()
        try:
            for act in self.acts:
                await act.acheck(act.ask(self.name, self.given))
                self._permitted(act)
        except BaseException as error:
            abandon(self.acts, error)
            raise
        self._begin()

    def _permitted(self, act: SpawnAct) -> None:
        if act.request is not None and act.decision is not None and act.decision.args is not None:
            if self.place.task is not None:
                raise act.refused("what a task asks for cannot be changed")
            self.given = act.changed(self.given, act.request.args["input"], act.decision.args["input"])

    def _begin(self) -> None:
        try:
            self._begin_parts()
        except BaseException as error:
            self.close(error)
            raise

    def _begin_parts(self) -> None:
        judged = {id(item): act for item, act in self._spawns}
        for follower in self.followers:
            guard = follower.guard
            agent = identify(guard, self.place.native)
            act = judged.get(id(follower))
            scope, session = scope_of(guard), None
            if act is not None and act.request is not None:
                inner = guard.begin_run(agent, act.scope, span=act.request.span)
            else:
                if scope is None:
                    session = guard.open_session()
                    scope = Scope(guard=guard, session=session, run="", span="", agent=agent)
                inner = guard.begin_run(agent, scope, root=True)
            self.parts.append(Part(follower, inner, act, session))

    def spoken(self, native: Any) -> list[tuple[Part, Request]]:
        """The requests about an answer as the agent's output, where it was not judged when the model gave it."""
        before = translate.value(native)
        if not self.place.speaks or before == self.place.said:
            return []
        self.place.said = before
        asked = [(part, self._output(part, before)) for part in self.parts]
        return [(part, request) for part, request in asked if part.follower.guard.judges(request)]

    def _output(self, part: Part, before: Any) -> Request:
        guard = part.follower.guard
        return guard.request("output", part.scope.agent.name, {"result": before}, scope=part.scope)

    def released(self, native: Any, before: Any, answer: Decision) -> Any:
        """The answer as `output` was decided; raises where it is withheld."""
        if not answer.permitted:
            raise signal(answer)
        if answer.args is None:
            return native
        try:
            changed = rewrite(native, before, answer.args["result"])
        except (UnchangeableError, KeyError, TypeError) as error:
            reason = f"its answer cannot be changed as policy asks: {error}"
            raise signal(msgspec.structs.replace(answer, effect="deny", reason=reason)) from error
        self.place.said = answer.args["result"]
        return changed

    def said_as(self, native: Any) -> bool:
        """Whether this is the answer that was judged last, in another form."""
        return native is not None and translate.value(native) == self.place.said

    def say(self, native: Any) -> Any:
        """The agent's answer as policies let it go outside; raises where it is withheld."""
        for part, request in self.spoken(native):
            native = self.released(native, request.args["result"], part.follower.guard.check(request))
        return native

    async def asay(self, native: Any) -> Any:
        """As `say`, without blocking the event loop."""
        for part, request in self.spoken(native):
            native = self.released(native, request.args["result"], await part.follower.guard.acheck(request))
        return native

    def parsed_as(self, said: Any, native: Any) -> bool:
        """Whether a structure is what an answer's text says, which was judged; a model may have made another one."""
        if native is None or not self.place.speaks:
            return True
        return isinstance(said, str) and translate.arguments(said) == translate.value(native)


def name_of(native: Any) -> str:
    """An agent's name: its role, which is what CrewAI's tasks and delegations go by."""
    return str(getattr(native, "role", "") or type(native).__name__).strip()


def identify(guard: Guard, native: Any, crew: Any = None) -> Agent:
    """The agent as the registry knows it; of a crew with a name of its own, that is a label."""
    crew = getattr(crew or getattr(native, "crew", None), "name", None)
    model = getattr(getattr(native, "llm", None), "model", None)
    return guard.agent(
        name_of(native),
        models=(str(model),) if model else (),
        framework="crewai",
        framework_version=VERSION,
        labels={"crew": str(crew)} if crew and crew != "crew" else {},
    )


def _spawned(follower: Follower) -> bool:
    """Whether an agent starts this one: the program itself starts its agents without being asked."""
    return follower.guard.spawns(scope_of(follower.guard))


def continues(native: Any, task: Any) -> bool:
    """Whether this is the way of a run that goes on: a task runs its agent, and a retry or guardrail runs it again."""
    place = PLACE.get()
    return place is not None and place.kind == "agent" and place.native is native and place.task is task


def given_of(task: Any, context: Any = None) -> Any:
    """What an agent is asked to do by a task."""
    text = str(getattr(task, "description", "") or "")
    return f"{text}\n\n{context}" if isinstance(context, str) and context else text
