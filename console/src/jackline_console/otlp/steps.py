"""Spans as steps: what somebody else's instrumentation says of an agent, whichever conventions it follows."""

from __future__ import annotations

import ast
import json
from typing import TYPE_CHECKING, Any

import msgspec

from jackline import conventions as names
from jackline.events import Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span

LONGEST = 200
"""Characters of a name."""
_PAYLOAD = 64 * 1024
_MOST_TOKENS = 1 << 40
_ERROR = 2
_NANO = 1_000_000_000
_SAME_CHAIN = ("CHAIN", "workflow")


class Step(msgspec.Struct, kw_only=True):
    """One span of a trace. Times are Unix seconds; ids are hex digits."""

    trace: str
    span: str
    parent: str
    kind: str
    """`model`, `tool`, `agent`, `retrieval`, `embedding`; empty for a span that is no act."""
    name: str
    """The tool, model, agent or source."""
    agent: str
    """The agent by the span's own word; empty where it says none."""
    service: str
    version: str = ""
    """Of the service."""
    framework: str = ""
    environment: str = ""
    conversation: str = ""
    user: str = ""
    started: float
    ended: float
    error: str = ""
    model: str = ""
    """The model that answered."""
    provider: str = ""
    usage: Usage | None = None
    call_id: str = ""
    args: Any = None
    result: Any = None
    """What the span says; once it is taken in, keyed digests of it."""


def steps(resources: Iterable[ResourceSpans], now: float) -> Iterator[Step]:
    """Every span with an id, as a step; but what our exporter made of a journal, whose lines are the record."""
    for resource in resources:
        told = plain(resource.resource.attributes)
        for scoped in resource.scope_spans:
            if scoped.scope.name == names.SPAN_SCOPE:
                continue
            for span in scoped.spans:
                if len(span.trace_id) == 16 and len(span.span_id) == 8:  # noqa: PLR2004 - OpenTelemetry's ids
                    yield _step(span, told, scoped.scope.name, now)


def plain(attributes: Iterable[KeyValue]) -> dict[str, Any]:
    """Attributes as a dict; records in them are left out."""
    return {one.key: found for one in attributes if (found := _value(one.value)) is not None}


def _step(span: Span, resource: Mapping[str, Any], scope: str, now: float) -> Step:
    told = plain(span.attributes)
    metadata = _json(told.get(names.FRAMEWORK_AGENT.openinference[0]))
    metadata = metadata if isinstance(metadata, dict) else {}
    started = _time(span.start_time_unix_nano, now)
    step = Step(
        trace=span.trace_id.hex(),
        span=span.span_id.hex(),
        parent=span.parent_span_id.hex() if any(span.parent_span_id) else "",
        kind=_kind(told, root=not any(span.parent_span_id)),
        name="",
        agent=_agent(told, metadata),
        service=_name(resource.get("service.name")) or "unknown_service",
        version=_name(resource.get("service.version")),
        framework=_name(scope).rpartition(".")[2],
        environment=_name(resource.get("deployment.environment.name") or resource.get("deployment.environment")),
        conversation=_name(names.CONVERSATION.read(told)),
        user=_name(names.USER.read(told)),
        started=started,
        ended=max(_time(span.end_time_unix_nano, now), started),
        call_id=_name(names.TOOL_CALL_ID.read(told)),
    )
    if span.status.code == _ERROR:
        step.error = _name(names.ERROR_TYPE.read(told)) or _raised(span) or "error"
    _detail(step, span, told, metadata)
    return step


def _detail(step: Step, span: Span, told: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
    """What only steps of one kind have."""
    if step.kind in ("model", "embedding"):
        step.model = _model(told, names.RESPONSE_MODEL, metadata)
        step.name = _model(told, names.REQUEST_MODEL, metadata) or step.model or "unknown"
        step.provider = _provider(told, metadata)
        step.usage = _usage(told)
    elif step.kind == "tool":
        step.name = _name(names.TOOL_NAME.read(told)) or _name(names.ENTITY.read(told)) or _name(span.name)
        step.args = _unwrapped(names.TOOL_ARGUMENTS.read(told))
        step.result = names.TOOL_RESULT.read(told)
    elif step.kind == "retrieval":
        step.name = _name(names.DATA_SOURCE.read(told)) or _name(span.name)
    else:
        step.agent = step.agent or (_name(names.ENTITY.read(told)) or _name(span.name) if step.kind else "")
        step.name = step.agent


def _kind(told: Mapping[str, Any], *, root: bool) -> str:
    """What a span is of, by the first convention that says so. A chain or workflow without a parent is a run."""
    operation = told.get(names.OPERATION.current)
    if isinstance(operation, str) and operation:
        return "agent" if operation == names.INVOKE_WORKFLOW and root else names.OPERATIONS.get(operation, "")
    for name in (*names.SPAN_KIND.openinference, *names.SPAN_KIND.traceloop):
        kind = told.get(name)
        if isinstance(kind, str):
            return "agent" if root and kind in _SAME_CHAIN else names.KINDS.get(kind, "")
    asked = next((told[name] for name in names.OPERATION.traceloop if name in told), "")
    return names.OPERATIONS.get(str(asked), "")


def _agent(told: Mapping[str, Any], metadata: Mapping[str, Any]) -> str:
    found = names.AGENT_NAME.read(told) or metadata.get(names.METADATA_AGENT)
    return _name(found or next((told[name] for name in names.FRAMEWORK_AGENT.traceloop if told.get(name)), ""))


def _model(told: Mapping[str, Any], name: names.Name, metadata: Mapping[str, Any]) -> str:
    """A model's name; what stands for "not known" is none."""
    candidates = [told.get(one) for one in name.all]
    if name is names.REQUEST_MODEL:
        candidates += [told.get(one) for one in names.FRAMEWORK_MODEL.traceloop] + [metadata.get(names.METADATA_MODEL)]
    return next((found for one in candidates if (found := _name(one)) and found not in names.NO_MODELS), "")


def _provider(told: Mapping[str, Any], metadata: Mapping[str, Any]) -> str:
    """Who runs the model. A framework's name is nobody's who runs one."""
    candidates = [told.get(one) for one in (*names.PROVIDER.all, *names.FRAMEWORK_PROVIDER.traceloop)]
    candidates.append(metadata.get(names.METADATA_PROVIDER))
    return next((found for one in candidates if (found := _name(one)) and found.lower() not in names.NO_PROVIDERS), "")


def _usage(told: Mapping[str, Any]) -> Usage | None:
    """Tokens; None where the span says nothing of them."""
    counts = [
        _count(name.read(told))
        for name in (
            names.INPUT_TOKENS,
            names.OUTPUT_TOKENS,
            names.CACHE_READ_TOKENS,
            names.CACHE_WRITE_TOKENS,
            names.REASONING_TOKENS,
        )
    ]
    if counts[0] is None and counts[1] is None:
        return None
    known = [count or 0 for count in counts]
    return Usage(input=known[0], output=known[1], cache_read=known[2], cache_write=known[3], reasoning=known[4])


def _unwrapped(given: Any) -> Any:
    """A tool's arguments as the tool got them, out of whatever an instrumentation put around them."""
    found = _json(given)
    if not isinstance(found, dict) or names.WRAPPED_INPUT not in found:
        return found
    if isinstance(found.get(names.WRAPPED_INPUTS), dict):
        return found[names.WRAPPED_INPUTS]
    text = str(found[names.WRAPPED_INPUT])[:_PAYLOAD]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return _json(text)


def _json(given: Any) -> Any:
    if not isinstance(given, str) or len(given) > _PAYLOAD:
        return given
    try:
        return json.loads(given)
    except (ValueError, RecursionError):
        return given


def _raised(span: Span) -> str:
    """The class of an exception that a span's events tell of."""
    told = (plain(event.attributes) for event in span.events if event.name == "exception")
    return next((found for one in told if (found := _name(names.ERROR_TYPE.read(one)))), "")


def _count(given: Any) -> int | None:
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given < _MOST_TOKENS:
        return None
    return int(given)


def _name(given: Any) -> str:
    """Text for a name: short, and without what no name has."""
    return (
        "".join(one if one.isprintable() else " " for one in given[:LONGEST]).strip() if isinstance(given, str) else ""
    )


def _time(nanos: int, now: float) -> float:
    """Unix seconds; a time that is not known, or not yet, is now: it would order what comes after it wrongly."""
    at = nanos / _NANO
    return at if 0.0 < at <= now else now


def _value(given: AnyValue) -> Any:
    kind = given.WhichOneof("value")
    if kind == "array_value":
        return [found for one in given.array_value.values if (found := _value(one)) is not None]
    return getattr(given, kind) if kind in ("string_value", "int_value", "double_value", "bool_value") else None
