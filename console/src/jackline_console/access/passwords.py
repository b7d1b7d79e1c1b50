"""Passwords: hashed with argon2id, in a few threads, and checked in the same time whether the user exists or not."""

from __future__ import annotations

import threading
from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from jackline_console.access.users import LONGEST, SHORTEST, AccessError

_hasher = PasswordHasher()
_turn = threading.BoundedSemaphore(2)
"""Each hash takes 64 MiB: two at a time, whoever asks."""
_waiting = threading.BoundedSemaphore(4)
"""Whoever floods the login takes no more than half of the threads in which everything else is answered."""


class BusyError(AccessError):
    """Too many passwords are being looked at."""


def hashed(password: str) -> str:
    """The argon2id hash of a password. Raises AccessError where it is too short or too long."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise AccessError(
            f"the password has {len(password)} characters; {SHORTEST} to {LONGEST} were expected: take a sentence"
        )
    with _turn:
        return _hasher.hash(password.encode(errors="surrogatepass"))


def matches(known: str, password: str) -> bool:
    """Whether a password is the one of a hash; takes as long where there is no hash. Raises BusyError."""
    if not _waiting.acquire(blocking=False):
        raise BusyError("too many passwords are being looked at")
    try:
        with _turn:
            given = password[:LONGEST].encode(errors="surrogatepass")
            return _hasher.verify(known or _nobody(), given) and bool(known)
    except (VerificationError, InvalidHashError):
        return False
    finally:
        _waiting.release()


@lru_cache(maxsize=1)
def _nobody() -> str:
    return _hasher.hash("nobody has this password")
