"""An injected instruction that an agent obeys; ReAct's prompts hold what tools gave in messages of the role `user`."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.agent.workflow import ReActAgent
from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata
from llama_index.core.llms.callbacks import llm_completion_callback
from pydantic import PrivateAttr

import jackline
from jackline.testing.scripted import on_record
from jackline_llamaindex import LlamaIndexAdapter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ATTACKER, FRIEND = "US133000000121212121212", "GB29NWBK60161331926819"
BUNDLE = """
jackline: 1
policies:
  - name: recipients
    use: rule
    on: tool.call
    when: tool.name == 'send_money' && !from_trusted(args.recipient)
    effect: deny
"""


class Scripted(CustomLLM):
    """Calls one tool after the other by ReAct's words; `seen` has every prompt."""

    _script: list[tuple[str, dict[str, Any]]] = PrivateAttr()
    _seen: list[str] = PrivateAttr(default_factory=list)

    def __init__(self, *script: tuple[str, dict[str, Any]]) -> None:
        super().__init__()
        self._script = list(script)

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="gpt-4o-mini", context_window=128_000)

    def _next(self, prompt: str) -> str:
        self._seen.append(prompt)
        if not self._script:
            return "Thought: I can answer without using any more tools.\nAnswer: done"
        name, args = self._script.pop(0)
        return f"Thought: I need a tool.\nAction: {name}\nAction Input: {json.dumps(args)}"

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text=self._next(prompt))

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Iterator[CompletionResponse]:
        text = self._next(prompt)
        yield CompletionResponse(text=text, delta=text)


@pytest.fixture
def guard(tmp_path: Path) -> Iterator[jackline.Guard]:
    path = tmp_path / "jackline.yaml"
    path.write_text(BUNDLE)
    with jackline.Guard.load(path, home=tmp_path / "home", application="bank") as made:
        made.enable(LlamaIndexAdapter())
        yield made


def test_an_observation_is_not_what_the_user_says(guard: jackline.Guard) -> None:
    sent: list[str] = []

    def read_mail() -> dict[str, str]:
        """Read the mail."""
        return {"iban": ATTACKER}

    def send_money(recipient: str) -> str:
        """Send money."""
        sent.append(recipient)
        return f"sent to {recipient}"

    model = Scripted(
        ("send_money", {"recipient": FRIEND}),
        ("read_mail", {}),
        ("send_money", {"recipient": ATTACKER}),
    )
    agent = ReActAgent(name="teller", description="Pays.", llm=model, tools=[read_mail, send_money])

    async def run() -> str:
        return str(await agent.run(user_msg=f"Send {FRIEND} 5, then read the mail"))

    assert asyncio.run(run()) == "done"
    assert f"user: Observation: {{'iban': '{ATTACKER}'}}" in model._seen[-1]
    assert sent == [FRIEND]
    asked = [event.provenance for event in on_record(guard) if getattr(event, "provenance", None)]
    assert asked == [{"args.recipient": "user"}, {"args.recipient": "untrusted"}]
