"""Calls of tools, each judged once: where the model asks for them, in the agent's step, or when called directly."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from llama_index.core.tools.types import BaseToolAsyncAdapter, ToolOutput

from jackline.decision import Decision
from jackline.errors import Denied, Halted, Signal
from jackline_llamaindex import translate
from jackline_llamaindex.enforce import ToolAct
from jackline_llamaindex.runs import inside, scope_of
from jackline_llamaindex.tools import known
from jackline_llamaindex.tracing import HELD, Traces

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from llama_index.core.tools import BaseTool

    from jackline.asking import Waiting
    from jackline_llamaindex.enforce import Act
    from jackline_llamaindex.following import Follower
    from jackline_llamaindex.runs import Within


class Mark:
    """A call in progress: entrances of the same tool below it are parts of the same call."""

    __slots__ = ("_tools", "bound", "reached")

    def __init__(self, tool: BaseTool, bound: dict[str, Any]) -> None:
        self._tools = (tool, tool.base_tool) if isinstance(tool, BaseToolAsyncAdapter) else (tool,)
        self.bound = bound
        self.reached = False
        """The body was entered: what comes now is another call."""

    def covers(self, tool: BaseTool, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
        """Whether this call of `tool` was judged: one with other arguments, which a class may make of them, was not.

        Nor was one that comes after the body was reached: a class that tries again runs its body again.
        """
        if self.reached:
            return False
        if not any(each is tool for each in self._tools):
            return False
        try:
            return bool(known(tool).bound(args, kwargs) == self.bound)
        except Exception:  # noqa: BLE001 - values that cannot be compared are not known to be the same
            return False


MARK: ContextVar[Mark | None] = ContextVar("jackline_llamaindex_tool", default=None)


class JudgedCall:
    """One call of one tool: what it runs with, or why it does not."""

    def __init__(self, tool: BaseTool, call_id: str) -> None:
        self.tool = tool
        self.known = known(tool)
        self.name = self.known.tool.name
        self.call_id = call_id
        self.acts: list[ToolAct] = []
        self.bound: dict[str, Any] = {}
        self.kwargs: dict[str, Any] = {}
        """The arguments to run with and to show."""
        self.shown: dict[str, Any] | None = None
        """The arguments that are shown while people are asked, whose answer may change them."""
        self.waiting: Waiting | None = None
        """What the guard that is asked says of a call that waits for people."""
        self.given: dict[str, Any] = {}
        """What its body would receive as the guards want it that have answered."""
        self._turn = 0
        """How many have."""
        self.refusal: Exception | None = None
        self.looked: list[ToolAct] = []
        """The acts whose result a policy looks at."""
        self.taken = False
        """Whether its tool was reached."""
        self.entered = False
        """Whether its step waits and will be entered again."""

    def is_for(self, name: str, kwargs: Mapping[str, Any], call_id: str) -> bool:
        """Whether an event asks for this very call."""
        return self.name == name and self.call_id == call_id and kwargs in (self.kwargs, self.shown)

    @property
    def visible(self) -> dict[str, Any]:
        """The arguments to show."""
        return self.kwargs if self.shown is None else self.shown

    def take(self, followers: Sequence[Follower], kwargs: Mapping[str, Any], args: Sequence[Any] = ()) -> None:
        """Make an act for each guard."""
        about = self.known
        self.bound = self.given = about.bound(args, kwargs)
        self.kwargs = dict(kwargs)
        self.acts = [ToolAct(each.guard, scope_of(each.guard), about, self.call_id) for each in followers]

    def settle(self, bound: dict[str, Any]) -> None:
        """Take over changed arguments."""
        self.kwargs, self.bound = self._changed(bound), bound

    def _changed(self, bound: dict[str, Any]) -> dict[str, Any]:
        """The arguments with which a body receives `bound`."""
        before = self.bound
        if bound is before:
            return self.kwargs
        return {
            name: item
            for name, item in bound.items()
            if name in self.kwargs or name not in before or item is not before[name]
        }

    def waits(self, act: ToolAct, waiting: Waiting) -> None:
        """It waits for people; what is shown meanwhile is what policies leave of its arguments."""
        self.waiting = waiting
        self.shown = self._changed(act.foreseen(waiting.args))

    @property
    def asking(self) -> ToolAct | None:
        """The act whose guard answers next; None where all have."""
        return self.acts[self._turn] if self._turn < len(self.acts) else None

    async def aask(self, act: ToolAct) -> Decision | Waiting:
        """Ask its guard; where people were asked before, that is the answer."""
        waiting = self.waiting
        return waiting if waiting is not None else await act.guard.aasked(act.ask(self.given))

    def goes_on(self, act: ToolAct, decision: Decision) -> None:
        """Take a guard's decision; raises where it does not permit the call."""
        self.waiting = None
        act.judged(decision)
        self.given = act.permitted(self.given)
        self._turn += 1

    def permitted(self) -> None:
        """Take over the arguments that every guard permits."""
        self.settle(self.given)

    def refuse(self, refusal: Exception) -> None:
        """It does not run; what is shown of its arguments is what the decision leaves of them."""
        self.refusal, self.waiting = refusal, None
        self.abandon("another guard refused it")
        decision = getattr(refusal, "decision", None)
        after = decision.args if decision is not None and decision.args is not None else self.shown
        if after is not None:
            self.kwargs = {name: after.get(name) for name in self.kwargs if name in after}

    def abandon(self, why: str) -> None:
        """It does not start."""
        for act in self.acts:
            act.abandon(why)

    def close(self, why: str) -> None:
        """It comes to no end: it was not started, or it waited for something that did not come."""
        if not self.taken:
            self.abandon(why)
        for act in self.acts:
            act.fail("outcome unknown")

    def traces(self) -> Traces:
        """What tracers are told of it, which waits for its result to be judged where a policy looks at it."""
        self.looked = [act for act in self.acts if act.request is not None and act.guard.judges_return(act.request)]
        return Traces(self.tool if self.looked else None, model=False)

    def ended(self) -> Halted | None:
        """What is raised where a session of it has ended."""
        return next((signal for act in self.acts if (signal := act.ended()) is not None), None)


def _running(call: JudgedCall, traces: Traces) -> Within:
    """What the tool does is done below its acts; tracers are told of its result when it was judged."""
    return inside(call.acts, (MARK, Mark(call.tool, call.bound)), (HELD, traces))


def judge(call: JudgedCall) -> None:
    """Ask every guard; the call says what came of it."""
    try:
        while (act := call.asking) is not None:
            call.goes_on(act, act.guard.check(act.ask(call.given)))
        call.permitted()
    except Signal as refusal:
        call.refuse(refusal)
    except BaseException as error:
        call.abandon(f"{type(error).__name__} came before it started")
        raise


async def ajudge(call: JudgedCall, *, ahead: bool = False) -> None:
    """As `judge`, without blocking the event loop.

    `ahead`: the call is not made yet, so it does not wait for people here, but where this is called again.
    """
    try:
        while (act := call.asking) is not None:
            answer = await call.aask(act)
            if ahead and not isinstance(answer, Decision):
                call.waits(act, answer)
                return
            assert act.request is not None
            call.goes_on(act, await act.guard.aanswered(act.request, answer))
        call.permitted()
    except Signal as refusal:
        call.refuse(refusal)
    except BaseException as error:
        call.abandon(f"{type(error).__name__} came before it started")
        if is_foreign(error):
            call.refuse(denial(error))
            return
        raise


def denial(error: BaseException) -> Denied:
    """The denial of an act whose judging broke with something that would hang a workflow (L10)."""
    reason = f"it could not be judged: {type(error).__name__}: {error}"
    return Denied(Decision(effect="deny", reason=reason, policy="jackline", rule="error"))


def is_foreign(error: BaseException) -> bool:
    """Whether an exception hangs a workflow when it leaves a step: no Exception, and nobody cancelled the task."""
    if isinstance(error, (Exception, KeyboardInterrupt, SystemExit, GeneratorExit)):
        return False
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and not task.cancelling()
    return True


def refused_output(call: JudgedCall) -> ToolOutput:
    """What the model is told of a call that was refused."""
    return told(call.name, call.kwargs, call.refusal)


def told(name: str, kwargs: Mapping[str, Any], refusal: BaseException | None) -> ToolOutput:
    """A refusal as a tool's output: the reason, and nothing of what was withheld."""
    return ToolOutput(
        content=str(refusal), tool_name=name, raw_input=dict(kwargs), raw_output=str(refusal), is_error=True
    )


async def arun(call: JudgedCall, body: Callable[[], Awaitable[ToolOutput]], waits: tuple[type[Exception], ...]) -> Any:
    """Run a judged call in an agent's step: a refusal is told to the model, a halt is raised.

    `waits`: what the framework raises to enter the step again later; the call goes on then.
    """
    halted = call.ended()
    if halted is not None:
        call.abandon("the session has ended")
        raise halted
    if call.refusal is not None:
        if isinstance(call.refusal, Halted):
            raise call.refusal
        return refused_output(call)
    traces = call.traces()
    try:
        with _running(call, traces):
            output = await body()
    except waits:
        call.entered = True
        raise
    except BaseException as error:
        for act in call.acts:
            act.fail(error)
        traces.tell_refused(error)
        if is_foreign(error):
            return told(call.name, call.kwargs, RuntimeError(f"{type(error).__name__}: {error}"))
        raise
    try:
        judged = await _afinished(call, output)
    except BaseException as error:
        traces.tell_refused(error)
        raise
    traces.tell_changed(output, judged)
    return _unless_ended(call, judged)


async def _afinished(call: JudgedCall, output: Any) -> Any:
    if not isinstance(output, ToolOutput):
        for act in reversed(call.acts):
            act.complete(translate.value(output))
        return output
    error = getattr(output, "exception", None)
    if isinstance(error, Halted):
        _close(call.acts, error, None)
        raise error
    try:
        for act in reversed(call.acts):
            before = _plain(call, output)
            _close([act], error, before)
            if act.request is not None and act in call.looked:
                output = act.released(output, before, await act.guard.areturned(act.request, before))
    except Halted:
        raise
    except Signal as withheld:
        return told(call.name, call.kwargs, withheld)
    for act in call.acts:
        output = await _aspoken(act, output)
    return output


async def _aspoken(act: ToolAct, output: ToolOutput) -> ToolOutput:
    """A result that is the agent's answer (`return_direct`), as `output` is decided; raises where it is withheld."""
    for asked in act.outputs(None) if not output.is_error else ():
        before = translate.result(output)
        asked.args = {"result": before}
        if act.guard.judges(asked):
            output = act.released(output, before, await act.guard.acheck(asked))
    return output


def _plain(call: JudgedCall, output: Any) -> Any:
    """A result as policies see it; one that cannot be shown to a policy that looks is withheld."""
    try:
        return translate.value(output)
    except Exception as error:
        for act in call.acts:
            act.complete(None)
            act.guard.recorder.lose(error)
        if call.looked:
            raise denial(error) from error
        return None


def _close(acts: Sequence[Act], error: BaseException | None, result: Any) -> None:
    for act in acts:
        if error is None:
            act.complete(result)
        else:
            act.fail(error)


def run_direct(call: JudgedCall, body: Callable[[dict[str, Any] | None], Any]) -> Any:
    """Run a call that no agent makes: what is refused is raised. `body` is given the arguments where they changed."""
    before = call.bound
    judge(call)
    _start(call)
    traces = call.traces()
    try:
        with _running(call, traces):
            output = judged = body(None if call.bound is before else call.bound)
    except BaseException as error:
        _close(call.acts, error, None)
        traces.tell_refused(error)
        raise
    try:
        for act in reversed(call.acts):
            plain = _plain(call, judged)
            act.complete(plain)
            if act.request is not None and act in call.looked:
                judged = act.released(judged, plain, act.guard.returned(act.request, plain))
    except BaseException as error:
        traces.tell_refused(error)
        raise
    traces.tell_changed(output, judged)
    return _unless_ended(call, judged)


async def arun_direct(call: JudgedCall, body: Callable[[dict[str, Any] | None], Awaitable[Any]]) -> Any:
    """As `run_direct`, without blocking the event loop."""
    before = call.bound
    await ajudge(call)
    _start(call)
    traces = call.traces()
    try:
        with _running(call, traces):
            output = judged = await body(None if call.bound is before else call.bound)
    except BaseException as error:
        _close(call.acts, error, None)
        traces.tell_refused(error)
        raise
    try:
        for act in reversed(call.acts):
            plain = _plain(call, judged)
            act.complete(plain)
            if act.request is not None and act in call.looked:
                judged = act.released(judged, plain, await act.guard.areturned(act.request, plain))
    except BaseException as error:
        traces.tell_refused(error)
        raise
    traces.tell_changed(output, judged)
    return _unless_ended(call, judged)


def _start(call: JudgedCall) -> None:
    if call.refusal is not None:
        raise call.refusal


def _unless_ended(call: JudgedCall, output: Any) -> Any:
    halted = call.ended()
    if halted is not None:
        raise halted
    return output
