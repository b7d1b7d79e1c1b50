"""What comes to the gateway's door: refused cleanly, on record, and no flood fills the disk or harms others."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import uvicorn
from gateway_harness import ACCEPT, INITIALIZE, Gateway, call, sha256
from hypothesis import given, settings
from hypothesis import strategies as st

from jackline.journal.refusals import MOST
from jackline_mcp import connections
from jackline_mcp.connections import Connection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

SECRET = "a-token-that-somebody-guessed"
PING = {"jsonrpc": "2.0", "id": 5, "method": "ping"}


def made(folder: Path, limits: str = "") -> Gateway:
    gateway = Gateway(folder)
    for name in ("support", "sales"):
        gateway.callers[name] = f"token_sha256: {sha256(f'of-{name}')}"
    gateway.more = f"limits: {{{limits}}}\n"
    return gateway


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    gateway = made(tmp_path_factory.mktemp("door"), "frame_mib: 1")
    with gateway.running():
        yield gateway


def bearer(name: str) -> tuple[str, str]:
    return ("Authorization", f"Bearer of-{name}")


async def opened(gateway: Gateway, http: httpx2.AsyncClient) -> dict[str, str]:
    """The header of a new session."""
    answer = await http.post(gateway.url, json=INITIALIZE)
    assert answer.status_code == 200, answer.text
    return {"mcp-session-id": answer.headers["mcp-session-id"]}


@pytest.mark.parametrize(
    ("headers", "status", "kind", "told"),
    [
        ([], 401, "no-credentials", "a token is needed: Authorization: Bearer TOKEN"),
        ([("Authorization", "Basic abc")], 401, "no-credentials", "this is no token"),
        ([("Authorization", f"Bearer {SECRET}")], 401, "unknown-token", "this token is nobody's"),
        ([bearer("support"), bearer("sales")], 401, "two-tokens", "two `Authorization` headers"),
        ([bearer("support"), ("Host", "evil.example")], 421, "host", "not called by that name"),
        ([bearer("support"), ("Origin", "http://evil.example")], 403, "origin", "a page in a browser"),
        ([bearer("support"), ("Content-Type", "text/plain")], 415, "content-type", "is not application/json"),
        ([bearer("support"), ("Content-Length", "9000000")], 413, "too-large", "more than 1,048,576 bytes"),
        ([bearer("support"), ("mcp-session-id", "unheard-of")], 404, "unknown-session", "Session not found"),
    ],
)
async def test_what_is_refused_is_on_record_without_what_was_sent(
    gateway: Gateway, headers: list[tuple[str, str]], status: int, kind: str, told: str
) -> None:
    before, ran = len(gateway.refusals()), gateway.ran
    body = json.dumps(call("find", query="never")).encode()
    names = [name for name, _ in headers]
    head = [("Host", "127.0.0.1"), ("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    lines = [*headers, *((name, value) for name, value in head if name not in names), *ACCEPT.items()]
    answer = await raw(gateway, "POST", lines, body)

    assert answer.startswith(f"HTTP/1.1 {status} ")
    assert told in answer
    found = gateway.refusals()[before:]
    assert [event.what for event in found] == [kind]
    assert (found[0].by, found[0].address) == ("mcp-gateway", "127.0.0.1")
    assert found[0].agent == ("" if status in (401, 421) or kind == "origin" else "support")
    assert gateway.ran == ran
    record = "".join(path.read_text(encoding="utf-8") for path in (gateway.home / "journals").glob("*.jsonl"))
    assert SECRET not in record
    assert "evil.example" not in record


@asynccontextmanager
async def connected(address: tuple[str, int]) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(*address)
    try:
        async with asyncio.timeout(60):
            yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def raw(gateway: Gateway, method: str, lines: list[tuple[str, str]], body: bytes = b"") -> str:
    """What comes back for these bytes."""
    head = "".join(f"{name}: {value}\r\n" for name, value in lines)
    async with connected(gateway.address) as (reader, writer):
        writer.write(f"{method} /mcp/accounts HTTP/1.1\r\n{head}Connection: close\r\n\r\n".encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return (answer + await reader.readexactly(length)).decode()


async def test_what_is_no_http_or_has_a_huge_head_is_told_and_on_record(gateway: Gateway) -> None:
    for sent in (b"\x16\x03\x01 hello\r\n\r\n", b"GET /mcp/accounts HTTP/1.1\r\nX: " + b"x" * 200_000):
        before = len([event for event in gateway.refusals() if event.what == "no-http"])
        async with connected(gateway.address) as (reader, writer):
            writer.write(sent)
            with suppress(ConnectionResetError):  # it does not read what is too much
                assert (await reader.read(200)).startswith(b"HTTP/1.1 400 ")
        async with asyncio.timeout(30):
            while len([event for event in gateway.refusals() if event.what == "no-http"]) == before:  # noqa: ASYNC110
                await asyncio.sleep(0.02)


async def test_the_session_of_another_or_one_that_has_ended_is_no_session(gateway: Gateway) -> None:
    async with gateway.http("of-support") as http, gateway.http("of-sales") as other:
        session = await opened(gateway, http)
        stolen = await other.post(gateway.url, json=call("find", query="stolen"), headers=session)
        ended = await other.delete(gateway.url, headers=session)
        own = await http.post(gateway.url, json=PING, headers=session)
        assert (await http.delete(gateway.url, headers=session)).status_code == 200
        replayed = await http.post(gateway.url, json=call("find", query="replayed"), headers=session)
        streamed = await http.get(gateway.url, headers=session)

    assert [one.status_code for one in (stolen, ended, own, replayed, streamed)] == [404, 404, 200, 404, 404]
    assert stolen.json()["error"]["message"] == "Session not found"
    assert not {"find stolen", "find replayed"} & set(gateway.ran)


async def test_half_open_sessions_are_bounded_by_caller_and_nothing_is_started_for_less_than_a_handshake(
    tmp_path: Path,
) -> None:
    gateway = made(tmp_path, "sessions_per_caller: 2")
    with gateway.running():
        async with gateway.http("of-support") as http, gateway.http("of-sales") as other:
            for body in (PING, call("find", query="x"), [INITIALIZE], {**INITIALIZE, "id": None}):
                assert (await http.post(gateway.url, json=body)).status_code == 400
            assert (await http.get(gateway.url)).status_code == 400
            first = await opened(gateway, http)
            await opened(gateway, http)
            third = await http.post(gateway.url, json=INITIALIZE)
            await opened(gateway, other)
            assert (await http.delete(gateway.url, headers=first)).status_code == 200
            async with asyncio.timeout(20):
                while (await http.post(gateway.url, json=INITIALIZE)).status_code == 503:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)

    assert third.status_code == 503
    assert third.json()["error"]["message"] == "too many sessions are open"
    assert third.headers["Retry-After"] == "5"
    assert {event.agent for event in gateway.refusals() if event.what == "too-many"} == {"support"}


async def test_a_slow_body_is_given_up_and_harms_nobody(tmp_path: Path) -> None:
    gateway = made(tmp_path, "body: 5")
    with gateway.running():
        lines = [
            ("Host", "localhost"),
            ("Content-Type", "application/json"),
            ("Content-Length", "100"),
            bearer("sales"),
        ]
        head = "".join(f"{name}: {value}\r\n" for name, value in lines)
        async with AsyncExitStack() as stack:
            ends = [await stack.enter_async_context(connected(gateway.address)) for _ in range(50)]
            for _, writer in ends:
                writer.write(f"POST /mcp/accounts HTTP/1.1\r\n{head}\r\n{{".encode())
            async with gateway.speaking("of-support") as client:
                assert not (await client.call_tool("find", {"query": "meanwhile"})).is_error
            for reader, _ in ends:
                assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 408 ")

    slow = [event for event in gateway.refusals() if event.what == "too-slow"]
    assert {(event.agent, event.detail) for event in slow} == {("sales", "the body did not come within 5 s")}
    assert gateway.ran == ["find meanwhile"]


async def test_a_flood_of_wrong_tokens_is_counted_and_not_written(tmp_path: Path) -> None:
    gateway = made(tmp_path)
    count = 4 * MOST
    with gateway.running():
        for number in range(count):
            async with httpx2.AsyncClient(headers={"Authorization": f"Bearer guess-{number}"}) as http:
                assert (await http.post(gateway.url, json=PING)).status_code == 401
        async with gateway.speaking("of-support") as client:
            assert not (await client.call_tool("find", {"query": "x"})).is_error

    found = [event for event in gateway.refusals() if event.what == "unknown-token"]
    minutes = int(found[-1].at - found[0].at) // 60 + 1
    assert len(found) <= MOST * (minutes + 1)
    assert len(found) + sum(event.unrecorded for event in found) <= count
    assert gateway.said.count("\n") < 20


def _junk() -> st.SearchStrategy[bytes]:
    """Bodies: nearly right, and not at all."""
    texts = st.sampled_from(["", "x", "find", "tools/call", "\ud800", "\u0000", "note://x"]) | st.text(max_size=5)
    leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
    values = st.recursive(leaves, lambda item: st.lists(item, max_size=3) | st.dictionaries(texts, item, max_size=3))
    meta = {
        "io.modelcontextprotocol/protocolVersion": st.sampled_from(["2026-07-28", "x"]),
        "io.modelcontextprotocol/clientInfo": st.just({"name": "c", "version": "1"}) | values,
        "io.modelcontextprotocol/clientCapabilities": st.just({}) | values,
        "progressToken": values,
    }
    names = st.sampled_from(["find", "pay", "x"]) | values
    params = st.fixed_dictionaries(
        {},
        optional={
            "name": names,
            "arguments": st.just({"query": "q"}) | values,
            "uri": values,
            "ref": values,
            "argument": values,
            "cursor": values,
            "requestId": values,
            "_meta": st.fixed_dictionaries({}, optional=meta) | values,
        },
    )
    methods = [
        "initialize", "ping", "tools/call", "tools/list", "resources/read", "resources/subscribe", "prompts/get",
        "completion/complete", "logging/setLevel", "server/discover", "notifications/cancelled",
        "notifications/progress", "notifications/initialized", "sampling/createMessage", "x",
    ]  # fmt: skip
    message = st.fixed_dictionaries(
        {"jsonrpc": st.just("2.0") | values},
        optional={
            "id": st.integers(1, 3) | values,
            "method": st.sampled_from(methods) | values,
            "params": params | values,
            "result": values,
            "error": values,
        },
    )
    whole = (message | st.lists(message, max_size=2)).map(lambda found: json.dumps(found).encode())
    return whole | whole.map(lambda found: found[: len(found) // 2]) | st.binary(max_size=40) | st.just(b"[" * 50_000)


@settings(max_examples=150, deadline=None)
@given(
    body=_junk(),
    method=st.sampled_from(["POST"] * 8 + ["PUT", "OPTIONS", "HEAD", "BREW"]),
    headers=st.fixed_dictionaries(
        {"content-type": st.sampled_from(["application/json"] * 8 + ["", "application/json; charset=x", "text/plain"])},
        optional={
            "mcp-protocol-version": st.sampled_from(["2025-11-25", "2025-03-26", "2026-07-28", "", "x"]),
            "mcp-method": st.sampled_from(["tools/call", "ping", "x", ""]),
            "mcp-name": st.sampled_from(["find", "=?base64?!?=", ""]),
            "accept": st.sampled_from(["", "*/*", "text/event-stream", "a/b"]),
            "last-event-id": st.sampled_from(["", "1"]),
            "mcp-session-id": st.sampled_from(["", "x", "a" * 5000]),
        },
    ),
    own=st.booleans(),
)
def test_no_frame_makes_the_gateway_fail(
    gateway: Gateway, sessions: Any, body: bytes, method: str, headers: dict[str, str], own: bool
) -> None:
    http, session = sessions
    named = {**headers, **session()} if own else headers
    with http.stream(method, gateway.url, content=body, headers=named) as answer:
        assert answer.status_code < 500 or (answer.status_code == 503 and "too many" in answer.read().decode())
    assert "Exception in ASGI application" not in gateway.said


@pytest.fixture(scope="module")
def sessions(gateway: Gateway) -> Iterator[Any]:
    """A client, and the header of a session that is open: a new one where the last has ended."""
    with httpx2.Client(headers={**ACCEPT, "Authorization": "Bearer of-support"}, timeout=60) as http:
        known: dict[str, str] = {}

        def session() -> dict[str, str]:
            if not known or http.post(gateway.url, json=PING, headers=known).status_code == 404:
                answer = http.post(gateway.url, json=INITIALIZE)
                if answer.status_code == 503:
                    return {}
                known.update({"mcp-session-id": answer.headers["mcp-session-id"]})
            return known

        yield http, session


async def test_a_connection_that_says_nothing_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    with listening(told) as address:
        async with connected(address) as (reader, writer):
            writer.write(b"no\r\n\r\n")
            assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
        monkeypatch.setattr(connections, "HEAD_S", 2.0)
        for said in (b"", b"POST / HTTP/1.1\r\nHo"):
            async with connected(address) as (reader, writer):
                writer.write(said)
                assert await reader.read() == b""
        async with connected(address) as (reader, writer):  # one that goes on and on after its answer
            writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            with suppress(OSError):
                while not reader.at_eof():
                    writer.write(b"x")
                    await writer.drain()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(0.02):
                            await reader.read(1)
    assert told == ["127.0.0.1"]


@contextmanager
def listening(told: list[str]) -> Iterator[tuple[str, int]]:
    """An application that answers at once, behind the gateway's connections."""

    class Application:
        def unreadable(self, address: str) -> None:
            told.append(address)

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body"})

    options: Any = {"http": Connection, "lifespan": "off", "log_level": "critical", "timeout_keep_alive": 3600}
    server = uvicorn.Server(uvicorn.Config(Application(), **options))
    with socket.create_server(("127.0.0.1", 0)) as sock:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
        thread.start()
        try:
            yield sock.getsockname()
        finally:
            server.should_exit = True
            thread.join()
