"""What a server asks of its client while it works (sampling, elicitation, roots), and what it is answered.

A question is read by a model or a person as a tool's result is; an answer hands something out. So policies are asked
about both, whichever way the protocol has them: as requests of the server's, or in the results and params of a call.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, NamedTuple

from jackline.errors import Signal, describe
from jackline.plain import plain
from jackline.request import Tool
from jackline_mcp.enforce import INTERNAL, REFUSED, TIMED_OUT, McpAct, decided, error_of
from jackline_mcp.frames import EndError
from jackline_mcp.unanswered import LONG, Unanswered

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from jackline.decision import Decision
    from jackline.request import Request
    from jackline_mcp.frames import Message
    from jackline_mcp.relay import Relay

INPUT = "inputResponses"
"""Where a request since 2026-07-28 holds the answers to what its first try was asked."""
_OPEN = 1000
"""Questions of one server that may be open at the same time."""


class _Question(NamedTuple):
    method: str
    since: float
    judging: asyncio.Task[None] | None = None
    """What judges it, and later its answer."""


class Questions:
    """The questions of one server. One is open until its answer was judged."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._open: dict[Any, _Question] = {}
        self._unanswered = Unanswered()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def open(self) -> bool:
        """Whether the server waits for its client."""
        return any(asked.method != "ping" for asked in self._open.values())

    async def ask(self, message: Message, about: Any) -> None:
        """Pass a question on where policy lets the client see it; otherwise tell the server no."""
        request, method = message["id"], message["method"]
        if len(self._open) >= _OPEN:
            await self.expire()
        if refused := self._refused(request):
            await self._relay.back.send(refused)
            return
        now = asyncio.get_running_loop().time()
        self._open[request] = _Question(method, now)
        made = question(self._relay, method, message.get("params"))
        if method == "ping" or not self._relay.guard.judges(made):
            await self._relay.front.send(message, about)
            return
        self._open[request] = _Question(method, now, self._begin(self._asked(message, made, about)))

    async def answer(self, message: Message) -> None:
        """Pass an answer on where policy lets the server have it. One that nobody waits for goes nowhere."""
        request = message.get("id")
        if type(request) not in (int, str):
            return
        asked = self._open.get(request)
        if asked is None:
            self._unanswered.came(request)
        if asked is None or asked.judging is not None:
            return
        if asked.method == "ping":
            del self._open[request]
            await self._relay.back.send(message)
        else:
            self._open[request] = asked._replace(judging=self._begin(self._answered(message, asked.method)))

    def cancelled(self, params: dict[str, Any]) -> None:
        """The server takes a question back."""
        request = params.get("requestId")
        if type(request) in (int, str) and request in self._open:
            self._give_up(request)

    async def expire(self) -> None:
        """Give up what the client has not answered for long, and tell the server."""
        silence = self._relay.options.silence
        until = asyncio.get_running_loop().time() - silence
        for request, asked in [*self._open.items()]:
            if asked.since <= until and asked.judging is None:
                self._give_up(request)
                text = f"the client has not answered it for {silence:.0f} s"
                with contextlib.suppress(EndError):
                    await self._relay.back.send(error_of(request, TIMED_OUT, text))

    async def close(self) -> None:
        """End what is being judged."""
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _refused(self, request: Any) -> Message | None:
        """The answer to a question whose id cannot be taken: under it, an answer would be judged as another's."""
        if isinstance(request, str) and len(request) > LONG:
            return error_of(request, -32600, f"an id of more than {LONG} characters is not taken")
        if request in self._open:
            return error_of(request, -32600, f"the id {request!r} is that of a question still open")
        if request in self._unanswered:
            return error_of(request, -32600, f"the id {request!r} was used before, and no answer came: take another")
        if len(self._open) + len(self._unanswered) >= _OPEN:
            return error_of(request, INTERNAL, f"{_OPEN} questions are open, and no more may be")
        return None

    def _give_up(self, request: Any) -> None:
        asked = self._open.pop(request)
        if asked.judging is not None:
            asked.judging.cancel()
        else:  # the client has it, and has not answered
            self._unanswered.add(request)

    def _begin(self, work: Awaitable[None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _asked(self, message: Message, made: Request, about: Any) -> None:
        try:
            params = await released(self._relay, made, message.get("params"))
        except Exception as error:  # noqa: BLE001 - what cannot be judged does not go on
            del self._open[message["id"]]
            await self._refuse(message["id"], error)
            return
        now = asyncio.get_running_loop().time()
        self._open[message["id"]] = _Question(message["method"], now)
        with contextlib.suppress(EndError):
            await self._relay.front.send({**message, "params": params} if "params" in message else message, about)

    async def _answered(self, message: Message, method: str) -> None:
        key = "result" if "result" in message else "error"
        try:
            found = await released(self._relay, handed_out(self._relay, method, message.get(key)), message.get(key))
        except Exception as error:  # noqa: BLE001 - what cannot be judged does not go on
            del self._open[message["id"]]
            await self._refuse(message["id"], error)
            return
        del self._open[message["id"]]
        with contextlib.suppress(EndError):
            await self._relay.back.send({**message, key: found})

    async def _refuse(self, request: Any, error: Exception) -> None:
        if isinstance(error, Signal):
            told = error_of(request, REFUSED, describe(error.decision), decided(error.decision))
        else:
            self._relay.guard.recorder.lose(error)
            told = error_of(request, INTERNAL, f"the gateway failed: {type(error).__name__}")
        with contextlib.suppress(EndError):
            await self._relay.back.send(told)


def question(relay: Relay, method: str, params: Any) -> Request:
    """May the client see what the server asks of it?"""
    made = relay.guard.request("tool.return", method, {"result": plain(params)}, scope=relay.scope)
    made.tool = Tool(name=method, labels={"server": relay.server})  # none that the registry knows
    return made


def handed_out(relay: Relay, method: str, result: Any) -> Request:
    """May the server have what the client answers?"""
    return relay.guard.request("output", method, {"result": plain(result)}, scope=relay.scope)


async def released(relay: Relay, made: Request, native: Any) -> Any:
    """`native` as the decision about it wants it; raises a Signal where it is withheld."""
    act = McpAct(relay.guard, relay.scope)
    judgement: Decision = await relay.guard.acheck(made)
    return act.released(native, made.args["result"], judgement)
