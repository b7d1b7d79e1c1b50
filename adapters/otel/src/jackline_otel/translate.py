"""From Jackline's record to OTLP: a journal's line is a log record, a step that is over is a span."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, SeverityNumber
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from jackline import conventions as names
from jackline import events
from jackline_otel.values import attributes, body, identity, nanos

if TYPE_CHECKING:
    from collections.abc import Callable

    from jackline.journal import Line
    from jackline.stores import ApprovalRow, SpanRow

REFUSING = ("deny", "halt")
_EVENT_NAMES = {
    "decided": "jackline.policy.decision",
    "agent_seen": "jackline.agent.registered",
    "alert_fired": "jackline.alert.fired",
    "alert_resolved": "jackline.alert.resolved",
}
_SEVERITY = {
    "info": SeverityNumber.SEVERITY_NUMBER_INFO,
    "warning": SeverityNumber.SEVERITY_NUMBER_WARN,
    "critical": SeverityNumber.SEVERITY_NUMBER_ERROR,
}
_OPERATIONS = {
    "model.call": names.CHAT,
    "embedding": names.EMBEDDINGS,
    "retrieval": names.RETRIEVAL,
    "tool.call": names.EXECUTE_TOOL,
    "run": names.INVOKE_AGENT,
}
_CLIENT = ("model.call", "embedding", "retrieval", "http.request")
_OPENINFERENCE = {
    "model.call": "LLM",
    "embedding": "EMBEDDING",
    "retrieval": "RETRIEVER",
    "tool.call": "TOOL",
    "run": "AGENT",
}
_PROVIDERS = {
    "aws": "aws.bedrock",
    "azure": "azure.ai.openai",
    "google": "gcp.gemini",
    "mistral": "mistral_ai",
    "x-ai": "x_ai",
}
"""Providers of the price table whose names in the conventions are others."""
_DETAILS = (
    "policy",
    "rule",
    "effect",
    "would",
    "mode",
    "reason",
    "revision",
    "action",
    "resource",
    "agent",
    "run",
    "approval",
    "who",
    "why",
    "alert",
    "signal",
    "severity",
    "state",
    "value",
    "threshold",
    "unit",
    "message",
)
"""Fields of events that a log record tells besides, so that it can be filtered by them."""


class Dialect(NamedTuple):
    """Which names are written besides the current ones."""

    older: bool = False
    openinference: bool = False

    def write(self, name: names.Name, value: Any) -> dict[str, Any]:
        """One value under each name that is wanted."""
        wanted = [name.current, *(name.older if self.older else ())]
        wanted += name.openinference[:1] if self.openinference else ()
        return dict.fromkeys(wanted, value)


def record(line: Line, journal: str, observed: float) -> LogRecord:
    """A journal's line: its bytes as the body, so that whoever takes it in has the same line, and can prove it."""
    event: Any = line.event
    session, span = getattr(event, "session", ""), getattr(event, "span", "")
    told = {names.EVENT_JOURNAL: journal, names.EVENT_PREV: line.prev, **_proof(journal, line)}
    told |= {f"jackline.{name}": _plain(getattr(event, name, None)) for name in _DETAILS}
    told |= {names.CONVERSATION.current: session}
    severity = _SEVERITY.get(getattr(event, "severity", ""), SeverityNumber.SEVERITY_NUMBER_INFO)
    return LogRecord(
        time_unix_nano=nanos(getattr(event, "at", 0.0)),
        observed_time_unix_nano=nanos(observed),
        severity_number=severity,
        severity_text=SeverityNumber.Name(severity).rpartition("_")[2],
        event_name=_EVENT_NAMES.get(line.kind, f"jackline.{line.kind}"),
        body=body(line.body),
        attributes=attributes(told),
        trace_id=identity(session, 16),
        span_id=identity(span, 8) if session else b"",
    )


def closes(event: object) -> bool:
    """Whether with this event a step is over: done, failed, ended or refused."""
    if isinstance(event, events.Decided):
        return event.effect in REFUSING and event.action not in ("output", "tool.return", "model.return")
    return isinstance(event, events.Completed | events.Failed | events.RunEnded)


def span(row: SpanRow, line: Line, journal: str, dialect: Dialect, provider: Callable[[str], str]) -> Span:
    """A step that is over. What was refused never ran: its span has no length that means anything, and an error."""
    refused = row.effect in REFUSING and row.outcome not in ("completed", "failed")
    error = names.DENIED if refused else row.error
    operation = _OPERATIONS.get(row.kind, "")
    told: dict[str, Any] = {
        **dialect.write(names.CONVERSATION, row.session),
        **dialect.write(names.AGENT_NAME, row.agent),
        **_proof(journal, line),
        names.ERROR_TYPE.current: error,
        **_decision(row),
    }
    told |= {names.OPERATION.current: operation} if operation else {}
    told |= {"openinference.span.kind": _OPENINFERENCE.get(row.kind, "CHAIN")} if dialect.openinference else {}
    if row.kind in ("model.call", "embedding"):
        told |= _model(row, dialect, provider)
    elif row.kind == "tool.call":
        told |= {**dialect.write(names.TOOL_NAME, row.name), names.TOOL_TYPE.current: "function"}
        told |= {**dialect.write(names.TOOL_CALL_ID, row.call_id), "jackline.tool.args.hash": row.args}
    elif row.kind == "retrieval":
        told |= {names.DATA_SOURCE.current: row.name}
    elif row.kind == "http.request":
        told |= _http(row)
    return Span(
        trace_id=identity(row.session, 16),
        span_id=identity(row.span, 8),
        parent_span_id=identity(row.parent, 8),
        name=f"{operation or row.kind} {row.name}".strip(),
        kind=Span.SPAN_KIND_CLIENT if row.kind in _CLIENT else Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=nanos(row.started),
        end_time_unix_nano=nanos(max(row.ended or row.started, row.started)),
        attributes=attributes(told),
        status=Status(code=Status.STATUS_CODE_ERROR, message=row.reason if refused else error) if error else Status(),
    )


def approval_span(row: ApprovalRow, line: Line, journal: str, dialect: Dialect) -> Span:
    """The time that people took, linked to the step that waited for them."""
    event: Any = line.event
    status = {"ApprovalConsumed": "approved", "ApprovalDenied": "rejected"}.get(type(event).__name__, "expired")
    told = {
        "jackline.approval.id": row.approval,
        "jackline.approval.status": status,
        "jackline.approval.approver": getattr(event, "by", ()) or getattr(event, "who", ""),
        "jackline.approval.edited": getattr(event, "edited", None),
        "jackline.approval.wait_s": max(event.at - row.asked, 0.0),
        "jackline.policy.id": row.policy,
        "jackline.policy.rule.id": row.rule,
        **dialect.write(names.CONVERSATION, row.session),
        **dialect.write(names.AGENT_NAME, row.agent),
        **_proof(journal, line),
    }
    told |= {"openinference.span.kind": "CHAIN"} if dialect.openinference else {}
    trace = identity(row.session, 16)
    return Span(
        trace_id=trace,
        span_id=identity(row.approval[:16], 8),
        parent_span_id=identity(row.span, 8),
        name=f"approval {row.resource}",
        kind=Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=nanos(row.asked),
        end_time_unix_nano=nanos(max(event.at, row.asked)),
        attributes=attributes(told),
        links=[Span.Link(trace_id=trace, span_id=identity(row.span, 8))],
        status=Status(code=Status.STATUS_CODE_UNSET),
    )


def known_provider(name: str) -> str:
    """A provider of the price table as the conventions call it."""
    return _PROVIDERS.get(name, name)


def _proof(journal: str, line: Line) -> dict[str, Any]:
    return {names.EVENT_ID: f"{journal}:{line.seq}", names.EVENT_SEQ: line.seq, names.EVENT_HASH: line.hash}


def _decision(row: SpanRow) -> dict[str, Any]:
    """What was decided on the step, and on what it gave back."""
    return {
        "jackline.run.id": row.run,
        "jackline.action": "" if row.kind == "run" else row.kind,
        "jackline.decision.verdict": row.effect,
        "jackline.decision.would": row.would,
        "jackline.decision.mode": row.mode if row.effect else "",
        "jackline.decision.reason": row.reason,
        "jackline.policy.id": row.policy,
        "jackline.policy.rule.id": row.rule,
        "jackline.decision.return.verdict": row.return_effect,
        "jackline.decision.return.reason": row.return_reason,
        "jackline.spawn.depth": row.depth or None,
    }


def _model(row: SpanRow, dialect: Dialect, provider: Callable[[str], str]) -> dict[str, Any]:
    told = dialect.write(names.REQUEST_MODEL, row.name) | {names.RESPONSE_MODEL.current: row.model}
    told |= dialect.write(names.PROVIDER, known_provider(provider(row.model or row.name)))
    if row.outcome in ("completed", "failed"):
        for name, count in (
            (names.INPUT_TOKENS, row.input_tokens),
            (names.OUTPUT_TOKENS, row.output_tokens),
            (names.CACHE_READ_TOKENS, row.cache_read_tokens or None),
            (names.CACHE_WRITE_TOKENS, row.cache_write_tokens or None),
            (names.REASONING_TOKENS, row.reasoning_tokens or None),
        ):
            told |= dialect.write(name, count)
    if row.cost_micro_usd is not None:
        told |= dialect.write(names.COST, row.cost_micro_usd / 1_000_000)
        told |= {"jackline.cost.micro_usd": row.cost_micro_usd, "jackline.price.matched_model": row.matched}
        told |= {"jackline.cost.basis": "estimated" if row.estimated else "reported"}
    return told


def _http(row: SpanRow) -> dict[str, Any]:
    return {
        "http.request.method": row.method,
        "server.address": row.name,
        "server.port": row.port or None,
        "url.scheme": row.scheme,
        "http.response.status_code": row.status or None,
        "http.request.body.size": row.sent,
        "http.response.body.size": row.received,
        "jackline.egress.allowed": row.effect not in REFUSING,
    }


def _plain(given: Any) -> Any:
    """A field as an attribute has it; records in records stand in the body only."""
    if hasattr(given, "key"):
        return given.key
    return given if isinstance(given, str | int | float | bool) else None
