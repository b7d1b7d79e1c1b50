"""Sessions and runs, from their beginning to their end, and what people do to them."""

from __future__ import annotations

from typing import Literal

from jackline.events.record import Event


class SessionStarted(Event, frozen=True, kw_only=True, omit_defaults=True, tag="session_started"):
    """A session was first seen by this process."""

    session: str
    external_id: str = ""
    user: str = ""
    labels: dict[str, str] = {}  # noqa: RUF012 - msgspec copies it
    application: str = ""
    namespace: str = ""


class SessionEnded(Event, frozen=True, kw_only=True, omit_defaults=True, tag="session_ended"):
    """A session ended: explicitly, with its root run, or idle."""

    session: str
    how: Literal["explicit", "root", "idle", "error"] = "explicit"


class SessionHalted(Event, frozen=True, kw_only=True, omit_defaults=True, tag="session_halted"):
    """No act of this session starts after this line."""

    session: str
    reason: str
    policy: str = ""
    rule: str = ""
    span: str = ""


class SessionReopened(Event, frozen=True, kw_only=True, omit_defaults=True, tag="session_reopened"):
    """A human lifted a halt."""

    session: str
    who: str
    why: str


class SessionStopped(Event, frozen=True, kw_only=True, omit_defaults=True, tag="session_stopped"):
    """A human asked that a session stop (or pause)."""

    session: str
    who: str
    why: str
    pause: bool = False


class RunStarted(Event, frozen=True, kw_only=True, omit_defaults=True, tag="run_started"):
    """One invocation of one agent began."""

    session: str
    run: str
    span: str
    agent: str
    parent: str = ""
    parent_run: str = ""
    depth: int = 0


class RunEnded(Event, frozen=True, kw_only=True, omit_defaults=True, tag="run_ended"):
    """One invocation of one agent ended."""

    session: str
    run: str
    span: str
    agent: str
    error: str = ""
