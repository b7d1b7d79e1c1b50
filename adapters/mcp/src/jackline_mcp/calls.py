"""One judged request: asked about, waited for where people are asked, sent, and what comes back judged again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from jackline.decision import Decision
from jackline.errors import Signal
from jackline.plain import plain
from jackline.request import Tool
from jackline_mcp.enforce import INVALID, McpAct, error_of, pending, refusal, waits_said
from jackline_mcp.frames import EndError
from jackline_mcp.listing import learned
from jackline_mcp.questions import INPUT, handed_out, released
from jackline_mcp.translate import Judged, judged, listened, listening, token_of

if TYPE_CHECKING:
    from jackline.asking import Waiting
    from jackline.request import Request
    from jackline_mcp.frames import Message
    from jackline_mcp.relay import Relay

_STEP = 1e-6
"""How far each note of a wait moves the progress on: so little that the server's own, from 0 or 1 on, only rises."""


class _StillPendingError(Exception):
    def __init__(self, waiting: Waiting) -> None:
        self.waiting = waiting
        super().__init__()


class Call:
    """A client's `tools/call`, `resources/read`, `prompts/get`, ... on its way to the server and back."""

    def __init__(self, relay: Relay, message: Message) -> None:
        self.relay, self.message = relay, message
        self.method: str = message["method"]
        self.params: dict[str, Any] = message.get("params") or {}
        self.act = McpAct(relay.guard, relay.scope)

    async def answered(self) -> Message:
        """What the client is told."""
        params = self.params
        try:
            how = judged(self.method, self.params)
            assert how is not None
        except ValueError as error:
            return error_of(self.message["id"], INVALID, str(error))
        if how.action == "tool.call" and not self.relay.catalogue.knows(how.resource):
            await learned(self.relay, self.params)
        try:
            await self._hand_out()
            sent = await self._permitted(how)
        except Signal as signal:
            return refusal(self.message, signal.decision)
        except _StillPendingError as still:
            fields, text = pending(still.waiting)
            return refusal(self.message, Decision(**fields), text)
        return await self._done({**self.message, "params": sent} if sent is not params else self.message)

    async def listening(self) -> Message:
        """What a client is told that listens: each resource is judged as if it was subscribed to by itself."""
        try:
            wanted = listened(self.params)
        except ValueError as error:
            return error_of(self.message["id"], INVALID, str(error))
        meta = {"_meta": self.params["_meta"]} if "_meta" in self.params else {}
        acts: list[McpAct] = []
        uris: list[str] = []
        try:
            for uri in wanted:
                params = {"uri": uri, **meta}
                one = Call(self.relay, {**self.message, "method": "resources/subscribe", "params": params})
                acts.append(one.act)
                permitted = await one._permitted(Judged("retrieval", uri, {"query": uri}))
                uris.append(permitted["uri"])
        except Signal as signal:
            return refusal(self.message, signal.decision)
        except _StillPendingError as still:
            fields, text = pending(still.waiting)
            return refusal(self.message, Decision(**fields), text)
        else:
            for act in acts:
                act.complete(None)
            sent = listening(self.params, uris) if uris else self.params
            return await self.relay.ask({**self.message, "params": sent}, endless=True)
        finally:
            for act in acts:
                act.abandon("the whole was not let through")

    async def _permitted(self, how: Judged) -> dict[str, Any]:
        """Params as the decision wants them; raises a Signal or that people are still waited for."""
        request = self.act.built(lambda: self._request(how))
        self.act.judged(await self._decided(request))
        return self.act.sent(self.method, self.params)

    async def _hand_out(self) -> None:
        """What the client answers to what the first try was asked; raises a Signal where the server may not have it."""
        for key, answers in self.params.items():
            if key.casefold() == INPUT.casefold() and answers:  # a server may read its name without regard to case
                given = await released(self.relay, handed_out(self.relay, self.method, answers), answers)
                if given is not answers:
                    self.params = {**self.params, key: given}

    def _request(self, how: Judged) -> Request:
        guard, catalogue = self.relay.guard, self.relay.catalogue
        tool, resource = None, how.resource
        if how.action == "tool.call":
            tool, resource = catalogue.tool(how.resource), catalogue.name(how.resource)
        args: dict[str, Any] = plain(how.args)
        return guard.request(how.action, resource, args, scope=self.relay.scope, tool=tool)

    async def _decided(self, request: Request) -> Decision:
        guard = self.relay.guard
        answer = await guard.aasked(request)
        if isinstance(answer, Decision):
            return answer
        deciding = asyncio.create_task(guard.aanswered(request, answer))
        try:
            await self._wait(deciding, answer)
            return deciding.result()
        except BaseException:
            deciding.add_done_callback(self._unwanted)
            deciding.cancel()
            await asyncio.gather(deciding, return_exceptions=True)
            raise

    async def _wait(self, deciding: asyncio.Task[Decision], answer: Waiting) -> None:
        """Until it is decided; the client hears meanwhile that it still waits, where it asked for progress."""
        token = token_of(self.params)
        options = self.relay.options
        loop = asyncio.get_running_loop()
        until = loop.time() + (options.wait if token is None else options.wait_with_progress)
        beats = 0
        while not deciding.done():
            if token is not None:
                beats += 1
                await self._tell(token, beats * _STEP, waits_said(answer))
            left = until - loop.time()
            if left <= 0 and not deciding.done():
                raise _StillPendingError(answer)
            await asyncio.wait({deciding}, timeout=max(0.0, min(options.beat, left)))

    def _unwanted(self, deciding: asyncio.Task[Decision]) -> None:
        """Close what was permitted while nobody waited for it any more."""
        if not deciding.cancelled() and deciding.exception() is None and deciding.result().permitted:
            self.act.decision = deciding.result()
            self.act.abandon("its caller left")

    async def _tell(self, token: Any, progress: float, text: str) -> None:
        params = {"progressToken": token, "progress": progress, "message": text}
        note = {"jsonrpc": "2.0", "method": "notifications/progress", "params": params}
        await self.relay.front.send(note, self.message["id"])

    async def _done(self, message: Message) -> Message:
        try:
            answer = await self.relay.ask(message)
        except asyncio.CancelledError:
            self.act.fail("cancelled")
            raise
        except (EndError, TimeoutError) as error:
            self.act.fail(error)
            raise
        self._close(answer)
        try:
            return await self._released(answer)
        except Signal as signal:
            return refusal(self.message, signal.decision)

    def _close(self, answer: Message) -> None:
        """Put the outcome on record."""
        result, error = answer.get("result"), answer.get("error")
        if isinstance(error, dict):
            self.act.fail(f"jsonrpc {error.get('code')}")
        elif isinstance(result, dict) and result.get("isError") is True:
            self.act.fail("tool error")
        else:
            self.act.complete(result)

    async def _released(self, answer: Message) -> Message:
        """The answer as policy lets the client see it: results, and errors too, whose text is the server's."""
        key = "result" if "result" in answer else "error"
        native = answer.get(key)
        judgement = await self._judgement(native)
        released = self.act.released(native, plain(native), judgement)
        return answer if released is native else {**answer, key: released}

    async def _judgement(self, native: Any) -> Decision | None:
        request, guard = self.act.request, self.relay.guard
        assert request is not None
        if request.action == "tool.call":
            return await guard.areturned(request, native)
        # What a resource or a prompt holds is read by a model as a tool's result is, and judged as one.
        made = guard.request(
            "tool.return",
            request.resource,
            {"result": plain(native)},
            scope=self.relay.scope,
            span=request.span,
        )
        made.tool = Tool(name=self.method, labels={"server": self.relay.server})  # none that the registry knows
        return await guard.acheck(made) if guard.judges(made) else None
