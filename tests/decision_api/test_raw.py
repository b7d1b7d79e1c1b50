"""What comes over a socket and is no request: answered or cut, on record, and nobody else waits for it."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import suppress

import pytest
import uvicorn
from decision_harness import check, events, until
from uvicorn.server import ServerState

from jackline_console.connections import Connection

ASKED = json.dumps({"action": "tool.call", "resource": "find", "session": "job-1"}).encode()


@pytest.fixture
def talk(server, client):
    """Send bytes; what comes back until the server closes, or until as many answers came as are wanted."""
    host, _, port = server.base.removeprefix("http://").partition(":")

    def send(data, *, end=False, answers=None):
        with socket.create_connection((host, int(port)), timeout=30) as made:
            with suppress(OSError):  # it may be refused and closed before all of it was sent
                made.sendall(data.replace(b"HOST", f"{host}:{port}".encode()))
                if end:
                    made.shutdown(socket.SHUT_WR)
            found = b""
            while answers is None or found.count(b"HTTP/1.1 ") < answers or not found.endswith(b"}"):
                try:
                    more = made.recv(65536)
                except ConnectionResetError:  # it was closed while more was on its way
                    break
                if not more:
                    break
                found += more
            return found

    return send


@pytest.fixture
def head(client):
    """The head of a check that has a body of so many bytes."""

    def made(length, *more):
        lines = [f"Authorization: {client.headers['authorization']}", f"Content-Length: {length}", *more]
        if length is None:
            del lines[1]
        return ("POST /v1/check HTTP/1.1\r\nHost: HOST\r\n" + "\r\n".join(lines) + "\r\n\r\n").encode()

    return made


def refusals(home):
    """What is refused on record, once there is something."""
    return [one.what for one in until(lambda: events(home, "caller_refused"))]


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 50,
        b"check this, please\r\n\r\n",
        b"POST /v1/check HTTP/1.1\r\nHost: HOST\r\nX-Long: " + b"a" * 200_000 + b"\r\n\r\n",
        b"POST /v1/check HTTP/1.1\r\nHost: HOST\r\n" + b"X-Many: a\r\n" * 20_000 + b"\r\n",
        b"POST /v1/check HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{}",
        b"POST /v1/check HTTP/1.1\r\nHost: HOST\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/check HTTP/1.1\r\n\r\n",
        b"\0" * 1000,
    ],
    ids=["tls", "words", "long header", "many headers", "two lengths", "negative", "no host", "zeros"],
)
def test_what_is_no_http_is_refused(data, talk, client, home):
    assert talk(data, end=True)[:13] in (b"HTTP/1.1 400 ", b"")
    assert refusals(home) == ["no-http"]
    assert check(client)["permitted"]


def test_half_a_body_is_never_judged(talk, head, client, home):
    """Whole JSON of which more was announced: what is missing may have been what mattered."""
    assert b"HTTP/1.1 200" not in talk(head(len(ASKED) + 10) + ASKED, end=True)
    assert refusals(home) == ["cut-off"]
    (refused,) = events(home, "caller_refused")
    assert (refused.agent, refused.detail) == ("billing", "the connection ended before the body did")
    assert events(home, "decided") == []
    assert check(client)["permitted"]


def test_chunks_that_are_none_are_refused(talk, head, client, home):
    broken = head(None, "Transfer-Encoding: chunked") + b"%x\r\n%s\r\nzz\r\n" % (len(ASKED), ASKED)
    assert b"HTTP/1.1 200" not in talk(broken)
    assert set(refusals(home)) <= {"no-http", "cut-off"}
    assert events(home, "decided") == []
    assert check(client)["permitted"]


def test_a_body_of_two_lengths_is_one_request_at_most(talk, head, home):
    """Whoever is before the server may have read another length: nothing of it is taken for a second request."""
    smuggled = head(4, "Transfer-Encoding: chunked") + b"%x\r\n%s\r\n0\r\n\r\n" % (len(ASKED), ASKED)
    found = talk(smuggled, end=True)
    assert found.count(b"HTTP/1.1 ") == 1
    assert len(events(home, "decided")) <= 1


def test_requests_that_come_at_once_are_answered_in_their_order(talk, head, home):
    other = ASKED.replace(b"find", b"delete_all")
    found = talk(head(len(ASKED)) + ASKED + head(len(other)) + other, answers=2)
    first, second = (json.loads(part.partition(b"\r\n\r\n")[2]) for part in found.split(b"HTTP/1.1 200")[1:])
    assert (first["effect"], second["effect"]) == ("allow", "deny")
    assert [event.resource for event in events(home, "decided")] == ["find", "delete_all"]


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (b"POST /v1/check HTTP/1.1\r\nHost: x\r\n", [("too-slow", "the head of a request did not come in time")]),
        (b"", []),
    ],
    ids=["half a head", "nothing"],
)
async def test_a_head_that_does_not_come_is_cut_and_told(sent, told):
    """A connection that says nothing is closed as well; that is how clients keep them for later, and is no refusal."""
    heard = []

    async def nothing(_scope, _receive, _send):
        raise AssertionError("no request came")

    kind = Connection.telling(lambda *words: heard.append(words))
    kind.head_s = 0.05
    config = uvicorn.Config(nothing, log_level="critical", ws="none", lifespan="off")
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: kind(config, state, {}), "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(sent)
        assert await asyncio.wait_for(reader.read(), 30) == b""
        writer.close()
        await writer.wait_closed()
    assert heard == [(*one, "127.0.0.1") for one in told]
