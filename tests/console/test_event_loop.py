"""The server's event loop: no database is asked on it, and streams that go leave nothing behind."""

from __future__ import annotations

import asyncio
import re
import socket

import httpx
import sqlalchemy as sa
from console_harness import until

from jackline.home import Home
from jackline.testing.journals import story, write
from jackline_console.access.users import Users
from jackline_console.app import create_app
from jackline_console.listening import listen
from jackline_console.settings import Settings


async def test_no_route_asks_the_database_on_the_event_loop(tmp_path):
    home = Home(tmp_path / "home")
    write(home.path, story())
    app = create_app(Settings(home=home, bundle=tmp_path / "jackline.yaml"))
    _, token = Users(home.path / "console").issue("ci", "admin", 1.0, None)
    asked, wrong = [], []

    def look(_connection, _cursor, statement, *_rest):
        asked.append(statement)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return
        wrong.append(statement)

    sa.event.listen(app.state.console.store._engine, "before_cursor_execute", look)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        client.headers["Authorization"] = f"Bearer {token}"
        for path in app.openapi()["paths"]:
            if path != "/api/v1/stream":
                answer = await client.get(re.sub(r"\{[^}]*\}", "1", path))
                assert answer.status_code < 500, answer.text
        assert (await client.get("/metrics")).status_code == 200
    assert len(asked) > 50
    assert wrong == []


async def test_answers_do_not_wait_for_their_head_to_be_acknowledged(tmp_path):
    """An answer is written in two parts; without TCP_NODELAY the second waits for the first: 40 ms on Linux."""
    accepted = asyncio.get_running_loop().create_future()

    def come(_reader, writer):
        accepted.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    listening = listen(Settings(home=Home(tmp_path / "home"), port=0))
    async with await asyncio.start_server(come, sock=listening):
        _, writer = await asyncio.open_connection(*listening.getsockname())
        assert await asyncio.wait_for(accepted, 30)
        writer.close()
        await writer.wait_closed()


def test_streams_that_go_leave_nothing_behind(console, client, stream):
    def open_now():
        text = client.get(f"{console.base}/metrics").text
        return float(re.search(r"^jackline_console_streams (.*)$", text, re.MULTILINE)[1])

    readers = [stream(client) for _ in range(5)]
    for reader in readers:
        reader.next("hello")
    assert open_now() == 5
    for reader in readers:
        reader.close()
    until(lambda: open_now() == 0, "the end of all streams")
