"""Around agents: their runs, their steps, and the one place where an agent's tools are called."""

from __future__ import annotations

import asyncio
import inspect
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from llama_index.core.agent.workflow import AgentWorkflow
from llama_index.core.agent.workflow.base_agent import BaseWorkflowAgent, _get_waiting_for_event_exception
from llama_index.core.agent.workflow.workflow_events import ToolCall
from llama_index_instrumentation.dispatcher import active_instrument_tags

from jackline.errors import JacklineError
from jackline.plain import plain
from jackline_llamaindex import translate
from jackline_llamaindex.calls import JudgedCall, ajudge, arun
from jackline_llamaindex.following import FOLLOWERS
from jackline_llamaindex.last_words import ajudge_word
from jackline_llamaindex.runs import RUN, AgentRun, Running, Within, acting, identify, parts
from jackline_llamaindex.steps import STEP, Step, ajudge_in
from jackline_llamaindex.tools import known

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from llama_index.core.tools import ToolSelection

    from jackline_llamaindex.following import Follower

_PARAMETERS = ("self", "ctx", "tool", "tool_input")
_waiting = _get_waiting_for_event_exception()
WAITS: tuple[type[Exception], ...] = (_waiting,) if _waiting is not None else ()

_starting: ContextVar[list[Any]] = ContextVar("jackline_llamaindex_starting")
"""The workflow whose `run` is being called: a class calls that of the one it derives from. Its tasks find it empty."""
_fetched: ContextVar[Any] = ContextVar("jackline_llamaindex_fetched", default=None)
_call: ContextVar[JudgedCall | None] = ContextVar("jackline_llamaindex_call", default=None)


def run(body: Callable[..., Any]) -> Callable[..., Any]:
    """`Workflow.run`: an agent's run begins, and ends when its handler is done."""

    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        followers = FOLLOWERS.active(*parts(self))
        if not followers or any(each is self for each in _starting.get(())):
            return body(self, *args, **kwargs)
        running = _begun(self, followers, args, kwargs)
        starting = [self]
        token = _starting.set(starting)
        here = RUN.set(running)
        try:
            scopes = running.begin(_metadata(kwargs))
            if not isinstance(self, (BaseWorkflowAgent, AgentWorkflow)):
                running.start()
            with Within(scopes):
                handler = body(self, *args, **kwargs)
        except BaseException as error:
            running.end(error)
            raise
        finally:
            starting.clear()
            RUN.reset(here)
            _starting.reset(token)
        _when_done(handler, running)
        return handler

    return wrapper


def _begun(workflow: Any, followers: Sequence[Follower], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Running:
    running = Running(workflow)
    given = _given(args, kwargs)
    first = acting(workflow)
    running.runs = [AgentRun(each, identify(each.guard, first), given) for each in followers]
    return running


def _when_done(handler: Any, running: Running) -> None:
    task = getattr(handler, "_result_task", handler)

    def done(task: asyncio.Future[Any]) -> None:
        try:
            error = asyncio.CancelledError() if task.cancelled() else task.exception()
        except asyncio.CancelledError as cancelled:
            error = cancelled
        running.end(error)

    task.add_done_callback(done)


def _given(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """What an agent is asked to do."""
    event = kwargs.get("start_event")
    for found in (kwargs.get("user_msg"), args[0] if args else None, getattr(event, "user_msg", None)):
        if isinstance(found, str) or hasattr(found, "blocks"):
            return translate.given(found)
    history = kwargs.get("chat_history") or getattr(event, "chat_history", None)
    if history:
        return [translate.value(item) for item in history]
    return {name: plain(item) for name, item in kwargs.items() if name not in ("ctx", "start_event", "memory")}


def _metadata(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """What the caller says beside the task: arguments of `run`, and the tags of LlamaIndex's instrumentation."""
    event = kwargs.get("start_event")
    told = {name: event.get(name, None) for name in (*translate.SESSION_KEYS, "user_id")} if event is not None else {}
    return {**active_instrument_tags.get(), **{key: item for key, item in told.items() if item}, **kwargs}


def init_run(body: Callable[..., Any]) -> Callable[..., Any]:
    """An agent's first step: one that another agent starts is asked for here, where it can be awaited."""

    async def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        running = RUN.get()
        if running is not None and running.workflow is self:
            await running.astart()
        return await body(self, *args, **kwargs)

    return wrapper


def take_step(body: Callable[..., Any]) -> Callable[..., Any]:
    """An agent's step: what its model asks for is judged before anybody is told of it."""
    parameters = inspect.signature(body)

    async def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        running = RUN.get()
        bound = parameters.bind(self, *args, **kwargs).arguments
        if running is None or not _takes_part(self, running) or _within(self):
            return await body(self, *args, **kwargs)
        await running.acting(self)
        step = Step(self, running, bound.get("tools") or ())
        token = STEP.set(step)
        try:
            output = await body(self, *args, **kwargs)
        finally:
            STEP.reset(token)
        chosen = [await _selected(step, selection) for selection in output.tool_calls]
        output.tool_calls[:] = sorted(chosen, key=step.waits)  # four are made at a time: others do not wait for people
        await ajudge_word(step, output)
        return output

    return wrapper


def _takes_part(agent: Any, running: Running) -> bool:
    """Whether it is the run's own agent, or one of its workflow's: `predict_and_call` makes another one for itself."""
    agents = getattr(running.workflow, "agents", None)
    members = agents.values() if isinstance(agents, dict) else ()
    return agent is running.workflow or any(agent is member for member in members)


def _within(agent: Any) -> bool:
    """Whether the caller is in a step of this agent: a class calls the step of the one that it derives from."""
    step = STEP.get()
    return step is not None and step.agent is agent


async def _selected(step: Step, selection: ToolSelection) -> ToolSelection:
    """A call that an agent took from its model's answer, with the arguments that were permitted."""
    for call in step.running.pending:
        if call.is_for(selection.tool_name, selection.tool_kwargs, selection.tool_id):
            return selection
        if not call.call_id and call.is_for(selection.tool_name, selection.tool_kwargs, ""):
            call.call_id = selection.tool_id  # the model gave none, the agent did
            return selection
    judged = await step.aforeseen(selection.tool_name, selection.tool_kwargs, selection.tool_id)
    if judged is None or judged.visible == selection.tool_kwargs:
        return selection
    return selection.model_copy(update={"tool_kwargs": judged.visible})


def early_stopping(body: Callable[..., Any]) -> Callable[..., Any]:
    """What an agent says when it has made all the steps that it may: a step without tools."""

    async def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        running = RUN.get()
        if running is None:
            return await body(self, *args, **kwargs)
        names = (getattr(each, "current_agent_name", None) for each in (*args, *kwargs.values()))
        agents = getattr(self, "agents", {})
        agent = next((agents[name] for name in names if name in agents), self)
        token = STEP.set(Step(agent, running, (), last=True))
        try:
            return await body(self, *args, **kwargs)
        finally:
            STEP.reset(token)

    return wrapper


def call_tool(body: Callable[..., Any]) -> Callable[..., Any]:
    """The step that calls a tool: it shows the arguments in an event first, so they are judged before it (L7)."""

    async def wrapper(self: Any, ctx: Any, ev: ToolCall, *args: Any, **kwargs: Any) -> Any:
        running = RUN.get()
        if running is None:
            return await body(self, ctx, ev, *args, **kwargs)
        await running.astart()
        call = _judged_before(running, ev)
        fetched = None
        if call is None:
            agent, fetched = await _tools_of(self, ctx, ev)
            call = await Step(agent, running, fetched).ajudged(ev.tool_name, ev.tool_kwargs, ev.tool_id)
        elif call.waiting is not None:
            await _answered(call, self, ctx, running)
        if call is not None and call.kwargs != ev.tool_kwargs:
            ev = ToolCall(tool_name=ev.tool_name, tool_kwargs=call.kwargs, tool_id=ev.tool_id)
        tokens = _fetched.set(fetched), _call.set(call)
        waiting = False
        try:
            return await body(self, ctx, ev, *args, **kwargs)
        except WAITS:
            waiting = True
            raise
        finally:
            _fetched.reset(tokens[0])
            _call.reset(tokens[1])
            if call is not None and not waiting and call in running.pending:
                running.pending.remove(call)
                call.abandon("it was not run")

    return wrapper


async def _answered(call: JudgedCall, workflow: Any, ctx: Any, running: Running) -> None:
    """Wait for what people say of a call; where its run is left meanwhile, it is not made."""
    agent, _ = await _agent_of(workflow, ctx)
    try:
        await ajudge_in(call, agent, running)
    except BaseException:
        running.pending.remove(call)
        raise


def _judged_before(running: Running, ev: ToolCall) -> JudgedCall | None:
    """The call that this event asks for; a step that is entered again finds the call it waits in (L13)."""
    found = [call for call in running.pending if call.is_for(ev.tool_name, ev.tool_kwargs, ev.tool_id)]
    if not found:
        return None
    return next((call for call in found if not call.taken or call.entered), None)


async def _tools_of(workflow: Any, ctx: Any, ev: ToolCall) -> tuple[Any, Any]:
    if hasattr(workflow, "agents"):
        name = await ctx.store.get("current_agent_name")
        return workflow.agents[name], await workflow.get_tools(name, ev.tool_name)
    return workflow, await workflow.get_tools(ev.tool_name)


def get_tools(body: Callable[..., Any]) -> Callable[..., Any]:
    """An agent's tools: those that the step has looked up already are not retrieved a second time."""

    async def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        fetched = _fetched.get()
        return fetched if fetched is not None else await body(self, *args, **kwargs)

    return wrapper


def execute_tool(body: Callable[..., Any]) -> Callable[..., Any]:
    """`_call_tool`, which stands outside of the framework's `try`: what is raised here ends the run."""

    async def wrapper(self: Any, ctx: Any, tool: Any, tool_input: dict[str, Any]) -> Any:
        running = RUN.get()
        call = _call.get()
        if running is None:
            followers = FOLLOWERS.active(self, tool)
            if not followers:
                return await body(self, ctx, tool, tool_input)
            call = JudgedCall(tool, "")
            call.take(followers, tool_input)
            await ajudge(call)
        elif call is None or call.kwargs != tool_input or call.name != known(tool).tool.name:
            agent, _ = await _agent_of(self, ctx)
            call = await Step(agent, running, [tool]).ajudged(known(tool).tool.name, tool_input, "")
            assert call is not None
        call.taken = True
        call.tool = tool
        arguments = call.kwargs
        token = _fetched.set(None)
        try:
            return await arun(call, lambda: body(self, ctx, tool, arguments), WAITS)
        finally:
            _fetched.reset(token)

    return wrapper


async def _agent_of(workflow: Any, ctx: Any) -> tuple[Any, str]:
    if hasattr(workflow, "agents"):
        name = await ctx.store.get("current_agent_name")
        return workflow.agents[name], name
    return workflow, workflow.name


def checked(cls: type) -> None:
    """Raise JacklineError where a class's `_call_tool` is not the one that this adapter was written for (L5)."""
    own = cls.__dict__.get("_call_tool")
    found = tuple(inspect.signature(own).parameters) if callable(own) else ()
    if found != _PARAMETERS or not inspect.iscoroutinefunction(own):
        raise JacklineError(
            f"LlamaIndex's '{cls.__name__}._call_tool' takes {found or 'nothing: it is gone'}, not {_PARAMETERS}: "
            "agents of this version cannot be governed. Supported: llama-index-core>=0.14.10,<0.15. "
            "Try: pip install 'llama-index-core>=0.14.10,<0.15'"
        )
