"""Who came into the console, who was refused, and what was changed in who may."""

from __future__ import annotations

from typing import Any, Literal

from jackline.events.record import Event


class LoggedIn(Event, frozen=True, kw_only=True, omit_defaults=True, tag="logged_in"):
    """A person came into the console."""

    who: str
    role: str
    """`viewer`, `approver`, `operator` or `admin`."""
    how: Literal["link", "password", "oidc"]
    address: str = ""
    """From where: the peer's address."""


class LoginFailed(Event, frozen=True, kw_only=True, omit_defaults=True, tag="login_failed"):
    """Somebody could not come in. What was typed as a password or token is never written."""

    name: str
    """The name that was given, cut after 64 characters; empty where none was."""
    how: Literal["link", "password", "oidc", "token"]
    reason: str
    address: str = ""
    """From where: the peer's address."""
    unrecorded: int = 0
    """How many were refused besides, since the one before on record: whoever floods does not fill the disk."""


class LoggedOut(Event, frozen=True, kw_only=True, omit_defaults=True, tag="logged_out"):
    """A person left the console."""

    who: str


class AccessAmended(Event, frozen=True, kw_only=True, omit_defaults=True, tag="access_amended"):
    """A person changed who may use the console, and as what."""

    subject: str
    """The user, or the API token by its name."""
    who: str
    why: str
    changes: dict[str, Any] = {}  # noqa: RUF012 - msgspec copies it
    """`created`, `role`, `disabled`, `password` (`changed`), `revoked`; never a secret."""
