"""Many servers behind one address, each at `/mcp/NAME`: a session of Jackline's for each of MCP's.

A path for each server, no prefixes: names, cursors, capabilities and the protocol's version stay the server's own, so
that what a client reads is equal to what the server says. Policies and the registry name a tool `NAME.TOOL`.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from mcp.server.streamable_http import StreamableHTTPServerTransport
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.requests import Request

from jackline_mcp.admission import Admission
from jackline_mcp.bodies import NO_SESSION, SESSION, Room, again, body_of, require_first
from jackline_mcp.callers import RefusedError
from jackline_mcp.enforce import GONE, error_of
from jackline_mcp.frames import EndError, FrameError
from jackline_mcp.modern import Posts
from jackline_mcp.relay import Relay
from jackline_mcp.streams import Streams
from jackline_mcp.upstream import connected

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import Message, Receive, Scope, Send

    from jackline.guard import Guard
    from jackline_mcp.admission import Admitted
    from jackline_mcp.callers import Callers, Shown
    from jackline_mcp.config import Gateway
    from jackline_mcp.oauth import AccessTokens

VERSION = "mcp-protocol-version"
_RESUMED = b"last-event-id"
_LAST = 0.5
"""Seconds for responses to go out before their session ends."""


class Session:
    """One client's session at one server."""

    def __init__(self, admitted: Admitted, transport: StreamableHTTPServerTransport) -> None:
        self.shown = [admitted.shown, admitted.shown]
        """By what it was opened, and by what it was used last."""
        self.transport = transport
        self.caller, self.server = admitted.caller, admitted.server
        self.task: asyncio.Task[None]
        self.ready = asyncio.Event()
        self.quiet = asyncio.Event()
        self.using: list[Shown] = []
        """By what each request came that is being answered."""
        self.idle: asyncio.TimerHandle | None = None


class Answer:
    """What is sent for one request: whatever happens, it ends as HTTP wants it to."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False
        self._open = False
        self._second = False

    async def send(self, message: Message) -> None:
        """Pass on a part of it; a second answer, as the SDK gives where its session ends meanwhile, is left out."""
        if message["type"] == "http.response.start":
            self._second = self.started
            self.started = True
        if self._second:
            return
        self._open = message["type"] != "http.response.body" or message.get("more_body", False)
        await self._send(message)

    def require_started(self) -> None:
        """Raise RefusedError where nothing was sent: its session ended meanwhile."""
        if not self.started:
            raise RefusedError(404, "unknown-session", NO_SESSION)

    async def instead(self, told: Response, request: Request) -> None:
        """Answer by this, where nothing was sent yet."""
        if not self.started:
            await told(request.scope, request.receive, self.send)

    async def finish(self) -> None:
        """End what was begun and not ended."""
        if self._open:
            await self._send({"type": "http.response.body", "body": b""})


class Endpoint:
    """The gateway as an ASGI application; `close` it where it ends."""

    def __init__(self, guard: Guard, config: Gateway, tokens: AccessTokens | None = None) -> None:
        self.guard, self.config = guard, config
        self.admission = Admission(guard, config, tokens)
        self.sessions: dict[str, Session] = {}
        self._posts = Posts(guard, config)
        self._room = Room(config.limits.sessions_per_caller, config.frame)
        self._open: dict[asyncio.Task[Any], Admitted] = {}
        """Requests since 2026-07-28 that are being answered."""
        self._revoked: set[asyncio.Task[Any]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        answer = Answer(send)
        try:
            told = self.admission.metadata(request)
            if told is None:
                await self._answer(request, answer.send)
            else:
                await told(scope, receive, answer.send)
            answer.require_started()
        except RefusedError as error:
            await answer.instead(self.admission.refused(error, scope), request)
        except ConnectionError:  # the client has left before all of its request came
            return
        except Exception as error:  # noqa: BLE001 - nothing goes on, and whoever asked is told
            self.guard.recorder.lose(error)
            failed = RefusedError(500, "failed", f"the gateway failed: {type(error).__name__}")
            await answer.instead(self.admission.refused(failed, scope), request)
        await answer.finish()

    def unreadable(self, address: str) -> None:
        """Put on record that somebody sent what is no HTTP."""
        self.admission.tell("no-http", "what came is no HTTP", address=address)

    def replace(self, callers: Callers) -> None:
        """Bring other callers into force: what is open of somebody who may not any more ends now."""
        self.admission.callers = callers
        for session in self.sessions.values():
            if not all(callers.still(shown, session.caller) for shown in (*session.shown, *session.using)):
                self.admission.tell("revoked", "its session was ended", session.caller.name)
                session.task.cancel()
        for task, admitted in self._open.items():
            if not callers.still(admitted.shown, admitted.caller):
                self._revoked.add(task)
                task.cancel()

    async def close(self) -> None:
        """End every session, and what was started for it."""
        await self._posts.close()
        tasks = [session.task for session in self.sessions.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _answer(self, request: Request, send: Send) -> None:
        admitted = self.admission.admitted(request)
        name = admitted.caller.name
        post = request.method == "POST"
        body = await body_of(request, name, self._room, self.config.limits.body) if post else b""
        if not self.admission.callers.still(admitted.shown, admitted.caller):  # while its body came
            raise RefusedError(401, "revoked", "this caller was revoked", agent=name)
        whole = Request(request.scope, again(body, request.receive) if post else request.receive)
        version = request.headers.get(VERSION)
        if version is None or version in HANDSHAKE_PROTOCOL_VERSIONS:
            await self._in_session(admitted, whole, body, send)
            return
        await self._posted(admitted, whole, send)

    async def _posted(self, admitted: Admitted, request: Request, send: Send) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = admitted
        caller, server = admitted.caller, admitted.server
        client = caller.client(f"{caller.name} at {server}")
        try:
            await self._posts.answer(client, server, request, self._watched(admitted, request, send))
        except asyncio.CancelledError:
            if task not in self._revoked:
                raise
            task.uncancel()
            raise RefusedError(401, "revoked", "this caller was revoked", agent=caller.name) from None
        finally:
            del self._open[task]
            self._revoked.discard(task)

    async def _in_session(self, admitted: Admitted, request: Request, body: bytes, send: Send) -> None:
        named = request.headers.get(SESSION)
        caller = admitted.caller
        if named is None:
            require_first(request, body, caller.name)
        session = self.sessions.get(named) if named is not None else self._opened(admitted)
        if session is None and named is None:
            raise RefusedError(503, "too-many", "too many sessions are open", agent=caller.name)
        if session is None or session.caller != caller or session.server != admitted.server:
            raise RefusedError(404, "unknown-session", NO_SESSION, agent=caller.name)
        session.shown[1] = admitted.shown
        session.using.append(admitted.shown)
        session.quiet.clear()
        if session.idle is not None:
            session.idle.cancel()
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            if status == 500 and session.task.done():  # noqa: PLR2004 - so the SDK says that it has ended
                raise RefusedError(404, "unknown-session", NO_SESSION, agent=caller.name)
            await told(message)

        told = self._watched(admitted, request, send)
        try:
            await session.ready.wait()
            await session.transport.handle_request(_anew(request.scope), request.receive, watched)
        finally:
            session.using.remove(admitted.shown)
            if not session.using:
                session.quiet.set()
            if session.transport.is_terminated or (named is None and not 0 < status < 400):  # noqa: PLR2004
                session.task.cancel()
            elif not session.using:
                session.idle = asyncio.get_running_loop().call_later(self.config.limits.idle, session.task.cancel)

    def _watched(self, admitted: Admitted, request: Request, send: Send) -> Send:
        """What is sent, with a line on record where the protocol refuses what came."""

        async def watched(message: Message) -> None:
            status = message.get("status", 0)
            if status >= 400:  # noqa: PLR2004
                address = request.client.host if request.client else ""
                self.admission.tell("invalid", f"answered by HTTP {status}", admitted.caller.name, address)
            await send(message)

        return watched

    def _opened(self, admitted: Admitted) -> Session | None:
        limits, caller = self.config.limits, admitted.caller
        own = sum(each.caller == caller for each in self.sessions.values())
        if len(self.sessions) >= limits.sessions or own >= limits.sessions_per_caller:
            return None
        transport = StreamableHTTPServerTransport(uuid4().hex)
        session = Session(admitted, transport)
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
                        await relay.run(session.caller.client(None))  # MCP's id of it is not known any more then
                except EndError as error:
                    await _tell(front, f"the server '{session.server}': {error}")
                except ExceptionGroup:  # of the SDK's tasks: nobody listens at the address, or it broke off
                    pass  # the relay has told the client
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


def _anew(scope: Scope) -> Scope:
    """Streams are not resumed: who asks for it gets a new one."""
    headers = [each for each in scope["headers"] if each[0] != _RESUMED]
    return scope if len(headers) == len(scope["headers"]) else {**scope, "headers": headers}
