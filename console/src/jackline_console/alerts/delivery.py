"""What whoever sends alerts must do: one edge at a time, each once, and never in the way of those who evaluate."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

Edge = Literal["fired", "resolved"]
Severity = Literal["info", "warning", "critical"]


class AlertEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One edge of one alert, as it stands in the journal. Times are Unix seconds."""

    alert: str
    """The alert's id: the same when it fires, gets worse and is resolved. What receivers call the incident."""
    edge: Edge
    rule: str
    signal: str
    """The rule's kind: `session_cost`, `loop`, ..."""
    severity: Severity
    state: Literal["warning", "firing", "resolved"]
    """`warning` may be followed by `firing`: both are `fired` edges of one alert."""
    group: dict[str, str]
    """`agent`, `session`, `tool`, as far as the rule tells them apart."""
    reported: bool = False
    """About a session or an agent that is only reported: nobody can hold it from here."""
    value: float | None
    threshold: float | None
    unit: str
    message: str
    since: float
    at: float
    """When this edge was recorded."""

    @property
    def id(self) -> str:
        """32 hex digits: the same edge has the same id whenever it is handed over."""
        return hashlib.sha256(f"{self.alert} {self.state}".encode()).hexdigest()[:32]


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What one channel was told of one alert, the last time that it was tried."""

    channel: str
    at: float
    ok: bool
    error: str = ""


class Delivery(Protocol):
    """Tells the world of alerts.

    `deliver` is called in the tail's thread after the edge is on record: it must return at once (put the edge on disk
    or in a queue), and what it raises is logged and goes no further. After a crash, and when a silence ends while the
    alert still fires, an edge may be handed over again: its `id` is the same, and each id is sent to a channel once.
    """

    def deliver(self, alert: AlertEvent, channels: tuple[str, ...]) -> None:
        """Tell these channels, named as in the bundle; none named: every channel that takes alerts."""

    def sent(self, alert: str) -> Sequence[Sent]:
        """What became of it, for `GET /alerts`; the latest of each channel. Called in routes' threads."""


class NoDelivery:
    """Nobody is told; alerts are recorded and shown all the same."""

    def deliver(self, alert: AlertEvent, channels: tuple[str, ...]) -> None:
        """Tell nobody."""

    def sent(self, alert: str) -> Sequence[Sent]:  # noqa: ARG002 - as the protocol says
        """Nothing was sent."""
        return ()
