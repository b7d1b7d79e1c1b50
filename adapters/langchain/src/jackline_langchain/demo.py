"""The demo's agents: `create_agent` with a scripted model that counts its usage from what it really received."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from langchain.agents import create_agent
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import StructuredTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from jackline.demo.agents import MODEL, PROVIDER, Job, Ran, Turn, tokens
from jackline.errors import Halted
from jackline_langchain.adapter import LangChainAdapter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langchain_core.callbacks import CallbackManagerForLLMRun
    from langchain_core.messages import BaseMessage

    from jackline.adapter import Adapter

_RECURSION = 1000


class ScriptedModel(BaseChatModel):
    """Answers by the number of answers in the conversation; usage is honest: bytes received and written, by four."""

    script: Any
    max_tokens: int | None = None
    usage: list[tuple[int, int]] = []  # noqa: RUF012 - pydantic copies it

    @property
    def _llm_type(self) -> str:
        return "jackline-demo"

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> Any:
        return {**super()._get_ls_params(stop=stop, **kwargs), "ls_model_name": MODEL, "ls_provider": PROVIDER}

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        """Offer tools as a provider is sent them."""
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        number = sum(isinstance(message, AIMessage) for message in messages)
        turn: Turn = self.script(number)
        received = sum(_size(message) for message in messages) + len(json.dumps(kwargs.get("tools", [])))
        limit = kwargs.get("max_tokens") or self.max_tokens
        text = turn.text if limit is None else turn.text[: limit * 4]
        used = tokens(received), max(1, tokens(len(text.encode()) + len(json.dumps(turn.calls))))
        self.usage.append(used)
        message = AIMessage(
            content=text,
            tool_calls=[
                {"name": name, "args": args, "id": f"call-{number}-{place}", "type": "tool_call"}
                for place, (name, args) in enumerate(turn.calls)
            ],
            usage_metadata={"input_tokens": used[0], "output_tokens": used[1], "total_tokens": sum(used)},
            response_metadata={"model_name": MODEL},
        )
        return ChatResult(generations=[ChatGeneration(message=message)])


class Agents:
    """LangChain's agents for the demo."""

    def adapter(self) -> Adapter:
        """The adapter that governs them."""
        return LangChainAdapter()

    def run(self, job: Job) -> Ran:
        """Run one session of a real agent."""
        model = ScriptedModel(script=job.script, usage=[])
        agent: Any = create_agent(model, [_tool(body) for body in job.tools], system_prompt=job.system, name=job.agent)
        config = {"metadata": {"session_id": job.session}, "recursion_limit": _RECURSION}
        try:
            state = agent.invoke({"messages": [("user", job.task)]}, config)
        except Halted as halted:
            return Ran("", model.usage, str(halted))
        return Ran(str(state["messages"][-1].content), model.usage)


def _tool(body: Callable[..., Any]) -> StructuredTool:
    return StructuredTool.from_function(body)


def _size(message: BaseMessage) -> int:
    calls = getattr(message, "tool_calls", None)
    return len(str(message.content).encode()) + (len(json.dumps(calls)) if calls else 0)
