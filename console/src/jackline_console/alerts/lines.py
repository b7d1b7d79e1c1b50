"""What signals need of an event: small records, decoded in a microsecond where the whole event takes several."""

from __future__ import annotations

from typing import Any

import msgspec


class Hold(msgspec.Struct, frozen=True, gc=False):
    """One scope of a reservation."""

    scope: str = ""
    unit: str = ""
    cap: int = 0
    spent: int = 0
    once: bool = False


class Reservation(msgspec.Struct, frozen=True):
    """What was held for an act."""

    holds: tuple[Hold, ...] = ()


class Decided(msgspec.Struct, frozen=True):
    """A decision."""

    span: str
    action: str
    resource: str
    effect: str
    args: str = ""
    reservation: Reservation | None = None


class Cost(msgspec.Struct, frozen=True, gc=False):
    """What a call cost."""

    micro_usd: int = 0


class Outcome(msgspec.Struct, frozen=True):
    """What came of an act."""

    span: str
    action: str
    resource: str
    error: str = ""
    result: str = ""
    usage: dict[str, Any] | None = None
    cost: Cost | None = None


class Run(msgspec.Struct, frozen=True, gc=False):
    """A run that begins or ends."""

    span: str


class Question(msgspec.Struct, frozen=True, gc=False):
    """What people are asked, or answer."""

    approval: str
    needed: int = 1
    expires: float = 0.0
    action: str = ""
    resource: str = ""


class Named(msgspec.Struct, frozen=True):
    """An agent or tool."""

    name: str = ""
    status: str = "seen"


class Registered(msgspec.Struct, frozen=True):
    """What became of an agent: seen, amended, or seen with a tool."""

    agent: Named | str
    tool: Named = Named()
    previous: str = ""
    baseline: bool = False
    changes: dict[str, Any] = {}


class Counted(msgspec.Struct, frozen=True, gc=False):
    """Observations that were lost, or ways in which a bundle permits more."""

    count: int = 0
    widened: tuple[str, ...] = ()
    next: str = ""


def _decoder(kind: type) -> Any:
    return msgspec.json.Decoder(kind).decode


decided, outcome, run = _decoder(Decided), _decoder(Outcome), _decoder(Run)
question, registered, counted = _decoder(Question), _decoder(Registered), _decoder(Counted)
