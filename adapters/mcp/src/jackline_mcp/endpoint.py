"""Many servers behind one address, each at `/mcp/NAME`: callers by token, a session of Jackline's for each of MCP's.

A path for each server, no prefixes: names, cursors, capabilities and the protocol's version stay the server's own, so
that what a client reads is equal to what the server says. Policies and the registry name a tool `NAME.TOOL`.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

from mcp.server.streamable_http import StreamableHTTPServerTransport
from mcp.server.transport_security import (
    RequestBodyLimitMiddleware,
    TransportSecurityMiddleware,
    TransportSecuritySettings,
)
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.requests import Request
from starlette.responses import JSONResponse

from jackline_mcp.enforce import GONE, error_of
from jackline_mcp.frames import EndError, FrameError
from jackline_mcp.modern import Posts
from jackline_mcp.relay import Client, Relay
from jackline_mcp.streams import Streams
from jackline_mcp.upstream import connected

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from jackline.guard import Guard
    from jackline_mcp.config import Gateway

PATH = "/mcp/"
SESSION = "mcp-session-id"
VERSION = "mcp-protocol-version"
_LAST = 0.5
"""Seconds for responses to go out before their session ends."""


class Caller(NamedTuple):
    """Who calls, as the configuration knows it."""

    name: str
    user: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    servers: tuple[str, ...] | None = None

    def client(self, session: str) -> Client:
        """Who that is in a session."""
        return Client(self.name, self.user, self.labels, session)


class Session:
    """One client's session at one server."""

    def __init__(self, caller: Caller, server: str, transport: StreamableHTTPServerTransport) -> None:
        self.caller, self.server, self.transport = caller, server, transport
        self.task: asyncio.Task[None]
        self.ready = asyncio.Event()
        self.quiet = asyncio.Event()
        self.busy = 0
        self.idle: asyncio.TimerHandle | None = None


class Endpoint:
    """The gateway as an ASGI application; `close` it where it ends."""

    def __init__(self, guard: Guard, config: Gateway) -> None:
        self.guard, self.config = guard, config
        self.callers = {
            entry.token_sha256: Caller(name, entry.user, tuple(entry.labels.items()), entry.servers)
            for name, entry in config.callers.items()
        }
        self.sessions: dict[str, Session] = {}
        self._posts = Posts(guard, config)
        hosts = [f"{name}:*" for name in ("127.0.0.1", "localhost", "[::1]", config.host)]
        self._security = TransportSecurityMiddleware(TransportSecuritySettings(allowed_hosts=[*hosts, *config.hosts]))
        self._limited = RequestBodyLimitMiddleware(self._admitted, config.frame)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] == "http":
            await self._limited(scope, receive, send)

    async def close(self) -> None:
        """End every session, and what was started for it."""
        await self._posts.close()
        tasks = [session.task for session in self.sessions.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _admitted(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Who calls, and which server: nobody gets past this without both."""
        request = Request(scope, receive)
        refused = await self._security.validate_request(request, is_post=request.method == "POST")
        if refused is not None:  # a page in a browser that was led here by another name
            await refused(scope, receive, send)
            return
        caller = self._caller(request)
        if caller is None:
            told = _error(401, "a token is needed: Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"})
            await told(scope, receive, send)
            return
        name = scope["path"].removeprefix(PATH).rstrip("/") if scope["path"].startswith(PATH) else ""
        if name not in self.config.servers or (caller.servers is not None and name not in caller.servers):
            await _error(404, "no such server for this caller")(scope, receive, send)
            return
        version = request.headers.get(VERSION)
        if version is not None and version not in HANDSHAKE_PROTOCOL_VERSIONS:
            await self._posts.answer(caller.client(f"{caller.name} at {name}"), name, request, send)
            return
        await self._in_session(caller, name, request, send)

    def _caller(self, request: Request) -> Caller | None:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and token:
            return self.callers.get(hashlib.sha256(token.strip().encode()).hexdigest())
        return Caller(self.config.anonymous) if self.config.anonymous and not kind else None

    async def _in_session(self, caller: Caller, server: str, request: Request, send: Send) -> None:
        scope, receive = request.scope, request.receive
        named = request.headers.get(SESSION)
        session = self.sessions.get(named) if named is not None else self._opened(caller, server)
        if session is None and named is None:
            await _error(503, "too many sessions are open")(scope, receive, send)
            return
        if session is None or session.caller != caller or session.server != server:
            await _error(404, "Session not found")(scope, receive, send)
            return
        await session.ready.wait()
        session.busy += 1
        session.quiet.clear()
        if session.idle is not None:
            session.idle.cancel()
        status = 0

        async def watched(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await session.transport.handle_request(scope, receive, watched)
        finally:
            session.busy -= 1
            if not session.busy:
                session.quiet.set()
            if session.transport.is_terminated or (named is None and not 0 < status < 400):  # noqa: PLR2004
                session.task.cancel()
            elif not session.busy:
                session.idle = asyncio.get_running_loop().call_later(self.config.limits.idle, session.task.cancel)

    def _opened(self, caller: Caller, server: str) -> Session | None:
        limits = self.config.limits
        own = sum(each.caller == caller for each in self.sessions.values())
        if len(self.sessions) >= limits.sessions or own >= limits.sessions_per_caller:
            return None
        transport = StreamableHTTPServerTransport(uuid4().hex)
        session = Session(caller, server, transport)
        assert transport.mcp_session_id is not None
        self.sessions[transport.mcp_session_id] = session
        session.task = asyncio.create_task(self._served(session, transport.mcp_session_id))
        return session

    async def _served(self, session: Session, name: str) -> None:
        transport = session.transport
        try:
            async with transport.connect() as (read, write):
                front = Streams(read, write)
                session.ready.set()
                try:
                    async with connected(self.config.servers[session.server], self.config.frame) as back:
                        relay = Relay(
                            self.guard,
                            front,
                            back,
                            server=session.server,
                            prefix=f"{session.server}.",
                            options=self.config.options(),
                        )
                        await relay.run(session.caller.client(name))
                except EndError as error:
                    await _tell(front, f"the server '{session.server}': {error}")
                finally:
                    with contextlib.suppress(TimeoutError):  # what was answered last is still on its way
                        await asyncio.wait_for(session.quiet.wait(), _LAST)
                    await transport.terminate()
        finally:
            session.ready.set()
            self.sessions.pop(name, None)
            if session.idle is not None:
                session.idle.cancel()


async def _tell(front: Streams, why: str) -> None:
    """Answer a client whose server cannot be reached."""
    with contextlib.suppress(EndError, FrameError):
        first = await front.receive()
        if first is not None and "id" in first:
            await front.send(error_of(first["id"], GONE, why))


def _error(status: int, text: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse(error_of(None, -32600, text), status, headers)
