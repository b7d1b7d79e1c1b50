"""The demo's agents in plain Python: a loop whose model calls are judged by hand, as docs/python.md shows."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from jackline.demo.agents import BYTES_PER_TOKEN, MODEL, PROVIDER, Job, Ran, Turn, tokens
from jackline.errors import Denied, Halted
from jackline.events import Usage
from jackline.guard import permitted
from jackline.python import PythonAdapter
from jackline.request import Model

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jackline.adapter import Adapter
    from jackline.guard import Guard

    Message = dict[str, Any]

_TURNS = 1000


class _OurGuard(PythonAdapter):
    """Tells the demo's own loop by which guard it is governed: plain Python has nothing to enable."""

    guard: Guard | None = None

    def enable(self, guard: Guard) -> None:
        """Let `guard` judge what the loop does."""
        self.guard = guard

    def disable(self, guard: Guard) -> None:  # noqa: ARG002 - the protocol
        """Let nobody."""
        self.guard = None


class ScriptedModel:
    """Answers from the script; usage is honest: bytes received and written, by four."""

    def __init__(self, script: Callable[[int], Turn], tools: Sequence[str]) -> None:
        self.usage: list[tuple[int, int]] = []
        self._script = script
        self._tools = tools

    def size(self, messages: Sequence[Message]) -> int:
        """The bytes of what is sent."""
        return len(json.dumps([*messages, *self._tools]).encode())

    def __call__(self, messages: Sequence[Message], max_tokens: int | None = None) -> tuple[Turn, Usage]:
        """Answer a conversation."""
        turn = self._script(sum(message["role"] == "assistant" for message in messages))
        if max_tokens is not None:
            turn = turn._replace(text=turn.text[: max_tokens * BYTES_PER_TOKEN])
        written = len(turn.text.encode()) + len(json.dumps(turn.calls))
        used = Usage(input=tokens(self.size(messages)), output=max(1, tokens(written)))
        self.usage.append((used.input, used.output))
        return turn, used


class Agents:
    """Plain Python's agents for the demo."""

    def __init__(self) -> None:
        self._adapter = _OurGuard()

    def adapter(self) -> Adapter:
        """The adapter that governs them."""
        return self._adapter

    def run(self, job: Job) -> Ran:
        """Run one session of an agent."""
        guard = self._adapter.guard
        model = ScriptedModel(job.script, [body.__name__ for body in job.tools])
        tools = {body.__name__: guard.tool(body) if guard is not None else body for body in job.tools}
        with contextlib.ExitStack() as inside:
            if guard is not None:
                agent = guard.agent(job.agent, framework="python")
                inside.enter_context(guard.session(id=job.session, agent=agent))
            try:
                return Ran(_answer(job, model, tools, guard), model.usage)
            except Halted as halted:
                return Ran("", model.usage, str(halted))


def _answer(job: Job, model: ScriptedModel, tools: dict[str, Any], guard: Guard | None) -> str:
    """Ask the model, run the tools that it wants, and so on until it has its answer."""
    messages: list[Message] = [{"role": "system", "content": job.system}, {"role": "user", "content": job.task}]
    for _ in range(_TURNS):
        turn = model(messages)[0] if guard is None else _ask(guard, model, messages, tools)
        if not turn.calls:
            return turn.text
        messages.append({"role": "assistant", "content": turn.text, "tool_calls": turn.calls})
        for name, args in turn.calls:
            try:
                told = tools[name](**args)
            except Denied as denied:
                told = str(denied)
            messages.append({"role": "tool", "content": str(told)})
    return ""


def _ask(guard: Guard, model: ScriptedModel, messages: list[Message], tools: dict[str, Any]) -> Turn:
    """One judged call of the model; raises Denied or Halted. What policies see of it, they see of any framework."""
    offered = Model(
        name=MODEL,
        provider=PROVIDER,
        tools=tuple(body.jackline_tool for body in tools.values()),
        input_bytes=model.size(messages),
        can_limit=True,
    )
    asked = {"messages": [{"role": message["role"], "content": message["content"]} for message in messages]}
    request = guard.request("model.call", MODEL, asked, model=offered)
    decision = guard.require(request)
    sent = decision.args["messages"] if decision.args is not None else messages
    try:
        turn, used = model(sent, decision.limits.get("max_tokens"))
    except BaseException as error:
        guard.fail(request, decision, error)
        raise
    said: dict[str, Any] = {"role": "assistant", "content": turn.text}
    if turn.calls:
        said["tool_calls"] = [{"name": name, "args": args} for name, args in turn.calls]
    guard.complete(request, decision, said, usage=used, model=MODEL)
    answer = guard.returned(request, said)
    if answer is None or permitted(answer).args is None:
        return turn
    return turn._replace(text=str((answer.args or {})["result"]["content"]))
