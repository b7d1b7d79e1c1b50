"""The sessions and runs that agents name: opened when they are first named, ended when they are idle."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from jackline.session import Scope
from jackline_console.problems import ProblemError

if TYPE_CHECKING:
    from jackline.guard import Guard
    from jackline.request import Agent
    from jackline.session import Session
    from jackline_console.decisions.bodies import Check
    from jackline_console.decisions.open_acts import OpenAct

_MOST = 10_000
"""Sessions that are open at once; the one that was named least recently ends."""
_RUNS = 1_000
"""Runs of one session; the first one ends when there are more."""

_ALL_RUNS = 50_000
"""Runs of all sessions together; the one that began first ends when there are more."""


class _Job:
    __slots__ = ("runs", "session")

    def __init__(self, session: Session) -> None:
        self.session = session
        self.runs: dict[str, Scope] = {}


class Jobs:
    """Where acts happen, by the names that agents give. Used on one event loop."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._jobs: OrderedDict[tuple[str, str], _Job] = OrderedDict()
        self._runs: dict[str, tuple[_Job, str]] = {}
        """Where each run is, by its id, the oldest one first."""

    def scope(self, agent: Agent, asked: Check) -> Scope:
        """The run that a check names, of the agent's own session. Raises ProblemError."""
        key = (agent.key, asked.session)
        job = self._jobs.get(key)
        if job is None or job.session.opened <= 0:  # it ended idle
            job = self._begin(key, agent, asked)
        else:
            self._jobs.move_to_end(key)
        user = job.session.subject.user
        if asked.user and asked.user != user:
            raise ProblemError(
                422,
                "session-user",
                "the session began for another user, and stays theirs",
                what="user",
                value=asked.user,
                expected=user or "none",
                hint="name another session",
            )
        return job.runs.get(asked.run) or self._run(job, agent, asked.run)

    def within(self, act: OpenAct, agent: Agent) -> Scope:
        """The scope inside of an open act: of its own agent, or of the one that it starts. Raises ProblemError."""
        inner = (act.scope or self._again(act)).within(act.request.span, act.request.action)
        if act.request.action != "agent.spawn" or act.request.resource != agent.name:  # an agent may start itself
            if act.request.agent.name == agent.name:
                return inner
            raise ProblemError(
                404,
                "unknown-decision",
                "no open decision of that id is this agent's, or starts this agent",
                what="parent",
                value=act.id,
                expected="a decision of this agent's, or about an agent.spawn whose resource is this agent's name",
            )
        child = act.children.get(agent.key)
        if child is None:
            child = act.children[agent.key] = self._guard.begin_run(agent, inner)
        return child

    def close(self) -> None:
        """End every run and session."""
        while self._jobs:
            self._leave(self._jobs.popitem()[1])

    def _again(self, act: OpenAct) -> Scope:
        """Where an act of a server that has ended was asked for."""
        asked = act.request
        act.scope = Scope(
            guard=self._guard,
            session=self._guard.sessions.get(asked.subject),
            run=asked.run,
            span=asked.parent,
            agent=asked.agent,
            ancestors=asked.ancestors,
        )
        return act.scope

    def _begin(self, key: tuple[str, str], agent: Agent, asked: Check) -> _Job:
        stale = self._jobs.pop(key, None)
        if stale is not None:
            self._end_runs(stale)
        opened = self._guard.open_session(asked.session, user=asked.user, labels=asked.labels, application=agent.name)
        job = self._jobs[key] = _Job(opened)
        if len(self._jobs) > _MOST:
            self._leave(self._jobs.popitem(last=False)[1])
        return job

    def _run(self, job: _Job, agent: Agent, name: str) -> Scope:
        if len(job.runs) >= _RUNS:
            self._end_run(job, next(iter(job.runs)))
        if len(self._runs) >= _ALL_RUNS:
            self._end_run(*next(iter(self._runs.values())))
        outside = Scope(guard=self._guard, session=job.session, run="", span="", agent=agent)
        made = job.runs[name] = self._guard.begin_run(agent, outside, root=True)
        self._runs[made.run] = job, name
        return made

    def _end_run(self, job: _Job, name: str) -> None:
        scope = job.runs.pop(name)
        del self._runs[scope.run]
        self._guard.end_run(scope)

    def _leave(self, job: _Job) -> None:
        self._end_runs(job)
        if job.session.opened > 0:
            self._guard.close_session(job.session)

    def _end_runs(self, job: _Job) -> None:
        for name in list(job.runs):
            self._end_run(job, name)
