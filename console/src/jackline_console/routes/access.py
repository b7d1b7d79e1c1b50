"""Coming in and going, users and tokens. Each login, failed login and change is on record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from jackline.events import AccessAmended, LoggedIn, LoggedOut, LoginFailed
from jackline_console._version import __version__
from jackline_console.access import passwords
from jackline_console.access.gate import Admin, Viewer, address, check_origin
from jackline_console.access.keys import prepared, public_key_of
from jackline_console.access.users import AccessError, User
from jackline_console.models.access import (
    Access,
    Credentials,
    Link,
    MadeToken,
    Me,
    NewToken,
    NewUser,
    TokenView,
    UserChange,
    UserView,
)
from jackline_console.models.basics import Because, Done, Page
from jackline_console.problems import ProblemError, unknown
from jackline_console.routes.asking import Here

if TYPE_CHECKING:
    from jackline_console.access.logins import Login
    from jackline_console.access.roles import How
    from jackline_console.access.users import Token
    from jackline_console.console import Console

router = APIRouter(tags=["access"])


@router.get("/access")
def access(here: Here) -> Access:
    """What the login page offers. Anyone may ask."""
    loopback = here.settings.loopback
    methods: list[Literal["link", "password", "oidc"]] = ["link"] if loopback else ["password"]
    if here.provider is not None:
        methods.append("oidc")
    url = "/api/v1/oidc/login" if here.provider is not None else None
    return Access(mode="loopback" if loopback else "users", methods=methods, oidc=url, version=__version__)


@router.post("/login")
def login(here: Here, request: Request, response: Response, given: Credentials) -> Me:
    """Come in by name and password. Anyone may try; those who fail often wait."""
    check_origin(request)
    if here.settings.loopback:
        raise ProblemError(
            400,
            "bad-request",
            "on loopback there are no passwords",
            hint="open the link that `jackline console` printed; `jackline console --link` prints another",
        )
    now, source = here.clock(), address(request)
    wait = here.attempts.wait(given.name, source, now)
    if wait > 0:
        raise ProblemError(
            429,
            "too-many",
            f"too many failed logins: try again in {wait:.0f} s",
            hint="wait, or ask an admin for a new password",
            headers={"Retry-After": str(int(wait) + 1)},
        )
    user = here.users.users().get(given.name)
    if not passwords.matches(user.hash if user is not None else "", given.password) or user is None or user.disabled:
        here.attempts.failed(given.name, source, now)
        reason = "wrong name or password" if user is None or not user.disabled else "disabled"
        name = given.name if user is not None else ""  # a password typed into the wrong field is not written
        here.record(LoginFailed(at=now, name=name, how="password", reason=reason, address=source))
        raise ProblemError(
            401, "login-refused", "wrong name or password", what="login", hint="an admin can set a new one"
        )
    here.attempts.succeeded(given.name, source)
    here.users.change(user.name, lambda one: setattr(one, "last_login", now))
    found = begun(here, response, *here.logins.begin(user.name, user.role, "password", now), source)
    return _me(here, found)


@router.post("/logout")
def logout(here: Here, who: Viewer, response: Response) -> Done:
    """Go: the cookie ends."""
    now = here.clock()
    here.logins.end(who)
    here.record(LoggedOut(at=now, who=who.name))
    response.delete_cookie(
        here.settings.cookie, path="/", httponly=True, samesite="strict", secure=here.settings.secure
    )
    return Done(done="logged out", who=who.name, why="", at=now)


@router.get("/me")
def me(here: Here, who: Viewer) -> Me:
    """Who is logged in, and what unsafe requests carry."""
    return _me(here, who)


@router.post("/link")
def link(here: Here, _who: Admin) -> Link:
    """Another link that lets the console's owner in once. On loopback only."""
    if not here.settings.loopback:
        raise ProblemError(400, "bad-request", "links are for loopback", hint="log in by name and password")
    return Link(link=login_link(here))


@router.get("/users")
def users(here: Here, _who: Admin) -> Page[UserView]:
    """Who may log in."""
    return Page(items=[_user(one) for _, one in sorted(here.users.users().items())])


@router.post("/users", status_code=201)
def add_user(here: Here, who: Admin, given: NewUser) -> UserView:
    """Let somebody log in."""
    if given.name in here.users.users():
        raise ProblemError(409, "state", f"there is a user '{given.name}' already", what="name", value=given.name)
    now = here.clock()
    user = User(name=given.name, role=given.role, created=now, hash=passwords.hashed(given.password))
    _amended(here, who, given.name, given.why, {"created": True, "role": given.role})
    here.users.put(user)
    prepared(user.name, user.role)
    return _user(user)


@router.patch("/users/{name}")
def change_user(here: Here, who: Admin, name: str, given: UserChange) -> UserView:
    """Change a user; their sessions end."""
    if name not in here.users.users():
        unknown("user", name, "a user's name", "GET /api/v1/users lists them")
    told: dict[str, object] = {
        key: value for key, value in (("role", given.role), ("disabled", given.disabled)) if value is not None
    }
    secret = passwords.hashed(given.password) if given.password is not None else None
    if secret is not None:
        told["password"] = "changed"  # noqa: S105 - what is on record of it
    if not told:
        raise ProblemError(422, "invalid", "there is nothing to change", expected="role, password or disabled")

    def change(user: User) -> None:
        user.role = given.role if given.role is not None else user.role
        user.disabled = given.disabled if given.disabled is not None else user.disabled
        user.hash = secret if secret is not None else user.hash

    try:
        changed = here.users.change(name, change)
    except AccessError as error:
        raise ProblemError(409, "state", str(error), what="user", value=name) from error
    _amended(here, who, name, given.why, told)
    here.logins.end_all(name)
    prepared(changed.name, changed.role)
    return _user(changed)


@router.get("/tokens")
def tokens(here: Here, _who: Admin) -> Page[TokenView]:
    """The scripts' tokens, without their texts."""
    return Page(items=[_token(one) for one in sorted(here.users.tokens().values(), key=lambda one: one.created)])


@router.post("/tokens", status_code=201)
def add_token(here: Here, who: Admin, given: NewToken) -> MadeToken:
    """Make a token; its text is in this answer only."""
    now = here.clock()
    _amended(here, who, f"token {given.name}", given.why, {"created": True, "role": given.role})
    expires = None if given.expires_s is None else now + given.expires_s
    token, text = here.users.issue(given.name, given.role, now, expires)
    return MadeToken(**_token(token).model_dump(), token=text)


@router.post("/tokens/{identity}/revoke")
def revoke_token(here: Here, who: Admin, identity: str, given: Because) -> Done:
    """Take a token away; the next request with it is refused."""
    try:
        token = here.users.revoke(identity)
    except AccessError:
        unknown("token", identity, "a token's id", "GET /api/v1/tokens lists them")
    _amended(here, who, f"token {token.name}", given.why, {"revoked": True})
    return Done(done="revoked", who=who.name, why=given.why, at=here.clock())


def follow_link(here: Console, request: Request, token: Annotated[str, Query(max_length=200)] = "") -> Response:
    """Use up a link: the cookie, and the page."""
    now, source = here.clock(), address(request)
    wait = here.attempts.wait("", source, now)
    followed = here.logins.follow(token, now) if here.settings.loopback and wait <= 0 else None
    if followed is None:
        here.attempts.failed("", source, now)
        if wait <= 0:
            here.record(LoginFailed(at=now, name="", how="link", reason="used, expired or unknown", address=source))
        raise ProblemError(
            401,
            "login-refused",
            "this link was used, has expired, or is of a console that has ended",
            what="link",
            hint="`jackline console --link` prints another",
        )
    response = RedirectResponse("/", status_code=303)
    begun(here, response, *followed, source)
    return response


def login_link(here: Console) -> str:
    """A link that lets the console's owner in once."""
    token = here.logins.link(here.owner, "admin", here.clock())
    host = f"[{here.settings.host}]" if ":" in here.settings.host else here.settings.host
    return f"http://{host}:{here.settings.port}/login?token={token}"


def begun(here: Console, response: Response, text: str, login: Login, source: str) -> Login:
    """Put a login on record, and its cookie on the answer."""
    how: How = login.how
    event = LoggedIn(at=here.clock(), who=login.name, role=login.role, how=how, address=source)  # type: ignore[arg-type]
    here.record(event)
    response.set_cookie(
        here.settings.cookie,
        text,
        max_age=int(here.settings.session_s),
        path="/",
        httponly=True,
        samesite="strict",
        secure=here.settings.secure,
    )
    return login


def _me(here: Console, who: Login) -> Me:
    mode = "loopback" if here.settings.loopback else "users"
    names = sorted(here.signing_keys(who))
    facts = {"name": who.name, "role": who.role, "how": who.how, "csrf": who.csrf or None, "expires": who.expires}
    return Me(**facts, mode=mode, answers_as=names)  # type: ignore[arg-type]


def _amended(here: Console, who: Login, subject: str, why: str, changes: dict[str, object]) -> None:
    here.record(AccessAmended(at=here.clock(), subject=subject, who=who.name, why=why, changes=changes))


def _user(user: User) -> UserView:
    return UserView(
        name=user.name,
        role=user.role,
        disabled=user.disabled,
        created=user.created,
        last_login=user.last_login,
        key=public_key_of(user.name),
    )


def _token(token: Token) -> TokenView:
    return TokenView(
        id=token.id,
        name=token.name,
        role=token.role,
        created=token.created,
        expires=token.expires,
        last_used=token.last_used,
    )
