"""Coming in and going, users and tokens. Each login, failed login and change is on record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from jackline.events import AccessAmended, LoggedIn, LoggedOut, LoginFailed
from jackline_console._version import __version__
from jackline_console.access import passwords
from jackline_console.access.gate import Admin, Reporter, address, check_origin
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
    from jackline_console.access.roles import Role
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
    wait = here.attempts.attempt(given.name, source, now)
    if wait > 0:
        here.refusals.count()
        raise ProblemError(
            429,
            "too-many",
            f"too many failed logins: try again in {wait:.0f} s",
            hint="wait, or ask an admin for a new password",
            headers={"Retry-After": str(int(wait) + 1)},
        )
    user = here.users.users().get(given.name)
    if not _right(here, given, user, source) or user is None or user.disabled:
        reason = "wrong name or password" if user is None or not user.disabled else "disabled"
        name = given.name if user is not None else ""  # a password typed into the wrong field is not written
        here.refusals.tell(LoginFailed(at=now, name=name, how="password", reason=reason, address=source))
        raise ProblemError(
            401, "login-refused", "wrong name or password", what="login", hint="an admin can set a new one"
        )
    here.attempts.succeeded(given.name, source)
    came = LoggedIn(at=now, who=user.name, role=user.role, how="password", address=source)
    return _me(here, begun(here, request, response, came, user))


@router.post("/logout")
def logout(here: Here, who: Reporter, response: Response) -> Done:
    """Go: the cookie ends."""
    now = here.clock()
    try:
        here.record(LoggedOut(at=now, who=who.name))
    finally:  # whoever goes is gone, also where nobody can write it down
        here.logins.end(who)
        here.end_streams()
    response.delete_cookie(
        here.settings.cookie, path="/", httponly=True, samesite="strict", secure=here.settings.secure
    )
    return Done(done="logged out", who=who.name, why="", at=now)


@router.get("/me")
def me(here: Here, who: Reporter) -> Me:
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
    user = User(name=given.name, role=given.role, created=here.clock(), hash=passwords.hashed(given.password))
    changes: dict[str, object] = {"created": True, "role": given.role}
    try:
        here.users.add(user, lambda: _amended(here, who, given.name, given.why, changes))
    except AccessError as error:
        raise ProblemError(409, "state", str(error), what="name", value=given.name) from error
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
        changed = here.users.change(name, change, lambda: _amended(here, who, name, given.why, told))
    except AccessError as error:
        raise ProblemError(409, "state", str(error), what="user", value=name) from error
    here.logins.end_all(name)
    here.end_streams()
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
    expires = None if given.expires_s is None else now + given.expires_s
    changes: dict[str, object] = {"created": True, "role": given.role}
    token, text = here.users.issue(
        given.name,
        given.role,
        now,
        expires,
        lambda: _amended(here, who, f"token {given.name}", given.why, changes),
    )
    return MadeToken(**_token(token).model_dump(), token=text)


@router.post("/tokens/{identity}/revoke")
def revoke_token(here: Here, who: Admin, identity: str, given: Because) -> Done:
    """Take a token away; the next request with it is refused."""
    if identity not in here.users.tokens():
        unknown("token", identity, "a token's id", "GET /api/v1/tokens lists them")
    here.users.revoke(identity, lambda token: _amended(here, who, f"token {token.name}", given.why, {"revoked": True}))
    here.end_streams()
    return Done(done="revoked", who=who.name, why=given.why, at=here.clock())


def follow_link(here: Console, request: Request, token: Annotated[str, Query(max_length=200)] = "") -> Response:
    """Use up a link: the cookie, and the page."""
    now, source = here.clock(), address(request)
    followed = here.logins.follow(token, now) if here.settings.loopback else None
    if followed is None:
        here.refused(LoginFailed(at=now, name="", how="link", reason="used, expired or unknown", address=source))
        raise ProblemError(
            401,
            "login-refused",
            "this link was used, has expired, or is of a console that has ended",
            what="link",
            hint="`jackline console --link` prints another",
        )
    response = RedirectResponse("/", status_code=303)
    name, role = followed
    begun(here, request, response, LoggedIn(at=now, who=name, role=role, how="link", address=source))
    return response


def login_link(here: Console) -> str:
    """A link that lets the console's owner in once."""
    token = here.logins.link(here.owner, "admin", here.clock())
    host = f"[{here.settings.host}]" if ":" in here.settings.host else here.settings.host
    return f"http://{host}:{here.settings.port}/login?token={token}"


def begun(here: Console, request: Request, response: Response, event: LoggedIn, user: User | None = None) -> Login:
    """Put a login on record, then begin its session; the one that this browser had before ends."""
    here.record(event)
    before = request.cookies.get(here.settings.cookie)
    replaced = here.logins.find(before, event.at) if before else None
    if replaced is not None:
        here.logins.end(replaced)
    if user is not None:
        here.users.change(user.name, lambda one: setattr(one, "last_login", event.at))
    standing = user.standing if user is not None else ""  # as it was when they were let in: what changed since, ends it
    role: Role = event.role  # type: ignore[assignment]
    text, login = here.logins.begin(event.who, role, event.how, event.at, standing)
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


def _right(here: Console, given: Credentials, user: User | None, source: str) -> bool:
    """Whether a password is a user's. Raises ProblemError where too many are being looked at."""
    try:
        return passwords.matches(user.hash if user is not None else "", given.password)
    except passwords.BusyError as error:
        here.attempts.withdrawn(given.name, source)
        detail = "too many are logging in just now"
        raise ProblemError(
            429, "too-many", detail, hint="try again in a moment", headers={"Retry-After": "2"}
        ) from error


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
