"""The callback handler: LangChain tells it what starts and ends; it follows the tree and refuses what may not start."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeVar, cast

from langchain_core.callbacks import BaseCallbackHandler

from jackline.errors import Signal
from jackline.request import Tool
from jackline_langchain import following, translate
from jackline_langchain.enforce import Act, QueryAct, ToolAct
from jackline_langchain.entrances import EXPECTED, GRAPH, MODEL, QUERY, TEXT, TOOL
from jackline_langchain.model_act import ModelAct
from jackline_langchain.patches import PATCHES
from jackline_langchain.runs import Node, Runs, SpawnAct
from jackline_langchain.signals import failed_closed, signal
from jackline_langchain.tools import NamedTool

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from jackline.guard import Guard

F = TypeVar("F", bound="Callable[..., None]")


def _deciding(method: F) -> F:
    """An error of ours in what decides is a denial."""

    @functools.wraps(method)
    def guarded(self: JacklineCallbackHandler, *args: Any, **kwargs: Any) -> None:
        try:
            method(self, *args, **kwargs)
        except Signal:
            raise
        except Exception as error:
            self.guard.recorder.lose(error)
            raise failed_closed(error, method.__name__, tool=method.__name__ == "on_tool_start") from error

    return cast("F", guarded)


def _tracing(method: F) -> F:
    """An error of ours in what only records never reaches the agent; it is counted."""

    @functools.wraps(method)
    def guarded(self: JacklineCallbackHandler, *args: Any, **kwargs: Any) -> None:
        try:
            method(self, *args, **kwargs)
        except Signal:
            raise
        except Exception as error:  # noqa: BLE001 - counted and shown by the guard
            self.guard.recorder.lose(error)

    return cast("F", guarded)


class JacklineCallbackHandler(BaseCallbackHandler):
    """Governs every call that it is given to, with all that happens below: `config={"callbacks": [handler]}`.

    It is synchronous and raises: LangChain swallows what asynchronous handlers raise, and the call would run.
    """

    raise_error = True
    run_inline = True

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.runs: Runs = following.join(guard, self).runs

    def __deepcopy__(self, memo: Any) -> JacklineCallbackHandler:
        return self

    @property
    def off(self) -> bool:
        """Whether the guard is closed: off means off."""
        return self.runs.off

    ignore_llm = ignore_retry = ignore_agent = ignore_retriever = off
    ignore_chat_model = ignore_chain = ignore_custom_event = off

    # --- chains, graphs, agents

    @_tracing
    def on_chain_start(
        self,
        serialized: dict[str, Any] | None,
        inputs: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Follow a chain; a sub-agent is asked for before anything of it starts."""
        entrance = GRAPH.get()
        if run_id in self.runs.nodes:
            if entrance is not None and entrance.take(self.runs, run_id):
                raise failed_closed(self.runs.taken(run_id), "an agent")
            return
        metadata = metadata or {}
        name = str(kwargs.get("name") or (serialized or {}).get("name") or "")
        parent, scope = self.runs.around(parent_run_id)
        graph = entrance.native if entrance is not None and entrance.take(self.runs, run_id) else None
        if graph is not None or (entrance is None and translate.is_agent(name, tags, metadata)):
            act = entrance.judged.pop(id(self.runs), None) if entrance is not None else None
            self._start_agent(run_id, parent, scope, graph, act, (name, inputs, metadata))
        elif scope is None:
            self.runs.chain(run_id, metadata)
        else:
            self.runs.step(run_id, parent, scope, current=translate.is_step(tags))

    @_deciding
    def _start_agent(
        self, run_id: UUID, parent: Node | None, scope: Any, graph: Any, act: SpawnAct | None, call: tuple[Any, ...]
    ) -> None:
        name, inputs, metadata = call
        agent = self.runs.identify(graph.get_name() if graph is not None else name, graph, metadata)
        if act is None and self.runs.spawns(scope):
            act = SpawnAct(self.guard, scope)
            act.node = parent
            act.check(act.ask(agent.name, inputs))
        if act is not None and act.decision is not None and act.decision.args is not None:
            raise act.refused("what a sub-agent is given cannot be changed")
        self.runs.agent(run_id, parent, scope, act, agent, metadata)

    @_tracing
    def on_chain_end(self, outputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Close a chain; what an agent hands out is judged if it was not when its model answered."""
        node = self.runs.nodes.get(run_id)
        if node is None:
            return
        try:
            if node.root is node and node.halted is not None:  # something on the way caught it
                raise signal(node.halted)
            if node.graph and node.root is node and not node.inner:
                self._judge_output(node, outputs)
        except Signal as refusal:
            self.runs.ended(run_id, refusal)
            raise
        self.runs.ended(run_id)

    @_tracing
    def on_chain_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Close a chain that broke off."""
        self.runs.ended(run_id, error)

    @_deciding
    def _judge_output(self, node: Node, outputs: Any) -> None:
        text = translate.last_word(outputs)
        if text is None or text == node.answered:
            return
        guard = self.guard
        asked = guard.request("output", node.scope.agent.name, {"result": translate.value(text)}, scope=node.scope)
        if guard.judges(asked):
            decision = guard.check(asked)
            act = Act(guard, node.scope)
            act.judged(decision)
            if decision.args is not None:
                act.request = asked
                raise act.refused("an output that no model wrote cannot be changed")

    # --- tools

    @_deciding
    def on_tool_start(
        self,
        serialized: dict[str, Any] | None,
        input_str: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        inputs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Hand the act to the body below, which knows what it receives; without one, ask here."""
        entrance = TOOL.get()
        name = str((serialized or {}).get("name") or kwargs.get("name") or "tool")
        ours = entrance is not None and not entrance.entered and entrance.native.name == name
        if self.runs.again(run_id, input_str, entrance.acts if entrance is not None and ours else None):
            return
        node = self.runs.leaf(run_id, parent_run_id, metadata or {}, input_str)
        call_id = str(kwargs.get("tool_call_id") or "")
        speakers = node.speakers
        node.inner = True
        raw: Any = inputs if inputs is not None else input_str
        if entrance is not None and ours:
            known = self.runs.tools.known(entrance.native)
            node.act = ToolAct(self.guard, node.scope, known, call_id, raw)
            node.act.node, node.act.above = node, entrance.asked_above(self.guard)
            if entrance.native.return_direct:
                node.act.answers = speakers
            entrance.acts.append(node.act)
            return
        node.act = ToolAct(self.guard, node.scope, NamedTool(Tool(name=name)), call_id, raw)
        node.act.direct, node.act.node = True, node
        try:
            node.act.check(node.act.ask_raw())
            if node.act.decision.args is not None:
                raise node.act.refused("its arguments cannot be changed on this path")
        except Signal:
            self.runs.ended(run_id)
            raise

    @_tracing
    def on_tool_end(self, output: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Close a tool's run that the body below did not close."""
        node = self.runs.ended(run_id)
        if node is None or not isinstance(node.act, ToolAct):
            return
        act = node.act
        if act.request is None:
            act.attempted()
        elif act.direct:
            self._review_result(act, output)

    @_deciding
    def _review_result(self, act: ToolAct, output: Any) -> None:
        result = translate.value(output)
        act.complete(result)
        answer = self.guard.returned(act.request, result) if act.request is not None else None
        if answer is not None and (not answer.permitted or answer.args is not None):
            raise signal(answer, tool=True) if not answer.permitted else act.refused("its result cannot be changed")

    @_tracing
    def on_tool_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Close a tool's run that broke off; one whose arguments were not valid was an attempt."""
        node = self.runs.ended(run_id)
        if node is None or not isinstance(node.act, ToolAct):
            return
        if node.act.request is None:
            node.act.attempted()
        else:
            node.act.fail(error)

    # --- models

    @_deciding
    def on_chat_model_start(
        self,
        serialized: dict[str, Any] | None,
        messages: list[list[Any]],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Hand the act to the call below; without one, ask here."""
        self._start_model(serialized, messages[0] if messages else [], run_id, parent_run_id, metadata, kwargs)

    @_deciding
    def on_llm_start(
        self,
        serialized: dict[str, Any] | None,
        prompts: list[str],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Ask about a completion model's prompt."""
        self._start_model(serialized, prompts, run_id, parent_run_id, metadata, kwargs, completion=True)

    def _start_model(
        self,
        serialized: Any,
        messages: Any,
        run_id: UUID,
        parent_run_id: UUID | None,
        metadata: dict[str, Any] | None,
        kwargs: dict[str, Any],
        *,
        completion: bool = False,
    ) -> None:
        entrance = MODEL.get() or EXPECTED.get(run_id)
        if entrance is not None and (entrance.judged or entrance.streaming or completion):
            entrance = None
        if self.runs.again(run_id, messages, entrance.acts.get(run_id, ()) if entrance is not None else None):
            return
        node = self.runs.leaf(run_id, parent_run_id, metadata or {}, messages)
        facts = {"params": kwargs.get("invocation_params"), "metadata": metadata, "serialized": serialized}
        act = ModelAct(self.guard, node.scope, self.runs.tools, facts=facts, answers=node.speakers)
        act.node = node
        node.act = act
        if entrance is not None:
            entrance.acts.setdefault(run_id, []).append(act)
            return
        act.direct = True
        try:
            act.check(act.ask(messages, {}))
            if act.decision is not None and act.decision.args is not None:
                raise act.refused("its prompt cannot be changed on this path")
            if completion and TEXT.get() and act.holds:
                raise act.refused("its stream cannot be held back on this path")
        except Signal:
            self.runs.ended(run_id)
            raise

    @_deciding
    def on_llm_new_token(self, token: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Nothing of an answer is handed out before it was judged, where a policy looks at answers."""
        node = self.runs.nodes.get(run_id)
        if node is None or not isinstance(node.act, ModelAct) or node.act.closed:
            return
        if node.act.request is None:
            raise node.act.refused("its call was not judged")
        if node.act.direct and node.act.holds:
            raise node.act.refused("its stream cannot be held back on this path")
        node.act.received += len(token) if isinstance(token, str) else 0

    @_deciding
    def on_llm_end(self, response: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Record the answer of a call that the path below did not close."""
        node = self.runs.nodes.get(run_id)
        self._leave(run_id)
        if node is None or not isinstance(node.act, ModelAct):
            return
        act = node.act
        if act.request is None:
            raise act.refused("its call was not judged")
        message = translate.answer(response)
        self._answered(node, message, response)
        if act.direct:
            act.reviewed(translate.message(message) if message is not None else translate.text(response))

    @_tracing
    def _leave(self, run_id: UUID) -> None:
        self.runs.ended(run_id)

    @_tracing
    def _answered(self, node: Node, message: Any, response: Any) -> None:
        if not node.act.closed:
            node.act.finished([message], response.llm_output, translate.text(response) if message is None else "")
        if node.act.answers and message is not None:
            node.root.answered = message.content

    @_tracing
    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Record a call that broke off."""
        node = self.runs.ended(run_id)
        if node is not None and isinstance(node.act, ModelAct):
            node.act.broken(error)

    # --- retrievers

    @_deciding
    def on_retriever_start(
        self,
        serialized: dict[str, Any] | None,
        query: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Hand the act to the search below; without one, ask here."""
        entrance = QUERY.get()
        if entrance is not None and entrance.entered:
            entrance = None
        if self.runs.again(run_id, query, entrance.acts if entrance is not None else None):
            return
        node = self.runs.leaf(run_id, parent_run_id, metadata or {}, query)
        name = str(kwargs.get("name") or (serialized or {}).get("name") or "retriever")
        node.act = QueryAct(self.guard, node.scope, "retrieval", name, "query")
        node.act.node = node
        if entrance is not None:
            entrance.acts.append(node.act)
            return
        try:
            node.act.check(node.act.ask(query))
            if node.act.decision.args is not None:
                raise node.act.refused("its query cannot be changed on this path")
        except Signal:
            self.runs.ended(run_id)
            raise

    @_tracing
    def on_retriever_end(self, documents: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Record what was found."""
        node = self.runs.ended(run_id)
        if node is not None and isinstance(node.act, QueryAct):
            node.act.complete(translate.value(list(documents)))

    @_tracing
    def on_retriever_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Record a search that broke off."""
        node = self.runs.ended(run_id)
        if node is not None and isinstance(node.act, QueryAct):
            node.act.fail(error)


PATCHES.prepare()
