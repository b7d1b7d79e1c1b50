"""What every event has, and how a journal begins and ends."""

from __future__ import annotations

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind"):
    """What every event has."""

    at: float


class JournalOpened(Event, frozen=True, kw_only=True, omit_defaults=True, tag="journal_opened"):
    """The first line of a segment; `prev` of the first segment is 64 zeros."""

    journal: str
    segment: int
    writer: str
    """What writes: `guard`, `cli`, `console`, `alerter`; `otlp`: what others reported."""
    pid: int
    host: str
    boot: str
    python: str
    jackline: str


class JournalClosed(Event, frozen=True, kw_only=True, omit_defaults=True, tag="journal_closed"):
    """The last line of a segment; `next` names the segment that goes on, or is empty at the end."""

    journal: str
    next: str = ""


class EventsLost(Event, frozen=True, kw_only=True, omit_defaults=True, tag="events_lost"):
    """Observations that could not be written, counted."""

    count: int
    reason: str
