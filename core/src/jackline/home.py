"""Where Jackline keeps its state: one folder, shared by every process of the host."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from jackline.errors import JacklineError


def default_home() -> Path:
    """`$JACKLINE_HOME`, or the user's data directory."""
    named = os.environ.get("JACKLINE_HOME")
    if named:
        return Path(named).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "jackline"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "jackline"


class Home:
    """The paths below one home folder. Only its owner can read it."""

    def __init__(self, path: Path | str | None = None) -> None:
        self.path = Path(path).expanduser() if path is not None else default_home()
        self.journals = self.path / "journals"
        self.payloads = self.path / "payloads"
        self.ledger = self.path / "ledger"
        self.control = self.path / "control"
        self.approvals = self.path / "approvals"
        self.outbox = self.path / "outbox.db"
        self.sessions = self.path / "sessions"
        self.cache = self.path / "cache"
        self.registry = self.path / "registry.jsonl"
        self.index = self.path / "index.db"

    def make(self) -> Home:
        """Create the folder; raise JacklineError with what to do where that is not possible."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise JacklineError(
                f"cannot create the state folder {self.path}: {error.strerror}; "
                "set JACKLINE_HOME to a folder that this user can write"
            ) from error
        return self

    def key(self) -> bytes:
        """The 32 bytes that key payload digests; made once, readable by the owner only."""
        path = self.path / "key"
        if not path.exists():
            part = path.with_name(f"key.{os.getpid()}-{os.urandom(4).hex()}")
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                os.write(descriptor, os.urandom(32))
            finally:
                os.close(descriptor)
            with contextlib.suppress(FileExistsError):  # another process was first: its key holds
                os.link(part, path)
            part.unlink()
        found = path.read_bytes()
        if len(found) != 32:  # noqa: PLR2004 - bytes of a BLAKE2 key
            raise JacklineError(f"{path} holds {len(found)} bytes, expected 32; restore it from a backup")
        return found
