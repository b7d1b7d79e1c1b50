"""LangChain calls, served by two processes: one governed, one that never imports Jackline's adapter.

A handler patches LangChain for the whole process, so the bare call is timed where nothing was patched.
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
from calls import LARGE, SMALL, guarded, search
from timing import Async, Case, Local, Served, Server, serve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from timing import Timed

PROMPT = 2_000
NAMES = {
    "tool": ("LangChain tool.invoke, 10 rules + budget, 200 B", 60),
    "tool-large": ("LangChain tool.invoke, 10 rules + budget, 32 kB", None),
    "atool": ("LangChain tool.ainvoke, 10 rules + budget, 200 B", None),
    "model": ("LangChain fake-model invoke, 2 kB prompt", 80),
    "model-large": ("LangChain fake-model invoke, 32 kB prompt", None),
    "amodel": ("LangChain fake-model ainvoke, 2 kB prompt", None),
}


def cases(stack: ExitStack) -> list[Case]:
    """Every case of this file; none where LangChain is not installed."""
    if find_spec("langchain_core") is None or find_spec("jackline_langchain") is None:
        print("skipped: the LangChain rows, since langchain or jackline-langchain is not installed")
        return []
    governed, bare = (Server("langchain_calls.py", kind) for kind in ("governed", "bare"))
    stack.callback(governed.close)
    stack.callback(bare.close)
    return [Case(what, Served(governed, name), Served(bare, name), goal) for name, (what, goal) in NAMES.items()]


def handler(kind: str, stack: ExitStack) -> Any:
    if kind == "governed":
        from jackline_langchain import JacklineCallbackHandler

        return JacklineCallbackHandler(guarded(stack, bundles.ten_rules_and_a_budget()))
    from langchain_core.callbacks import BaseCallbackHandler

    class NoOp(BaseCallbackHandler):
        raise_error = run_inline = True

    return NoOp()


def model() -> Any:
    """A chat model that answers at once and says what it used, as providers do."""
    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.messages import AIMessage
    from langchain_core.outputs import ChatGeneration, ChatResult

    class Fake(BaseChatModel):
        model_name: str = "gpt-4o-mini"

        @property
        def _llm_type(self) -> str:
            return "fake"

        def _get_ls_params(self, stop: Any = None, **kwargs: Any) -> Any:
            found = super()._get_ls_params(stop=stop, **kwargs)
            return {**found, "ls_model_name": self.model_name, "ls_provider": "openai"}

        def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Any:
            usage = {"input_tokens": 520, "output_tokens": 12, "total_tokens": 532}
            meta = {"model_name": self.model_name, "finish_reason": "stop"}
            answer = AIMessage(content="done", usage_metadata=usage, response_metadata=meta)
            return ChatResult(generations=[ChatGeneration(message=answer)], llm_output={"model_name": self.model_name})

        async def _agenerate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Any:
            return self._generate(messages, stop, **kwargs)

    return Fake()


def offers(kind: str, stack: ExitStack) -> Mapping[str, Timed]:
    from langchain_core.messages import HumanMessage, SystemMessage
    from langchain_core.tools import StructuredTool

    async def asearch(query: str, limit: int = 5, region: str = "emea") -> str:
        return search(query, limit, region)

    config = {"callbacks": [handler(kind, stack)]}
    loop = asyncio.new_event_loop()
    stack.callback(loop.close)
    for body in (search, asearch):  # as in a module without postponed annotations: LangChain reads them at each call
        body.__annotations__ = get_type_hints(body)
    tool = StructuredTool.from_function(search, name="search", description="Search the customers.", coroutine=asearch)
    fake = model()
    small, large = (itertools.cycle(bundles.texts(size, 5_000 if size == SMALL else 500)) for size in (SMALL, LARGE))
    system = SystemMessage("You help customers. " * 25)
    prompts, long = (
        itertools.cycle([f"{place:06d}".ljust(size - len(system.content), "x") for place in range(500)])
        for size in (PROMPT, LARGE)
    )

    def asked(text: str) -> list[Any]:
        return [system, HumanMessage(text)]

    return {
        "tool": Local(lambda: tool.invoke({"query": next(small)}, config)),
        "tool-large": Local(lambda: tool.invoke({"query": next(large)}, config)),
        "atool": Async(lambda: tool.ainvoke({"query": next(small)}, config), loop),
        "model": Local(lambda: fake.invoke(asked(next(prompts)), config)),
        "model-large": Local(lambda: fake.invoke(asked(next(long)), config)),
        "amodel": Async(lambda: fake.ainvoke(asked(next(prompts)), config), loop),
    }


if __name__ == "__main__":
    with ExitStack() as opened:
        serve(offers(sys.argv[1], opened))
