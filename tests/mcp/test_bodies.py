"""What comes as a body: only numbers that are some, only so much of one caller, and only of one who still holds."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from starlette.requests import Request

from jackline.guard import Guard
from jackline_mcp.admission import Admitted
from jackline_mcp.bodies import Room, body_of
from jackline_mcp.callers import Caller, Callers, OAuthClient, RefusedError, Shown
from jackline_mcp.certificates import Certificate
from jackline_mcp.config import read
from jackline_mcp.endpoint import Endpoint, Session

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

HEADERS = [(b"content-type", b"application/json"), (b"host", b"127.0.0.1"), (b"authorization", b"Bearer of-support")]
INITIALIZE = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}}).encode()


def request_of(receive: Callable[[], Awaitable[Any]]) -> Request:
    scope = {"type": "http", "method": "POST", "path": "/mcp/files", "headers": HEADERS, "client": ("127.0.0.1", 1)}
    return Request(scope, receive)


def whole(body: bytes) -> Request:
    async def receive() -> Any:
        return {"type": "http.request", "body": body}

    return request_of(receive)


def frame(value: str) -> bytes:
    return b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":' + value.encode() + b"}}"


@pytest.mark.parametrize(
    "value", ["NaN", "Infinity", "-Infinity", "1e999", "1E+999", "9" * 320 + ".5", "2" * 300 + "e9"]
)
@pytest.mark.parametrize("long", [False, True])
async def test_a_number_that_is_none_is_refused(value: str, long: bool) -> None:
    body = frame(f'[{value}, "{"x" * 300_000 if long else ""}"]')
    with pytest.raises(RefusedError, match="the body is not one JSON-RPC message") as refused:
        await body_of(whole(body), "support", Room(1, 2**20), 5)
    assert (refused.value.status, refused.value.kind, refused.value.agent) == (400, "no-message", "support")


@pytest.mark.parametrize("value", ['"NaN and Infinity, 1e999"', "1e300", "1e-999", "123456789012345678901", '"a1e9f"'])
async def test_other_numbers_and_texts_are_not(value: str) -> None:
    body = frame(value)
    assert await body_of(whole(body), "support", Room(1, 2**20), 5) == body


async def test_so_many_bodies_of_one_caller_come_at_once_and_no_more() -> None:
    room, go = Room(2, 100), asyncio.Event()

    async def receive() -> Any:
        await go.wait()
        return {"type": "http.request", "body": frame("1")}

    first = [asyncio.create_task(body_of(request_of(receive), "support", room, 20)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(RefusedError, match="too much of this caller's is on its way at once") as refused:
        await body_of(whole(frame("1")), "support", room, 20)
    assert (refused.value.status, refused.value.kind) == (503, "too-many")
    assert await body_of(whole(frame("1")), "sales", room, 20) == frame("1")
    go.set()
    assert await asyncio.gather(*first) == [frame("1")] * 2
    assert await body_of(whole(frame("1")), "support", room, 20) == frame("1")


async def test_so_many_bytes_of_one_caller_come_at_once_and_no_more() -> None:
    room, go = Room(100, 100), asyncio.Event()

    def slow() -> Request:
        parts = iter([b" " * 90, b""])

        async def receive() -> Any:
            part = next(parts)
            if not part:
                await go.wait()
            return {"type": "http.request", "body": part, "more_body": bool(part)}

        return request_of(receive)

    open_ = [asyncio.create_task(body_of(slow(), "support", room, 20)) for _ in range(8)]
    await asyncio.sleep(0)
    with pytest.raises(RefusedError, match="too much of this caller's is on its way at once"):
        await body_of(slow(), "support", room, 20)
    go.set()
    assert await asyncio.gather(*open_) == [b" " * 90] * 8


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[Endpoint]:
    (tmp_path / "jackline.yaml").write_text("jackline: 1\npolicies: []\nunregistered: allow\n", encoding="utf-8")
    with Guard.load(tmp_path / "jackline.yaml", home=tmp_path / "home") as guard:
        yield Endpoint(guard, configured("of-support"))


def configured(*tokens: str) -> Any:
    digests = [hashlib.sha256(token.encode()).hexdigest() for token in tokens]
    text = f"jackline_mcp: 1\nservers: {{files: {{command: [a-server]}}}}\ncallers: {{support: {{token_sha256: {digests}}}}}\n"
    return read(text.encode(), Path("jackline-mcp.yaml"))


async def test_who_is_revoked_while_its_body_comes_is_not_answered(endpoint: Endpoint) -> None:
    begun, revoked = asyncio.Event(), asyncio.Event()
    told: list[Any] = []

    async def receive() -> Any:
        begun.set()
        await revoked.wait()
        return {"type": "http.request", "body": INITIALIZE}

    async def send(message: Any) -> None:
        told.append(message)

    answering = asyncio.create_task(endpoint(request_of(receive).scope, receive, send))
    await begun.wait()
    endpoint.replace(Callers(configured("another")))
    revoked.set()
    await answering
    assert told[0]["status"] == 401
    assert json.loads(told[1]["body"])["error"]["message"] == "this caller was revoked"
    assert endpoint.sessions == {}


async def test_a_stream_ends_with_the_token_that_opened_it_whatever_was_used_since(endpoint: Endpoint) -> None:
    both = configured("first", "second")
    endpoint.admission.callers = Callers(both)
    caller = Caller("support")
    streaming, ended = asyncio.Event(), asyncio.Event()

    async def handle_request(scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["method"] == "GET":
            streaming.set()
            await ended.wait()

    transport: Any = SimpleNamespace(handle_request=handle_request, is_terminated=False)
    session = Session(Admitted(caller, Shown(hashlib.sha256(b"first").hexdigest()), "files"), transport)
    session.task = asyncio.create_task(asyncio.Event().wait())  # type: ignore[arg-type]
    session.ready.set()
    endpoint.sessions["s-one"] = session

    async def ask(method: str, token: bytes) -> None:
        headers = [*HEADERS[:2], (b"authorization", b"Bearer " + token), (b"mcp-session-id", b"s-one")]
        request = whole(INITIALIZE)
        await endpoint({**request.scope, "method": method, "headers": headers}, request.receive, sent)

    async def sent(_message: Any) -> None:
        return

    stream = asyncio.create_task(ask("GET", b"second"))
    await streaming.wait()
    await ask("POST", b"first")
    endpoint.replace(Callers(both))
    assert not session.task.cancelling()
    endpoint.replace(Callers(configured("first")))
    assert session.task.cancelling()
    ended.set()
    await stream
    await asyncio.gather(session.task, return_exceptions=True)


def test_an_unknown_certificate_says_nothing_against_an_unknown_client() -> None:
    callers = Callers(configured("of-support"))
    client = OAuthClient("bot", "https://login.example", math.inf)
    certificate = Certificate("c0", "CN=bot", "CN=ca", ("DNS:bot",), 0.0, math.inf)
    assert callers.of(Shown("t", client, certificate)) == callers.of(Shown("t", client))
    assert callers.of(Shown("t", client)).name == "oauth:login.example#bot"
