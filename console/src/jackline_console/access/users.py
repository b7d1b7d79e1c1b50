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


class _File(msgspec.Struct, kw_only=True):
    users: dict[str, User] = {}
    tokens: dict[str, Token] = {}


class Users:
    """The file of one home, shared by the command line and the console. Raises AccessError."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "access.json"
        self._seen: tuple[int, int] | None = None
        self._file = _File()

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

    def change(self, name: str, change: Callable[[User], None]) -> User:
        """Change one user in place."""
        with self._changing() as file:
            user = file.users.get(name)
            if user is None:
                raise AccessError(f"there is no user '{name}'; see: jackline console users list")
            before = _admins(file)
            change(user)
            if before and not _admins(file):
                raise AccessError(f"'{name}' is the last admin: nobody could change users any more")
            return user

    def issue(self, name: str, role: Role, created: float, expires: float | None) -> tuple[Token, str]:
        """Make a token; its text is told this once."""
        text = PREFIX + secrets.token_urlsafe(32)
        token = Token(
            id=secrets.token_hex(8), name=name, role=role, created=created, digest=digest(text), expires=expires
        )
        with self._changing() as file:
            file.tokens[token.id] = token
        return token, text

    def revoke(self, identity: str) -> Token:
        """Take a token away."""
        with self._changing() as file:
            token = file.tokens.pop(identity, None)
        if token is None:
            raise AccessError(f"there is no token '{identity[:32]}'; GET /api/v1/tokens lists them")
        return token

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
        seen = (found.st_mtime_ns, found.st_ino)
        if seen != self._seen:
            try:
                self._file = msgspec.json.decode(self._path.read_bytes(), type=_File)
            except (OSError, msgspec.MsgspecError) as error:
                raise AccessError(
                    f"{self._path} cannot be read: {error}; nobody can log in until it is mended"
                ) from error
            self._seen = seen
        return self._file

    @contextlib.contextmanager
    def _changing(self) -> Iterator[_File]:
        """The file under its lock; what is changed is written aside and given its name."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise AccessError(f"{self._path.parent} cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._seen = None
            file = self._read()
            try:
                yield file
            except BaseException:
                self._seen = None  # what was changed in memory does not hold
                raise
            part = self._path.with_suffix(f".{os.getpid()}")
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as out:
                out.write(msgspec.json.format(msgspec.json.encode(file)))
                out.flush()
                os.fsync(out.fileno())
            part.replace(self._path)
            self._seen = None
        finally:
            os.close(lock)


def _admins(file: _File) -> int:
    return sum(one.role == "admin" and not one.disabled for one in file.users.values())


def digest(text: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()
