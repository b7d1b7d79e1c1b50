"""What a user may do: each role has what those before it have."""

from __future__ import annotations

from typing import Literal, get_args

Role = Literal["reporter", "viewer", "approver", "operator", "admin"]
"""Sends telemetry in, sees nothing; reads; answers approvals; stops, suspends, amends, activates; users and tokens."""
ROLES: tuple[Role, ...] = get_args(Role)
How = Literal["link", "password", "token", "oidc"]


def suffices(held: Role, needed: Role) -> bool:
    """Whether somebody with one role may do what needs another."""
    return ROLES.index(held) >= ROLES.index(needed)
