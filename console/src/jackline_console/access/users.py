"""Users and API tokens: one file that only its owner can read. Passwords and tokens are in it as hashes only."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
from typing import TYPE_CHECKING

import msgspec

from jackline.errors import JacklineError
from jackline_console.access.roles import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")
SHORTEST = 10
"""Characters of a password."""
LONGEST = 1024
PREFIX = "jkl_"
_NOTED_S = 3600.0
_OTHERS_WRITE = 0o022


class AccessError(JacklineError):
    """Users or tokens cannot be read, changed or found."""


class User(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Somebody who may log in."""

    name: str
    role: Role
    created: float
    hash: str = ""
    """argon2id of the password; empty for those who come by OIDC only."""
    disabled: bool = False
    last_login: float | None = None

    @property
    def standing(self) -> str:
        """Another text after every change of what this user may, and of how they log in."""
        return digest(f"{self.role} {self.disabled} {self.created} {self.hash}")


class Token(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A script's way in."""

    id: str
    name: str
    role: Role
    created: float
    digest: str
    """SHA-256 of the token: it has 256 random bits, so a slow hash would add nothing."""
    expires: float | None = None
    last_used: float | None = None


class AgentToken(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An agent's way to the Decision API, and nowhere else: what it asks and records is this agent's."""

    id: str
    agent: str
    created: float
    digest: str
    version: str = ""
    framework: str = ""
    expires: float | None = None


class _File(msgspec.Struct, kw_only=True):
    users: dict[str, User] = {}
    tokens: dict[str, Token] = {}
    agents: dict[str, AgentToken] = {}
    """By the tokens' digests."""


class Users:
    """The file of one home, shared by the command line and the console. Raises AccessError."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "access.json"
        self._seen: tuple[tuple[int, ...], _File] = ((), _File())
        """The file's signature, and what it holds: one object, so that threads see both or neither."""

    def users(self) -> dict[str, User]:
        """Every user by name."""
        return self._read().users

    def tokens(self) -> dict[str, Token]:
        """Every token that was not revoked, by id."""
        return self._read().tokens

    def put(self, user: User) -> None:
        """Add a user, or change one."""
        if not NAME.fullmatch(user.name):
            raise AccessError(
                f"{user.name[:64]!r} is no user's name: up to 64 letters, digits, '_', '.', '@' and '-' were expected"
            )
        with self._changing() as file:
            file.users[user.name] = user

    def add(self, user: User, told: Callable[[], None]) -> None:
        """Add a user whom there is not yet; `told` puts it on record before it holds."""
        with self._changing() as file:
            if user.name in file.users:
                raise AccessError(f"there is a user '{user.name}' already")
            told()
            file.users[user.name] = user

    def change(self, name: str, change: Callable[[User], None], told: Callable[[], None] = lambda: None) -> User:
        """Change one user; `told` puts it on record before it holds, and where that fails nothing is changed."""
        with self._changing() as file:
            user = file.users.get(name)
            if user is None:
                raise AccessError(f"there is no user '{name}'; see: jackline console users list")
            before = _admins(file)
            change(user)
            if before and not _admins(file):
                raise AccessError(f"'{name}' is the last admin: nobody could change users any more")
            told()
            return user

    def issue(
        self, name: str, role: Role, created: float, expires: float | None, told: Callable[[], None] = lambda: None
    ) -> tuple[Token, str]:
        """Make a token; its text is told this once."""
        text = PREFIX + secrets.token_urlsafe(32)
        token = Token(
            id=secrets.token_hex(8), name=name, role=role, created=created, digest=digest(text), expires=expires
        )
        with self._changing() as file:
            told()
            file.tokens[token.id] = token
        return token, text

    def revoke(self, identity: str, told: Callable[[Token], None] = lambda _: None) -> Token:
        """Take a token away."""
        with self._changing() as file:
            token = file.tokens.pop(identity, None)
            if token is None:
                raise AccessError(f"there is no token '{identity[:32]}'; GET /api/v1/tokens lists them")
            told(token)
        return token

    def agents(self) -> dict[str, AgentToken]:
        """Every agent's token that was not revoked, by digest."""
        return self._read().agents

    def agent(self, text: str, now: float) -> AgentToken | None:
        """The agent's token with this text; None where there is none, or it has expired."""
        token = self._read().agents.get(digest(text))
        return token if token is not None and (token.expires is None or now < token.expires) else None

    def issue_agent(self, token: AgentToken, told: Callable[[], None] = lambda: None) -> str:
        """Make an agent's token of all but its digest; its text is told this once."""
        text = PREFIX + secrets.token_urlsafe(32)
        with self._changing() as file:
            told()
            file.agents[digest(text)] = msgspec.structs.replace(token, digest=digest(text))
        return text

    def revoke_agent(self, identity: str, told: Callable[[AgentToken], None] = lambda _: None) -> AgentToken:
        """Take an agent's token away."""
        with self._changing() as file:
            token = next((one for one in file.agents.values() if one.id == identity), None)
            if token is None:
                raise AccessError(f"no agent has a token '{identity[:32]}'; see: jackline serve tokens list")
            told(token)
            del file.agents[token.digest]
        return token

    def used(self, token: Token, now: float) -> None:
        """Note that a token was used: once an hour is enough to see which ones nobody needs."""
        if token.last_used is None or now - token.last_used >= _NOTED_S:
            with contextlib.suppress(AccessError), self._changing() as file:
                if token.id in file.tokens:
                    file.tokens[token.id].last_used = now

    def token(self, text: str, now: float) -> Token | None:
        """The token with this text; None where there is none, or it has expired."""
        wanted = digest(text)
        for token in self.tokens().values():
            if secrets.compare_digest(token.digest, wanted):
                return token if token.expires is None or now < token.expires else None
        return None

    def _read(self) -> _File:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return _File()
        if found.st_mode & _OTHERS_WRITE:
            raise AccessError(f"others can write {self._path}, and so log in as anybody: chmod 600 {self._path}")
        seen = (found.st_mtime_ns, found.st_ino, found.st_size, found.st_mode)
        if seen != self._seen[0]:
            self._seen = (seen, self._loaded())
        return self._seen[1]

    def _loaded(self) -> _File:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_File)
        except FileNotFoundError:
            return _File()
        except (OSError, msgspec.MsgspecError) as error:
            raise AccessError(f"{self._path} cannot be read: {error}; nobody can log in until it is mended") from error

    @contextlib.contextmanager
    def _changing(self) -> Iterator[_File]:
        """The file under its lock, for nobody else to see; what is changed is written aside and given its name."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise AccessError(f"{self._path.parent} cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._read()  # refuses a file that others can write
            file = self._loaded()
            yield file
            self._write(file)
        finally:
            os.close(lock)

    def _write(self, file: _File) -> None:
        part = self._path.with_suffix(f".{os.getpid()}")
        try:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as out:
                out.write(msgspec.json.format(msgspec.json.encode(file)))
                out.flush()
                os.fsync(out.fileno())
            part.replace(self._path)
        except OSError as error:
            raise AccessError(f"{self._path} cannot be written: {error.strerror}; nothing was changed") from error


def _admins(file: _File) -> int:
    return sum(one.role == "admin" and not one.disabled for one in file.users.values())


def digest(text: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()
