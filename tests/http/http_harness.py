"""What the tests of this folder share: policies about requests, a tool that sends, and what is on record of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jackline.decision import Verdict
from jackline.testing.scripted import Scripted, on_record

if TYPE_CHECKING:
    from collections.abc import Callable

    from jackline.decision import Effect
    from jackline.guard import Guard
    from jackline.request import Request

NO = "not there"


def refuse_port(port: int, effect: Effect = "deny") -> Scripted:
    """Refuse every request to one server."""
    return about(lambda request: Verdict(effect=effect, reason=NO) if request.facts["http"]["port"] == port else None)


def about(answer: Callable[[Request], Verdict | None], phase: Any = "judge") -> Scripted:
    """A policy about requests."""
    return Scripted(answer, "http.request", phase=phase)


def keep(asked: list[Request]) -> Scripted:
    """Keep what was asked, and answer nothing."""

    def answer(request: Request) -> None:
        asked.append(request)

    return about(answer)


def as_tool(guard: Guard, body: Callable[[], Any], name: str = "look_up") -> Any:
    """Run something as a tool of an agent."""
    with guard.session("job", agent="researcher"):
        return guard.tool(body, name=name)()


def decided(guard: Guard) -> list[Any]:
    """The decisions about requests, in order."""
    return [event for event in on_record(guard, "decided") if event.action == "http.request"]


def outcomes(guard: Guard) -> list[Any]:
    """What came of requests, in order."""
    return [event for event in on_record(guard, "completed", "failed") if event.action == "http.request"]
