"""What is particular to one library: kept connections, streams, retries, proxies, socket files, odd transports."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx
import pytest
import requests
import urllib3
from aiohttp import web
from http_harness import NO, about, as_tool, decided, keep, outcomes, refuse_port
from http_ways import WAYS

import jackline_http
from jackline.decision import Verdict
from jackline.errors import Denied
from jackline.events import Completed, Failed
from jackline.testing.records import assert_accounted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from http_server import Server

    from jackline.guard import Guard
    from jackline.testing.scripted import Guards

    Governing = Callable[..., Guard]


def refuse_path(path: str) -> Any:
    """Refuse one path of a server that is asked for others too."""
    return about(lambda request: Verdict(effect="deny", reason=NO) if request.facts["http"]["path"] == path else None)


def test_a_kept_connection_is_judged_at_every_request(good: Server, governing: Governing) -> None:
    guard = governing(refuse_path("/secret"))

    def tool() -> None:
        with (
            httpx.Client(trust_env=False) as client,
            requests.Session() as session,
            urllib3.HTTPConnectionPool("127.0.0.1", good.port) as pool,
        ):
            for _ in range(2):
                client.get(f"{good.url}/ok")
                session.get(f"{good.url}/ok")
                pool.request("GET", "/ok")
            with pytest.raises(httpx.RequestError, match=NO):
                client.get(f"{good.url}/secret")
            with pytest.raises(requests.RequestException, match=NO):
                session.get(f"{good.url}/secret")
            with pytest.raises(urllib3.exceptions.HTTPError, match=NO):
                pool.request("GET", "/secret")
            client.get(f"{good.url}/ok")
            session.get(f"{good.url}/ok")
            pool.request("GET", "/ok")

    as_tool(guard, tool)
    assert good.connections == 3
    assert good.count("/secret") == 0
    assert good.count("/ok") == 9
    assert [each.effect for each in decided(guard)] == ["allow"] * 6 + ["deny"] * 3 + ["allow"] * 3


async def test_a_kept_connection_of_aiohttp_is_judged_at_every_request(good: Server, governing: Governing) -> None:
    guard = governing(refuse_path("/secret"))
    async with aiohttp.ClientSession() as session:
        with guard.session("job", agent="researcher"):
            for _ in range(3):
                async with session.get(f"{good.url}/ok") as response:
                    assert response.status == 200
                    await response.read()
            with pytest.raises(aiohttp.ClientError, match=NO):
                await session.get(f"{good.url}/secret")
    assert (good.connections, good.count("/secret")) == (1, 0)
    assert len(outcomes(guard)) == 3


def test_p54_a_client_that_was_made_before_is_governed(good: Server, bad: Server, governing: Governing) -> None:
    with httpx.Client(trust_env=False) as client, requests.Session() as session:
        session.get(f"{bad.url}/ok")
        client.get(f"{bad.url}/ok")
        governing(refuse_port(bad.port))
        for send in (client.get, session.get):
            with pytest.raises(Denied):
                send(f"{bad.url}/ok")
    assert len(bad.got) == 2


def test_a_stream_is_closed_when_it_is_read(good: Server, governing: Governing) -> None:
    guard = governing()
    with guard.session("job", agent="researcher"), httpx.Client(trust_env=False) as client:
        with client.stream("GET", f"{good.url}/chunks") as response:
            assert outcomes(guard) == []
            assert b"".join(response.iter_raw()) == b"abcde" * 10
            (found,) = outcomes(guard)
        assert (found.http.status, found.http.received) == (200, 50)
    assert len(outcomes(guard)) == 1


@pytest.mark.parametrize("library", ["httpx", "requests", "urllib3", "aiohttp"])
def test_a_stream_that_its_reader_leaves_is_closed_with_what_was_read(
    library: str, good: Server, governing: Governing
) -> None:
    guard = governing()
    url = f"{good.url}/large"

    def leave() -> None:
        if library == "httpx":
            with httpx.Client(trust_env=False) as client, client.stream("GET", url) as response:
                next(response.iter_raw(1000))
        elif library == "requests":
            with requests.get(url, stream=True, timeout=5) as answer:
                next(answer.iter_content(1000))
        elif library == "urllib3":
            with urllib3.PoolManager() as manager:
                raw = manager.request("GET", url, preload_content=False)
                raw.read(1000)
                raw.close()
        else:
            asyncio.run(_leave(url))

    as_tool(guard, leave)
    (found,) = outcomes(guard)
    assert isinstance(found, Completed)
    assert found.http.status == 200
    assert 1000 <= found.http.received < 200_000 or library == "aiohttp"


async def _leave(url: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        await response.content.read(1000)


@pytest.mark.parametrize("library", ["httpx", "requests", "urllib3"])
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_stream_that_is_forgotten_is_closed_all_the_same(library: str, good: Server, governing: Governing) -> None:
    guard = governing()

    def forget() -> None:
        if library == "httpx":
            client = httpx.Client(trust_env=False)
            client.send(client.build_request("GET", f"{good.url}/large"), stream=True)
        elif library == "requests":
            requests.get(f"{good.url}/large", stream=True, timeout=5)
        else:
            urllib3.PoolManager().request("GET", f"{good.url}/large", preload_content=False)

    as_tool(guard, forget)
    gc.collect()
    (found,) = outcomes(guard)
    assert found.http.status == 200


def test_what_is_open_when_its_guard_is_closed_is_on_record(good: Server, governing: Governing) -> None:
    guard = governing()
    with httpx.Client(trust_env=False) as client:
        with guard.session("job", agent="researcher"):
            response = client.send(client.build_request("GET", f"{good.url}/large"), stream=True)
            jackline_http.disable(guard)
            assert outcomes(guard) == []
            jackline_http.enable(guard)
        guard.close()
        (found,) = outcomes(guard)
        assert (found.http.status, found.http.received) == (200, 0)
        assert len(response.read()) == 200_000
    assert len(outcomes(guard)) == 1
    assert_accounted(guard)


def test_an_upload_in_pieces_is_judged_without_its_content(good: Server, governing: Governing, tmp_path: Path) -> None:
    asked: list[Any] = []
    guard = governing(keep(asked))
    (tmp_path / "file").write_bytes(b"in a file")

    def pieces() -> Any:
        yield b"in "
        yield b"pieces"

    async def later() -> Any:
        for piece in pieces():
            yield piece

    async def send() -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            await client.post(f"{good.url}/ok", content=later())
        async with aiohttp.ClientSession() as session:
            (await session.post(f"{good.url}/ok", data=later())).release()

    def tool() -> None:
        httpx.post(f"{good.url}/ok", content=pieces(), trust_env=False)
        requests.post(f"{good.url}/ok", data=pieces(), timeout=5)
        urllib3.PoolManager().request("POST", f"{good.url}/ok", body=pieces()).data  # noqa: B018 - read it
        with (tmp_path / "file").open("rb") as file:
            requests.post(f"{good.url}/ok", data=file, timeout=5)
        asyncio.run(send())

    as_tool(guard, tool)
    assert [each.body for each in good.got] == [b"in pieces"] * 3 + [b"in a file"] + [b"in pieces"] * 2
    assert all("$opaque" in each.args["body"] for each in asked)
    assert [each.http.sent for each in outcomes(guard)] == [None, None, None, 9, None, None]


def test_a_body_that_is_no_text_cannot_be_changed(good: Server, governing: Governing) -> None:
    guard = governing(
        about(lambda request: Verdict(effect="modify", args=request.args | {"body": "text"}), phase="modify")
    )
    with pytest.raises(httpx.RequestError, match="a body that is no text cannot be changed"):
        as_tool(guard, lambda: httpx.post(f"{good.url}/ok", content=b"\xff\x00", trust_env=False))
    assert good.got == []


@pytest.mark.parametrize("way", WAYS, ids=repr)
def test_a_header_that_no_library_sends_ends_the_act(way: Any, good: Server, governing: Governing) -> None:
    guard = governing(
        about(
            lambda request: Verdict(effect="modify", args=request.args | {"headers": {"x": "a\r\nb: c"}}),
            phase="modify",
        )
    )
    with pytest.raises(Exception, match=r".*") as caught:
        as_tool(guard, lambda: way.send(f"{good.url}/ok"))
    assert good.got == []
    guard.close()
    (found,) = outcomes(guard)
    assert isinstance(found, Failed)
    assert isinstance(caught.value, Denied) == (found.error == "abandoned")
    assert_accounted(guard)


def test_each_retry_of_urllib3_is_a_request(good: Server, governing: Governing) -> None:
    guard = governing()

    def tool() -> int:
        with requests.Session() as session:
            session.mount("http://", requests.adapters.HTTPAdapter(max_retries=urllib3.Retry(3, backoff_factor=0)))
            return session.get(f"{good.url}/gone?once=1").status_code

    assert as_tool(guard, tool) == 200
    assert len(good.got) == 2
    found = outcomes(guard)
    assert [type(each) for each in found] == [Failed, Completed]
    parents = {each.parent for each in decided(guard)}
    assert len(parents) == 1
    guard.close()
    assert_accounted(guard)


def test_a_retry_that_is_refused_is_an_error_of_requests(good: Server, governing: Governing) -> None:
    seen: list[Any] = []

    def once(request: Any) -> Verdict | None:
        seen.append(request)
        return Verdict(effect="deny", reason="one is enough") if len(seen) > 1 else None

    guard = governing(about(once))
    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(max_retries=urllib3.Retry(3, backoff_factor=0)))
    with pytest.raises(requests.RequestException, match="one is enough") as caught:
        as_tool(guard, lambda: session.get(f"{good.url}/gone?once=1"))
    assert isinstance(caught.value, Denied)
    assert len(good.got) == 1


def test_a_transport_that_tries_again_sends_another_request(good: Server, governing: Governing) -> None:
    class Again(httpx.BaseTransport):
        def __init__(self) -> None:
            self.inner = httpx.HTTPTransport()

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            self.inner.handle_request(request).close()
            return self.inner.handle_request(request)

        def close(self) -> None:
            self.inner.close()

    guard = governing()
    with httpx.Client(transport=Again()) as client:
        as_tool(guard, lambda: client.get(f"{good.url}/ok"))
    assert len(good.got) == 2
    assert [each.http.status for each in outcomes(guard)] == [200, 200]
    guard.close()
    assert_accounted(guard)


def test_transports_that_use_no_network_are_judged_like_others(governing: Governing) -> None:
    guard = governing(refuse_path("/secret"))

    class Local(requests.adapters.BaseAdapter):
        def send(self, request: Any, *_: Any, **__: Any) -> requests.Response:
            response = requests.Response()
            response.status_code, response.url, response._content = 200, request.url, b"local"
            return response

        def close(self) -> None:
            """Nothing is open."""

    session = requests.Session()
    session.mount("http://", Local())
    client = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, text="mock")))
    with guard.session("job", agent="researcher"), client:
        assert client.get("http://mock.test/ok").text == "mock"
        assert session.get("http://local.test/ok").text == "local"
        for send in (client.get, session.get):
            with pytest.raises(Denied):
                send("http://mock.test/secret")
    assert [(each.http.status, each.http.received) for each in outcomes(guard)] == [(200, 4), (200, 5)]


def test_a_subclass_that_is_made_later_is_governed(bad: Server, governing: Governing) -> None:
    governing(refuse_port(bad.port))

    class Client(httpx.Client):
        def _send_single_request(self, request: httpx.Request) -> httpx.Response:
            return super()._send_single_request(request)

    class Adapter(requests.adapters.HTTPAdapter):
        def send(self, *args: Any, **kwargs: Any) -> requests.Response:
            return super().send(*args, **kwargs)

    session = requests.Session()
    session.mount("http://", Adapter())
    with Client(trust_env=False) as client:
        for send in (client.get, session.get):
            with pytest.raises(Denied):
                send(f"{bad.url}/ok")
    assert bad.connections == 0


def test_a_request_through_a_proxy_says_so(good: Server, bad: Server, governing: Governing) -> None:
    asked: list[Any] = []
    guard = governing(keep(asked))
    there = "http://somewhere.example/ok"

    async def send() -> None:
        async with aiohttp.ClientSession() as session, session.get(there, proxy=good.url) as response:
            await response.read()

    def tool() -> None:
        httpx.get(there, proxy=good.url, trust_env=False)
        requests.get(there, proxies={"http": good.url}, timeout=5)
        urllib3.ProxyManager(good.url).request("GET", there)
        asyncio.run(send())

    as_tool(guard, tool)
    assert [each.path for each in good.got] == [there] * 4
    facts = [each.facts["http"] for each in asked]
    assert [(each["host"], each["port"], each["proxy"]) for each in facts] == [
        ("somewhere.example", 80, f"127.0.0.1:{good.port}")
    ] * 4
    assert {each.http.proxy for each in decided(guard)} == {f"127.0.0.1:{good.port}"}


def test_a_refused_request_is_not_announced_to_a_proxy(good: Server, governing: Governing) -> None:
    guard = governing(about(lambda _: Verdict(effect="deny", reason=NO)))
    there = "https://somewhere.example/ok"
    sends: list[Callable[[], Any]] = [
        lambda: httpx.get(there, proxy=good.url, trust_env=False),
        lambda: requests.get(there, proxies={"https": good.url}, timeout=5),
        lambda: urllib3.ProxyManager(good.url).request("GET", there),
    ]
    for send in sends:
        with pytest.raises(Denied):
            as_tool(guard, send)
    assert good.connections == 0


async def test_a_socket_file_is_the_host(tmp_path: Path, governing: Governing, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    app = web.Application()
    app.router.add_get("/ok", _answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, "s.sock").start()
    guard = governing()
    with guard.session("job", agent="researcher"):
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector("s.sock")) as session:
            assert await (await session.get("http://docker/ok")).text() == "file"
        async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds="s.sock")) as client:
            assert (await client.get("http://docker/ok")).text == "file"
    await runner.cleanup()
    assert [each.resource for each in decided(guard)] == ["unix:s.sock", "unix:s.sock"]


async def _answer(_: web.Request) -> web.Response:
    return web.Response(text="file")


async def test_a_web_socket_is_open_until_it_is_closed(governing: Governing) -> None:
    async def echo(request: web.Request) -> web.WebSocketResponse:
        found = web.WebSocketResponse()
        await found.prepare(request)
        async for message in found:
            await found.send_str(message.data)
        return found

    app = web.Application()
    app.router.add_get("/", echo)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    guard = governing(refuse_port(1))
    async with aiohttp.ClientSession() as session, session.ws_connect(f"ws://127.0.0.1:{port}") as there:
        await there.send_str("hello")
        assert await there.receive_str() == "hello"
        assert outcomes(guard) == []
    await runner.cleanup()
    assert [(each.http.scheme, each.http.method) for each in decided(guard)] == [("ws", "GET")]
    assert [each.http.status for each in outcomes(guard)] == [101]


async def test_a_cancelled_request_is_closed(good: Server, governing: Governing) -> None:
    guard = governing()
    listening = socket.create_server(("127.0.0.1", 0))  # that nobody answers at
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
    async with httpx.AsyncClient(trust_env=False) as client, aiohttp.ClientSession() as session:
        for send in (lambda: client.get(url), lambda: session.get(url)):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(send(), 0.1)
    listening.close()
    assert [each.error for each in outcomes(guard)] == ["cancelled", "cancelled"]
    guard.close()
    assert_accounted(guard)


@pytest.mark.parametrize("way", [way for way in WAYS if way.name in ("httpx.AsyncClient", "aiohttp")], ids=repr)
async def test_fifty_at_once(way: Any, good: Server, bad: Server, governing: Governing) -> None:
    guard = governing(refuse_port(bad.port))
    timeout = httpx.Timeout(30)

    async def job(number: int, client: Any) -> str:
        async def tool(where: str) -> int:
            response = await client.get(where)
            return int(getattr(response, "status_code", 0) or response.status)

        with guard.session(f"job-{number}", agent=f"agent-{number}") as session:
            found = guard.tool(tool, name="look_up")
            assert await found(f"{good.url}/ok/{number}") == 200
            with pytest.raises(Denied):
                await found(f"{bad.url}/ok/{number}")
            return session.id

    if way.name == "aiohttp":
        async with aiohttp.ClientSession() as client:
            sessions = await asyncio.gather(*(job(number, client) for number in range(50)))
    else:
        async with httpx.AsyncClient(trust_env=False, timeout=timeout) as client:
            sessions = await asyncio.gather(*(job(number, client) for number in range(50)))
    found = decided(guard)
    assert len(found) == 100
    for number, session in enumerate(sessions):
        own = [each for each in found if each.agent == f"agent-{number}"]
        assert [(each.session, each.effect) for each in own] == [(session, "allow"), (session, "deny")]
    assert (len(good.got), bad.connections) == (50, 0)
    guard.close()
    assert_accounted(guard)


def test_fifty_threads_at_once(good: Server, bad: Server, governing: Governing) -> None:
    guard = governing(refuse_port(bad.port))
    denied: list[str] = []
    ready = threading.Barrier(50)

    def work(number: int) -> None:
        with guard.session(f"job-{number}", agent=f"agent-{number}"):
            ready.wait(30)
            way = (requests.get, urllib3.PoolManager().request)[number % 2]
            args = (f"{good.url}/ok",) if number % 2 == 0 else ("GET", f"{good.url}/ok")
            way(*args)
            try:
                way(*(arg.replace(good.url, bad.url) for arg in args))
            except Denied as error:
                denied.append(str(error))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(denied) == 50
    assert (len(good.got), bad.connections) == (50, 0)
    assert {(each.agent, each.effect) for each in decided(guard)} == {
        (f"agent-{number}", effect) for number in range(50) for effect in ("allow", "deny")
    }
    guard.close()
    assert_accounted(guard)


def test_disable_restores_everything(guards: Guards) -> None:
    """P50: off means off."""
    places = [
        (httpx.Client, "_send_single_request"),
        (httpx.AsyncClient, "_send_single_request"),
        (httpx.HTTPTransport, "handle_request"),
        (requests.adapters.HTTPAdapter, "send"),
        (urllib3.HTTPConnectionPool, "urlopen"),
        (urllib3.HTTPConnectionPool, "_make_request"),
        (urllib3.HTTPResponse, "_error_catcher"),
        (aiohttp.BaseConnector, "connect"),
        (aiohttp.ClientResponse, "start"),
    ]
    before = [owner.__dict__[name] for owner, name in places]
    guard = guards()
    adapter = jackline_http.HttpAdapter()
    adapter.enable(guard)
    try:
        assert not any(owner.__dict__[name] is was for (owner, name), was in zip(places, before, strict=True))
    finally:
        adapter.disable(guard)
    assert [owner.__dict__[name] for owner, name in places] == before
    adapter.disable(guard)
