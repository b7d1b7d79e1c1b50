"""The tree of LangChain's runs that one guard follows: whose act each is, in which session, and what is still open."""

from __future__ import annotations

import functools
import importlib.metadata
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from jackline.session import Scope, Stay, scope_of
from jackline_langchain import translate
from jackline_langchain.enforce import Act
from jackline_langchain.tools import Tools

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from uuid import UUID

    from jackline.decision import Decision
    from jackline.guard import Guard
    from jackline.request import Agent
    from jackline.session import Session


def _version(framework: str) -> str:
    """Read a framework's version; where `langchain` itself is not installed, its core's."""
    try:
        return importlib.metadata.version(framework)
    except importlib.metadata.PackageNotFoundError:
        return importlib.metadata.version("langchain-core")


VERSIONS = {framework: _version(framework) for framework in ("langchain", "langgraph")}
_NAMED = 10_000
"""Sessions named by metadata whose scope is kept."""

_LIVE = 100_000
"""Live runs that are kept; beyond that, the oldest is taken for one that was never ended."""

USERS = ("jackline_user_id", "user_id")
"""Metadata that names for whom a session is."""


class Node:
    """One run of LangChain's: an agent, a step of a graph, a chain, a tool, a model, a retriever."""

    __slots__ = (
        "act",
        "agent",
        "answered",
        "chain",
        "graph",
        "halted",
        "inner",
        "leave",
        "members",
        "parent",
        "root",
        "scope",
        "session",
        "stay",
        "told",
    )

    def __init__(self, scope: Scope, parent: Node | None) -> None:
        self.scope = scope
        """Where this run's own acts happen."""
        self.parent = parent
        self.root: Node = parent.root if parent is not None else self
        self.act: Any = None
        self.agent = False
        """Whether this run began a run of Jackline's: an agent's, or that of a chain at the root."""
        self.graph = False
        """Whether it is an agent's: what it answers goes outside."""
        self.inner: bool = parent.inner if parent is not None else False
        """Whether its text goes to a tool between it and its root, or to an agent above that, not outside."""
        self.session: Session | None = None
        """The session that ends with this run."""
        self.stay: Stay | None = None
        """That its code's own acts happen in its scope."""
        self.chain: Node | None = None
        """The chain around this run, where the program gave both the same id."""
        self.told: object = None
        """The input that LangChain told of: it tells every handler of the same object."""
        self.members: dict[UUID, Node] = {}
        """Of a root: every run below it that has not ended."""
        self.answered: object = None
        """Of a root: the last text that was judged as its output."""
        self.halted: Decision | None = None
        """Of a root: the decision that ended its session, below it."""
        self.leave: Callable[[], object] = _stay
        """Takes this run out of the tree."""

    @property
    def speakers(self) -> tuple[Agent, ...]:
        """The agents whose word to the outside a model's text is here, innermost first; none below a tool."""
        if self.inner or not self.root.graph:
            return ()
        above = self.scope.ancestors[len(self.root.scope.ancestors) :]
        return (self.scope.agent, *reversed(above))


def _stay() -> None:
    """A run that is not in a tree (yet)."""


def _ending(error: BaseException | None) -> str:
    name = type(error).__qualname__ if error is not None else ""
    return Act.endings.get(name, name)


class SpawnAct(Act):
    """A sub-agent is started by another agent."""

    def ask(self, name: str, inputs: Any) -> Any:
        """The request about starting the agent `name`."""
        args = {"input": translate.value(inputs)}
        return self.built(lambda: self.guard.request("agent.spawn", name, args, scope=self.scope))


class Runs:
    """Every live run that one guard follows. Thread-safe: runs are keyed by id, and each is one thread's at a time."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.off = False
        """The guard is closed."""
        self.tools = Tools(guard)
        self.nodes: dict[UUID, Node] = {}
        self._named: OrderedDict[str, Scope] = OrderedDict()
        self._lock = threading.Lock()

    def around(self, parent_run_id: UUID | None) -> tuple[Node | None, Scope | None]:
        """The run above, and the scope that a new run starts in; neither where it is a root."""
        parent = self.nodes.get(parent_run_id) if parent_run_id is not None else None
        if parent is not None:
            return parent, parent.scope if parent.agent or parent.act is None else parent.act.inner
        return None, scope_of(self.guard)

    def again(self, run_id: UUID, told: object, acts: Sequence[Act] | None) -> bool:
        """Whether this start was told before, to another handler; `acts` are those that the call's entrance has by now.

        Another call under the id of a run that goes on raises: nothing could tell the two apart.
        """
        node = self.nodes.get(run_id)
        if node is None or node.act is None:
            return False
        if any(act.node is node for act in acts) if acts is not None else node.told is told:
            return True
        raise self.taken(run_id)

    @staticmethod
    def taken(run_id: UUID) -> ValueError:
        """What is wrong with a run id that is used twice at a time."""
        return ValueError(f"the run id {run_id} is that of a run that has not ended; leave it to LangChain")

    def leaf(self, run_id: UUID, parent_run_id: UUID | None, metadata: Mapping[str, Any], told: object) -> Node:
        """A tool's, model's or retriever's run; `told` is its input, the very object that LangChain tells of."""
        parent, scope = self.around(parent_run_id)
        node = Node(scope if scope is not None else self.bare(metadata), parent)
        node.told, node.chain = told, self.nodes.get(run_id)
        return self._add(run_id, node)

    def step(self, run_id: UUID, parent: Node | None, scope: Scope, *, current: bool) -> Node:
        """A chain that belongs to the agent around it; `current`: what its code does is done in this scope."""
        node = Node(scope, parent)
        if current:
            node.stay = Stay(scope)
        return self._add(run_id, node)

    def chain(self, run_id: UUID, metadata: Mapping[str, Any]) -> Node:
        """A chain at the root: this program acts, in a session that ends with it unless it is named."""
        agent = self.guard.agent()
        session, ends = self._session(metadata)
        base = Scope(guard=self.guard, session=session, run="", span="", agent=agent)
        scope = self.guard.begin_run(agent, base, root=True, program=True)
        return self._began(run_id, scope, None, session if ends else None)

    def agent(
        self,
        run_id: UUID,
        parent: Node | None,
        scope: Scope | None,
        act: SpawnAct | None,
        agent: Agent,
        metadata: Mapping[str, Any],
    ) -> Node:
        """An agent's run: at the root of its session, or below whoever started it."""
        if scope is None:
            session, ends = self._session(metadata)
            base = Scope(guard=self.guard, session=session, run="", span="", agent=agent)
            node = self._began(run_id, self.guard.begin_run(agent, base, root=True), None, session if ends else None)
        elif act is None or act.request is None:
            node = self._began(run_id, self.guard.begin_run(agent, scope, root=True), parent, None)
        else:
            node = self._began(run_id, self.guard.begin_run(agent, scope, span=act.request.span), parent, None)
            node.act = act
            node.inner = node.inner or parent is None  # an agent of another framework, or past the callbacks, asked
        node.graph = True
        return node

    def identify(self, name: str, graph: Any, metadata: Mapping[str, Any]) -> Agent:
        """The agent that a graph is, registered with the tools that the graph gives it."""
        chained = metadata.get("ls_integration") == "langchain_create_agent"
        framework = "langchain" if chained or graph is None else "langgraph"
        return self.guard.agent(
            name,
            tools=self.tools.declared(name, graph),
            framework=framework,
            framework_version=VERSIONS[framework],
        )

    def spawns(self, scope: Scope | None) -> bool:
        """Whether a new agent is started by an agent: this program itself starts its agents without being asked."""
        return self.guard.spawns(scope)

    def ended(self, run_id: UUID, error: BaseException | None = None) -> Node | None:
        """Take a run out; close what it left open. None where it is not known (any more)."""
        node = self.nodes.pop(run_id, None)
        if node is None:
            return None
        node.root.members.pop(run_id, None)
        if node.chain is not None:
            self.nodes[run_id] = node.chain
        if node.stay is not None:
            stay, node.stay = node.stay, None
            stay.end()
        if node.agent:
            self._close(node, error)
        return node

    def close(self) -> None:
        """End the runs of sessions that calls without an agent have named; the guard is closing."""
        self.off = True
        with self._lock:
            while self._named:
                self.guard.end_run(self._named.popitem(last=False)[1])

    def _close(self, node: Node, error: BaseException | None) -> None:
        if node.root is node:
            for run_id, member in list(node.members.items()):
                self.nodes.pop(run_id, None)
                if member.act is not None:
                    member.act.fail("outcome unknown")
                if member.agent:
                    self.guard.end_run(member.scope, "outcome unknown")
            node.members.clear()
        if node.act is not None:
            if error is None:
                node.act.complete(None)
            else:
                node.act.fail(error)
        self.guard.end_run(node.scope, _ending(error))
        if node.session is not None:
            self.guard.close_session(node.session, "root" if error is None else "error")

    def _began(self, run_id: UUID, scope: Scope, parent: Node | None, session: Session | None) -> Node:
        node = Node(scope, parent)
        node.agent, node.session = True, session
        return self._add(run_id, node)

    def _add(self, run_id: UUID, node: Node) -> Node:
        if len(self.nodes) >= _LIVE:
            self._forget_oldest()
        self.nodes[run_id] = node
        node.leave = functools.partial(self.ended, run_id)
        if node.root is not node:
            node.root.members[run_id] = node
        return node

    def _forget_oldest(self) -> None:
        """Drop a run of which no end was told: another handler may raise between its start and its body."""
        run_id = next(iter(self.nodes), None)
        node = self.ended(run_id) if run_id is not None else None
        if node is not None and node.act is not None:
            node.act.fail("outcome unknown")

    def _session(self, metadata: Mapping[str, Any]) -> tuple[Session, bool]:
        """The session that the caller names, which goes on; or one of its own, which ends with the run."""
        external = translate.external_session(metadata)
        user = next((str(metadata[key]) for key in USERS if metadata.get(key)), "")
        return self.guard.open_session(external or None, user=user), not external

    def bare(self, metadata: Mapping[str, Any]) -> Scope:
        """The scope of an act that no chain or agent does: the named session's, or this process's."""
        external = translate.external_session(metadata)
        if not external:
            return self.guard.scope()
        with self._lock:
            found = self._named.get(external)
            if found is None:
                agent = self.guard.agent()
                session, _ = self._session(metadata)
                base = Scope(guard=self.guard, session=session, run="", span="", agent=agent)
                found = self._named[external] = self.guard.begin_run(agent, base, root=True, program=True)
                if len(self._named) > _NAMED:
                    self.guard.end_run(self._named.popitem(last=False)[1])
            return found
