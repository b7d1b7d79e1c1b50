"""Every LlamaIndex agent of the process, those built earlier too: one line, and no change to the agent."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llama_index.core.agent.workflow import ReActAgent, ToolCallResult
from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata
from llama_index.core.memory import ChatMemoryBuffer

import jackline


class ScriptedLLM(CustomLLM):
    """Asks for one tool call after the other and needs no network: use `OpenAI("gpt-4o-mini")` in yours."""

    calls: list[tuple[str, dict[str, Any]]]

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="gpt-4o-mini")

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        text = "Thought: I can answer without using any more tools.\nAnswer: done"
        turn = prompt.count("\nassistant: Thought:")
        if turn < len(self.calls):
            tool, args = self.calls[turn]
            text = f"Thought: I need a tool.\nAction: {tool}\nAction Input: {json.dumps(args)}"
        return CompletionResponse(text=text, raw={"usage": {"prompt_tokens": 100, "completion_tokens": 20}})

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Iterator[CompletionResponse]:
        whole = self.complete(prompt)
        yield whole.model_copy(update={"delta": whole.text})


def crm_get(customer: str) -> str:
    """Look a customer up."""
    return f"{customer}: Ann"


def refund(order: str, amount: float) -> str:
    """Pay an order back."""
    return f"{amount} for {order}"


def wipe_disk() -> str:
    """Free space."""
    return "never returned"


llm = ScriptedLLM(
    calls=[
        ("crm_get", {"customer": "C-1"}),
        ("refund", {"order": "A-7", "amount": 4000.0}),
        ("wipe_disk", {}),
        ("refund", {"order": "A-7", "amount": 40.0}),
    ]
)
agent = ReActAgent(name="support", llm=llm, tools=[crm_get, refund, wipe_disk])

jackline.init(Path(__file__).with_name("jackline.yaml"))


async def main() -> None:
    # `session_id` names the session: what budgets and halts bound, over all its runs.
    memory = ChatMemoryBuffer.from_defaults(tokenizer_fn=str.split)
    running = agent.run(user_msg="Please help Ann.", memory=memory, session_id="ticket-1", user_id="u-9")
    async for event in running.stream_events():
        if isinstance(event, ToolCallResult):
            print(f"{event.tool_name}: {event.tool_output.content}")
    print(await running)


asyncio.run(main())
