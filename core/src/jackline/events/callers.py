"""What a server for agents from outside (a gateway, the Decision API, the console's OTLP routes) would not take."""

from __future__ import annotations

from jackline.events.record import Event


class CallerRefused(Event, frozen=True, kw_only=True, omit_defaults=True, tag="caller_refused"):
    """Somebody sent what could not be taken: nothing was decided or reported by it."""

    by: str
    """What refused it: `decision-api`, `mcp-gateway`, `otlp`."""
    what: str
    """The end of the problem's type that was answered: `invalid`, `too-large`, `too-slow`, `recorded`, ..."""
    detail: str = ""
    """What was answered, cut after 300 characters; names of fields, never what was in them."""
    agent: str = ""
    """The agent of the token; empty where there was none."""
    address: str = ""
    """From where: the peer's address."""
    unrecorded: int = 0
    """How many were refused besides, since the one before on record: whoever floods does not fill the disk."""
