"""Exports what is on record: reads journals behind the agents, never in their way, and goes on where it stopped."""

from __future__ import annotations

import contextlib
import functools
import platform
import time
from typing import TYPE_CHECKING, TypeVar

import msgspec
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.logs.v1.logs_pb2 import ResourceLogs, ScopeLogs
from opentelemetry.proto.metrics.v1.metrics_pb2 import ResourceMetrics, ScopeMetrics
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans

from jackline import conventions as names
from jackline import events
from jackline.ingest import ingest
from jackline.journal.line import BrokenLineError, Chain, Line
from jackline.journal.reader import raw_lines
from jackline.journal.segment import find_segments
from jackline.opening import load_prices
from jackline.plugins import installed_plugins
from jackline.request import REPORTED
from jackline.stores import Position
from jackline_otel._version import __version__
from jackline_otel.cursor import Cursor
from jackline_otel.metrics import metrics
from jackline_otel.sender import Endpoint, ExportError, Sender, TooLargeError
from jackline_otel.translate import Dialect, approval_span, closes, record, span
from jackline_otel.values import attributes, cut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from jackline.home import Home
    from jackline.journal.segment import Segment
    from jackline.stores import Store

LINES = 500
"""Lines in one request."""
BYTES = 1024 * 1024
"""Bytes of lines in one request, about."""
_Answer = TypeVar("_Answer", ExportLogsServiceResponse, ExportTraceServiceResponse, ExportMetricsServiceResponse)
_ENDS_OF_APPROVALS = (events.ApprovalConsumed, events.ApprovalDenied, events.ApprovalExpired)


SIGNALS = ("logs", "traces", "metrics")
"""What there is to send: lines, steps, sums. Many who show traces take nothing else."""


class Exported(msgspec.Struct, kw_only=True):
    """What one export did."""

    events: int = 0
    """Lines that were read and sent as far as they were wanted."""
    spans: int = 0
    metrics: int = 0
    rejected: int = 0
    """What the receiver did not take, by its own word; it is not sent again."""
    problems: list[str] = []


class Exporter:
    """Exports one home to one endpoint. It touches no provider of OpenTelemetry's that the process may have."""

    def __init__(
        self,
        home: Home,
        endpoint: Endpoint,
        dialect: Dialect = Dialect(),  # noqa: B008 - immutable
        *,
        signals: Sequence[str] = SIGNALS,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """Open the index of the home. Raises StoreError where it cannot be used, ExportError for a bad cursor."""
        self._home, self._endpoint, self._dialect, self._clock = home, endpoint, dialect, clock
        folder = home.make().path / "otel"
        folder.mkdir(mode=0o700, exist_ok=True)
        self._signals = tuple(one for one in SIGNALS if one in signals)
        if not self._signals or set(signals) - set(SIGNALS):
            raise ExportError(
                f"There is no signal {', '.join(signals)!r} to export; expected some of {', '.join(SIGNALS)}"
            )
        self._cursor = Cursor(folder, endpoint.url, self._signals if self._signals != SIGNALS else ())
        self._sender = Sender(endpoint, sleep)
        self._store: Store = installed_plugins().registrations.store("sqlite")(home.index)
        self._prices = load_prices(home)
        self._provider = functools.lru_cache(1024)(self._find_provider)

    def close(self) -> None:
        """Let go of the index."""
        self._store.close()

    def run(self) -> Exported:
        """Export all that is new: lines first, the spans that end with them, then the metrics. Raises ExportError."""
        done = Exported()
        with self._cursor.alone():
            ingest(self._home.path, self._store)
            known = self._store.positions()
            for journal, segments in find_segments(self._home.journals).items():
                if journal not in known or self._cursor.position(journal).seq >= known[journal].seq:
                    continue
                try:
                    self._journal(journal, segments, known[journal].seq, done)
                except BrokenLineError as error:
                    done.problems.append(f"journal {journal}: line {error.seq} {error}; see: jackline verify")
            if done.events and "metrics" in self._signals:
                self._send_metrics(done)
        return done

    def _journal(self, journal: str, segments: Sequence[Segment], last: int, done: Exported) -> None:
        reported = _writer(segments[0].path) == REPORTED  # spans of such a journal are exported by those who made them
        lines: list[Line] = []
        size = 0
        for line, position in self._lines(journal, segments, last):
            lines.append(line)
            size += len(line.raw)
            if len(lines) >= LINES or size >= BYTES:
                self._send(journal, lines, reported, done)
                self._cursor.advance(position)
                lines, size = [], 0
        if lines:
            self._send(journal, lines, reported, done)
            self._cursor.advance(position)

    def _lines(self, journal: str, segments: Sequence[Segment], last: int) -> Iterator[tuple[Line, Position]]:
        """The lines behind the cursor that the index has, each proved to follow the one before."""
        position = self._cursor.position(journal)
        chain = Chain(position.head)
        for segment in segments:
            if segment.number < position.segment:
                continue
            offset = position.offset if segment.number == position.segment else 0
            with segment.path.open("rb") as file:
                for at, raw in raw_lines(file, offset):
                    if chain.head.seq >= last:
                        return
                    line = chain.follow(raw, offset=at)
                    position = Position(
                        journal=journal,
                        segment=segment.number,
                        offset=at + len(raw),
                        seq=line.seq,
                        hash=chain.head.hash,
                    )
                    yield line, position

    def _send(self, journal: str, lines: Sequence[Line], reported: bool, done: Exported) -> None:
        now = self._clock()
        if "logs" in self._signals:
            self._send_logs([record(line, journal, now) for line in lines], done)
        done.events += len(lines)
        if "traces" in self._signals and not reported:
            spans = [one for line in lines for one in self._spans(journal, line)]
            self._send_spans(spans, done)

    def _spans(self, journal: str, line: Line) -> Iterator[Span]:
        event = line.event
        if closes(event):
            row = self._store.span(event.session, event.span)  # type: ignore[union-attr]
            if row is not None:
                yield span(row, line, journal, self._dialect, self._provider)
        elif isinstance(event, _ENDS_OF_APPROVALS):
            rows = [row for row in self._store.approvals(event.session) if row.approval == event.approval]
            if rows:
                yield approval_span(rows[0], line, journal, self._dialect)

    def _send_logs(self, records: Sequence[LogRecord], done: Exported) -> None:
        scope = InstrumentationScope(name=names.JOURNAL_SCOPE, version=__version__)
        scoped = ScopeLogs(scope=scope, log_records=records, schema_url=names.SCHEMA_URL)
        request = ExportLogsServiceRequest(resource_logs=[ResourceLogs(resource=_resource(), scope_logs=[scoped])])
        try:
            answer = self._sender.post("logs", request.SerializeToString())
        except TooLargeError:
            if len(records) == 1:
                if not cut(records[0]):
                    raise
                done.problems.append(self._shortened("a line"))
                self._send_logs(records, done)
                return
            middle = len(records) // 2
            self._send_logs(records[:middle], done)
            self._send_logs(records[middle:], done)
            return
        told = _parsed(ExportLogsServiceResponse, answer).partial_success
        self._count(done, told.rejected_log_records, told.error_message)

    def _send_spans(self, spans: Sequence[Span], done: Exported) -> None:
        if not spans:
            return
        scope = InstrumentationScope(name=names.SPAN_SCOPE, version=__version__)
        scoped = ScopeSpans(scope=scope, spans=spans, schema_url=names.SCHEMA_URL)
        request = ExportTraceServiceRequest(resource_spans=[ResourceSpans(resource=_resource(), scope_spans=[scoped])])
        try:
            answer = self._sender.post("traces", request.SerializeToString())
        except TooLargeError:
            if len(spans) == 1:
                if not cut(spans[0]):
                    raise
                done.problems.append(self._shortened("a span"))
                self._send_spans(spans, done)
                return
            middle = len(spans) // 2
            self._send_spans(spans[:middle], done)
            self._send_spans(spans[middle:], done)
            return
        told = _parsed(ExportTraceServiceResponse, answer).partial_success
        self._count(done, told.rejected_spans, told.error_message)
        done.spans += len(spans)

    def _send_metrics(self, done: Exported) -> None:
        found = metrics(self._store, self._clock(), self._dialect, self._provider)
        if not found:
            return
        scope = InstrumentationScope(name="jackline.metrics", version=__version__)
        scoped = ScopeMetrics(scope=scope, metrics=found, schema_url=names.SCHEMA_URL)
        request = ExportMetricsServiceRequest(
            resource_metrics=[ResourceMetrics(resource=_resource(), scope_metrics=[scoped])]
        )
        try:
            answer = self._sender.post("metrics", request.SerializeToString())
        except ExportError as error:  # they are sums: the next ones say everything that these did
            done.problems.append(str(error))
        else:
            told = _parsed(ExportMetricsServiceResponse, answer).partial_success
            self._count(done, told.rejected_data_points, told.error_message)
            done.metrics += len(found)

    def _shortened(self, what: str) -> str:
        url, mark = self._endpoint.url, names.EVENT_CUT
        return f"{url} takes no request as long as {what}: it was sent without what is long, marked {mark}"

    def _count(self, done: Exported, rejected: int, why: str) -> None:
        done.rejected += rejected
        if rejected:
            done.problems.append(f"{self._endpoint.url} rejected {rejected}: {why}")

    def _find_provider(self, model: str) -> str:
        price = self._prices.price(model, "", self._clock())
        return price.provider if price is not None else ""


def _writer(first: Path) -> str:
    """What writes a journal, by its first line."""
    with first.open("rb") as file:
        opened = Chain().follow(file.readline()).event
    return opened.writer if isinstance(opened, events.JournalOpened) else ""


def _resource() -> Resource:
    told = {
        "service.name": "jackline",
        "service.version": __version__,
        "host.name": platform.node(),
        "telemetry.sdk.name": "jackline",
        "telemetry.sdk.language": "python",
    }
    return Resource(attributes=attributes(told))


def _parsed(kind: type[_Answer], answer: bytes) -> _Answer:
    """A receiver's answer; one that is none says nothing: the request was taken all the same."""
    found = kind()
    with contextlib.suppress(DecodeError):
        found.ParseFromString(answer)
    return found
