"""The page *Live*: what runs, and its controls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Response

from jackline_console.access.gate import Operator, Viewer
from jackline_console.models.basics import Because
from jackline_console.models.sessions import LiveSessions, SessionDone
from jackline_console.reported import NAMESPACE, refuse
from jackline_console.routes.asking import Filter, Here, made
from jackline_console.stream import Cursor

if TYPE_CHECKING:
    from jackline_console.console import Console

router = APIRouter(tags=["live"])


@router.get("/live", response_model=LiveSessions)
def live(here: Here, _who: Viewer, agent: Filter = "", limit: Annotated[int, Query(ge=1, le=2000)] = 500) -> Response:
    """Sessions that run, are held, or were active within five minutes; the latest active first."""
    cursor = Cursor(*here.store.head())  # before the rows: what comes meanwhile is told by the stream
    items = here.live.sessions(agent, limit)
    return made({"at": here.clock(), "cursor": str(cursor), "items": items, "next": None})


@router.post("/sessions/{session}/stop")
def stop(here: Here, who: Operator, session: str, given: Because) -> SessionDone:
    """End a session: no act of it starts any more, in any process, until somebody reopens it."""
    found = _held(here, session)
    at = here.person(who).stop(found, given.why)
    return SessionDone(session=found, done="stopped", who=who.name, why=given.why, at=at)


@router.post("/sessions/{session}/pause")
def pause(here: Here, who: Operator, session: str, given: Because) -> SessionDone:
    """Hold a session until it is reopened."""
    found = _held(here, session)
    at = here.person(who).stop(found, given.why, pause=True)
    return SessionDone(session=found, done="paused", who=who.name, why=given.why, at=at)


@router.post("/sessions/{session}/reopen")
def reopen(here: Here, who: Operator, session: str, given: Because) -> SessionDone:
    """Lift the end of a session, whether a policy or a person ended it."""
    found = here.session_id(session)
    at = here.person(who).reopen(found, given.why)
    return SessionDone(session=found, done="reopened", who=who.name, why=given.why, at=at)


def _held(here: Console, session: str) -> str:
    """The id of a session that can be held at all. Raises ProblemError for one that is only reported."""
    found = here.session_id(session)
    if any(row.namespace == NAMESPACE for row in here.store.named([found])):
        refuse("session", found)
    return found
