"""Logging in, users, tokens."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from jackline_console.access.roles import How, Role
from jackline_console.access.users import LONGEST, NAME, SHORTEST
from jackline_console.models.basics import Asked, Because

UserName = Annotated[str, StringConstraints(pattern=f"^{NAME.pattern}$")]
Password = Annotated[str, StringConstraints(min_length=SHORTEST, max_length=LONGEST)]
Mode = Literal["loopback", "users"]


class Access(BaseModel):
    """What the login page offers."""

    mode: Mode
    methods: list[Literal["link", "password", "oidc"]]
    oidc: str | None
    version: str


class Credentials(Asked):
    """A name and a password."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    password: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST)]


class Me(BaseModel):
    """Who is logged in."""

    name: str
    role: Role
    how: How
    csrf: str | None
    expires: float | None
    mode: Mode
    answers_as: list[str]


class UserView(BaseModel):
    """Somebody who may log in."""

    name: str
    role: Role
    disabled: bool
    created: float
    last_login: float | None
    key: str
    """What a bundle pins under `approvers:` for this user's answers; empty where there is no key here."""


class NewUser(Because):
    """Somebody who shall."""

    name: UserName
    role: Role
    password: Password


class UserChange(Because):
    """What to change of a user; what is left out stays."""

    role: Role | None = None
    password: Password | None = None
    disabled: bool | None = None


class TokenView(BaseModel):
    """A script's way in."""

    id: str
    name: str
    role: Role
    created: float
    expires: float | None
    last_used: float | None


class NewToken(Because):
    """A token to make."""

    name: UserName
    role: Role
    expires_s: Annotated[float, Field(gt=0, le=10 * 366 * 86400)] | None = None


class MadeToken(TokenView):
    """A token, with its text: shown this once."""

    token: str


class Link(BaseModel):
    """A link that lets its owner in once."""

    link: str
