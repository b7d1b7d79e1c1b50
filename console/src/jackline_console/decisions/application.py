"""The ASGI application: plain routes beneath msgspec, since every act of an agent waits for an answer of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from jackline.errors import JacklineError
from jackline.events import LoginFailed
from jackline.journal.refusals import Refusals
from jackline_console.access.users import AccessError, Users
from jackline_console.decisions.bodies import Check, Checks, Record, Recorded, Records
from jackline_console.decisions.decider import Decider, incomplete, refusal
from jackline_console.decisions.openapi import document
from jackline_console.headers import Headers
from jackline_console.problems import ProblemError, rendered

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

    from jackline.guard import Guard
    from jackline.request import Agent
    from jackline_console.access.users import AgentToken
    from jackline_console.settings import Settings

CHECK, RECORD, OPENAPI, HEALTH = "/v1/check", "/v1/record", "/v1/openapi.json", "/healthz"
_METHODS = {CHECK: "POST", RECORD: "POST", OPENAPI: "GET", HEALTH: "GET"}
_SWEEP_S = 0.5
_JSON = (b"content-type", b"application/json")
_FRESH = (b"cache-control", b"no-store")
_encode = msgspec.json.Encoder().encode
_checks = msgspec.json.Decoder(Checks).decode
_records = msgspec.json.Decoder(Records).decode


class DecisionAPI:
    """The Decision API of one guard: an ASGI application to be served, or mounted beneath another one.

    A server that has a lifespan closes it; where it is mounted, await `close()` before the guard is closed.
    """

    def __init__(self, guard: Guard, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self.decider = Decider(guard, clock)
        self._app: ASGIApp = Headers(self._answer, settings, refused=self._refused)
        self._users = Users(settings.home.path / "console")
        self._clock = clock
        self._logins = Refusals(guard.recorder.note)
        self._sweeping: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or live for as long as the server does."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            self._begin()
            await self._app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        agent = ""
        try:
            path = _route(scope)
            _require_route(path, scope["method"])
            if path == HEALTH:
                body = b'{"status":"ok"}'
            elif path == OPENAPI:
                body = _encode(document())
            else:
                token = self._token(scope)
                agent = token.agent
                known = self.decider.agent(token)
                _require_plain(scope)
                data = await _body(receive)
                body = await self._checked(known, data) if path == CHECK else self._recorded(known, data)
        except ProblemError as error:
            if error.problem.status not in (401, 404, 405) or error.problem.type.endswith("decision"):
                self.decider.refused(error, agent, _address(scope))
            await rendered(error)(scope, receive, send)
            return
        except AccessError as error:
            unread = ProblemError(503, "access", str(error))
            self.decider.refused(unread, agent, _address(scope))
            await rendered(unread)(scope, receive, send)
            return
        head = [_JSON, _FRESH, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": body})

    def _refused(self, error: ProblemError, scope: Scope) -> None:
        """Put on record what was not let through: bodies that are too large or too slow, foreign hosts."""
        with contextlib.suppress(ProblemError, JacklineError):
            self.decider.refused(error, self._token(scope).agent, _address(scope))
            return
        self.decider.refused(error, "", _address(scope))

    def unread(self, kind: str, detail: str, address: str) -> None:
        """Put on record what was no request at all."""
        self.decider.refused(ProblemError(400, kind, detail), "", address)

    async def close(self) -> None:
        """End; what is open is left to the next server of the home."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeping
        self.decider.close()

    async def _checked(self, agent: Agent, data: bytes) -> bytes:
        asked = _decoded(_checks, data)
        single = isinstance(asked, Check)
        many = [asked] if single else asked
        missing = incomplete(many)
        if missing:
            raise _invalid(missing)
        if single:
            return _encode(await self.decider.check(agent, asked, len(data)))
        size = len(data) // len(many) + 1
        answers = []
        for one in many:
            try:
                answers.append(await self.decider.check(agent, one, size))
            except ProblemError as error:
                self.decider.refused(error, agent.name)
                answers.append(refusal(error))
        return _encode(answers)

    def _recorded(self, agent: Agent, data: bytes) -> bytes:
        told = _decoded(_records, data)
        if isinstance(told, Record):
            return _encode(self.decider.record(agent, told))
        answers = []
        for one in told:
            try:
                answers.append(self.decider.record(agent, one))
            except ProblemError as error:
                self.decider.refused(error, agent.name)
                kind = error.problem.type.rpartition(":")[2]
                answers.append(Recorded(decision=one.decision, recorded=False, error=kind, detail=error.problem.detail))
        return _encode(answers)

    def _token(self, scope: Scope) -> AgentToken:
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        scheme, _, text = given.decode("latin-1").partition(" ")
        token = self._users.agent(text.strip(), self._clock()) if scheme.lower() == "bearer" and text else None
        if token is not None:
            return token
        reason = "unknown, expired or revoked" if given else "there was none"
        self._logins.tell(LoginFailed(at=self._clock(), name="", how="token", reason=reason, address=_address(scope)))
        raise ProblemError(
            401,
            "no-agent",
            "no agent's token came with this, or one that is unknown, expired or revoked",
            what="Authorization",
            expected="Bearer TOKEN",
            hint="jackline serve tokens add AGENT makes one",
            headers={"WWW-Authenticate": "Bearer"},
        )

    def _begin(self) -> None:
        """Begin to look after leases: where it is mounted nothing tells it of its start but the first request."""
        if self._sweeping is None:
            self._sweeping = asyncio.get_running_loop().create_task(self._sweep())

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            try:
                self.decider.sweep()
            except (OSError, JacklineError) as error:  # it goes on with the next one
                self.decider.guard.recorder.lose(error)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._begin()
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.close()
                await send({"type": "lifespan.shutdown.complete"})
                return


def _route(scope: Scope) -> str:
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path[len(root) :] if root and path.startswith(f"{root}/") else path


def _require_route(path: str, method: str) -> None:
    allowed = _METHODS.get(path)
    if allowed is None:
        hint = f"GET {OPENAPI} lists them"
        raise ProblemError(404, "unknown-route", "there is no such route", what="path", value=path, hint=hint)
    if method != allowed:
        raise ProblemError(405, "method", f"{path} is asked by {allowed}", value=method, headers={"Allow": allowed})


def _require_plain(scope: Scope) -> None:
    """Nothing is unpacked: a small body cannot grow."""
    given = next((value for name, value in scope["headers"] if name == b"content-encoding"), b"identity")
    if given.strip().lower() != b"identity":
        detail = "the body is packed; bodies are taken as they are"
        raise ProblemError(415, "encoding", detail, what="Content-Encoding", expected="none")


async def _body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] != "http.request":  # half of what is meant may be JSON as well
            raise ProblemError(400, "cut-off", "the connection ended before the body did", what="body")
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts) if len(parts) > 1 else parts[0]


def _decoded(decode: Callable[[bytes], Any], data: bytes) -> Any:
    try:
        found = decode(data)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProblemError(400, "no-json", f"the body is no JSON: {error}", what="body") from None
    try:
        json.loads(data, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        detail = f"the body cannot be read in one way only: {error}"
        raise ProblemError(422, "unjudgeable", detail, what="body") from None
    return found


def _once(pairs: list[tuple[str, Any]]) -> None:
    """One object. Of a key that is there twice some readers take the first value and some the last: none is judged."""
    if len(dict(pairs)) != len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key `{twice[:64]}` is there twice in one object")


def _invalid(detail: str) -> ProblemError:
    hint = f"GET {OPENAPI} says what the route takes"
    return ProblemError(422, "invalid", detail, what="body", expected="what the schema says", hint=hint)


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""
