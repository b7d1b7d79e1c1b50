"""LlamaIndex calls, served by two processes: one governed, one with a wrapper that does nothing in the same places.

LlamaIndex has no public hook that could refuse anything: a wrapper is the least that any adapter puts there.
"""

# ruff: noqa: PLC0415 - frameworks are imported in the process that serves them

from __future__ import annotations

import asyncio
import itertools
import sys
from contextlib import ExitStack
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, get_type_hints

import bundles
from calls import SMALL, guarded, search
from timing import Async, Case, Local, Served, Server, serve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from timing import Timed

PROMPT = 2_000
NAMES = {
    "call": ("LlamaIndex _call_tool, async tool, 10 rules + budget, 200 B", 60),
    "tool": ("LlamaIndex tool(), 10 rules + budget, 200 B", 60),
    "atool": ("LlamaIndex tool.acall, 10 rules + budget, 200 B", None),
    "model": ("LlamaIndex fake-model chat, 2 kB prompt", 80),
    "amodel": ("LlamaIndex fake-model achat, 2 kB prompt", None),
    "agent": ("LlamaIndex FunctionAgent run: 2 model calls, 1 tool call", None),
}


def cases(stack: ExitStack) -> list[Case]:
    """Every case of this file; none where LlamaIndex is not installed."""
    if find_spec("llama_index") is None or find_spec("llama_index.core") is None:
        print("skipped: the LlamaIndex rows, since llama-index-core is not installed")
        return []
    governed, bare = (Server("llamaindex_calls.py", kind) for kind in ("governed", "bare"))
    stack.callback(governed.close)
    stack.callback(bare.close)
    return [Case(what, Served(governed, name), Served(bare, name), goal) for name, (what, goal) in NAMES.items()]


def govern(stack: ExitStack) -> None:
    from jackline_llamaindex import enable

    enable(guarded(stack, bundles.ten_rules_and_a_budget()))


def wrap_without_effect(model: type) -> None:
    """What an adapter does at the least: a wrapper in each place, which only goes on."""
    from llama_index.core.agent.workflow.base_agent import BaseWorkflowAgent
    from llama_index.core.tools import FunctionTool

    def plain(body: Any) -> Any:
        return lambda self, *args, **kwargs: body.__get__(self)(*args, **kwargs)

    def asynchronous(body: Any) -> Any:
        async def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
            return await body.__get__(self)(*args, **kwargs)

        return wrapper

    places = [(BaseWorkflowAgent, "_call_tool"), (FunctionTool, "acall"), (model, "achat"), (model, "astream_chat")]
    for owner, name in places:
        setattr(owner, name, asynchronous(owner.__dict__[name]))
    for owner, name in [(FunctionTool, "__call__"), (FunctionTool, "call"), (model, "chat")]:
        setattr(owner, name, plain(owner.__dict__[name]))


def answer(messages: Any) -> Any:
    """One call of the tool to a single question, then a word; with the tokens that a provider tells."""
    from llama_index.core.base.llms.types import ToolCallBlock
    from llama_index.core.llms import ChatMessage, ChatResponse, TextBlock

    blocks: list[Any] = [TextBlock(text="done")]
    if len(messages) == 1:
        blocks.append(ToolCallBlock(tool_call_id="c", tool_name="asearch", tool_kwargs={"query": "x" * 150}))
    usage = {"prompt_tokens": 520, "completion_tokens": 12, "total_tokens": 532}
    message = ChatMessage(role="assistant", blocks=blocks)
    return ChatResponse(message=message, delta="done", raw={"model": "gpt-4o-mini", "usage": usage})


def asked_for(response: Any) -> list[Any]:
    from llama_index.core.tools import ToolSelection

    found = [block for block in response.message.blocks if block.block_type == "tool_call"]
    return [ToolSelection(tool_id="c", tool_name=block.tool_name, tool_kwargs=block.tool_kwargs) for block in found]


def fake() -> type:
    """A chat model that answers at once and says what it used, as LlamaIndex's integrations do."""
    from llama_index.core.llms import LLMMetadata
    from llama_index.core.llms.callbacks import llm_chat_callback
    from llama_index.core.llms.function_calling import FunctionCallingLLM

    facts = LLMMetadata(model_name="gpt-4o-mini", is_chat_model=True, is_function_calling_model=True)

    class Fake(FunctionCallingLLM):
        provider: str = "openai"

        @property
        def metadata(self) -> Any:
            return facts

        @llm_chat_callback()
        def chat(self, messages: Any, **kwargs: Any) -> Any:
            return answer(messages)

        @llm_chat_callback()
        async def achat(self, messages: Any, **kwargs: Any) -> Any:
            return answer(messages)

        @llm_chat_callback()
        async def astream_chat(self, messages: Any, **kwargs: Any) -> Any:
            async def pieces() -> Any:
                yield answer(messages)

            return pieces()

        def _prepare_chat_with_tools(self, tools: Any, chat_history: Any = None, **kwargs: Any) -> Any:
            return {"messages": chat_history, "tools": [tool.metadata.to_openai_tool() for tool in tools]}

        def get_tool_calls_from_response(self, response: Any, **kwargs: Any) -> Any:
            return asked_for(response)

        def complete(self, *args: Any, **kwargs: Any) -> Any:
            raise NotImplementedError("nobody asks for it here")

        acomplete = stream_complete = astream_complete = stream_chat = complete

    return Fake


def offers(kind: str, stack: ExitStack) -> Mapping[str, Timed]:
    from llama_index.core import set_global_tokenizer
    from llama_index.core.agent.workflow import FunctionAgent
    from llama_index.core.llms import ChatMessage
    from llama_index.core.tools import FunctionTool

    async def asearch(query: str, limit: int = 5, region: str = "emea") -> str:
        """Search the customers."""
        return search(query, limit, region)

    set_global_tokenizer(str.split)  # the default one is downloaded
    model = fake()
    if kind == "governed":
        govern(stack)
    else:
        wrap_without_effect(model)
    loop = asyncio.new_event_loop()
    stack.callback(loop.close)
    for body in (search, asearch):  # as in a module without postponed annotations
        body.__annotations__ = get_type_hints(body)
    tool, atool = FunctionTool.from_defaults(search, name="search"), FunctionTool.from_defaults(async_fn=asearch)
    llm = model()
    agent: Any = FunctionAgent(name="bench", llm=llm, tools=[atool])
    small = itertools.cycle(bundles.texts(SMALL, 5_000))
    system = ChatMessage("You help customers. " * 25, role="system")
    prompts = itertools.cycle([f"{place:06d}".ljust(PROMPT - 500, "x") for place in range(500)])

    def asked() -> list[Any]:
        return [system, ChatMessage(next(prompts), role="user")]

    async def run() -> Any:
        return await agent.run(user_msg="please")

    return {
        "call": Async(lambda: agent._call_tool(None, atool, {"query": next(small)}), loop),
        "tool": Local(lambda: tool(query=next(small))),
        "atool": Async(lambda: atool.acall(query=next(small)), loop),
        "model": Local(lambda: llm.chat(asked())),
        "amodel": Async(lambda: llm.achat(asked()), loop),
        "agent": Async(run, loop),
    }


if __name__ == "__main__":
    with ExitStack() as opened:
        serve(offers(sys.argv[1], opened))
