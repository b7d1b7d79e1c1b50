"""A console in this process, and spans to send it, as instrumentations of several kinds write them."""

from __future__ import annotations

import gzip
import time

from fastapi.testclient import TestClient
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from jackline.home import Home
from jackline.ingest import ingest
from jackline_console.access.users import Users
from jackline_console.app import create_app
from jackline_console.otlp.taking import trace_session
from jackline_console.settings import Settings

PROTOBUF = "application/x-protobuf"
TRACE = "5b8efff798038103d269b633813fc60c"
SESSION = trace_session(TRACE)
NOW = time.time()


def value(given):
    if isinstance(given, list):
        return AnyValue(array_value=ArrayValue(values=[value(one) for one in given]))
    kinds = {bool: "bool_value", int: "int_value", float: "double_value", str: "string_value"}
    return AnyValue(**{kinds[type(given)]: given})


def attributes(told):
    return [KeyValue(key=key, value=value(given)) for key, given in told.items()]


def span(number, told, parent=0, trace=TRACE, at=0.0, took=1.0, error=None, name=""):
    """A span: `number` is its id, times are seconds after a minute ago."""
    started = NOW - 60 + at
    return Span(
        trace_id=bytes.fromhex(trace),
        span_id=number.to_bytes(8, "big"),
        parent_span_id=parent.to_bytes(8, "big") if parent else b"",
        name=name,
        start_time_unix_nano=int(started * 1e9),
        end_time_unix_nano=int((started + took) * 1e9),
        attributes=attributes(told),
        status=Status(code=Status.STATUS_CODE_ERROR) if error else None,
    )


def request(*spans, service="shop", scope="opentelemetry.instrumentation.openai_v2", **more):
    told = Resource(attributes=attributes({"service.name": service, **more}))
    scoped = ScopeSpans(scope=InstrumentationScope(name=scope), spans=spans)
    return ExportTraceServiceRequest(resource_spans=[ResourceSpans(resource=told, scope_spans=[scoped])])


class Desk:
    """A console, and what it has on record."""

    def __init__(self, folder):
        self.home = Home(folder / "home")
        self.settings = Settings(home=self.home, ingest=False)
        self.users = Users(self.home.make().path / "console")
        self.tokens = {}

    def __enter__(self):
        self.app = create_app(self.settings)
        self.client = TestClient(self.app, base_url="http://localhost", raise_server_exceptions=False)
        self.client.__enter__()
        return self

    def __exit__(self, *_):
        self.client.__exit__(None, None, None)

    @property
    def store(self):
        """The index, with all that is on record."""
        ingest(self.home.path, self.app.state.console.store)
        return self.app.state.console.store

    def headers(self, role="reporter"):
        if role not in self.tokens:
            self.tokens[role] = self.users.issue(role, role, time.time(), None)[1]
        return {"Authorization": f"Bearer {self.tokens[role]}"}

    def send(self, data, signal="traces", role="reporter", **headers):
        """Post a body; a message is packed as exporters do."""
        told = {"Content-Type": PROTOBUF, **self.headers(role)}
        if not isinstance(data, bytes):
            data, told["Content-Encoding"] = gzip.compress(data.SerializeToString()), "gzip"
        return self.client.post(f"/v1/{signal}", content=data, headers=told | headers)

    def report(self, *spans, **more):
        answer = self.send(request(*spans, **more))
        assert answer.status_code == 200, answer.text
        return answer

    def counted(self):
        return self.client.get("/api/v1/otlp", headers=self.headers("viewer")).json()
