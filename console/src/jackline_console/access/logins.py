"""Who is logged in: sessions of browsers, and the links that work once. In memory only: a restart ends them all."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass, field

from jackline_console.access.roles import How, Role
from jackline_console.access.users import digest

_LINK_S = 900.0
_MOST = 10_000
_LINKS = 100


@dataclass(kw_only=True)
class Login:
    """One browser that is logged in, or the script of this request. Times are Unix seconds."""

    name: str
    role: Role
    how: How
    csrf: str = ""
    """What unsafe requests of a cookie's session carry in a header; empty for scripts."""
    expires: float | None = None
    used: float = 0.0
    key: str = field(default="", repr=False)
    """What the session is kept under; empty for scripts."""
    standing: str = field(default="", repr=False)
    """What the user's file said when they came in (`User.standing`), or the script's token by its id."""


class Logins:
    """Thread-safe. Cookies and links are kept as digests."""

    def __init__(self, session_s: float, idle_s: float) -> None:
        self._session_s, self._idle_s = session_s, idle_s
        self._lock = threading.Lock()
        self._sessions: dict[str, Login] = {}
        self._links: dict[str, tuple[float, str, Role]] = {}

    def link(self, name: str, role: Role, now: float) -> str:
        """A token that lets its user in once, within a quarter of an hour."""
        text = secrets.token_urlsafe(32)
        with self._lock:
            self._links = {key: link for key, link in self._links.items() if now < link[0]}
            while len(self._links) >= _LINKS:
                del self._links[next(iter(self._links))]
            self._links[digest(text)] = (now + _LINK_S, name, role)
        return text

    def follow(self, text: str, now: float) -> tuple[str, Role] | None:
        """Use up a link: who comes in, and as what; None where it is not known or over."""
        with self._lock:
            until, name, role = self._links.pop(digest(text), (0.0, "", "viewer"))
        return (name, role) if now < until else None

    def begin(self, name: str, role: Role, how: How, now: float, standing: str = "") -> tuple[str, Login]:
        """Begin a session; gives the cookie's text and the session."""
        text = secrets.token_urlsafe(32)
        expires = now + self._session_s
        login = Login(name=name, role=role, how=how, csrf=secrets.token_urlsafe(24), expires=expires, used=now)
        login.key, login.standing = digest(text), standing
        with self._lock:
            if len(self._sessions) >= _MOST:
                self._drop(now)
            self._sessions[login.key] = login
        return text, login

    def find(self, text: str, now: float) -> Login | None:
        """The session of a cookie, which is used by that; None where there is none, or it is over."""
        key = digest(text)
        with self._lock:
            login = self._sessions.get(key)
            if login is None or not self._holds(login, now):
                self._sessions.pop(key, None)
                return None
            login.used = now
            return login

    def holds(self, login: Login, now: float) -> bool:
        """Whether a session still is one, for a page that is open and so uses it. A script has none."""
        with self._lock:
            if not login.key:
                return True
            if self._sessions.get(login.key) is not login or not self._holds(login, now):
                return False
            login.used = now
            return True

    def end(self, login: Login) -> None:
        """Log one out."""
        with self._lock:
            self._sessions.pop(login.key, None)

    def end_all(self, name: str) -> None:
        """Log a user out everywhere."""
        with self._lock:
            self._sessions = {key: login for key, login in self._sessions.items() if login.name != name}

    def _holds(self, login: Login, now: float) -> bool:
        return (login.expires is None or now < login.expires) and now - login.used < self._idle_s

    def _drop(self, now: float) -> None:
        """Forget what is over, and the one that was used least recently."""
        held = sorted((login for login in self._sessions.values() if self._holds(login, now)), key=lambda one: one.used)
        self._sessions = {login.key: login for login in held[1:]}
