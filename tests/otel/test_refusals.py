"""What the OTLP routes would not take is on record, without what was sent, and no flood of it fills the disk."""

from __future__ import annotations

import asyncio
import gzip
from dataclasses import replace

import pytest
from reporting import PROTOBUF, Desk, request

from jackline.events import CallerRefused, LoginFailed
from jackline.journal import read
from jackline_console.app import create_app

MB = 1024 * 1024
SECRET = "jkl_a-wrong-token-that-nobody-may-read"
GZIP = {"Content-Encoding": "gzip"}


@pytest.fixture
def desk(tmp_path):
    with Desk(tmp_path) as made:
        yield made


def refused(desk, kind=CallerRefused):
    """The refusals on record, in their order."""
    found = [line.event for path in sorted(desk.home.journals.glob("*.jsonl")) for line in read(path)]
    return [event for event in found if isinstance(event, kind)]


@pytest.mark.parametrize("route", ["traces", "metrics", "logs"])
@pytest.mark.parametrize(
    ("body", "headers", "what", "detail"),
    [
        (b"\xff\xff", {}, "malformed", f"the body is no {PROTOBUF} of OTLP: DecodeError"),
        (b"{", {"Content-Type": "application/json"}, "malformed", "the body is no application/json of OTLP: JSONDecod"),
        (b"x", {"Content-Type": "text/plain"}, "media-type", "the body's type is none of OTLP over HTTP"),
        (b"x", {"Content-Encoding": "br"}, "encoding", ""),
        (bytes(34 * MB), {}, "too-large", "the body is too large"),
        (gzip.compress(bytes(64 * MB)), GZIP, "too-large", ""),
        (b"x", {"Host": "evil.example"}, "host", "this server is not called by that name"),
    ],
)
def test_what_is_no_report_is_on_record(desk, route, body, headers, what, detail):
    answer = desk.send(body, route, **headers)
    assert 400 <= answer.status_code < 500
    (event,) = refused(desk)
    assert (event.by, event.what, event.address, event.unrecorded) == ("otlp", what, "testclient", 0)
    assert event.detail.startswith(detail)
    assert event.detail == answer.json()["detail"]


def test_whoever_is_not_let_in_is_on_record_and_what_they_sent_is_not(desk):
    for headers in ({}, {"Authorization": f"Bearer {SECRET}"}):
        assert desk.client.post("/v1/traces", content=b"x", headers=headers).status_code == 401
    told = [(event.how, event.reason) for event in refused(desk, LoginFailed)]
    assert told == [("token", "there was none"), ("token", "unknown, expired or revoked")]
    assert refused(desk) == []
    assert not any(SECRET.encode() in path.read_bytes() for path in desk.home.journals.iterdir())


def test_a_body_that_does_not_come_is_on_record(desk):
    app = create_app(replace(desk.settings, body_s=0.05, ingest=False))
    headers = [(b"host", b"localhost"), (b"content-length", b"10"), (b"content-type", PROTOBUF.encode())]
    headers.append((b"authorization", desk.headers()["Authorization"].encode()))
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/traces",
        "raw_path": b"/v1/traces",
        "query_string": b"",
        "headers": headers,
        "client": ("127.0.0.9", 5),
        "server": ("localhost", 80),
        "scheme": "http",
    }
    sent = []

    async def ask():
        never = asyncio.Event()

        async def receive():
            await never.wait()

        async def send(message):
            sent.append(message)

        await app(scope, receive, send)

    try:
        asyncio.run(ask())
    finally:
        app.state.console.close()
    assert sent[0]["status"] == 408
    (event,) = refused(desk)
    assert (event.what, event.detail, event.address) == ("too-slow", "the body did not come in time", "127.0.0.9")


def test_floods_are_counted(desk):
    for _ in range(70):
        desk.send(b"x", **{"Content-Type": "text/plain"})
        desk.client.post("/v1/traces", content=b"x", headers={"Authorization": "Bearer jkl_wrong"})
    assert desk.send(b"\xff\xff").status_code == 400
    kinds = [event.what for event in refused(desk)]
    assert (kinds.count("media-type"), kinds.count("malformed")) == (60, 1), "each kind has room of its own"
    assert 1 <= len(refused(desk, LoginFailed)) <= 60


def test_what_is_taken_and_what_others_routes_refuse_is_no_refusal_of_these(desk):
    assert desk.send(request()).status_code == 200
    assert desk.client.get("/api/v1/nothing", headers=desk.headers("viewer")).status_code == 404
    assert desk.client.get("/api/v1/sessions", headers=desk.headers()).status_code == 403
    assert refused(desk) == []


def test_a_journal_that_cannot_be_written_refuses_all_the_same(desk, monkeypatch):
    desk.app.state.console.journal.close()
    assert desk.send(b"x", **{"Content-Type": "text/plain"}).status_code == 415
