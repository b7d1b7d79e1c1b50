"""Somebody's agent, instrumented by somebody's package: `instrumented.py WHICH HOW URL TOKEN`. It never imports Jackline.

`HOW`: `batch`, or `each` for a request of its own for each span, in the order in which they end.
"""

from __future__ import annotations

import json
import sys
from importlib import metadata

from langchain.agents import create_agent
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

ASKED, ANSWERED = "gpt-4o-mini", "gpt-4o-mini-2024-07-18"


class Scripted(BaseChatModel):
    """Calls a tool, then answers; says what it used as providers do."""

    model_name: str = ASKED
    step: int = 0

    @property
    def _llm_type(self):
        return "openai-chat"

    def _get_ls_params(self, stop=None, **_):
        return {"ls_provider": "openai", "ls_model_name": self.model_name, "ls_model_type": "chat"}

    def bind_tools(self, tools, **_):
        return self

    def _generate(self, messages, stop=None, run_manager=None, **_):
        number, self.step = self.step, self.step + 1
        calls = [{"name": "add", "args": {"a": 1, "b": 2}, "id": "call_1"}] if number == 0 else []
        used = {"input_tokens": 1000 + number, "output_tokens": 50, "total_tokens": 1050 + number}
        message = AIMessage(
            content="" if calls else "3",
            tool_calls=calls,
            usage_metadata=used | {"input_token_details": {"cache_read": 100}},
            response_metadata={"model_name": ANSWERED, "finish_reason": "stop"},
        )
        told = {"prompt_tokens": 1000 + number, "completion_tokens": 50, "total_tokens": 1050 + number}
        output = {"model_name": ANSWERED, "token_usage": told}
        return ChatResult(generations=[ChatGeneration(message=message)], llm_output=output)


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def instrument(which, provider):
    """Instrument as the package's own documentation says; gives the package."""
    if which == "opentelemetry":
        from opentelemetry.instrumentation.genai.langchain import LangChainInstrumentor  # noqa: PLC0415

        LangChainInstrumentor().instrument(tracer_provider=provider)
        return "opentelemetry-instrumentation-genai-langchain"
    if which == "traceloop":
        from opentelemetry.instrumentation.langchain import LangchainInstrumentor  # noqa: PLC0415

        LangchainInstrumentor().instrument(tracer_provider=provider)
        return "opentelemetry-instrumentation-langchain"
    from openinference.instrumentation.langchain import LangChainInstrumentor  # noqa: PLC0415

    LangChainInstrumentor().instrument(tracer_provider=provider)
    return "openinference-instrumentation-langchain"


def main(which, how, url, token):
    provider = TracerProvider(resource=Resource.create({"service.name": f"shop-{which}"}))
    headers = {"Authorization": f"Bearer {token}"}
    exporter = OTLPSpanExporter(endpoint=f"{url}/v1/traces", headers=headers, compression=Compression.Gzip)
    provider.add_span_processor((BatchSpanProcessor if how == "batch" else SimpleSpanProcessor)(exporter))
    package = instrument(which, provider)
    agent = create_agent(Scripted(), [add], name="adder")
    told = {"messages": [("user", "1+2?")]}
    answer = agent.invoke(told, {"configurable": {"thread_id": f"thread-{which}-{how}"}})
    assert answer["messages"][-1].content == "3"
    assert provider.force_flush()
    provider.shutdown()
    sys.stdout.write(json.dumps({"version": metadata.version(package), "jackline": "jackline" in sys.modules}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
