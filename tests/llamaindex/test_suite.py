"""The conformance suite on LlamaIndex: ways to come under a guard x agents, tools, models, libraries, embeddings."""

from __future__ import annotations

from functools import partial
from typing import Any

from llama_fakes import async_tools, direct_tools, tools
from llama_ways import (
    agent,
    agent_as_tool,
    asked,
    attach,
    by_acall,
    by_acall_tool,
    by_call,
    by_call_tool,
    by_method,
    code_act,
    conversation,
    directly,
    enable,
    gathered,
    handoff,
    init,
    library,
    own_class,
    predicted,
    query_engine,
    react,
    retriever,
    single_workflow,
    vectors,
)

from jackline.testing import AdapterSuite
from jackline.testing.paths import Group, Path
from jackline_llamaindex import LlamaIndexAdapter

LOOP = ("tools", "parallel", "sends", "model", "output", "stream")
SERIAL = ("tools", "sends", "model", "output", "stream")
"""One call in an answer."""
BELOW = ("tools", "parallel", "sends", "model", "spawn")
WAYS = {enable: "enable", init: "init", attach: "attach"}


def loop(way: Any, what: str, build: Any, *carries: Any, group: Group = "async", **more: Any) -> Path:
    """An agent's conversation."""
    return Path(
        name=f"{WAYS[way]}, {what}",
        group=group,
        carries=frozenset(carries or LOOP),
        drive=conversation(build, way),
        agent="worker",
        **more,
    )


def tool(way: Any, what: str, drive: Any, *carries: Any, group: Group = "direct call", **more: Any) -> Path:
    """Tools that a program calls."""
    return Path(name=f"{WAYS[way]}, {what}", group=group, carries=frozenset({"tools", *carries}), drive=drive, **more)


def model(way: Any, method: str, **more: Any) -> Path:
    """A model that a program asks."""
    group: Group = "stream" if "stream" in method else "async" if method[0] == "a" else "sync"
    carries = {"sends", "model", *(("stream",) if group == "stream" else ())}
    return Path(
        name=f"{WAYS[way]}, LLM.{method}",
        group=group,
        carries=frozenset(carries),
        drive=asked(way, method),
        action="model.call",
        **more,
    )


def source(way: Any, what: str, action: Any, drive: Any, **more: Any) -> Path:
    """A library or an embedding that a program asks."""
    group: Group = "async" if ".a" in what else "sync"
    return Path(
        name=f"{WAYS[way]}, {what}", group=group, carries=frozenset({"sends"}), drive=drive, action=action, **more
    )


def agents() -> list[Path]:
    """Agents and workflows, and agents that others started."""
    whole = partial(agent, streaming=False)
    return [
        loop(enable, "FunctionAgent, streaming", agent, group="stream"),
        loop(init, "FunctionAgent, streaming", agent, group="stream"),
        loop(attach, "FunctionAgent, streaming", agent, group="stream"),
        loop(enable, "FunctionAgent, streaming=False", whole, *BELOW[:-1], "output"),
        loop(attach, "FunctionAgent, streaming=False", whole, *BELOW[:-1], "output"),
        loop(enable, "FunctionAgent, sync FunctionTool", partial(agent, tools_of=tools), group="parallel"),
        loop(enable, "FunctionAgent, QueryEngineTool", partial(agent, tools_of=query_engine)),
        loop(attach, "FunctionAgent, QueryEngineTool", partial(agent, tools_of=query_engine)),
        loop(enable, "FunctionAgent, RetrieverTool", partial(agent, tools_of=retriever)),
        loop(enable, "FunctionAgent, AsyncBaseTool of one's own", partial(agent, tools_of=own_class)),
        loop(
            enable,
            "FunctionAgent, return_direct",
            partial(agent, tools_of=direct_tools),
            *BELOW[:-1],
        ),
        loop(enable, "ReActAgent, streaming", react, *SERIAL, group="stream"),
        loop(attach, "ReActAgent, streaming=False", partial(react, streaming=False), *SERIAL[:-1]),
        loop(enable, "CodeActAgent, streaming", code_act, *SERIAL, group="stream"),
        loop(attach, "CodeActAgent, streaming=False", partial(code_act, streaming=False), *SERIAL[:-1]),
        loop(enable, "AgentWorkflow of one", single_workflow, group="stream"),
        loop(
            enable,
            "AgentWorkflow, hand-off",
            handoff,
            *BELOW,
            "output",
            "stream",
            group="sub-agent",
            above=("boss",),
        ),
        loop(
            attach,
            "AgentWorkflow, hand-off",
            handoff,
            *BELOW,
            "output",
            "stream",
            group="sub-agent",
            above=("boss",),
        ),
        loop(enable, "agent as tool", agent_as_tool, *BELOW, group="sub-agent", above=("boss",)),
        loop(init, "agent as tool", agent_as_tool, *BELOW, group="sub-agent", above=("boss",)),
    ]


def tools_called() -> list[Path]:
    """Tools that a program calls, or lets a model call."""
    return [
        tool(enable, "tool()", directly(by_call, enable)),
        tool(attach, "tool()", directly(by_call, attach)),
        tool(enable, "tool.call", directly(by_method, enable)),
        tool(init, "tool.acall", directly(by_acall, init, async_tools)),
        tool(enable, "tool.acall at once", gathered(enable), "parallel", group="parallel"),
        tool(enable, "calling.call_tool", directly(by_call_tool, enable)),
        tool(attach, "calling.acall_tool", directly(by_acall_tool, attach)),
        tool(enable, "LLM.predict_and_call", predicted(enable), "sends", "model", group="sync"),
        tool(
            init,
            "LLM.apredict_and_call",
            predicted(init, asynchronous=True),
            "sends",
            "model",
            "parallel",
            group="async",
        ),
    ]


def asked_directly() -> list[Path]:
    """Models, libraries and embeddings that a program asks."""
    return [
        *(model(enable, method) for method in ("chat", "achat", "stream_chat", "astream_chat")),
        *(model(enable, method) for method in ("complete", "acomplete", "stream_complete", "astream_complete")),
        model(init, "astream_chat"),
        model(attach, "chat"),
        model(attach, "astream_chat"),
        source(enable, "BaseRetriever.retrieve", "retrieval", library(enable, "retrieve")),
        source(enable, "BaseRetriever.aretrieve", "retrieval", library(enable, "aretrieve")),
        source(attach, "BaseRetriever.retrieve", "retrieval", library(attach, "retrieve")),
        source(enable, "BaseEmbedding.get_text_embedding", "embedding", vectors(enable, "get_text_embedding")),
        source(enable, "BaseEmbedding.aget_query_embedding", "embedding", vectors(enable, "aget_query_embedding")),
        source(
            enable,
            "BaseEmbedding.get_text_embedding_batch",
            "embedding",
            vectors(enable, "get_text_embedding_batch", many=True),
        ),
        source(
            enable,
            "BaseEmbedding.aget_text_embedding_batch",
            "embedding",
            vectors(enable, "aget_text_embedding_batch", many=True),
        ),
        source(attach, "BaseEmbedding.get_query_embedding", "embedding", vectors(attach, "get_query_embedding")),
    ]


class TestLlamaIndex(AdapterSuite):
    adapter = LlamaIndexAdapter()

    @classmethod
    def paths(cls) -> list[Path]:
        return [*agents(), *tools_called(), *asked_directly()]
