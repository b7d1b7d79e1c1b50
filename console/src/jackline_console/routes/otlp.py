"""OTLP over HTTP: what others' instrumentations report, and journals of other homes."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypeVar

from fastapi import APIRouter, Request, Response
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from starlette.concurrency import run_in_threadpool

from jackline import conventions as names
from jackline.journal.line import LINE_LIMIT
from jackline_console.access.gate import Reporter, Viewer
from jackline_console.access.roles import suffices
from jackline_console.models.otlp import Reports
from jackline_console.otlp.bodies import MOST, bound, content_type, decoded, encoded
from jackline_console.otlp.steps import steps
from jackline_console.routes.asking import Here

if TYPE_CHECKING:
    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

    from jackline_console.console import Console

plain = APIRouter(include_in_schema=False)
router = APIRouter(tags=["reports"])
M = TypeVar("M", bound=Message)
_METRICS = frozenset(one for name in names.METRICS.values() for one in name.all)


@plain.post("/v1/traces")
async def traces(here: Here, _who: Reporter, request: Request) -> Response:
    """Spans. What is no act of an agent is taken and left out; a span that comes again counts once."""
    message = await _message(here, ExportTraceServiceRequest, request)

    def take() -> None:
        bound(len(scoped.spans) for resource in message.resource_spans for scoped in resource.scope_spans)
        here.otlp.take(list(steps(message.resource_spans, here.clock())))

    await run_in_threadpool(take)
    return _answer(request, ExportTraceServiceResponse())


@plain.post("/v1/metrics")
async def metrics(here: Here, _who: Reporter, request: Request) -> Response:
    """Metrics. Spans say the same, act by act, so that what metrics sum up is not counted once more."""
    message = await _message(here, ExportMetricsServiceRequest, request)

    def count() -> None:
        scopes = [scoped for resource in message.resource_metrics for scoped in resource.scope_metrics]
        bound(len(scoped.metrics) for scoped in scopes)
        known = Counter(metric.name in _METRICS for scoped in scopes for metric in scoped.metrics)
        here.otlp.counts.update(metrics=known[True], other_metrics=known[False])

    await run_in_threadpool(count)
    return _answer(request, ExportMetricsServiceResponse())


@plain.post("/v1/logs")
async def logs(here: Here, who: Reporter, request: Request) -> Response:
    """Log records. Lines of another home's journals are taken from an admin's token; other records are left out."""
    message = await _message(here, ExportLogsServiceRequest, request, LINE_LIMIT + MOST // 16)
    found = await run_in_threadpool(_records, message)
    answer = ExportLogsServiceResponse()
    if found and not suffices(who.role, "admin"):
        answer.partial_success.rejected_log_records = len(found)
        answer.partial_success.error_message = f"lines of a journal are an admin's to bring in; '{who.name}' is none"
    elif found:
        await run_in_threadpool(_lines, here, found, answer)
    return _answer(request, answer)


@router.get("/otlp")
def reports(here: Here, _who: Viewer) -> Reports:
    """What came in over OTLP since this console started."""
    known = here.otlp.counts
    told = {name: known[name] for name in Reports.model_fields}
    return Reports(**told | {"held": len(here.otlp.held.waiting)})


def _records(message: ExportLogsServiceRequest) -> list[LogRecord]:
    """The lines of journals."""
    scopes = [scoped for resource in message.resource_logs for scoped in resource.scope_logs]
    bound(len(scoped.log_records) for scoped in scopes)
    return [record for scoped in scopes if scoped.scope.name == names.JOURNAL_SCOPE for record in scoped.log_records]


def _lines(here: Console, found: list[LogRecord], answer: ExportLogsServiceResponse) -> None:
    done = here.lines.take(found)
    here.otlp.counts["lines"] += done.taken
    if done.taken:
        here.tail.nudge()
    if done.rejected:
        answer.partial_success.rejected_log_records = done.rejected
        answer.partial_success.error_message = "; ".join(done.refused)[:2000]


async def _message(here: Console, kind: type[M], request: Request, most: int = MOST) -> M:
    data = await request.body()
    async with here.parsing:
        return await run_in_threadpool(decoded, kind, data, request.headers, most)


def _answer(request: Request, message: Message) -> Response:
    form = content_type(request.headers)
    return Response(encoded(message, form), media_type=form)
