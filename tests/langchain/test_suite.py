"""The conformance suite on LangChain: ways to come under a guard x shapes x ways to be called."""

from __future__ import annotations

from functools import partial
from typing import Any

import ways
from ways import (
    abatch,
    agent,
    agent_as_tool,
    ainvoke,
    astream,
    astream_events,
    async_agent,
    async_agent_as_tool,
    attach,
    batch,
    graph,
    handler,
    invoke,
    middleware,
    own_pool,
    process,
    stream,
    subgraph,
)

from jackline.testing import AdapterSuite
from jackline.testing.paths import Group, Path
from jackline_langchain import LangChainAdapter

BELOW = ("tools", "parallel", "sends", "model", "spawn")
LOOP = ("tools", "parallel", "sends", "model", "output")
STREAMS = {stream, astream, astream_events}
TWICE = {batch, abatch}
GROUPS: dict[Any, Group] = {invoke: "sync", ainvoke: "async", batch: "parallel", abatch: "parallel"}
SHAPES = {
    agent: "create_agent",
    async_agent: "create_agent",
    graph: "StateGraph with ToolNode",
    agent_as_tool: "agent as tool",
    async_agent_as_tool: "agent as tool",
    subgraph: "subgraph",
    own_pool: "tool with its own thread pool",
}
WAYS = {handler: "callback", process: "init", middleware: "middleware", attach: "attach"}


def conversation(way: Any, shape: Any, mode: Any, *carries: Any, **more: Any) -> Path:
    carries = carries or LOOP
    return Path(
        name=f"{WAYS[way]}, {SHAPES[shape]}, {mode.__name__}",
        group=more.pop("group", GROUPS.get(mode, "stream")),
        carries=frozenset({*carries, *(("stream",) if mode in STREAMS and "model" in carries else ())}),
        drive=ways.messages(shape, way, mode),
        agent="worker",
        times=2 if mode in TWICE else 1,
        **more,
    )


def below(way: Any, shape: Any, mode: Any, *more: Any) -> Path:
    """An agent that another one started."""
    return conversation(way, shape, mode, *BELOW, *more, group="sub-agent", above=("boss",))


def single(way: Any, shape: str, mode: str, group: Group, drive: Any, *carries: Any, **more: Any) -> Path:
    return Path(
        name=f"{WAYS[way]}, {shape}, {mode}",
        group=group,
        carries=frozenset(carries),
        drive=drive(way, mode),
        times=2 if mode in ("batch", "abatch") and "tools" not in carries else 1,
        **more,
    )


def model(way: Any, mode: str, group: Group, build: Any = ways.chat_model, shape: str = "chat model") -> Path:
    streams = ("stream",) if "stream" in mode else ()
    return single(
        way,
        shape,
        mode,
        group,
        partial(ways.one_answer, build),
        "sends",
        "model",
        *streams,
        action="model.call",
    )


def chain(way: Any, mode: str, group: Group) -> Path:
    return model(way, mode, group, ways.chain, "chain of prompt and model")


def completion(way: Any, mode: str, group: Group) -> Path:
    gaps = dict.fromkeys(("modified-prompt", "answers-checked"), "completion models")
    if mode.startswith("a"):
        gaps["escalation-is-awaited"] = "awaited completions"
    drive = partial(ways.one_answer, ways.completion)
    return single(way, "completion model", mode, group, drive, "sends", "model", action="model.call", gaps=gaps)


class TestLangChain(AdapterSuite):
    adapter = LangChainAdapter()

    @classmethod
    def paths(cls) -> list[Path]:
        return [
            *(conversation(handler, agent, mode) for mode in (invoke, stream, astream_events, batch, abatch)),
            *(conversation(handler, async_agent, mode) for mode in (ainvoke, astream)),
            *(conversation(process, agent, mode) for mode in (invoke, ainvoke, stream)),
            conversation(process, async_agent, astream_events),
            *(conversation(middleware, agent, mode) for mode in (invoke, stream)),
            *(conversation(middleware, async_agent, mode) for mode in (ainvoke, astream)),
            *(conversation(attach, agent, mode) for mode in (invoke, stream, abatch)),
            conversation(attach, async_agent, ainvoke),
            conversation(handler, graph, invoke),
            conversation(process, graph, astream),
            conversation(attach, graph, ainvoke),
            below(handler, agent_as_tool, invoke),
            below(process, async_agent_as_tool, ainvoke),
            below(middleware, agent_as_tool, stream),
            below(attach, subgraph, invoke, "output"),
            below(handler, subgraph, astream, "output"),
            below(process, subgraph, astream_events, "output"),
            conversation(handler, own_pool, invoke, "tools", "parallel", group="parallel"),
            conversation(process, own_pool, invoke, "tools", "parallel", group="parallel"),
            single(handler, "tool", "invoke", "direct call", ways.plain_tool, "tools"),
            single(process, "tool", "ainvoke", "direct call", ways.plain_tool, "tools"),
            single(attach, "tool", "batch", "direct call", ways.plain_tool, "tools", "parallel"),
            model(handler, "invoke", "sync"),
            model(process, "stream", "stream"),
            model(attach, "astream", "stream"),
            model(handler, "batch", "parallel"),
            model(process, "astream_events", "stream"),
            chain(handler, "invoke", "sync"),
            chain(process, "astream", "stream"),
            chain(attach, "abatch", "parallel"),
            completion(handler, "invoke", "sync"),
            completion(process, "ainvoke", "async"),
            completion(attach, "invoke", "sync"),
            single(handler, "retriever", "invoke", "sync", ways.retriever, "sends", action="retrieval"),
            single(process, "retriever", "ainvoke", "async", ways.retriever, "sends", action="retrieval"),
            single(process, "embeddings", "embed_documents", "sync", ways.embeddings, "sends", action="embedding"),
            single(process, "embeddings", "aembed_query", "async", ways.embeddings, "sends", action="embedding"),
            single(
                attach,
                "embeddings",
                "embed_documents",
                "sync",
                ways.embeddings,
                "sends",
                action="embedding",
                gap="embeddings",
            ),
        ]
