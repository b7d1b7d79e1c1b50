"""One client and one server: what goes between them passes here, and what is an act is judged before it goes on."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from anyio import CancelScope

from jackline_mcp.ambiguity import KEYS, ambiguity, is_answer, misread
from jackline_mcp.calls import Call
from jackline_mcp.catalogue import Cares, Catalogue
from jackline_mcp.enforce import GONE, INTERNAL, NO_METHOD, TIMED_OUT, error_of
from jackline_mcp.frames import EndError, FrameError, TooLargeError
from jackline_mcp.listing import listed
from jackline_mcp.questions import Questions
from jackline_mcp.translate import JUDGED, PASSED, client_of, token_of
from jackline_mcp.unanswered import LONG, Unanswered

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from jackline.guard import Guard
    from jackline.request import Agent
    from jackline.session import Scope
    from jackline_mcp.frames import End, Message

_OPEN = 1000
"""Requests of one client that may be open at the same time."""
_TURN = 32
"""Messages of one end after which everybody else has a turn: what lies read in memory is given out without a wait."""
_BROKEN = 100
"""Frames of one end that may be unreadable before it is left."""


class Options(NamedTuple):
    """How a relay goes about its work; times in seconds."""

    cares: Cares = Cares()
    wait: float = 45.0
    """For how long a call waits for people where its client hears nothing meanwhile."""
    wait_with_progress: float = 300.0
    """The same where the client asked to be told of progress."""
    beat: float = 5.0
    """Between two notes that it still waits."""
    silence: float = 600.0
    """For how long a server may neither answer a request nor tell of its progress."""


class Client(NamedTuple):
    """Who asks. Without a name, what the client calls itself, marked as such: `mcp/NAME`."""

    name: str = ""
    user: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    session: str | None = None
    """The id of its MCP session; None for one that nobody can come back to."""


class Relay:
    """Passes messages between two ends until one of them is over."""

    def __init__(
        self, guard: Guard, front: End, back: End, *, server: str, prefix: str = "", options: Options | None = None
    ) -> None:
        """`server`: its name in labels; `prefix`: in front of its tools' names for policies."""
        self.guard, self.front, self.back = guard, front, back
        self.options = options or Options()
        self.server, self._prefix = server, prefix
        self.agent: Agent
        self.scope: Scope
        self.catalogue: Catalogue
        self.ended = ""
        """Why it ended where the client did not end it."""
        self._calls: dict[Any, asyncio.Task[None]] = {}
        self._passed: dict[Any, str] = {}
        self._awaited: dict[Any, asyncio.Future[Message]] = {}
        self.unanswered = Unanswered()
        """Requests that the server may still answer, though nobody waits for it."""
        self._tokens: dict[Any, Any] = {}
        self._token_of: dict[Any, Any] = {}
        self._heard: dict[Any, float] = {}
        own = f"jackline-{secrets.token_hex(8)}"
        self._own = (f"{own}-{number}" for number in itertools.count(1))
        self._questions = Questions(self)

    async def run(self, client: Client) -> None:
        """Serve one client: its MCP session is a session of Jackline's."""
        first = await self._received()
        if first is None:
            return
        name, version = client_of(first)
        self.agent = self.guard.agent(
            client.name or f"mcp/{name or 'client'}",
            version="" if client.name else version,
            framework="mcp",
            managed=False,
        )
        self.catalogue = Catalogue(self.guard, self.agent, self.server, self._prefix, self.options.cares)
        labels = {"server": self.server, **dict(client.labels)}
        with self.guard.session(client.session, user=client.user, labels=labels, agent=self.agent):
            self.scope = self.guard.scope()
            await self._both(first)

    async def ask(self, message: Message, *, endless: bool = False) -> Message:
        """Send a request to the server and await its answer; raises EndError where none comes.

        `endless`: it is answered when it ends, and may be silent until then.
        """
        request = message["id"]
        answer = asyncio.get_running_loop().create_future()
        self._awaited[request] = answer
        try:
            await self.back.send(message)
            return await (answer if endless else self._patiently(request, answer))
        finally:
            self._awaited.pop(request, None)
            self._heard.pop(request, None)
            if not answer.done() or answer.cancelled():
                self.unanswered.add(request)

    async def ask_own(self, method: str, params: dict[str, Any]) -> Message:
        """Ask the server something for ourselves."""
        request = next(self._own)  # none that a client could have open, to be given its answer
        return await self.ask({"jsonrpc": "2.0", "id": request, "method": method, "params": params})

    async def _patiently(self, request: Any, answer: asyncio.Future[Message]) -> Message:
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            left = self._heard.get(request, began) + self.options.silence - loop.time()
            done, _ = await asyncio.wait({answer}, timeout=max(0.0, left))
            if done:
                return answer.result()
            await self._questions.expire()
            if self._questions.open:
                began = self._heard[request] = loop.time()  # it is the client that says nothing
            elif self._heard.get(request, began) + self.options.silence <= loop.time():
                note = {"requestId": request, "reason": "timed out"}
                with contextlib.suppress(EndError):
                    await self.back.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": note})
                raise TimeoutError(f"the server has said nothing of it for {self.options.silence:.0f} s")

    async def _received(self) -> Message | None:
        """The client's next message; it is told of what is none."""
        for _ in range(_BROKEN):
            try:
                return await self.front.receive()
            except FrameError as error:
                await self.front.send(error_of(None, -32700, str(error)))
        raise EndError(f"it has sent {_BROKEN} frames in a row that are no messages")

    async def _both(self, first: Message) -> None:
        why = "the client has ended"
        pumps = {
            asyncio.create_task(self._from_client(first), name="front"),
            asyncio.create_task(self._from_server(), name="back"),
        }
        for pump in pumps:  # asyncio would tell of what failed where this task is cancelled before it looks
            pump.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        try:
            done, _ = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            ended = next(iter(done))
            if ended.get_name() == "back":
                why = "the server has ended"
            if ended.exception() is not None:
                why = f"{why}: {ended.exception()}"
            if ended.get_name() == "back" or ended.exception() is not None:
                self.ended = why
        except asyncio.CancelledError:
            why = "the connection has ended"
            raise
        finally:
            # Where the SDK's connection to a server breaks, anyio cancels this task, and again at each wait.
            with CancelScope(shield=True):
                await self._leave(pumps, why)

    async def _leave(self, pumps: set[asyncio.Task[None]], why: str) -> None:
        """Answer what is open, and end what goes on."""
        for answer in self._awaited.values():
            if not answer.done():
                answer.set_exception(EndError(why))
        await asyncio.sleep(0)
        if self._calls:
            await asyncio.wait(list(self._calls.values()), timeout=1.0)
        for request in [*self._passed]:
            with contextlib.suppress(EndError):
                await self.front.send(error_of(request, GONE, why))
        self._passed.clear()
        tasks = [*pumps, *self._calls.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, self._questions.close(), return_exceptions=True)

    async def _from_client(self, first: Message) -> None:
        message: Message | None = first
        heard = 0
        while message is not None:
            unclear = ambiguity(message)
            if unclear:  # also where no answer is expected: a client is to hear why nothing came
                await self.front.send(error_of(message.get("id"), -32600, f"it is not passed on: {unclear}"))
            else:
                await self._client_says(message)
            heard += 1
            if not heard % _TURN:
                await asyncio.sleep(0)
            message = await self._received()

    async def _client_says(self, message: Message) -> None:
        method = message.get("method")
        if method is None or "id" not in message:
            await self._client_tells(message)
            return
        request = message["id"]
        if refused := self._refused(request):
            await self.front.send(refused)
            return
        if method == "subscriptions/listen":
            self._begin(message, Call(self, message).listening)
        elif method in PASSED:
            self._passed[request] = method
            self._keep_token(message)
            await self.back.send(message)
        elif method == "tools/list":
            self._begin(message, partial(listed, self, message))
        elif method in JUDGED:
            self._begin(message, Call(self, message).answered)
        else:
            text = f"'{method}' is not known to this gateway, so it cannot be judged"
            await self.front.send(error_of(request, NO_METHOD, text))

    def _refused(self, request: Any) -> Message | None:
        """The answer to a request whose id cannot be taken."""
        if isinstance(request, str) and len(request) > LONG:
            return error_of(request, -32600, f"an id of more than {LONG} characters is not taken")
        if request in self._calls or request in self._passed or request in self._awaited:
            return error_of(request, -32600, f"the id {request!r} is that of a request still open")
        if request in self.unanswered:
            return error_of(request, -32600, f"the id {request!r} was used before, and no answer came: take another")
        if len(self._calls) + len(self._passed) + len(self.unanswered) >= _OPEN:
            return error_of(request, INTERNAL, f"{_OPEN} requests are open, and no more may be")
        return None

    async def _client_tells(self, message: Message) -> None:
        """What a client says that asks for nothing: an answer, or a notification."""
        if "method" not in message:
            await self._questions.answer(message)
        elif message["method"] == "notifications/cancelled":
            await self._cancelled(message)
        else:
            await self.back.send(message)

    def _begin(self, message: Message, answered: Callable[[], Awaitable[Message]]) -> None:
        self._keep_token(message)
        self._calls[message["id"]] = asyncio.create_task(self._answering(message, answered))

    async def _answering(self, message: Message, answered: Callable[[], Awaitable[Message]]) -> None:
        request = message["id"]
        try:
            answer = await answered()
        except TimeoutError as error:
            answer = error_of(request, TIMED_OUT, str(error))
        except EndError as error:
            answer = error_of(request, GONE, str(error))
        except Exception as error:  # noqa: BLE001 - what cannot be judged does not go on
            self.guard.recorder.lose(error)
            answer = error_of(request, INTERNAL, f"the gateway failed: {type(error).__name__}")
        finally:
            if self._calls.get(request) is asyncio.current_task():
                del self._calls[request]
                self._forget(request)
        with contextlib.suppress(EndError):
            await self.front.send(answer)

    def _keep_token(self, message: Message) -> None:
        token = token_of(message.get("params") or {})
        if token is not None and not (isinstance(token, str) and len(token) > LONG):
            self._tokens[token] = message["id"]
            self._token_of[message["id"]] = token

    def _forget(self, request: Any) -> None:
        """Keep nothing of a request that is not open any more."""
        self._heard.pop(request, None)
        token = self._token_of.pop(request, None)
        if self._tokens.get(token) == request:
            del self._tokens[token]

    async def _cancelled(self, message: Message) -> None:
        request = (message.get("params") or {}).get("requestId")
        if type(request) not in (int, str):
            return
        if request in self._awaited or request in self._passed:
            await self.back.send(message)
        task = self._calls.pop(request, None)
        if task is not None:
            task.cancel()
        passed = self._passed.pop(request, None)
        if passed is not None:
            self.unanswered.add(request)
        if passed is not None or task is not None:
            self._forget(request)
            await self.front.unanswered(request)

    async def _from_server(self) -> None:
        heard = broken = 0
        while True:
            heard += 1
            if not heard % _TURN:
                await asyncio.sleep(0)
            try:
                message = await self.back.receive()
            except FrameError as error:
                broken += 1
                if broken > _BROKEN or isinstance(error, TooLargeError):
                    raise  # what it was about is not known: whoever waits for it would wait for long
                continue
            if message is None:
                return
            await self._server_says(message)

    async def _server_says(self, message: Message) -> None:
        method = message.get("method")
        if method is None:
            await self._server_answers(message)
            return
        if misread(message, KEYS) or "result" in message or "error" in message:
            if "id" in message:  # a client could take it for an answer that nobody has judged
                await self.back.send(error_of(message["id"], -32600, "what it is could be read in two ways"))
            return
        params = message.get("params") or {}
        about = None
        if method == "notifications/progress":
            token = params.get("progressToken")
            about = self._tokens.get(token) if type(token) in (int, str) else None
            if about is not None:
                self._heard[about] = asyncio.get_running_loop().time()
        elif method == "notifications/tools/list_changed":
            self.catalogue.complete = False
        else:
            if method == "notifications/cancelled":
                self._questions.cancelled(params)
            if self._calls:
                about = next(reversed(self._calls))  # where nothing says of which, the newest that is open
        if "id" in message:
            await self._questions.ask(message, about)
        else:
            await self.front.send(message, about)

    async def _server_answers(self, message: Message) -> None:
        request = message.get("id")
        if type(request) not in (int, str):
            return
        if not is_answer(message) or misread(message, KEYS):
            message = error_of(request, INTERNAL, "what the server has answered is neither a result nor an error")
        awaited = self._awaited.get(request)
        if awaited is not None:
            if not awaited.done():
                awaited.set_result(message)
        elif self._passed.pop(request, None) is not None:
            self._forget(request)
            await self.front.send(message)
        else:
            self.unanswered.came(request)
