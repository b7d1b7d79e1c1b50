"""Who acts: the runs of agents, from a workflow's start to its end, through hand-offs, for each guard that follows."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from llama_index.core import __version__ as VERSION  # noqa: N812

from jackline.session import CURRENT, Scope, joined
from jackline.session import scope_of as entered_scope
from jackline_llamaindex import tools, translate
from jackline_llamaindex.enforce import SpawnAct

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jackline.guard import Guard
    from jackline.request import Agent
    from jackline.session import Session
    from jackline_llamaindex.calls import JudgedCall
    from jackline_llamaindex.enforce import Act
    from jackline_llamaindex.following import Follower

RUN: ContextVar[Running | None] = ContextVar("jackline_llamaindex_run", default=None)
"""The workflow run that the caller is in."""


def scope_of(guard: Guard) -> Scope:
    """Where the caller is: in an act, in an agent's run, or in the process's own session."""
    return known_scope(guard) or guard.scope()


def known_scope(guard: Guard) -> Scope | None:
    """As `scope_of`; None where nobody opened a scope."""
    found = entered_scope(guard)
    running = RUN.get()
    run = running.of(guard) if running is not None else None
    if run is not None and run.scope is not None and _same(found, run.base):
        return run.scope
    return found


def _same(one: Scope | None, other: Scope | None) -> bool:
    """Whether two scopes are the same place; where several guards follow, one of them is a copy."""
    return one is other or (one is not None and other is not None and (one.run, one.span) == (other.run, other.span))


class Within:
    """Makes scopes, one for each guard, the current ones, and sets further variables of the context."""

    __slots__ = ("_sets", "_tokens")

    def __init__(self, scopes: Sequence[Scope], *sets: tuple[ContextVar[Any], Any]) -> None:
        self._sets: tuple[tuple[ContextVar[Any], Any], ...] = sets
        if scopes:
            self._sets = (*sets, (CURRENT, joined(scopes)))
        self._tokens: list[Any] = []

    def __enter__(self) -> None:
        self._tokens = [variable.set(value) for variable, value in self._sets]

    def __exit__(self, *_: object) -> None:
        for (variable, _value), token in zip(reversed(self._sets), reversed(self._tokens), strict=True):
            variable.reset(token)


def inside(acts: Sequence[Act], *sets: tuple[ContextVar[Any], Any]) -> Within:
    """What is done in a body is done below its acts."""
    return Within([act.inner for act in acts], *sets)


class AgentRun:
    """One workflow run as one guard sees it: the agent that acts now, and those before it."""

    def __init__(self, follower: Follower, agent: Agent, given: Any) -> None:
        self.guard = follower.guard
        self.agent = agent
        self.given = given
        self.base = entered_scope(self.guard)
        """The scope that the run's steps find, by which they are told from acts inside of them."""
        self.above = known_scope(self.guard)
        self.scope: Scope | None = None
        self.handed: dict[str, SpawnAct] = {}
        """Agents that may take over, by name, with the act that let them."""
        self._begun: list[tuple[Scope, SpawnAct | None]] = []
        self._session: Session | None = None

    @property
    def spawned(self) -> bool:
        """Whether an agent starts this one: a program starts its agents without being asked."""
        return self.guard.spawns(self.above)

    @property
    def answers(self) -> tuple[Agent, ...]:
        """The agents whose word to the outside the acting agent's is, innermost first."""
        return tuple(scope.agent for scope in self.speakers)

    @property
    def speakers(self) -> tuple[Scope, ...]:
        """Where these agents act."""
        if self.spawned or self.scope is None:
            return ()
        return tuple(scope for scope, _ in reversed(self._begun))

    def begin(self, metadata: Mapping[str, Any]) -> None:
        """Begin at the root of a session: the one around it, the one that the caller names, or one of its own."""
        guard, above = self.guard, self.above
        if above is None:
            name = next((str(metadata[key]) for key in translate.SESSION_KEYS if metadata.get(key)), None)
            user = str(metadata.get("user_id") or "")
            self._session = guard.open_session(name, user=user)
            above = Scope(guard=guard, session=self._session, run="", span="", agent=self.agent)
        self._add(guard.begin_run(self.agent, above, root=True), None)
        self.base = self.scope

    def spawn(self) -> None:
        """Begin below the agent that starts this one; raises where that is not permitted."""
        act = self._asked(self.agent.name, self.given)
        act.check(act.ask(self.agent.name, self.given))
        self._took_over(self.agent, act)

    async def aspawn(self) -> None:
        """As `spawn`, without blocking the event loop."""
        act = self._asked(self.agent.name, self.given)
        await act.acheck(act.ask(self.agent.name, self.given))
        self._took_over(self.agent, act)

    async def ahand(self, name: str, given: Any) -> None:
        """Ask whether the acting agent may hand over to another one; raises where it may not."""
        act = self._asked(name, given)
        await act.acheck(act.ask(name, given))
        before = self.handed.pop(name, None)
        if before is not None:
            before.abandon("it was handed over to again")
        self.handed[name] = act

    async def atake_over(self, agent: Agent) -> None:
        """Another agent acts from now on, below the one before."""
        act = self.handed.pop(agent.name, None)
        if act is None:
            act = self._asked(agent.name, None)
            await act.acheck(act.ask(agent.name, None))
        self._took_over(agent, act)

    def _asked(self, name: str, given: Any) -> SpawnAct:
        scope = self.scope or self.above or self.guard.scope()
        return SpawnAct(self.guard, scope)

    def _took_over(self, agent: Agent, act: SpawnAct) -> None:
        assert act.request is not None
        self._add(self.guard.begin_run(agent, act.scope, span=act.request.span), act)

    def _add(self, scope: Scope, act: SpawnAct | None) -> None:
        self.scope = scope
        self._begun.append((scope, act))

    def end(self, error: BaseException | None) -> None:
        """Close what is open, innermost first."""
        named = type(error).__qualname__ if error is not None else ""
        for act in self.handed.values():
            act.abandon("the agent was not started")
        for scope, spawn in reversed(self._begun):
            if spawn is not None:
                if error is None:
                    spawn.complete(None)
                else:
                    spawn.fail(error)
            self.guard.end_run(scope, named)
        self._begun.clear()
        if self._session is not None:
            session, self._session = self._session, None
            self.guard.close_session(session, "root" if error is None else "error")


class Running:
    """One workflow run, for every guard that follows it."""

    def __init__(self, workflow: Any) -> None:
        self.workflow = workflow
        self.runs: list[AgentRun] = []
        self.pending: list[JudgedCall] = []
        """Calls that were judged when the model asked for them."""
        self.ended = False
        self._lock = asyncio.Lock()

    def of(self, guard: Guard) -> AgentRun | None:
        """The run as a guard sees it."""
        return next((run for run in self.runs if run.guard is guard), None)

    def begin(self, metadata: Mapping[str, Any]) -> list[Scope]:
        """Begin where nobody need be asked; the scopes that begun runs have."""
        for run in self.runs:
            if not run.spawned:
                run.begin(metadata)
        return [run.scope for run in self.runs if run.scope is not None]

    async def astart(self) -> None:
        """Ask once whether the agent may be started, where an agent starts it; a resumed one has no first step."""
        if all(run.scope is not None for run in self.runs):
            return
        async with self._lock:
            for run in self.runs:
                if run.scope is None:
                    await run.aspawn()
        self.tidy()

    def start(self) -> None:
        """As `astart`, for workflows that have no first step of their own."""
        for run in self.runs:
            if run.scope is None:
                run.spawn()

    async def acting(self, agent: Any) -> None:
        """Note which agent acts; one that was handed over to begins here."""
        await self.astart()
        for run in self.runs:
            if run.scope is not None and run.scope.agent.name != agent.name:
                await run.atake_over(identify(run.guard, agent))
        self.tidy()

    def end(self, error: BaseException | None) -> None:
        """The workflow is done, cancelled or broken."""
        self.ended = True
        for call in self.pending:
            call.close("its run had ended")
        self.pending.clear()
        for run in reversed(self.runs):
            try:
                run.end(error)
            except Exception as broken:  # noqa: BLE001 - what is left is ended
                run.guard.recorder.lose(broken)

    def tidy(self) -> None:
        """Close what a step has opened that was still going when its run ended: LlamaIndex leaves it alone."""
        if self.ended:
            self.end(asyncio.CancelledError())


def identify(guard: Guard, native: Any) -> Agent:
    """The agent that a workflow is, registered with its tools and its model."""
    own = [each for each in getattr(native, "tools", None) or () if hasattr(each, "metadata")]
    model = getattr(getattr(getattr(native, "llm", None), "metadata", None), "model_name", "")
    return guard.agent(
        name_of(native),
        tools=tuple(tools.known(each).tool for each in own) if own else None,
        models=(model,) if model else (),
        framework="llamaindex",
        framework_version=VERSION,
    )


def name_of(native: Any) -> str:
    """An agent's name; a workflow of another kind is called as its class is."""
    agents = getattr(native, "agents", None)
    if isinstance(agents, dict) and getattr(native, "root_agent", None) in agents:
        return str(native.root_agent)
    return str(getattr(native, "name", None) or getattr(native, "_workflow_name", None) or type(native).__name__)


def parts(native: Any) -> tuple[Any, ...]:
    """A workflow and the agents in it: where one of them is followed, all of it is."""
    agents = getattr(native, "agents", None)
    return (native, *agents.values()) if isinstance(agents, dict) else (native,)


def acting(native: Any) -> Any:
    """The agent that acts first in a workflow: a workflow of several agents is its root agent."""
    agents = getattr(native, "agents", None)
    return (
        agents.get(native.root_agent, native) if isinstance(agents, dict) and hasattr(native, "root_agent") else native
    )
