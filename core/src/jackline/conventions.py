"""Names of telemetry: one table of attributes and metrics, in each convention that is written or read.

The conventions for generative AI have no release: their names change. Whatever writes or reads telemetry takes its
names from here, so that a change of theirs is a change of one line. The table loads nothing of OpenTelemetry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA_URL: Final = "https://opentelemetry.io/schemas/gen-ai/1.42.0"
"""The conventions whose names are written: open-telemetry/semantic-conventions-genai, all of it in development."""


class Name(NamedTuple):
    """One thing under the names that it has: what is written now, and what others wrote or write."""

    current: str
    older: tuple[str, ...] = ()
    """Names of earlier generations of the same conventions, the newest first; written besides by a switch."""
    openinference: tuple[str, ...] = ()
    """OpenInference's; the first is written, by another switch."""
    traceloop: tuple[str, ...] = ()
    """Those of traceloop's instrumentations that no version of the conventions had."""

    @property
    def all(self) -> tuple[str, ...]:
        """Every name, those that are to be believed first: the first that is there is read."""
        return (self.current, *self.older, *self.openinference, *self.traceloop)

    def read(self, attributes: Mapping[str, Any]) -> Any:
        """What attributes say under any of the names; None where they say nothing."""
        for name in self.all:
            found = attributes.get(name)
            if found is not None and found != "":
                return found
        return None


OPERATION = Name("gen_ai.operation.name", traceloop=("llm.request.type",))
PROVIDER = Name("gen_ai.provider.name", ("gen_ai.system",), ("llm.provider", "llm.system"))
REQUEST_MODEL = Name("gen_ai.request.model", (), ("llm.request.model_name", "llm.model_name", "embedding.model_name"))
RESPONSE_MODEL = Name("gen_ai.response.model", (), ("llm.response.model_name", "llm.model_name"))
CONVERSATION = Name(
    "gen_ai.conversation.id",
    (),
    ("session.id",),
    (
        "traceloop.association.properties.session_id",
        "traceloop.association.properties.thread_id",
        "traceloop.association.properties.conversation_id",
    ),
)
AGENT_NAME = Name("gen_ai.agent.name", (), ("agent.name",))
AGENT_ID = Name("gen_ai.agent.id")
AGENT_VERSION = Name("gen_ai.agent.version")
WORKFLOW = Name("gen_ai.workflow.name", (), (), ("traceloop.workflow.name",))
TOOL_NAME = Name("gen_ai.tool.name", (), ("tool.name",))
TOOL_TYPE = Name("gen_ai.tool.type")
TOOL_CALL_ID = Name("gen_ai.tool.call.id", (), ("tool_call.id", "tool.id"))
TOOL_ARGUMENTS = Name("gen_ai.tool.call.arguments", (), ("input.value",), ("traceloop.entity.input",))
TOOL_RESULT = Name("gen_ai.tool.call.result", (), ("output.value",), ("traceloop.entity.output",))
DATA_SOURCE = Name("gen_ai.data_source.id")
ERROR_TYPE = Name("error.type", (), ("exception.type",))
USER = Name("user.id", (), (), ("enduser.id", "traceloop.association.properties.user_id"))

INPUT_TOKENS = Name("gen_ai.usage.input_tokens", ("gen_ai.usage.prompt_tokens",), ("llm.token_count.prompt",))
OUTPUT_TOKENS = Name("gen_ai.usage.output_tokens", ("gen_ai.usage.completion_tokens",), ("llm.token_count.completion",))
CACHE_READ_TOKENS = Name(
    "gen_ai.usage.cache_read.input_tokens",
    ("gen_ai.usage.cache_read_input_tokens",),
    ("llm.token_count.prompt_details.cache_read",),
)
CACHE_WRITE_TOKENS = Name(
    "gen_ai.usage.cache_write.input_tokens",
    ("gen_ai.usage.cache_creation.input_tokens", "gen_ai.usage.cache_creation_input_tokens"),
    ("llm.token_count.prompt_details.cache_write",),
)
REASONING_TOKENS = Name(
    "gen_ai.usage.reasoning.output_tokens",
    (),
    ("llm.token_count.completion_details.reasoning",),
    ("gen_ai.usage.reasoning_tokens", "llm.usage.reasoning_tokens"),
)
COST = Name("jackline.cost.usd", (), ("llm.cost.total",))
SPAN_KIND = Name("gen_ai.operation.name", (), ("openinference.span.kind",), ("traceloop.span.kind",))
FRAMEWORK_AGENT = Name(
    "gen_ai.agent.name",
    (),
    ("metadata",),
    ("traceloop.association.properties.lc_agent_name", "traceloop.workflow.name"),
)
"""The agent by what a framework says of a step inside of it; OpenInference's is JSON."""
FRAMEWORK_PROVIDER = Name("gen_ai.provider.name", (), (), ("traceloop.association.properties.ls_provider",))
FRAMEWORK_MODEL = Name("gen_ai.request.model", (), (), ("traceloop.association.properties.ls_model_name",))
ENTITY = Name("gen_ai.agent.name", (), ("graph.node.name",), ("traceloop.entity.name",))

ATTRIBUTES: Final[Mapping[str, Name]] = {
    key: value for key, value in list(globals().items()) if isinstance(value, Name)
}
"""Every attribute of the table."""

INFERENCE_DURATION = Name("gen_ai.client.inference.duration", ("gen_ai.client.operation.duration",))
INPUT_USAGE = Name("gen_ai.client.inference.usage.input_tokens", ("gen_ai.client.token.usage",))
OUTPUT_USAGE = Name("gen_ai.client.inference.usage.output_tokens", ("gen_ai.client.token.usage",))
CACHE_READ_USAGE = Name("gen_ai.client.inference.usage.cache_read.input_tokens")
CACHE_WRITE_USAGE = Name("gen_ai.client.inference.usage.cache_write.input_tokens")
REASONING_USAGE = Name("gen_ai.client.inference.usage.reasoning.output_tokens")
TOOL_DURATION = Name("gen_ai.execute_tool.duration")
AGENT_DURATION = Name("gen_ai.invoke_agent.duration")

METRICS: Final[Mapping[str, Name]] = {
    key: value for key, value in list(globals().items()) if isinstance(value, Name) and key not in ATTRIBUTES
}
"""Every metric of the table."""

TOKEN_TYPE: Final = "gen_ai.token.type"  # noqa: S105 - tokens of a model
"""What tells input from output in the older `gen_ai.client.token.usage`."""
TOKEN_MODALITY: Final = "gen_ai.token.modality"  # noqa: S105 - the same

CHAT, COMPLETION, CONTENT = "chat", "text_completion", "generate_content"
EMBEDDINGS, RETRIEVAL = "embeddings", "retrieval"
INVOKE_AGENT, CREATE_AGENT, INVOKE_WORKFLOW = "invoke_agent", "create_agent", "invoke_workflow"
EXECUTE_TOOL = "execute_tool"

OPERATIONS: Final[Mapping[str, str]] = {
    CHAT: "model",
    COMPLETION: "model",
    CONTENT: "model",
    "completion": "model",
    "responses": "model",
    EMBEDDINGS: "embedding",
    "embedding": "embedding",
    RETRIEVAL: "retrieval",
    EXECUTE_TOOL: "tool",
    INVOKE_AGENT: "agent",
}
"""What an operation's name means, of any generation; others mean no act."""

KINDS: Final[Mapping[str, str]] = {
    "LLM": "model",
    "TOOL": "tool",
    "AGENT": "agent",
    "RETRIEVER": "retrieval",
    "EMBEDDING": "embedding",
    "llm": "model",
    "tool": "tool",
    "agent": "agent",
}
"""What a kind of span means, of OpenInference (capitals) and of traceloop."""

NO_PROVIDERS: Final = frozenset({"langchain", "langgraph", "crewai", "llamaindex", "llama_index", "unknown"})
"""What traceloop's instrumentations write for a provider where it is the framework, or not known to them."""
NO_MODELS: Final = frozenset({"unknown"})
WRAPPED_INPUT, WRAPPED_INPUTS = "input_str", "inputs"
"""Where traceloop puts a tool's arguments: as Python text, or as they are."""
METADATA_AGENT, METADATA_MODEL, METADATA_PROVIDER = "lc_agent_name", "ls_model_name", "ls_provider"
"""In OpenInference's `metadata`: what LangChain says of the step."""

DENIED: Final = "jackline.denied"
"""The `error.type` of an act that was not done because a policy said no: it is no failure of the tool's."""
EVENT_ID: Final = "jackline.event.id"
EVENT_SEQ: Final = "jackline.event.seq"
EVENT_HASH: Final = "jackline.event.hash"
EVENT_PREV: Final = "jackline.event.prev"
EVENT_JOURNAL: Final = "jackline.event.journal"
EVENT_CUT: Final = "jackline.event.cut"
"""True where a receiver took no request as long as this one line: its body and long texts are left out."""
JOURNAL_SCOPE: Final = "jackline.journal"
"""The instrumentation scope of log records that are a journal's lines."""
SPAN_SCOPE: Final = "jackline.trace"
"""The scope of spans that are made of a journal's lines: who takes in the lines needs no spans."""
