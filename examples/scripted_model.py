"""A chat model that needs no network, for the examples: use `init_chat_model("openai:gpt-4o-mini")` in yours."""

from collections.abc import Sequence
from typing import Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.utils.function_calling import convert_to_openai_tool


class ScriptedModel(BaseChatModel):
    """Asks for one tool call after the other, then says that it is done."""

    calls: list[tuple[str, dict[str, Any]]]

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> Any:
        params = super()._get_ls_params(stop=stop, **kwargs)
        return {**params, "ls_provider": "openai", "ls_model_name": "gpt-4o-mini"}

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

    def _generate(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        turn = sum(isinstance(message, AIMessage) for message in messages)
        called = [
            {"name": name, "args": args, "id": f"call-{turn}", "type": "tool_call"}
            for name, args in self.calls[turn : turn + 1]
        ]
        text = "" if called else "done"
        usage = {"input_tokens": 100, "output_tokens": 20, "total_tokens": 120}
        message = AIMessage(text, tool_calls=called, usage_metadata=usage)
        return ChatResult(generations=[ChatGeneration(message=message)])
