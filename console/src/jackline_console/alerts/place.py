"""How far events were looked at, kept over restarts; and that one process of a home does it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from pathlib import Path


class Place(msgspec.Struct, frozen=True):
    """A position of an index."""

    epoch: str
    position: int
    at: float
    """Unix seconds: when that was."""
    seen: dict[str, int] = {}
    """The last line that was looked at, by journal: positions mean nothing in an index that is made anew."""

    def passed(self, journal: str, seq: int, at: float) -> bool:
        """Whether a line was looked at, wherever it stands now."""
        known = self.seen.get(journal)
        return seq <= known if known is not None else at <= self.at


def load(home: Path) -> Place | None:
    """Where it was left; None where it never was, or nobody can tell."""
    try:
        return msgspec.json.decode((home / "alerts.json").read_bytes(), type=Place)
    except (OSError, msgspec.MsgspecError):
        return None


def keep(home: Path, place: Place) -> None:
    """Write it aside and give it its name: a kill leaves the old or the new one."""
    part = home / f"alerts.{os.getpid()}.part"
    with contextlib.suppress(OSError):  # then the same events are looked at again, and what is on record is not told
        part.write_bytes(msgspec.json.encode(place))
        part.replace(home / "alerts.json")


class OnlyOne:
    """A lock on a home's alerts; the system frees it when its holder dies."""

    def __init__(self, home: Path) -> None:
        self._path = home / "alerter.lock"
        self._fd = -1

    def held(self) -> bool:
        """Take it where it is free; whether it is held here."""
        if self._fd < 0:
            try:
                fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except OSError:
                return False
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(fd)
                return False
            self._fd = fd
        return True

    def free(self) -> None:
        """Let go of it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
