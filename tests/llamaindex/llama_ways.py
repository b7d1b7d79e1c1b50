"""How the conformance suite's paths come under a guard, what is built, and how it is called."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any

from llama_fakes import (
    Boss,
    Coder,
    Desk,
    Library,
    Own,
    Provider,
    Query,
    Shelf,
    Text,
    Vectors,
    async_tools,
    functions,
    tools,
)
from llama_index.core.agent.workflow import (
    AgentStream,
    AgentWorkflow,
    CodeActAgent,
    FunctionAgent,
    ReActAgent,
    ToolCallResult,
)
from llama_index.core.llms import ChatMessage
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.tools import QueryEngineTool, RetrieverTool, ToolMetadata, calling
from workflows.errors import WorkflowCancelledByUser

import jackline_llamaindex
from jackline_llamaindex import LlamaIndexAdapter

if TYPE_CHECKING:
    from collections.abc import Callable

    from jackline.testing.paths import Job

# --- ways to come under a guard


def enable(job: Job, made: Any) -> Any:
    jackline_llamaindex.enable(job.guard)
    return made


def init(job: Job, made: Any) -> Any:
    job.guard.enable(LlamaIndexAdapter())  # as `jackline.init` does
    return made


def attach(job: Job, made: Any) -> Any:
    return job.guard.attach(made)


# --- agents


def agent(job: Job, tools_of: Any = async_tools, **more: Any) -> Any:
    return FunctionAgent(name="worker", description="Works.", llm=Provider(job), tools=tools_of(job), **more)


def query_engine(job: Job) -> list[Any]:
    return [tools(job)[0], desk(job)]


def retriever(job: Job) -> list[Any]:
    return [tools(job)[0], shelf(job)]


def own_class(job: Job) -> list[Any]:
    return [tools(job)[0], Own(job)]


def desk(job: Job) -> Any:
    """A query engine as a tool."""
    return QueryEngineTool(Desk(job=job), ToolMetadata(name="find", description="Search.", fn_schema=Query))


def shelf(job: Job) -> Any:
    """A retriever as a tool."""
    return RetrieverTool(Shelf(job), ToolMetadata(name="find", description="Search.", fn_schema=Query))


def react(job: Job, **more: Any) -> Any:
    return ReActAgent(name="worker", description="Works.", llm=Text(job), tools=tools(job), **more)


def code_act(job: Job, **more: Any) -> Any:
    known = {body.__name__: job.guard.tool(body) for body in functions(job)}  # or code is refused as a whole

    def execute(code: str) -> str:
        """Run code; what its last line says is the result."""
        found = ""
        for line in code.splitlines():
            if line.strip():
                found = str(eval(line, {"__builtins__": {}}, known))
        return found

    return CodeActAgent(
        execute, name="worker", description="Works.", llm=Coder(job), tools=list(known.values()), **more
    )


def single_workflow(job: Job) -> Any:
    return AgentWorkflow(agents=[agent(job)])


def handoff(job: Job) -> Any:
    boss = FunctionAgent(name="boss", description="Leads.", llm=Boss(job, tool="handoff"), can_handoff_to=["worker"])
    worker = FunctionAgent(
        name="worker", description="Works.", llm=Provider(job, ahead=1), tools=async_tools(job), can_handoff_to=[]
    )
    return AgentWorkflow(agents=[boss, worker], root_agent="boss")


def agent_as_tool(job: Job) -> Any:
    worker = agent(job)

    async def delegate(task: str) -> str:
        """Let the worker do it."""
        return str(await worker.run(user_msg=task))

    return FunctionAgent(name="boss", description="Leads.", llm=Boss(job), tools=[delegate])


def conversation(build: Any, way: Any) -> Callable[[Job], str | None]:
    """Drive an agent or a workflow of agents, and read its events."""

    def drive(job: Job) -> str | None:
        return asyncio.run(converse(job, way(job, build(job))))

    return drive


async def converse(job: Job, made: Any) -> str | None:
    """Ask, and ask to go on where a result went out instead of the agent's own words.

    The history is the caller's: what the agent itself remembers holds calls as they were judged, never raw ones.
    """
    memory, task, direct = ChatMemoryBuffer.from_defaults(), ChatMessage(role="user", content=job.prompt), True
    text, results = "", []
    while direct:
        direct = False
        running = made.run(user_msg=task, memory=memory, session_id=job.session)
        async for event in running.stream_events():
            if isinstance(event, ToolCallResult):
                results.append(event.tool_output.content.strip())
                direct |= event.return_direct and event.tool_name != "handoff" and not event.tool_output.is_error
            if isinstance(event, AgentStream) and not job.piece(event.delta):
                await running.cancel_run()
                with contextlib.suppress(WorkflowCancelledByUser):
                    await running
                return None
        text = str(await running)
    job.history = [task.content, str(task.blocks)]
    if len(results) > len(job.told):  # a result that went out without the model
        job.told[:] = results
    job.told[:] = [told.strip() for told in job.told]
    return text


# --- tools, called by a program


def by_call(tool: Any, args: dict[str, Any]) -> Any:
    return tool(**args)


def by_method(tool: Any, args: dict[str, Any]) -> Any:
    return tool.call(**args)


def by_acall(tool: Any, args: dict[str, Any]) -> Any:
    return asyncio.run(tool.acall(**args))


def by_call_tool(tool: Any, args: dict[str, Any]) -> Any:
    return calling.call_tool(tool, args)


def by_acall_tool(tool: Any, args: dict[str, Any]) -> Any:
    return asyncio.run(calling.acall_tool(tool, args))


def directly(call: Any, way: Any, tools_of: Any = tools) -> Callable[[Job], None]:
    """Call tools one after another."""

    def drive(job: Job) -> None:
        made = {tool.metadata.name: way(job, tool) for tool in tools_of(job)}
        job.history = [item.args for step in job.steps for item in step.calls]
        with job.guard.session(id=job.session):
            for step in job.steps:
                for item in step.calls:
                    job.call(lambda item=item: call(made[item.tool], dict(item.args)).content)

    return drive


def gathered(way: Any) -> Callable[[Job], None]:
    """Call tools at once."""

    def drive(job: Job) -> None:
        made = {tool.metadata.name: way(job, tool) for tool in async_tools(job)}
        job.history = [item.args for step in job.steps for item in step.calls]

        async def together(calls: Any) -> list[Any]:
            tasks = (made[item.tool].acall(**item.args) for item in calls)
            return await asyncio.gather(*tasks, return_exceptions=True)

        with job.guard.session(id=job.session):
            for step in job.steps:
                for result in asyncio.run(together(step.calls)):
                    job.call(partial(given, result))

    return drive


def given(result: Any) -> Any:
    if isinstance(result, BaseException):
        raise result
    return result


def predicted(way: Any, *, asynchronous: bool = False) -> Callable[[Job], str | None]:
    """A model says what to call, and it is called: one turn after another, as a program without an agent does."""

    def drive(job: Job) -> str | None:
        llm = way(job, Provider(job))
        with job.guard.session(id=job.session):
            return asyncio.run(aturns(job, llm)) if asynchronous else turns(job, llm)

    return drive


def _options(step: Any) -> dict[str, Any]:
    return {"allow_parallel_tool_calls": len(step.calls) > 1, "error_on_no_tool_call": False}


def turns(job: Job, llm: Any) -> str | None:
    messages = [ChatMessage(role="user", content=job.prompt)]
    own, answer = tools(job), None
    for step in job.steps:
        answer = llm.predict_and_call(own, chat_history=messages, **_options(step))
        _went(job, messages, step, answer)
    return str(answer)


async def aturns(job: Job, llm: Any) -> str | None:
    messages = [ChatMessage(role="user", content=job.prompt)]
    own, answer = async_tools(job), None
    for step in job.steps:
        answer = await llm.apredict_and_call(own, chat_history=messages, **_options(step))
        _went(job, messages, step, answer)
    return str(answer)


def _went(job: Job, messages: list[Any], step: Any, answer: Any) -> None:
    messages.append(ChatMessage(role="assistant", content=f"calls {step.calls}"))
    messages += [ChatMessage(role="tool", content=output.content) for output in answer.sources]
    job.told[:] = [message.content for message in messages if message.role == "tool"]
    job.history = [message.content for message in messages if message.role != "tool"]


# --- models, libraries and embeddings, asked by a program


def asked(way: Any, method: str) -> Callable[[Job], str]:
    """Drive what a model answers to one message or prompt."""

    def drive(job: Job) -> str:
        llm = way(job, Provider(job))
        job.history = task = job.prompt if "complete" in method else [ChatMessage(role="user", content=job.prompt)]
        with job.guard.session(id=job.session):
            if method.startswith("a"):
                return asyncio.run(awaited(job, getattr(llm, method)(task)))
            found = getattr(llm, method)(task)
            if "stream" not in method:
                return text_of(found)
            with contextlib.closing(found) as pieces:
                for piece in pieces:
                    if not job.piece(piece.delta or ""):
                        break
            return "".join(job.seen)

    return drive


async def awaited(job: Job, call: Any) -> str:
    found = await call
    if not hasattr(found, "__aiter__"):
        return text_of(found)
    async with contextlib.aclosing(found) as pieces:
        async for piece in pieces:
            if not job.piece(piece.delta or ""):
                break
    return "".join(job.seen)


def text_of(response: Any) -> str:
    return str(response.text if hasattr(response, "text") else response.message.content)


def asks(way: Any, make: Any, method: str, *, many: bool = False) -> Callable[[Job], None]:
    """Drive a retriever or an embedding."""

    def drive(job: Job) -> None:
        made = way(job, make(job))
        job.history = job.prompt
        with job.guard.session(id=job.session):
            found = getattr(made, method)([job.prompt] if many else job.prompt)
            if method.startswith("a"):
                asyncio.run(waited(found))

    return drive


async def waited(found: Any) -> Any:
    return await found


def library(way: Any, method: str) -> Callable[[Job], None]:
    return asks(way, Library, method)


def vectors(way: Any, method: str, *, many: bool = False) -> Callable[[Job], None]:
    return asks(way, Vectors, method, many=many)
