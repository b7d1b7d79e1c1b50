"""Logging in at an OpenID provider: to it, and back."""

from __future__ import annotations

import secrets
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from jackline.events import LoggedIn, LoginFailed
from jackline_console.access.gate import address
from jackline_console.access.oidc import OIDCError, Provider
from jackline_console.console import Console
from jackline_console.problems import ProblemError
from jackline_console.routes.access import begun
from jackline_console.routes.asking import Here

router = APIRouter(tags=["access"], prefix="/oidc")
_PATH = "/api/v1/oidc"
Text = Annotated[str, Query(max_length=4000)]


@router.get("/login", response_class=RedirectResponse, status_code=303)
def oidc_login(here: Here, request: Request) -> Response:
    """Send the browser to the provider. Anyone may."""
    url, state = _provider(here).begin(_redirect(here, request), here.clock(), address(request))
    response = RedirectResponse(url, status_code=303)
    # Lax: the way back is a navigation that another site began.
    name, secure = here.settings.state_cookie, here.settings.secure
    response.set_cookie(name, state, max_age=600, path="/", httponly=True, samesite="lax", secure=secure)
    return response


@router.get("/callback", response_class=RedirectResponse, status_code=303)
def oidc_callback(here: Here, request: Request, state: Text = "", code: Text = "", error: Text = "") -> Response:
    """Back from the provider: the session begins, where the users' file knows the name. Anyone may try."""
    now, source = here.clock(), address(request)
    bound = request.cookies.get(here.settings.state_cookie, "")
    if error or not state or not secrets.compare_digest(bound.encode(), state.encode()):
        reason = f"the provider refused ({error[:40]})" if error else "this browser did not begin that login"
        raise _refused(here, "", reason, source)
    try:
        name = _provider(here).finish(_redirect(here, request), state, code, now)
    except OIDCError as refused:
        raise _refused(here, "", str(refused), source) from refused
    user = here.users.users().get(name)
    if user is None or user.disabled:
        raise _refused(here, name[:64], "no such user" if user is None else "disabled", source)
    response = RedirectResponse("/", status_code=303)
    begun(here, request, response, LoggedIn(at=now, who=user.name, role=user.role, how="oidc", address=source), user)
    name, secure = here.settings.state_cookie, here.settings.secure
    response.delete_cookie(name, path="/", httponly=True, samesite="lax", secure=secure)
    return response


def _provider(here: Console) -> Provider:
    if here.provider is None:
        raise ProblemError(
            400,
            "bad-request",
            "this console was started without a provider",
            what="oidc",
            hint="jackline console --oidc-issuer URL --oidc-client ID",
        )
    return here.provider


def _redirect(here: Console, request: Request) -> str:
    scheme = "https" if here.settings.secure else "http"
    return f"{scheme}://{request.headers['host']}{_PATH}/callback"


def _refused(here: Console, name: str, reason: str, source: str) -> ProblemError:
    here.refused(LoginFailed(at=here.clock(), name=name, how="oidc", reason=reason[:500], address=source))
    return ProblemError(
        401,
        "login-refused",
        f"the login at the provider does not count: {reason}",
        what="login",
        hint="begin it again: GET /api/v1/oidc/login; an admin adds users: POST /api/v1/users",
    )
