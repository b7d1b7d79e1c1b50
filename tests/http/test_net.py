"""Beneath the libraries: what a tool connects to by anything else is recorded, and can be refused."""

from __future__ import annotations

import asyncio
import os
import smtplib
import socket
import sys
import threading
import urllib.error
import urllib.request
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from http_harness import NO, about, as_tool, decided, keep, outcomes, refuse_port

import jackline_http
from jackline.decision import Verdict
from jackline.errors import Denied, Halted
from jackline.testing.records import assert_accounted
from jackline.testing.scripted import replacing
from jackline_http.net import NET

if TYPE_CHECKING:
    from collections.abc import Callable

    from http_server import Server

    from jackline.guard import Guard

    Governing = Callable[..., Guard]


def _urllib(server: Server) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{server.url}/ok") as response:
        return str(response.read().decode())


def _http_client(server: Server) -> str:
    connection = HTTPConnection("127.0.0.1", server.port)
    try:
        connection.request("GET", "/ok")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def _raw(server: Server) -> str:
    with socket.socket() as raw:
        raw.connect(("127.0.0.1", server.port))
        raw.sendall(b"GET /ok HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        return raw.recv(10_000).decode().rpartition("\r\n")[2] or raw.recv(100).decode()


def _by_name(server: Server) -> str:
    with socket.create_connection(("localhost", server.port)) as raw:
        raw.sendall(b"GET /ok HTTP/1.0\r\n\r\n")
        return "hello "


def _asyncio(server: Server) -> str:
    async def ask() -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /ok HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        answer = (await reader.read()).decode().rpartition("\r\n")[2]
        writer.close()
        await writer.wait_closed()
        return answer

    return asyncio.run(ask())


def _in_a_thread(server: Server) -> str:
    found: list[str] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            found.append(_raw(server))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return found[0]


WAYS = (_urllib, _http_client, _raw, _by_name, _asyncio, _in_a_thread)
every_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__.strip("_"))


@every_way
def test_a_connection_of_a_tool_is_recorded(way: Any, good: Server, governing: Governing) -> None:
    asked: list[Any] = []
    guard = governing(keep(asked))
    assert as_tool(guard, lambda: way(good)) == "hello "
    (event,) = [each for each in decided(guard) if each.http.port == good.port and each.resource != "::1"]
    assert event.resource == ("localhost" if way is _by_name else "127.0.0.1")
    assert (event.http.method, event.http.scheme, event.agent) == ("CONNECT", "tcp", "researcher")
    assert event.parent
    (request,) = [each for each in asked if each.span == event.span]
    assert request.args == {
        "method": "CONNECT",
        "url": f"tcp://{event.resource}:{good.port}",
        "headers": {},
        "body": None,
    }
    guard.close()
    assert_accounted(guard)


@every_way
def test_a_connection_of_a_tool_can_be_refused(way: Any, bad: Server, governing: Governing) -> None:
    guard = governing(refuse_port(bad.port))
    with pytest.raises(OSError, match=NO) as caught:
        as_tool(guard, lambda: way(bad))
    error = caught.value.reason if isinstance(caught.value, urllib.error.URLError) else caught.value
    assert isinstance(error, Denied)
    assert isinstance(error, PermissionError)
    assert bad.connections == 0
    assert outcomes(guard) == []


def test_a_halt_ends_the_session(bad: Server, governing: Governing) -> None:
    guard = governing(refuse_port(bad.port, "halt"))
    with pytest.raises(Halted):
        as_tool(guard, lambda: _raw(bad))
    with pytest.raises(Halted):
        as_tool(guard, lambda: "anything")
    assert bad.connections == 0


@every_way
def test_what_no_tool_does_is_not_the_nets(way: Any, bad: Server, governing: Governing) -> None:
    guard = governing(refuse_port(bad.port))
    assert way(bad) == "hello "
    with guard.session("job", agent="researcher"):
        assert way(bad) == "hello "
    assert decided(guard) == []


def test_a_connection_cannot_be_changed(good: Server, governing: Governing) -> None:
    guard = governing(replacing("http.request", "tcp", "udp"))
    with pytest.raises(PermissionError, match="a connection cannot be changed as policy asks"):
        as_tool(guard, lambda: _raw(good))
    assert good.connections == 0
    guard.close()
    assert_accounted(guard)


def test_socket_files_and_pipes_are_no_connections(tmp_path: Path, governing: Governing) -> None:
    guard = governing(about(lambda _: Verdict(effect="deny", reason=NO)))

    def tool() -> bytes:
        with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as raw:
            os.chdir(tmp_path)
            listening.bind("s.sock")
            listening.listen()
            raw.connect("s.sock")
            one, other = socket.socketpair()
            with one, other:
                one.sendall(b"x")
                asyncio.run(asyncio.sleep(0))  # a loop has a pipe to itself
                return other.recv(1)

    before = Path.cwd()
    try:
        assert as_tool(guard, tool) == b"x"
    finally:
        os.chdir(before)
    assert decided(guard) == []


def test_datagrams_are_judged_once_for_each_place(governing: Governing) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.setblocking(False)
        port = server.getsockname()[1]

        def tool() -> None:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as raw:
                for _ in range(3):
                    raw.sendto(b"x", ("127.0.0.1", port))
                raw.sendmsg([b"x"], [], 0, ("127.0.0.1", port))

        guard = governing()
        as_tool(guard, tool)
        assert [(each.http.scheme, each.http.port) for each in decided(guard)] == [("udp", port)]
        assert [server.recv(10) for _ in range(4)] == [b"x"] * 4
        guard.close()
        guard = governing(refuse_port(port))
        with pytest.raises(PermissionError, match=NO):
            as_tool(guard, tool)
        with pytest.raises(BlockingIOError):
            server.recv(10)


def test_mail_is_a_connection(bad: Server, governing: Governing) -> None:
    guard = governing(refuse_port(bad.port))
    with pytest.raises(PermissionError, match=NO):
        as_tool(guard, lambda: smtplib.SMTP("localhost", bad.port))
    assert {each.resource for each in decided(guard)} == {"localhost"}
    assert bad.connections == 0


def test_a_failing_policy_refuses(bad: Server, governing: Governing) -> None:
    def broken(_: Any) -> Any:
        raise ZeroDivisionError

    guard = governing(about(broken))
    with pytest.raises(PermissionError, match="raised ZeroDivisionError"):
        as_tool(guard, lambda: _raw(bad))
    assert bad.connections == 0


def test_off_means_off(bad: Server, governing: Governing) -> None:
    original = socket.getaddrinfo
    guard = governing(refuse_port(bad.port))
    assert socket.getaddrinfo is not original
    jackline_http.disable(guard)
    assert socket.getaddrinfo is original
    assert not NET.on
    assert as_tool(guard, lambda: _raw(bad)) == "hello "
    assert decided(guard) == []
    jackline_http.enable(guard)
    with pytest.raises(PermissionError, match=NO):
        as_tool(guard, lambda: _raw(bad))


def test_a_forked_child_is_governed(bad: Server, governing: Governing) -> None:
    guard = governing(refuse_port(bad.port))

    def tool() -> int:
        child = os.fork()
        if child == 0:
            try:
                _raw(bad)
            except Denied:
                os._exit(7)
            os._exit(0)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    if sys.version_info >= (3, 12):
        with pytest.warns(DeprecationWarning, match="fork"):
            assert as_tool(guard, tool) == 7
    else:
        assert as_tool(guard, tool) == 7
    assert bad.connections == 0
