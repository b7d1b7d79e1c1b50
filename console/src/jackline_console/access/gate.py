"""Who asks, and whether they may: what every route depends on."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from jackline_console.access.logins import Login
from jackline_console.access.roles import Role, suffices
from jackline_console.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import Callable

    from jackline_console.console import Console

CSRF = "X-Jackline-CSRF"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
NEEDS = "jackline_role"
"""The attribute by which a route's dependency says which role it needs: a test lists every route by it."""


def address(request: Request) -> str:
    """From where a request comes."""
    return request.client.host if request.client is not None else ""


async def login_of(request: Request) -> Login:
    """The login that a request carries. Raises ProblemError where there is none."""
    console: Console = request.app.state.console
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme:
        if scheme.lower() == "bearer" and text:
            login = await run_in_threadpool(console.token_login, text.strip(), address(request))
            if login is not None:
                return login
        raise _not_logged_in("the token in `Authorization` is unknown, expired or revoked", "token")
    cookie = request.cookies.get(console.settings.cookie)
    login = await run_in_threadpool(console.cookie_login, cookie) if cookie else None
    if login is None:
        raise _not_logged_in("nobody is logged in, or the login has expired", "login")
    if request.method not in _SAFE:
        check_origin(request)
        given = request.headers.get(CSRF, "")
        if not secrets.compare_digest(given.encode(), login.csrf.encode()):
            raise ProblemError(
                403,
                "csrf",
                f"the header {CSRF} is missing or wrong",
                what=CSRF,
                expected="the `csrf` of GET /api/v1/me",
                hint="load GET /api/v1/me and send its `csrf`",
            )
    return login


def check_origin(request: Request) -> None:
    """Refuse what a page of another origin sends. `Host` was checked before."""
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    foreign = site not in (None, "same-origin", "none")
    if origin is not None:
        foreign = foreign or urlsplit(origin).netloc.lower() != request.headers.get("host", "").lower()
    if foreign:
        expected = "a request of the console's own page, or of a script without `Origin`"
        raise ProblemError(403, "origin", "another site sent this", what="Origin", value=origin, expected=expected)


def needs(role: Role) -> Any:
    """The dependency of routes that need a role; it gives the login."""

    async def check(request: Request, login: Annotated[Login, Depends(login_of)]) -> Login:
        if not suffices(login.role, role):
            raise ProblemError(
                403,
                "role",
                f"{request.method} {request.url.path} needs the role '{role}'; '{login.name}' is '{login.role}'",
                what="role",
                value=login.role,
                expected=role,
                hint="ask an admin: PATCH /api/v1/users/NAME",
            )
        return login

    named: Callable[..., Any] = check
    setattr(named, NEEDS, role)
    return Depends(named)


Reporter = Annotated[Login, needs("reporter")]
Viewer = Annotated[Login, needs("viewer")]
Approver = Annotated[Login, needs("approver")]
Operator = Annotated[Login, needs("operator")]
Admin = Annotated[Login, needs("admin")]


def _not_logged_in(detail: str, what: str) -> ProblemError:
    hint = "POST /api/v1/login, or open the link that `jackline console` printed; `jackline console --link` gives one"
    return ProblemError(
        401,
        "not-logged-in",
        detail,
        what=what,
        expected="a session's cookie, or `Authorization: Bearer TOKEN`",
        hint=hint,
        headers={"WWW-Authenticate": "Bearer"},
    )
