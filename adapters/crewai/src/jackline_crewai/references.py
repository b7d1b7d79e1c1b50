"""Calls through a `run` or `invoke` that was taken from a tool before the wraps were on.

Such as `available_functions={"pay": pay.run}`, or the functions of an executor that runs. They come to no entrance, but
to what CrewAI does beneath it: parse the arguments, then count the use. There a call that nobody has judged is judged;
its result is out of reach, so that a policy which wants to see results refuses it.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from crewai.tools.tool_failure import ToolFailure

from jackline.errors import Signal
from jackline_crewai.enforce import ToolAct, abandon

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jackline.request import Request
    from jackline_crewai.following import Follower

OURS: ContextVar[bool] = ContextVar("jackline_crewai_ours", default=False)
"""The adapter parses arguments itself, to have them judged."""

_JUDGED: ContextVar[Any] = ContextVar("jackline_crewai_judged", default=None)
"""The tool whose arguments were judged here: its use is counted next."""

_UNSEEN = "its result cannot be judged: its `run` was taken from it before Jackline was on"


def parsed(followers: Sequence[Follower], tool: Any, args: dict[str, Any]) -> dict[str, Any]:
    """What the body receives of a call whose arguments are parsed; raises where it may not run."""
    args = _judged(followers, tool, args)
    _JUDGED.set(tool)
    return args


def counted(followers: Sequence[Follower], tool: Any) -> ToolFailure | None:
    """What a call gets instead whose arguments came by position: policies see none of them."""
    if _JUDGED.get() is tool:
        _JUDGED.set(None)
        return None
    try:
        _judged(followers, tool, {})
    except Signal as refusal:
        return ToolFailure(message=str(refusal))
    return None


def _without_result(act: ToolAct, request: Request, args: dict[str, Any]) -> dict[str, Any]:
    if act.guard.judges_return(request):
        raise act.refused(_UNSEEN)
    return act.permitted(args)


def _judged(followers: Sequence[Follower], tool: Any, args: dict[str, Any]) -> dict[str, Any]:
    acts = [ToolAct(item, item.tools.known(tool).tool) for item in followers]
    try:
        for act in acts:
            request = act.ask(args)
            act.check(request)
            args = _without_result(act, request, args)
    except BaseException as error:
        abandon(acts, error)
        raise
    for act in acts:
        act.fail("outcome unknown")
    return args
