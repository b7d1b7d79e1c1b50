"""Around a tool's body: the guard is asked with what it receives, then it runs, then what it gives back is judged.

CrewAI's entrances lead into each other (`invoke` and an overriding `run` end in the same body), parse what they are
given, and only then run the body. A ticket says that a call was judged until its body begins, and what it receives.
"""

from __future__ import annotations

import inspect
import json
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from crewai.tools.structured_tool import CrewStructuredTool, ToolUsageLimitExceededError
from crewai.tools.tool_failure import ToolFailure, ToolFailureReason

from jackline.errors import Halted, Signal
from jackline.request import Tool
from jackline.session import CURRENT, joined
from jackline_crewai import translate
from jackline_crewai.enforce import ToolAct, abandon
from jackline_crewai.places import PLACE, Place, restore, scope_of
from jackline_crewai.references import OURS
from jackline_crewai.tools import original

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from jackline.request import Request
    from jackline_crewai.following import Follower

_LIMIT = "its usage limit is reached"


class Ticket:
    """One judged call of a tool, until its body begins."""

    __slots__ = ("arguments", "begun", "level", "native", "ready", "tool")

    def __init__(self, tool: Any, native: Any, level: Any) -> None:
        self.tool = tool
        self.native = native
        """The object whose entrance was called: the tool, or a structured form of it."""
        self.level = level
        """The entrance that was judged; the same one again is another call."""
        self.arguments: dict[str, Any] = {}
        self.ready = False
        """CrewAI's own parsing comes next, and is given the arguments that were judged."""
        self.begun = False


TICKET: ContextVar[Ticket | None] = ContextVar("jackline_crewai_ticket", default=None)

ONCE: ContextVar[bool] = ContextVar("jackline_crewai_once", default=False)
"""Whether a tool's last result is of an act that people permitted: once, so that CrewAI's cache does not keep it."""


def parsed(native: Any) -> dict[str, Any] | None:
    """The arguments that were judged, where CrewAI parses those of a judged call; its body begins."""
    ticket = TICKET.get()
    if ticket is None or not ticket.ready or ticket.native is not native:
        return None
    ticket.ready, ticket.begun = False, True
    return ticket.arguments


def judged(tool: Any) -> bool:
    """Whether what is done with a tool here belongs to a call of it that was judged."""
    ticket = TICKET.get()
    return ticket is not None and ticket.tool is tool


class ToolCall:
    """One call of one entrance of a tool."""

    def __init__(self, level: Any, native: Any, args: tuple[Any, ...], kwargs: dict[str, Any], *, own: bool) -> None:
        """`own`: the entrance is not CrewAI's but that of the tool's own class."""
        self.native, self.args, self.kwargs, self.own = native, args, kwargs, own
        self.ticket = Ticket(original(native), native, level)
        self.invoked = isinstance(native, CrewStructuredTool)
        self.place: Place | None = None
        self.acts: list[ToolAct] = []
        self._judged: dict[str, Any] = {}

    def continues(self) -> bool:
        """Whether this is the way of a call that was judged further out, with the same arguments."""
        ticket = TICKET.get()
        mine = self.ticket
        if ticket is None or ticket.begun or ticket.tool is not mine.tool or ticket.level is mine.level:
            return False
        try:
            same: bool = translate.value(self._parsed(ticket_known=None)) == translate.value(ticket.arguments)
        except Exception:  # noqa: BLE001 - CrewAI's own parsing will say what is wrong
            return False
        if same and not self.own:
            ticket.begun = True
        return same

    def begin(self, followers: Sequence[Follower]) -> dict[str, Any]:
        """What the body would receive, by name; the acts of it are made. Raises what CrewAI's own parsing raises."""
        self.acts = [ToolAct(item, item.tools.known(self.ticket.tool).tool) for item in followers]
        try:
            return self._parsed(ticket_known=followers[0].tools.known(self.ticket.tool))
        except Exception:
            if self.own:
                return {**{f"arg{place}": item for place, item in enumerate(self.args)}, **self.kwargs}
            self._attempted()
            raise

    def _parsed(self, ticket_known: Any) -> dict[str, Any]:
        token = OURS.set(True)
        try:
            return self._by_name(ticket_known)
        finally:
            OURS.reset(token)

    def _by_name(self, ticket_known: Any) -> dict[str, Any]:
        if self.invoked:
            extra = {name: item for name, item in self.kwargs.items() if name not in ("input", "config")}
            given = self.args[0] if self.args else self.kwargs.get("input")
            return {**self.native._parse_args(given), **extra}  # noqa: SLF001 - what the body receives
        if self.args:
            if ticket_known is None:
                raise TypeError("a positional call is compared by its entrance")
            bound: dict[str, Any] = ticket_known.by_name(self.args, self.kwargs)
            return bound
        checked: dict[str, Any] = self.native._validate_kwargs(self.kwargs)  # noqa: SLF001 - as above
        return checked

    def _attempted(self) -> None:
        """Put an attempt on record whose body was not reached: its arguments were not valid."""
        given = self.args[0] if self.invoked and self.args else self.kwargs
        raw = given if isinstance(given, dict) else {"input": given}
        for act in self.acts:
            try:
                act.check(act.ask(raw))
            except Signal:
                continue
            act.abandon("its arguments were not valid")

    def arguments(self, bound: dict[str, Any], changed: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What the entrance is called with, so that its body receives `changed`."""
        ticket = self.ticket
        ticket.arguments = changed
        if self.invoked:
            extra = {name: changed[name] for name in self.kwargs if name not in ("input", "config") and name in changed}
            ticket.arguments = {name: item for name, item in changed.items() if name not in extra}
            config = {"config": self.kwargs["config"]} if "config" in self.kwargs else {}
            ticket.ready = True
            return (ticket.arguments, *self.args[1:]), {**config, **extra}
        if self.args:
            ticket.begun = not self.own
            if changed is bound:
                return self.args, self.kwargs
            known = self.acts[0].follower.tools.known(ticket.tool)
            return known.positional(bound, changed, self.args)
        ticket.ready = not self.own
        return (), self.kwargs if self.own and changed is bound else changed

    def open(self, native: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Ask every guard; what the entrance is called with then."""
        changed = native
        try:
            for act in self.acts:
                act.check(act.ask(changed))
                changed = act.permitted(changed)
            return self.arguments(native, changed)
        except BaseException as error:
            abandon(self.acts, error)
            raise

    async def aopen(self, native: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """As `open`, without blocking the event loop."""
        changed = native
        try:
            for act in self.acts:
                await act.acheck(act.ask(changed))
                changed = act.permitted(changed)
            return self.arguments(native, changed)
        except BaseException as error:
            abandon(self.acts, error)
            raise

    def released(self, result: Any) -> Any:
        """Record the result, and let through what every guard permits of it."""
        for act in reversed(self.acts):
            plain = translate.value(result)
            act.complete(plain)
            if act.request is not None:
                result = act.released(result, plain, act.guard.returned(act.request, plain))
                asked, before = self.asked_output(act, result)
                if asked is not None:
                    result = act.released(result, before, act.guard.check(asked))
        return result

    async def areleased(self, result: Any) -> Any:
        """As `released`, without blocking the event loop."""
        for act in reversed(self.acts):
            plain = translate.value(result)
            act.complete(plain)
            if act.request is not None:
                result = act.released(result, plain, await act.guard.areturned(act.request, plain))
                asked, before = self.asked_output(act, result)
                if asked is not None:
                    result = act.released(result, before, await act.guard.acheck(asked))
        return result

    def enter(self) -> tuple[Any, ...]:
        """Begin the body; answers what `leave` wants."""
        self.place = Place("tool", self.ticket.tool, [act.inner for act in self.acts], PLACE.get())
        return CURRENT.set(joined([act.inner for act in self.acts])), PLACE.set(self.place), TICKET.set(self.ticket)

    @staticmethod
    def leave(tokens: tuple[Any, ...]) -> None:
        """End the body."""
        restore(tokens)

    def permitted_once(self) -> bool:
        """Whether people permitted this very call."""
        return any(act.decision is not None and act.decision.approvals for act in self.acts)

    def failed(self, error: BaseException) -> None:
        """Close the call of a body that raised."""
        limit = isinstance(error, ToolUsageLimitExceededError)
        for act in self.acts:
            if limit:
                act.abandon(_LIMIT)
            else:
                act.fail(error)

    def spent(self, result: Any) -> bool:
        """Whether the body did not run, since CrewAI's limit of how often was reached."""
        if not isinstance(result, ToolFailure) or result.reason is not ToolFailureReason.USAGE_LIMIT:
            return False
        tool = self.ticket.tool
        if tool.max_usage_count is None or tool.current_usage_count < tool.max_usage_count:
            return False
        for act in self.acts:
            act.abandon(_LIMIT)
        return True

    def asked_output(self, act: ToolAct, result: Any) -> tuple[Request | None, Any]:
        """The request about a result that is its agent's answer; None where it is not, or nothing looks at it."""
        place = PLACE.get()
        speaker = place.agent if place is not None else None
        if speaker is None or not speaker.speaks or not act.follower.tools.known(self.ticket.tool).speaks:
            return None, None
        before = translate.value(result)
        speaker.said = before
        asked = act.output(before)
        return (asked, before) if asked is not None and act.guard.judges(asked) else (None, None)


def told(refusal: Signal) -> Any:
    """What whoever called a tool is told of its refusal: an agent's model as a failure's text, code by an exception."""
    place = PLACE.get()
    if place is not None and place.kind == "model":  # the call runs its tools itself, and hides what they raise
        if isinstance(refusal, Halted):
            place.refusal = refusal
        return str(refusal)
    if place is None or place.agent is None:
        raise refusal
    return ToolFailure(message=str(refusal))


def run_tool(followers: Sequence[Follower], call: ToolCall, body: Callable[..., Any]) -> Any:
    """Run a tool's body under every guard that follows the call."""
    native = call.begin(followers)
    try:
        args, kwargs = call.open(native)
    except Signal as refusal:
        return told(refusal)
    tokens = call.enter()
    try:
        result = body(call.native, *args, **kwargs)
    except BaseException as error:
        call.leave(tokens)
        call.failed(error)
        if isinstance(error, Signal):
            return told(error)
        raise
    call.leave(tokens)
    ONCE.set(call.permitted_once())
    if call.spent(result):
        return result
    try:
        return call.released(result)
    except Signal as refusal:
        return told(refusal)


async def arun_tool(followers: Sequence[Follower], call: ToolCall, body: Callable[..., Awaitable[Any]]) -> Any:
    """As `run_tool`, without blocking the event loop."""
    native = call.begin(followers)
    try:
        args, kwargs = await call.aopen(native)
    except Signal as refusal:
        return told(refusal)
    tokens = call.enter()
    try:
        result = await body(call.native, *args, **kwargs)
        while inspect.isawaitable(result):  # CrewAI's `ainvoke` hands out an asynchronous body that did not run yet
            result = await result
    except BaseException as error:
        call.leave(tokens)
        call.failed(error)
        if isinstance(error, Signal):
            return told(error)
        raise
    call.leave(tokens)
    ONCE.set(call.permitted_once())
    if call.spent(result):
        return result
    try:
        return await call.areleased(result)
    except Signal as refusal:
        return told(refusal)


def cached(followers: Sequence[Follower], name: str, given: str, found: Any) -> Any:
    """A result that CrewAI's cache has: judged as the call that it stands for; no body runs.

    None where a policy changes the arguments: the cached result is of others, and the call is made.
    """
    acts: list[ToolAct] = []
    try:
        for item in followers:
            act, args = _stands_for(item, name, given)
            acts.append(act)
            act.check(act.ask(args))
            if act.decision is not None and act.decision.args is not None:
                for each in acts:
                    each.abandon("the cached result is of other arguments")
                return None
    except Signal as refusal:
        abandon(acts, refusal)
        return told(refusal)
    try:
        for act in reversed(acts):
            plain = translate.value(found)
            act.complete(plain, cached=True)
            if act.request is not None:
                found = act.released(found, plain, act.guard.returned(act.request, plain))
    except Signal as refusal:
        return told(refusal)
    return found


def _stands_for(follower: Follower, name: str, given: str) -> tuple[ToolAct, dict[str, Any]]:
    try:
        args = json.loads(given) if given else {}
    except ValueError:
        args = given
    args = args if isinstance(args, dict) else {"input": args}
    scope = scope_of(follower.guard) or follower.guard.scope()
    known = follower.tools.named(scope.agent, name)
    act = ToolAct(follower, known.tool if known is not None else Tool(name=name))
    return act, known.completed(args) if known is not None else args
