"""What people were asked, what they said to it, and what became of it."""

from __future__ import annotations

from jackline.events.record import Event
from jackline.request import Action  # noqa: TC001 - msgspec reads them


class ApprovalRequested(Event, frozen=True, kw_only=True, omit_defaults=True, tag="approval_requested"):
    """A policy escalated an act: people are asked, and it is not done before they agree."""

    approval: str
    session: str
    run: str
    span: str
    agent: str
    action: Action
    resource: str
    policy: str
    rule: str = ""
    reason: str = ""
    to: tuple[str, ...] = ()
    needed: int = 1
    expires: float
    args: str = ""
    """Keyed digest of the arguments: 32 hex digits."""


class ApprovalApproved(Event, frozen=True, kw_only=True, omit_defaults=True, tag="approval_approved"):
    """An approver said yes; whether it counts is the guard's to decide, which looks at the signature."""

    approval: str
    session: str
    who: str
    why: str = ""
    edited: bool = False
    """Whether other arguments were approved than those asked about."""


class ApprovalDenied(Event, frozen=True, kw_only=True, omit_defaults=True, tag="approval_denied"):
    """An approver said no, or responded in the act's place."""

    approval: str
    session: str
    who: str
    why: str = ""
    responded: bool = False
    """Whether `why` is for the agent, in place of a result."""


class ApprovalExpired(Event, frozen=True, kw_only=True, omit_defaults=True, tag="approval_expired"):
    """Too few agreed in time: the answer is no."""

    approval: str
    session: str


class ApprovalConsumed(Event, frozen=True, kw_only=True, omit_defaults=True, tag="approval_consumed"):
    """An approval was used, for one act; it never permits another."""

    approval: str
    session: str
    span: str
    by: tuple[str, ...] = ()
    """Who agreed."""
    edited: bool = False
    """Whether the act has the arguments that they approved in place of those asked about."""


class ApprovalAnswerRefused(Event, frozen=True, kw_only=True, omit_defaults=True, tag="approval_answer_refused"):
    """An answer does not count: forged, of another question, or of somebody who may not answer."""

    approval: str
    session: str
    why: str
    who: str = ""
    """Who tried, at the console or on the command line, before anything was signed; empty where a guard found it."""
