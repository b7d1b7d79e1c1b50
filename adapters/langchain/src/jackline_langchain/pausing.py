"""Where LangGraph can wait for people with nothing running: in a task of a graph that has a checkpointer.

An act that is to be paused raises LangGraph's own interrupt. Whoever resumes the thread makes the same act again, under
the same id, and the guard looks up what people said: the value that a thread is resumed with is nobody's answer, and is
not read. So no act takes another's answer, nor that of an interrupt of the agent's own code.
"""

from __future__ import annotations

import functools
import threading
from asyncio import get_running_loop
from collections import Counter, OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_core.runnables.config import var_child_runnable_config

from jackline.errors import JacklineError
from jackline.plain import canonical
from jackline.waiting import on_event_loop

if TYPE_CHECKING:
    from jackline.decision import Decision
    from jackline.guard import Guard
    from jackline.request import Request

_CHECKPOINTER, _TASK, _SCRATCHPAD = "__pregel_checkpointer", "__pregel_task_id", "__pregel_scratchpad"
"""As LangGraph names them in the configuration of a task; it has no public words for it."""
_TASKS = 1024
_ID_DIGITS = 32
"""Of an interrupt's id: what LangGraph takes for one in `Command(resume={id: ...})`."""


class Task(NamedTuple):
    """One run of a task, which LangGraph runs again under the same id where it was interrupted."""

    id: str
    run: Any
    """An object that is another one in each run."""


def here() -> Task | None:
    """The task that goes on here; None where nobody could resume it."""
    config = var_child_runnable_config.get()
    settings = (config or {}).get("configurable") or {}
    if not settings.get(_CHECKPOINTER):
        return None
    task = settings.get(_TASK)
    return Task(str(task), settings.get(_SCRATCHPAD)) if task else None


class _Calls:
    """Names calls that have no id by their place among their like in a task: the same in each run of it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: OrderedDict[int, tuple[Any, Counter[bytes]]] = OrderedDict()

    def name(self, task: Task, request: Request) -> str:
        act = canonical([request.action, request.resource, request.args])
        with self._lock:
            run, made = self._made.setdefault(id(task.run), (task.run, Counter()))
            assert run is task.run  # it is kept, so nothing else has its id
            made[act] += 1
            while len(self._made) > _TASKS:
                self._made.popitem(last=False)
            return f"{task.id}/{made[act]}"


_CALLS = _Calls()


def mark(request: Request) -> None:
    """Say of a request that it can be paused, where it can; a call without an id is given one."""
    task = here()
    if task is not None:
        request.pausable = True
        request.call_id = request.call_id or _CALLS.name(task, request)


def wanted(request: Request | None, decision: Decision) -> bool:
    """Whether an act is to be paused: a question is open that asks for it."""
    if request is None or not request.pausable or decision.effect != "escalate" or not decision.approvals:
        return False
    return any(
        verdict.effect == "escalate" and verdict.mode == "enforce" and verdict.detail.get("wait") == "pause"
        for verdict in decision.verdicts
    )


def interrupted(guard: Guard, request: Request | None, decision: Decision | None) -> None:
    """Let an act go on that people approved and that was interrupted in the middle: its call is made again."""
    if request is None or decision is None or not request.pausable or not decision.permitted:
        return
    for identity in decision.approvals:
        note = functools.partial(_note, guard, identity)
        if on_event_loop():
            get_running_loop().run_in_executor(None, note)
        else:
            note()


def _note(guard: Guard, identity: str) -> None:
    try:
        guard.approvals.named(identity).interrupted(guard.clock())
    except JacklineError as error:  # then it cannot go on: it was used
        guard.recorder.lose(error)


def question(request: Request, decision: Decision) -> tuple[str, dict[str, Any]]:
    """The id of the interrupt of an act, and what is asked: what people are shown, not what policies took away."""
    asking = [verdict.detail for verdict in decision.verdicts if "approval" in verdict.detail]
    value = {
        "approvals": list(decision.approvals),
        "action": request.action,
        "resource": request.resource,
        "args": request.args if decision.args is None else decision.args,
        "call_id": request.call_id,
        "policy": decision.policy,
        "reason": decision.reason,
        "to": sorted({str(name) for detail in asking for name in detail.get("to", ())}),
        "expires": min((float(detail["until"]) for detail in asking if "until" in detail), default=0.0),
    }
    return decision.approvals[0][:_ID_DIGITS], value
