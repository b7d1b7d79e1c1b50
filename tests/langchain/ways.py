"""How the conformance suite's paths come under a guard and are called: ways, shapes and modes."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from provider import Boss, Completion, Library, Provider, Vectors, async_tools, tools

from jackline_langchain import JacklineCallbackHandler, JacklineMiddleware, LangChainAdapter

if TYPE_CHECKING:
    from collections.abc import Callable

    from jackline.testing.paths import Job

# --- ways to come under a guard: (runnable, config) -> what is called, with which configuration


def handler(job: Job, runnable: Any, config: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    return runnable, {**config, "callbacks": [JacklineCallbackHandler(job.guard)]}


def process(job: Job, runnable: Any, config: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    job.guard.enable(LangChainAdapter())
    return runnable, config


def attach(job: Job, runnable: Any, config: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    return job.guard.attach(runnable), config


def middleware(job: Job, runnable: Any, config: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    return runnable, config  # it was built in


# --- shapes: what is built, with the middleware's way built in


def _within(job: Job, way: Any) -> Any:
    return [JacklineMiddleware(job.guard)] if way is middleware else []


def agent(job: Job, way: Any, tools_of: Any = tools, **more: Any) -> Any:
    return create_agent(Provider(job=job), tools_of(job), middleware=_within(job, way), name="worker", **more)


def async_agent(job: Job, way: Any) -> Any:
    return agent(job, way, async_tools)


def graph(job: Job, way: Any) -> Any:
    own = tools(job)
    model = Provider(job=job).bind_tools(own)

    def think(state: MessagesState) -> Any:
        return {"messages": [model.invoke(state["messages"])]}

    made = StateGraph(MessagesState)
    made.add_node("model", think)
    made.add_node("tools", ToolNode(own))
    made.add_edge(START, "model")
    made.add_conditional_edges("model", tools_condition)
    made.add_edge("tools", "model")
    return made.compile(name="worker")


def agent_as_tool(job: Job, way: Any) -> Any:
    worker = agent(job, None)

    @tool
    def delegate(task: str) -> str:
        """Let the worker do it."""
        return note(job, worker.invoke({"messages": [HumanMessage(task)]})["messages"])

    return create_agent(Boss(job=job), [delegate], middleware=_within(job, way), name="boss")


def async_agent_as_tool(job: Job, way: Any) -> Any:
    worker = async_agent(job, None)

    @tool
    async def delegate(task: str) -> str:
        """Let the worker do it."""
        return note(job, (await worker.ainvoke({"messages": [HumanMessage(task)]}))["messages"])

    return create_agent(Boss(job=job), [delegate], middleware=_within(job, way), name="boss")


def subgraph(job: Job, way: Any) -> Any:
    made = StateGraph(MessagesState)
    made.add_node("work", agent(job, None))
    made.add_edge(START, "work")
    made.add_edge("work", END)
    return made.compile(name="boss")


def own_pool(job: Job, way: Any) -> Any:
    """An agent whose tool runs other tools in a thread pool of its own, where LangChain's callbacks are lost."""
    own = {item.name: item for item in tools(job)}

    @tool
    def delegate(task: str) -> str:
        """Do it with threads."""
        with ThreadPoolExecutor(4) as pool:
            for step in job.steps:
                futures = [pool.submit(own[call.tool].invoke, call.args) for call in step.calls]
                for future in futures:
                    job.call(future.result)
        job.history = [call.args for step in job.steps for call in step.calls]
        return "done"

    return create_agent(Boss(job=job), [delegate], middleware=_within(job, way), name="worker")


# --- modes


def note(job: Job, messages: list[Any]) -> str:
    """Keep what the model was told and what the conversation holds; the last word."""
    job.told[:] = [str(message.content) for message in messages if message.type == "tool"]
    job.history = [
        (message.content, getattr(message, "tool_calls", "")) for message in messages if message.type != "tool"
    ]
    return str(messages[-1].content)


def _task(job: Job) -> dict[str, Any]:
    return {"messages": [HumanMessage(job.prompt)]}


def invoke(job: Job, runnable: Any, config: Any) -> list[Any]:
    return runnable.invoke(_task(job), config)["messages"]


def ainvoke(job: Job, runnable: Any, config: Any) -> list[Any]:
    return asyncio.run(runnable.ainvoke(_task(job), config))["messages"]


def batch(job: Job, runnable: Any, config: Any) -> list[Any]:
    return runnable.batch([_task(job), _task(job)], config)[-1]["messages"]


def abatch(job: Job, runnable: Any, config: Any) -> list[Any]:
    return asyncio.run(runnable.abatch([_task(job), _task(job)], config))[-1]["messages"]


def _streamed(job: Job, item: Any, last: list[Any]) -> bool:
    inside, mode, value = item
    if mode == "values":
        last[:] = last if inside else value["messages"]
        return True
    return job.piece(str(value[0].content)) if value[0].type != "human" else True


def stream(job: Job, runnable: Any, config: Any) -> list[Any]:
    last: list[Any] = []
    with contextlib.closing(
        runnable.stream(_task(job), config, stream_mode=["messages", "values"], subgraphs=True)
    ) as items:
        for item in items:
            if not _streamed(job, item, last):
                break
    return last


def astream(job: Job, runnable: Any, config: Any) -> list[Any]:
    async def consume() -> list[Any]:
        last: list[Any] = []
        async with contextlib.aclosing(
            runnable.astream(_task(job), config, stream_mode=["messages", "values"], subgraphs=True)
        ) as items:
            async for item in items:
                if not _streamed(job, item, last):
                    break
        return last

    return asyncio.run(consume())


def astream_events(job: Job, runnable: Any, config: Any) -> list[Any]:
    async def consume() -> list[Any]:
        event: Any = None
        async with contextlib.aclosing(runnable.astream_events(_task(job), config, version="v2")) as events:
            async for event in events:
                if event["event"] == "on_chat_model_stream" and not job.piece(str(event["data"]["chunk"].content)):
                    return []
        return event["data"]["output"]["messages"]

    return asyncio.run(consume())


def messages(build: Any, way: Any, mode: Any) -> Callable[[Job], str | None]:
    """Drive an agent or a graph, whose state is a conversation."""

    def drive(job: Job) -> str | None:
        runnable, config = way(job, build(job, way), named(job))
        found = mode(job, runnable, config)
        if not found:
            return None
        told = [str(message.content) for message in found if message.type == "tool"]
        if build in (agent_as_tool, async_agent_as_tool, own_pool):  # noted where it happened
            return told[-1]
        return note(job, found)

    return drive


def named(job: Job) -> dict[str, Any]:
    return {"metadata": {"session_id": job.session}}


# --- plain runnables


def plain_tool(way: Any, mode: str) -> Callable[[Job], None]:
    def drive(job: Job) -> None:
        made = {item.name: way(job, item, named(job)) for item in (async_tools if mode == "ainvoke" else tools)(job)}
        job.history = [call.args for step in job.steps for call in step.calls]
        for step in job.steps:
            if mode == "batch" and step.calls:
                runnable, config = made[step.calls[0].tool]
                for result in runnable.batch([call.args for call in step.calls], config, return_exceptions=True):
                    job.call(lambda result=result: given(result))
                continue
            for call in step.calls:
                runnable, config = made[call.tool]
                if mode == "ainvoke":
                    job.call(
                        lambda runnable=runnable, call=call, config=config: asyncio.run(
                            runnable.ainvoke(call.args, config)
                        )
                    )
                else:
                    job.call(lambda runnable=runnable, call=call, config=config: runnable.invoke(call.args, config))

    return drive


def given(result: Any) -> Any:
    if isinstance(result, BaseException):
        raise result
    return result


def chat_model(job: Job) -> tuple[Any, Any]:
    return Provider(job=job), [HumanMessage(job.prompt)]


def chain(job: Job) -> tuple[Any, Any]:
    return ChatPromptTemplate.from_messages([("user", "{question}")]) | Provider(job=job), {"question": job.prompt}


def completion(job: Job) -> tuple[Any, Any]:
    return Completion(job=job), job.prompt


def one_answer(build: Any, way: Any, mode: str) -> Callable[[Job], str]:
    """Drive what answers one message."""

    def drive(job: Job) -> str:
        native, task = build(job)
        runnable, config = way(job, native, named(job))
        job.history = task
        if mode in ("batch", "abatch"):
            results = (
                runnable.batch([task, task], config)
                if mode == "batch"
                else asyncio.run(runnable.abatch([task, task], config))
            )
            return str(results[-1].content)
        if mode == "invoke":
            return said(runnable.invoke(task, config))
        if mode == "ainvoke":
            return said(asyncio.run(runnable.ainvoke(task, config)))
        if mode == "stream":
            with contextlib.closing(runnable.stream(task, config)) as items:
                for item in items:
                    if not job.piece(str(item.content)):
                        break
        else:
            asyncio.run(_pieces(job, runnable, task, config, mode))
        return "".join(job.seen)

    return drive


def said(result: Any) -> str:
    return str(getattr(result, "content", result))


async def _pieces(job: Job, runnable: Any, task: Any, config: Any, mode: str) -> None:
    if mode == "astream":
        async with contextlib.aclosing(runnable.astream(task, config)) as items:
            async for item in items:
                if not job.piece(str(item.content)):
                    return
        return
    async with contextlib.aclosing(runnable.astream_events(task, config, version="v2")) as events:
        async for event in events:
            if event["event"] == "on_chat_model_stream" and not job.piece(str(event["data"]["chunk"].content)):
                return


def retriever(way: Any, mode: str) -> Callable[[Job], None]:
    def drive(job: Job) -> None:
        runnable, config = way(job, Library(job=job), named(job))
        job.history = job.prompt
        if mode == "invoke":
            runnable.invoke(job.prompt, config)
        else:
            asyncio.run(runnable.ainvoke(job.prompt, config))

    return drive


def embeddings(way: Any, mode: str) -> Callable[[Job], None]:
    def drive(job: Job) -> None:
        runnable, _ = way(job, Vectors(job), {})
        job.history = texts = [job.prompt]
        with job.guard.session(id=job.session):
            if mode == "embed_documents":
                runnable.embed_documents(texts)
            else:
                asyncio.run(runnable.aembed_query(texts[0]))

    return drive
