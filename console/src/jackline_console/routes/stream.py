"""The one stream: everything that comes in, from a cursor on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse

from jackline_console.access.gate import Viewer
from jackline_console.problems import ProblemError
from jackline_console.routes.asking import Filter
from jackline_console.stream import Cursor, Stream, Wanted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from jackline_console.console import Console

router = APIRouter(tags=["stream"])
_reading = ThreadPoolExecutor(2, thread_name_prefix="jackline-stream")


class _Events(StreamingResponse):
    media_type = "text/event-stream"


@router.get("/stream", response_class=_Events, responses={200: {"content": {"text/event-stream": {}}}})
async def stream(  # it waits for messages; what it reads, it reads in threads
    request: Request,
    who: Viewer,
    after: Annotated[str, Query(max_length=80, description="go on behind this cursor")] = "",
    session: Filter = "",
    agent: Filter = "",
    kinds: Annotated[str, Query(max_length=1000, description="comma-separated")] = "",
    live: bool = False,
    last_event_id: Annotated[str | None, Header(max_length=80)] = None,
) -> StreamingResponse:
    """Events in the order in which they came in, each once; see docs/console-api.md for the messages."""
    here: Console = request.app.state.console
    text = last_event_id or after
    cursor = Cursor.read(text) if text else None
    own = sum(one.login.name == who.name for one in here.streams)
    if len(here.streams) >= here.settings.streams or own >= here.settings.streams_each:
        detail = f"{len(here.streams)} streams are open, {own} of them for '{who.name}'"
        raise ProblemError(429, "too-many", detail, hint="close a page", headers={"Retry-After": "10"})
    wanted = Wanted(session, agent, frozenset(filter(None, kinds.split(","))), live)
    made = Stream(here, who, wanted, _reading)
    return _Events(_sent(here, made, cursor), headers={"X-Accel-Buffering": "no"})


async def _sent(here: Console, made: Stream, cursor: Cursor | None) -> AsyncIterator[Any]:
    here.streams.add(made)
    try:
        async for message in made.messages(cursor):
            yield message
    finally:
        here.streams.discard(made)
