"""Requests since 2026-07-28 over HTTP: each carries all that it needs, and is answered by a connection of its own.

There is no session to keep a connection in. So each request is lent one that nobody else uses meanwhile: ids and
tokens of two callers never meet, and none has to be changed. What is lent comes back, and ends when it was idle.
All of a caller's requests to one server are one session of Jackline's.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from mcp.shared.inbound import InboundLadderRejection, classify_inbound_request
from starlette.responses import JSONResponse, Response, StreamingResponse

from jackline_mcp.enforce import GONE, NO_METHOD, error_of
from jackline_mcp.frames import EndError, FrameError, decoded, encoded
from jackline_mcp.relay import Client, Relay
from jackline_mcp.upstream import connected

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.types import Send

    from jackline.guard import Guard
    from jackline_mcp.config import Gateway
    from jackline_mcp.frames import Message

_IDLE = 60.0
"""Seconds after which a connection ends that nobody wanted."""
_READY = 16
"""Messages that lie ready for a client; until it reads them its server waits."""
_LEAVE = 1.0


class Post:
    """The client's end of one connection, with one request at a time."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[Message | None] = asyncio.Queue()
        self.told: asyncio.Queue[Message | None] = asyncio.Queue(_READY)
        self.open: Any = None
        """The id of the request, until it is answered."""
        self.left = False
        """Whether the client has left its request: nobody reads any more."""

    async def receive(self) -> Message | None:
        """The next request."""
        return await self.asked.get()

    async def send(self, message: Message, about: Any = None) -> None:
        """Pass on what the server says. What it asks has no way back since 2026-07-28: it is told so at once."""
        if "method" in message and "id" in message:
            text = f"'{message['method'][:100]}' cannot be answered by a client without a session"
            self.asked.put_nowait(error_of(message["id"], NO_METHOD, text))
        elif not self.left:
            await self.told.put(message)
            if _answers(message, self.open):
                self.open = None

    def leave(self) -> None:
        """Give up what is ready; whoever waited to have it read goes on."""
        self.left = True
        while not self.told.empty():
            self.told.get_nowait()

    async def unanswered(self, request: Any) -> None:
        """End the response."""
        await self.told.put(None)
        self.open = None

    def end(self, why: str) -> None:
        """Answer the request that nobody can answer any more."""
        if self.open is not None and not self.left:
            if self.told.full():
                self.told.get_nowait()
            self.told.put_nowait(error_of(self.open, GONE, why))

    async def close(self) -> None:
        """Say that nothing more will be asked."""
        await self.asked.put(None)


class Lent:
    """One connection."""

    def __init__(self, key: tuple[Client, str]) -> None:
        self.key = key
        self.post = Post()
        self.task: asyncio.Task[None]
        self.relay: Relay | None = None
        self.idle: asyncio.TimerHandle | None = None
        self.left = False
        """Whether a client left its request; then nobody else is lent it."""

    @property
    def sound(self) -> bool:
        """Whether somebody else may be lent it: nothing of an earlier request can still come."""
        late = self.relay is not None and bool(self.relay.unanswered)
        return not self.task.done() and self.post.told.empty() and not late


class Posts:
    """The connections that are lent, by caller and server."""

    def __init__(self, guard: Guard, config: Gateway) -> None:
        self.guard, self.config = guard, config
        self._free: dict[tuple[Client, str], list[Lent]] = {}
        self._all: set[Lent] = set()

    async def answer(self, client: Client, server: str, request: Request, send: Send) -> None:
        """Answer one POST."""
        scope, receive = request.scope, request.receive
        await (await self._response(client, server, request))(scope, receive, send)

    async def close(self) -> None:
        """End every connection: as if its client had left, and after a second in any case."""
        for lent in self._all:
            lent.post.asked.put_nowait(None)
        tasks = [lent.task for lent in self._all]
        if tasks:
            await asyncio.wait(tasks, timeout=_LEAVE)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _response(self, client: Client, server: str, request: Request) -> Response:
        if request.method != "POST":
            return Response(status_code=405, headers={"Allow": "POST"})
        try:
            message = decoded(await request.body())
        except FrameError as error:
            return JSONResponse(error_of(None, -32700, str(error)), 400)
        if "method" not in message or "id" not in message:
            return Response(status_code=202)
        route = classify_inbound_request(message, headers=request.headers)
        if isinstance(route, InboundLadderRejection):
            return JSONResponse(error_of(message["id"], route.code, route.message, route.data), 400)
        lent = self._lend(client, server)
        if lent is None:
            return JSONResponse(error_of(message["id"], -32600, "too many requests are open"), 503)
        lent.post.open = message["id"]
        await lent.post.asked.put(message)
        return await self._started(lent, message["id"], asyncio.create_task(_left(request)))

    async def _started(self, lent: Lent, request: Any, gone: asyncio.Task[None]) -> Response:
        """One JSON body where the answer is the first that comes; a stream where something comes before it."""
        first = await self._next(lent, request, gone)
        if first is None or _answers(first, request):
            gone.cancel()
            self._take_back(lent)
            return JSONResponse(first) if first is not None else Response(status_code=202)
        headers = {"Cache-Control": "no-cache, no-transform"}
        return StreamingResponse(self._told(lent, request, first, gone), 200, headers, "text/event-stream")

    async def _told(self, lent: Lent, request: Any, first: Message, gone: asyncio.Task[None]) -> AsyncIterator[bytes]:
        message: Message | None = first
        over = False
        try:
            while message is not None:
                yield b"event: message\ndata: " + encoded(message) + b"\n\n"
                if over := _answers(message, request):
                    self._take_back(lent)
                    return
                message = await self._next(lent, request, gone)
        finally:
            gone.cancel()
            if not over:
                self._give_up(lent, request)

    async def _next(self, lent: Lent, request: Any, gone: asyncio.Task[None]) -> Message | None:
        """What the server says next of a request; None where it has no answer, or its client has left."""
        told = asyncio.create_task(lent.post.told.get())
        try:
            await asyncio.wait({told, gone}, return_when=asyncio.FIRST_COMPLETED)
            if told.done():
                return told.result()
        finally:
            told.cancel()
            if not told.done() or told.cancelled():
                self._give_up(lent, request)
        return None

    def _give_up(self, lent: Lent, request: Any) -> None:
        """The client left: the server is told so, and the connection is not lent again."""
        params = {"requestId": request, "reason": "the client left"}
        note = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}
        if not lent.left:
            lent.left = True
            lent.post.leave()
            lent.post.asked.put_nowait(note)
            lent.post.asked.put_nowait(None)

    def _lend(self, client: Client, server: str) -> Lent | None:
        key = (client, server)
        free = self._free.setdefault(key, [])
        if free:
            lent = free.pop()
            if lent.idle is not None:
                lent.idle.cancel()
            return lent
        limits = self.config.limits
        own = sum(each.key[0].name == client.name for each in self._all)
        if len(self._all) >= limits.sessions or own >= limits.sessions_per_caller:
            return None
        lent = Lent(key)
        lent.task = asyncio.create_task(self._served(lent))
        self._all.add(lent)
        return lent

    def _take_back(self, lent: Lent) -> None:
        if not lent.left and lent.sound:
            lent.idle = asyncio.get_running_loop().call_later(_IDLE, lent.post.asked.put_nowait, None)
            self._free[lent.key].append(lent)
        elif not lent.left:
            lent.task.cancel()

    async def _served(self, lent: Lent) -> None:
        client, server = lent.key
        why = "the connection has ended"
        try:
            async with connected(self.config.servers[server], self.config.frame) as back:
                lent.relay = relay = Relay(
                    self.guard,
                    lent.post,
                    back,
                    server=server,
                    prefix=f"{server}.",
                    options=self.config.options(),
                )
                await relay.run(client)
                why = relay.ended or why
        except EndError as error:
            why = f"the server '{server}': {error}"
        except ExceptionGroup as errors:  # of the SDK's tasks: nobody listens at the address, or it broke off
            why = f"the server '{server}': {errors.exceptions[0]}"
        finally:
            self._all.discard(lent)
            with contextlib.suppress(ValueError):
                self._free.get(lent.key, []).remove(lent)
            lent.post.end(why)


async def _left(request: Request) -> None:
    """Return where the client has left."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _answers(message: Message, request: Any) -> bool:
    return "method" not in message and message.get("id") == request
