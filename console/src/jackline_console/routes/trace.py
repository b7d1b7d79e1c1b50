"""The page *Trace*: sessions, the steps of one, what was said, and who called whom."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query, Response

from jackline.events import ApprovalConsumed, ApprovalDenied, ApprovalExpired, ApprovalRequested, Decided
from jackline.journal import find_payloads
from jackline_console.access.gate import Viewer
from jackline_console.graph import graph as drawn
from jackline_console.live import session_facts
from jackline_console.models.basics import Events, Page, StreamEvent
from jackline_console.models.sessions import (
    Graph,
    PayloadView,
    Session,
    SessionState,
    SessionWhole,
    Span,
    Spans,
    SpanWhole,
    Wait,
)
from jackline_console.problems import unknown
from jackline_console.reported import NAMESPACE
from jackline_console.routes.asking import Filter, Here, Place, Since, Until, joined, made, marked, place
from jackline_console.stream import Cursor
from jackline_console.tail import item

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jackline.events import Event
    from jackline.journal.payloads import Payload
    from jackline.stores import EventRow, SpanRow
    from jackline_console.console import Console

router = APIRouter(tags=["trace"])
Only = Literal["", "denied", "asked", "failed", "unknown"]
_REFUSED = ("escalate", "deny", "halt")
_ALWAYS = ("span", "kind", "started")
_DEFAULTS = {name: field.default for name, field in Span.model_fields.items()}
_ENDS: dict[type[Event], str] = {ApprovalConsumed: "consumed", ApprovalDenied: "denied", ApprovalExpired: "expired"}
_TOLD = ("approval_requested", "approval_consumed", "approval_denied", "approval_expired", "session_reopened")
_SCAN = 5000
"""Sessions that one answer looks at where something is asked for that no index knows."""


@router.get("/sessions")
def sessions(
    here: Here,
    _who: Viewer,
    agent: Filter = "",
    user: Filter = "",
    since: Since = None,
    until: Until = None,
    state: SessionState | None = None,
    reported: bool | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Place = "",
) -> Page[Session]:
    """Sessions, the latest started first. `reported`: only those that are told over OTLP, or only the others."""
    found = place(cursor, float, str)
    after = (float(found[0]), found[1]) if found is not None else None
    stops, seen = here.live.stops(), 0
    items: list[Session] = []
    rows: list[Any] = []
    while len(items) < limit and seen < _SCAN:
        size = limit if state is None and reported is None else 500
        rows = here.store.page(
            limit=size, after=after, agent=agent, user=user, since=since, until=until, state=state or ""
        )
        for row in rows:
            seen += 1
            after = (row.started, row.session)
            if state in (None, row.state) and reported in (None, row.namespace == NAMESPACE):
                items.append(Session.model_validate(session_facts(row, stops.get(row.session))))
                if len(items) == limit:
                    break
        if len(rows) < size:
            break
    more = len(items) == limit or seen >= _SCAN
    return Page(items=items, next=marked(*after) if more and after is not None else None)


@router.get("/sessions/{session}", response_model_by_alias=True)
def session(here: Here, _who: Viewer, session: str) -> SessionWhole:
    """One session, with what stands above its steps."""
    end = Cursor(*here.store.head())
    row = here.session(session)
    (live,) = here.live.told([row])
    told = here.store.lines(row.session, kinds=_TOLD)
    reopened = next((one.event for one in reversed(told) if one.kind == "session_reopened" and one.event), None)
    events, spans = here.store.counts(row.session)
    return SessionWhole.model_validate(
        session_facts(row, here.live.stops().get(row.session))
        | {
            "cursor": str(end),
            "ceiling": live["ceiling"],
            "stop": live["stop"],
            "reopened": {"who": reopened.who, "why": reopened.why} if reopened is not None else None,
            "waits": list(_waits(told)),
            "events": events,
            "spans": spans,
        }
    )


@router.get("/sessions/{session}/spans", response_model=Spans)
def spans(
    here: Here,
    _who: Viewer,
    session: str,
    only: Only = "",
    limit: Annotated[int, Query(ge=1, le=20_000)] = 20_000,
    cursor: Place = "",
) -> Response:
    """The steps of a session; `only`: those that were denied, asked about, failed or are unknown, and those above."""
    end = Cursor(*here.store.head())
    found = place(cursor, int)
    start = max(0, found[0]) if found is not None else 0
    row = here.session(session)
    every = _kept(here.store.spans(row.session), only)
    items = [_span(one) for one in every[start : start + limit]]
    following = marked(start + limit) if start + limit < len(every) else None
    return made({"items": items, "next": following, "total": len(every), "cursor": str(end)})


@router.get("/sessions/{session}/spans/{span}")
def span(here: Here, _who: Viewer, session: str, span: str) -> SpanWhole:
    """Everything on record of one step: its lines, every policy's verdict, the revision that decided."""
    row = here.session(session)
    found = here.store.span(row.session, span)
    if found is None:
        unknown("span", span, "16 hex digits", f"GET /api/v1/sessions/{row.session}/spans lists them")
    lines = here.store.lines(row.session, text=f'"{span}"')
    decided = [event for event in (one.event for one in lines) if isinstance(event, Decided) and event.span == span]
    approvals = dict.fromkeys(name for event in decided for name in event.approvals)
    last = decided[-1] if decided else None
    return SpanWhole(
        span=Span.model_validate(_span(found)),
        revision=last.revision if last is not None else "",
        verdicts=[_plain(verdict) for event in decided for verdict in event.verdicts],
        events=[_stream_event(one) for one in lines],
        approvals=list(approvals),
    )


@router.get("/sessions/{session}/events", response_model=Events)
def events(
    here: Here, _who: Viewer, session: str, limit: Annotated[int, Query(ge=1, le=5000)] = 1000, cursor: Place = ""
) -> Response:
    """The lines of a session in their order: what a replay plays."""
    row = here.session(session)
    found = place(cursor, int)
    start = max(0, found[0]) if found is not None else 0
    items: list[str] = []
    for number, one in enumerate(here.store.events(row.session, limit=start + limit + 1)):
        if number >= start:
            items.append(item(one).data)
    following = marked(start + limit) if len(items) > limit else None
    return joined({"next": following}, items[:limit])


@router.get("/sessions/{session}/graph", response_model_by_alias=True)
def graph(here: Here, _who: Viewer, session: str) -> Graph:
    """Agents, sub-agents, and the models, tools and hosts that they used."""
    row = here.session(session)
    return Graph.model_validate(drawn(here.store.spans(row.session)))


@router.get("/payloads/{digest}")
def payload(here: Here, _who: Viewer, digest: str, journal: Filter = "") -> PayloadView:
    """What was kept of arguments, a result or a message, by its digest; with its `journal` it is found at once."""
    found = _payload(here, digest, journal) or (_payload(here, digest, "") if journal else None)
    if found is None:
        expected = "a digest whose payload was kept: the bundle's `capture` says what is"
        unknown("payload", digest, expected, "an `args` or `result` of a step has digests")
    named = found.value.get("messages") if isinstance(found.value, dict) else None
    digests = named.get("$payloads") if isinstance(named, dict) else None
    messages = [one for one in digests if isinstance(one, str)] if isinstance(digests, list) else []
    return PayloadView(
        digest=found.digest,
        size=found.size,
        capture=found.capture,
        cut=found.cut,
        erased=found.erased,
        value=found.value,
        messages=messages,
    )


@router.get("/events/{position}", response_model=StreamEvent)
def event(here: Here, _who: Viewer, position: int) -> Response:
    """One line in full, however long."""
    row = here.store.event(position) if 0 < position < 2**53 else None
    if row is None:
        unknown("event", str(position), "a position of this index", "the stream and lists of events have positions")
    return Response(item(row, whole=True).data, media_type="application/json")


def _payload(here: Console, digest: str, journal: str) -> Payload | None:
    folder = here.home.payloads
    return find_payloads(folder, [digest], journal).get(digest) if folder.is_dir() else None


def _span(row: SpanRow) -> dict[str, Any]:
    """A step without what is at its default: ten thousand of them are a quarter as long."""
    told = msgspec.structs.asdict(row)
    del told["session"]
    return {name: value for name, value in told.items() if value != _DEFAULTS[name] or name in _ALWAYS}


def _kept(every: Sequence[SpanRow], only: Only) -> Sequence[SpanRow]:
    if not only:
        return every
    by_id = {one.span: one for one in every}
    wanted: set[str] = set()
    for one in every:
        above: SpanRow | None = one if _matches(one, only) else None
        while above is not None and above.span not in wanted:
            wanted.add(above.span)
            above = by_id.get(above.parent)
    return [one for one in every if one.span in wanted]


def _matches(one: SpanRow, only: Only) -> bool:
    if only == "denied":
        return one.effect in _REFUSED or one.return_effect in _REFUSED
    if only == "asked":
        return "escalate" in (one.effect, one.return_effect, one.would)
    return one.outcome == only


def _waits(rows: Sequence[EventRow]) -> Iterator[Wait]:
    """From the question to its end: what a bar is hatched for."""
    open_: dict[str, Wait] = {}
    for row in rows:
        event = row.event
        if isinstance(event, ApprovalRequested):
            found = Wait(approval=event.approval, span=event.span, from_=event.at, to=None, state="pending")
            open_.setdefault(event.approval, found)
        elif type(event) in _ENDS and event.approval in open_:  # type: ignore[union-attr]
            wait = open_[event.approval]  # type: ignore[union-attr]
            wait.to, wait.state = row.at, _ENDS[type(event)]  # type: ignore[index]
    yield from open_.values()


def _stream_event(row: EventRow) -> StreamEvent:
    return StreamEvent.model_validate(json.loads(item(row, whole=True).data))


def _plain(value: Any) -> Any:
    return msgspec.to_builtins(value)
