"""Whatever is sent, the answer is one of 4xx that says what is wrong, and nothing is on record of it."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from reporting import PROTOBUF, SESSION, TRACE, Desk, attributes, request, span

from jackline_console.otlp import bodies

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o-mini", "gen_ai.usage.input_tokens": 7}
ROUTES = ("traces", "metrics", "logs")
MB = 1024 * 1024


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    with Desk(tmp_path_factory.mktemp("desk")) as made:
        yield made


def kind(answer):
    return answer.status_code, answer.json()["type"].rpartition(":")[2]


@pytest.mark.parametrize("route", ROUTES)
def test_a_token_is_needed(desk, route):
    body, told = request(span(1, CHAT)).SerializeToString(), {"Content-Type": PROTOBUF}
    for headers in ({}, {"Authorization": "Bearer jkl_wrong"}, {"Authorization": "Basic eA=="}):
        answer = desk.client.post(f"/v1/{route}", content=body, headers=told | headers)
        assert kind(answer) == (401, "not-logged-in")
    assert desk.store.sessions() == []


def test_a_reporter_sends_and_sees_nothing(desk):
    assert desk.send(request()).status_code == 200
    for path in ("sessions", "agents", "otlp", "summary"):
        assert kind(desk.client.get(f"/api/v1/{path}", headers=desk.headers())) == (403, "role")


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        (b"\xff\xff\xff", {}, (400, "malformed")),
        (b"\x0a\xff\xff\xff\xff\x0f", {}, (400, "malformed")),
        (b"x", {"Content-Type": "text/plain"}, (415, "media-type")),
        (b"", {"Content-Type": ""}, (415, "media-type")),
        (b"x", {"Content-Encoding": "br"}, (415, "encoding")),
        (b"no gzip", {"Content-Encoding": "gzip"}, (400, "malformed")),
        (gzip.compress(b"abc")[:-9], {"Content-Encoding": "gzip"}, (400, "malformed")),
        (gzip.compress(b"") + b"more", {"Content-Encoding": "gzip"}, (400, "malformed")),
        (gzip.compress(bytes(18 * MB)), {"Content-Encoding": "gzip"}, (413, "too-large")),
        (bytes(18 * MB), {}, (413, "too-large")),
        (b"{", {"Content-Type": "application/json"}, (400, "malformed")),
        (b"[" * 100_000, {"Content-Type": "application/json"}, (400, "malformed")),
        (
            b'{"resourceSpans":5,"resourceLogs":5,"resourceMetrics":5}',
            {"Content-Type": "application/json"},
            (400, "malformed"),
        ),
        (b"[1]", {"Content-Type": "application/json"}, (400, "malformed")),
        (b"\xff", {"Content-Type": "application/json"}, (400, "malformed")),
    ],
)
def test_a_body_that_is_none_is_refused(desk, route, body, headers, expected):
    assert kind(desk.send(body, route, **headers)) == expected


@pytest.mark.parametrize("route", ["traces", "metrics"])
def test_spans_and_metrics_come_in_small_bodies(desk, route):
    assert kind(desk.send(bytes(3 * MB), route)) == (413, "too-large")
    assert kind(desk.send(gzip.compress(bytes(bodies.MOST + 1)), route, **{"Content-Encoding": "gzip"})) == (
        413,
        "too-large",
    )


def test_a_bomb_is_not_unpacked(desk, monkeypatch):
    """A megabyte of gzip holds a gigabyte: no more than the limit is ever unpacked."""
    given = []
    real = zlib.decompressobj

    class Watched:
        def __init__(self, wbits):
            self.inner = real(wbits=wbits)

        def decompress(self, data, most):
            found = self.inner.decompress(data, most)
            given.append(len(found))
            return found

    monkeypatch.setattr("jackline_console.otlp.bodies.zlib.decompressobj", Watched)
    bomb = zlib.compressobj(wbits=31)
    packed = b"".join(bomb.compress(bytes(1 << 20)) for _ in range(200)) + bomb.flush()
    assert kind(desk.send(packed, **{"Content-Encoding": "gzip"})) == (413, "too-large")
    assert given == [bodies.MOST + 1]


def test_json_is_taken_as_otlp_writes_it(desk):
    told = {
        "traceId": TRACE,
        "spanId": "EEE19B7EC3C1B174",
        "name": "chat",
        "startTimeUnixNano": "1700000000000000000",
        "endTimeUnixNano": "1700000001000000000",
        "kind": 3,
        "unknownField": 1,
        "attributes": [
            {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
            {"key": "gen_ai.request.model", "value": {"stringValue": "gpt-4o-mini"}},
            {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "12"}},
        ],
    }
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [told]}]}]}).encode()
    answer = desk.send(body, **{"Content-Type": "application/json"})
    assert (answer.status_code, answer.json(), answer.headers["content-type"]) == (200, {}, "application/json")
    (step,) = desk.store.spans(SESSION)
    assert (step.span, step.input_tokens, step.agent) == ("eee19b7ec3c1b174", 12, "unknown_service")
    told["traceId"] = "not hex"
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [told]}]}]}).encode()
    assert kind(desk.send(body, **{"Content-Type": "application/json"})) == (400, "malformed")


def test_an_answer_is_in_the_form_of_its_question(desk):
    answer = desk.send(request())
    assert answer.headers["content-type"] == PROTOBUF
    assert ExportTraceServiceResponse.FromString(answer.content) == ExportTraceServiceResponse()


_texts = st.text(max_size=30) | st.sampled_from(
    ["chat", "execute_tool", "invoke_agent", "LLM", "{}", "[", "\x00", "\u2028"]
)
_values = _texts | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.booleans() | st.lists(_texts, max_size=3)
_keys = st.sampled_from(
    [
        "gen_ai.operation.name",
        "openinference.span.kind",
        "traceloop.span.kind",
        "gen_ai.request.model",
        "gen_ai.provider.name",
        "gen_ai.agent.name",
        "gen_ai.conversation.id",
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens",
        "gen_ai.tool.name",
        "gen_ai.tool.call.arguments",
        "metadata",
        "error.type",
        "user.id",
    ]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    spans=st.lists(
        st.tuples(
            st.integers(1, 6),
            st.integers(0, 6),
            st.dictionaries(_keys, _values, max_size=8),
            st.integers(0, 2**64 - 1),
            st.integers(0, 2**64 - 1),
            st.booleans(),
        ),
        max_size=8,
    ),
    trace=st.binary(min_size=0, max_size=17),
)
def test_no_span_makes_it_fail(desk, spans, trace):
    made = []
    for number, parent, told, started, ended, error in spans:
        one = span(number, {}, parent, error=error)
        one.attributes.extend(attributes(told))
        one.trace_id, one.start_time_unix_nano, one.end_time_unix_nano = trace, started, ended
        made.append(one)
    answer = desk.send(request(*made))
    assert answer.status_code == 200, answer.text
    assert desk.store.sessions() is not None
    assert not desk.app.state.console.tail.problem


@pytest.mark.parametrize("form", [PROTOBUF, "application/json"])
def test_no_request_has_more_than_so_many(desk, form, monkeypatch):
    """An empty span, metric or record takes two bytes, and far more once something is made of them."""
    monkeypatch.setattr(bodies, "MANY", 20)
    for route, many, message in (
        ("traces", "spans", ExportTraceServiceRequest()),
        ("metrics", "metrics", ExportMetricsServiceRequest()),
        ("logs", "log_records", ExportLogsServiceRequest()),
    ):
        signal = {"traces": "spans"}.get(route, route)
        resource = getattr(message, f"resource_{signal}").add()
        scopes = getattr(resource, f"scope_{signal}")
        for count in (bodies.MANY, 1):
            assert desk.send(bodies.encoded(message, form), route, **{"Content-Type": form}).status_code == 200
            filled = getattr(scopes.add(), many)
            for _ in range(count):
                filled.add()
        answer = desk.send(bodies.encoded(message, form), route, **{"Content-Type": form})
        assert kind(answer) == (413, "too-large")
        assert f"at most {bodies.MANY} in one request" in answer.text
