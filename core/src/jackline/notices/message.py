"""What an outbox keeps, and what it says of it."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol


class Message(Protocol):
    """What an outbox keeps and sends: a notice of an approval, an alert."""

    @property
    def id(self) -> str:
        """The same whenever the same thing is told again."""

    @property
    def kind(self) -> str:
        """What happened; targets say of which kinds they are told."""

    @property
    def about(self) -> str:
        """The approval or alert."""

    @property
    def at(self) -> float:
        """When it happened, Unix seconds."""

    @property
    def title(self) -> str:
        """One line for people."""

    @property
    def text(self) -> str:
        """The rest for people."""

    @property
    def body(self) -> bytes:
        """What a webhook gets: JSON."""


class Delivery(NamedTuple):
    """One notice that one target has not taken yet."""

    notice: Any
    target: str
    attempts: int
    """How often it was tried."""


class Counts(NamedTuple):
    """How many deliveries there are."""

    waiting: int
    dead: int
    """Given up after as many tries as the bundle allows."""


class Tried(NamedTuple):
    """What one target was told, or not, of one thing."""

    target: str
    at: float
    error: str
    """Empty where it took it."""
