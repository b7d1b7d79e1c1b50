"""Who acts, as users write it: `with guard.session(...)`, `with guard.run(...)`, and where the caller is."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, Literal

from jackline.events import RunEnded, RunStarted
from jackline.lifecycle import Lifecycle
from jackline.plain import new_run_id, new_span_id
from jackline.request import Agent
from jackline.session import CURRENT, Scope, Session, entered, scope_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from jackline.decision import Verdict
    from jackline.request import Tool


class Runs(Lifecycle):
    """Sessions, runs and agents of a guard."""

    def scope(self) -> Scope:
        """Where the caller is: the current scope, or the process's own session where nobody opened one."""
        scope = CURRENT.get()
        if scope is not None and scope.guard is not self:
            scope = scope_of(self)
        if scope is not None:
            return scope
        if self._implicit is None:
            with self._lock:
                self._implicit = self._implicit or self._process_scope()
        return self._implicit

    def _process_scope(self) -> Scope:
        session = self.open_session(f"process-{os.getpid()}-{new_run_id()[:8]}")
        return Scope(guard=self, session=session, run=new_run_id(), span="", agent=self.agent(), program=True)

    def agent(
        self,
        name: str | None = None,
        *,
        tools: Sequence[Tool] | None = None,
        models: Sequence[str] = (),
        **facts: Any,
    ) -> Agent:
        """Register an agent (this program itself where no name is given) and return it as policies see it.

        `facts` are fields of `Agent`: version, framework, team, labels, environment, managed.
        """
        if name is None:
            facts.setdefault("framework", "python")
        seen = Agent(name=name or self.application, **facts)
        return self.registry.agent(seen, tools=tools, models=models, revision=self.revision)

    def standing(self, agent: Agent) -> Verdict | None:
        """What registry and bundle say against an agent whatever it asks; None where policies decide, or all is let."""
        self.registry.refresh()
        engine = self._active.engine
        return engine.standing(self.registry.facts(agent)) if engine.mode == "enforce" else None

    def declare_functions(self, agent: Agent) -> None:
        """Tell the registry, once an agent, its plain functions; those decorated by now are its first tools."""
        if (agent.name, agent.version) not in self._declared:
            self._declared.add((agent.name, agent.version))
            if agent.framework in ("", "python"):
                self.registry.declare(agent, tuple(self.functions.values()))

    @contextlib.contextmanager
    def session(
        self,
        id: str | None = None,  # noqa: A002 - the promised name
        *,
        user: str = "",
        labels: Mapping[str, str] | None = None,
        agent: str | Agent | None = None,
    ) -> Iterator[Session]:
        """One job for one user: what is done within is its, in threads and tasks too.

        The same `id` of the same application is the same session, also in another process or later. `agent` names who
        acts; without it, this program does.
        """
        acting = agent if isinstance(agent, Agent) else self.agent(agent)
        session = self.open_session(id, user=user, labels=labels)
        self._count_inside(session, 1)
        how: Literal["explicit", "error"] = "error"
        try:
            with self.run(acting, scope=Scope(guard=self, session=session, run="", span="", agent=acting), root=True):
                yield session
            how = "explicit"
        finally:
            self._count_inside(session, -1)
            self.close_session(session, how)

    def spawns(self, scope: Scope | None) -> bool:
        """Whether an agent that starts in this scope is started by an agent: a program's own are not asked for."""
        return scope is not None and not scope.program

    @staticmethod
    def _count_inside(session: Session, step: int) -> None:
        with session.lock:
            session.within += step

    @contextlib.contextmanager
    def run(self, agent: Agent, *, scope: Scope | None = None, root: bool = False) -> Iterator[Scope]:
        """One invocation of one agent, as a child of the current run (or as the `root` of its session)."""
        program = root and agent.key == self.application  # which is no agent before it acts
        inner = self.begin_run(agent, scope if scope is not None else self.scope(), root=root, program=program)
        try:
            with entered(inner):
                yield inner
        except BaseException as error:
            self.end_run(inner, type(error).__qualname__)
            raise
        self.end_run(inner)

    def begin_run(
        self, agent: Agent, scope: Scope, *, root: bool = False, span: str | None = None, program: bool = False
    ) -> Scope:
        """Record that a run begins; its scope. `span` is the run's own span where it was judged under one.

        `program`: this program acts, at the root of a session; the agents that it starts are not asked for.
        """
        span = span if span is not None else new_span_id()
        if root:
            inner = Scope(guard=self, session=scope.session, run=new_run_id(), span=span, agent=agent, program=program)
        else:
            inner = scope.spawn(agent, span=span)
        self.recorder.note(
            RunStarted(
                at=self.clock(),
                session=inner.session.id,
                run=inner.run,
                span=span,
                agent=agent.key,
                parent=scope.span,
                parent_run="" if root else scope.run,
                depth=inner.depth,
            )
        )
        return inner

    def end_run(self, scope: Scope, error: str = "") -> None:
        """Record that a run ended."""
        self.recorder.note(
            RunEnded(
                at=self.clock(),
                session=scope.session.id,
                run=scope.run,
                span=scope.span,
                agent=scope.agent.key,
                error=error,
            )
        )
