"""The keys with which users' answers are signed: one for each approver, in the configuration folder of whoever serves.

An approval counts by the key that the bundle pins, so a bundle's author decides who answers here, and as whom.
"""

from __future__ import annotations

from jackline.answers import public_text
from jackline.cli import keys
from jackline.errors import JacklineError
from jackline_console.access.roles import Role, suffices


def public_key_of(name: str) -> str:
    """The public half of a user's key, as a bundle pins it; empty where there is none here."""
    try:
        return public_text(keys.load(name)[1])
    except (JacklineError, OSError):
        return ""


def prepared(name: str, role: Role) -> str:
    """The public half of a user's key, made where the role may answer and the name can be an approver's."""
    if not suffices(role, "approver"):
        return public_key_of(name)
    try:
        return keys.made(name)[1]
    except JacklineError:
        return ""
