"""A question, its id, and how it can stand and end."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from jackline.answers import Say  # noqa: TC001 - msgspec reads it
from jackline.errors import JacklineError
from jackline.plain import canonical
from jackline.request import Action  # noqa: TC001 - msgspec reads it

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

State = Literal["pending", "approved", "denied", "expired", "consumed"]
End = Literal["denied", "expired", "consumed"]
DAY = 86400.0
"""Seconds."""
_COUNTED = "~"
"""Begins the nonce of a question whose framework names no calls."""


class ApprovalError(JacklineError):
    """An approval cannot be read, found or answered; what waits for it is not done."""


class Question(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """May this exact act be done? As the approver sees it, and as it is kept."""

    id: str
    asked: float
    """Unix seconds."""
    expires: float
    """Unix seconds; from then on the answer is no."""
    action: Action
    resource: str
    fingerprint: str = ""
    args: dict[str, Any]
    agent: str
    session: str
    user: str = ""
    """For whom the agent acts: this person may not answer."""
    policy: str
    rule: str = ""
    reason: str = ""
    nonce: str
    to: tuple[str, ...] = ()
    """Whom the bundle names; empty for every approver."""
    needed: int = 1
    """How many must say yes."""
    told: bool = False
    """Whether the agent was told that it is pending: then its next try, under another call id, is this question's."""
    run: str = ""
    span: str = ""
    revision: str = ""

    @property
    def binding(self) -> dict[str, Any]:
        """What the id is made of."""
        return {name: getattr(self, name) for name in _BOUND}


_BOUND = ("action", "resource", "fingerprint", "args", "agent", "session", "policy", "rule", "nonce")


class Closed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How a question ended."""

    state: End
    at: float
    answer: str = ""
    """The signed answer that denied it."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How a question stands."""

    state: State
    by: tuple[str, ...] = ()
    """Who said so."""
    why: str = ""
    args: dict[str, Any] | None = None
    """The arguments that were approved, where they are others than those asked about."""
    say: Say | None = None
    """With `denied`: whether an approver denied it or responded in its place."""
    begun: bool = False
    """It was used up, by an act that was interrupted: the approval is for going on with it."""
    refused: tuple[tuple[str, str], ...] = ()
    """Answers that do not count: the file's name, and why."""


def digest(binding: Mapping[str, Any]) -> str:
    """The id of a question."""
    return hashlib.sha256(b"jackline approval v1\n" + canonical(dict(binding))).hexdigest()


def counted(nonces: Iterable[str], now: float) -> str:
    """The nonce of a further question where the framework names no calls: the day, and a number within it.

    What is kept of a day is taken away later than that day, so a nonce never comes back.
    """
    day = f"{_COUNTED}{int(now // DAY)}."
    numbers = [nonce[len(day) :] for nonce in nonces if nonce.startswith(day)]
    return f"{day}{max((int(number) for number in numbers if number.isdecimal()), default=0) + 1}"
