"""Files that are there whole or not at all, under names that one process can take."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

from jackline.approvals.question import ApprovalError

if TYPE_CHECKING:
    from pathlib import Path

_TRIES = 10
_LEVELS = 3
"""Folders above a file that are the owner's alone: of an action, of a question, of its answers."""


def put(path: Path, data: bytes) -> bool:
    """Write a file whole, on disk, under a name that nobody has taken; whether this call took it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(6).hex()}")
    try:
        descriptor = _drafted(draft)
        try:
            _write(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        try:
            os.link(draft, path)
        except FileExistsError:
            return False
        with contextlib.suppress(FileNotFoundError):  # others have seen it, and taken the whole folder away since
            _sync(path.parent)
    except OSError as error:
        raise ApprovalError(f"{path} cannot be written: {error}. Free space or mend its rights.") from error
    finally:
        with contextlib.suppress(OSError):  # a kill leaves one as well; nobody reads it
            draft.unlink()
    return True


def _drafted(draft: Path) -> int:
    """Open a draft; its folder is made anew where it was empty and is taken away at this moment."""
    for _ in range(_TRIES):
        for folder in reversed(draft.parents[:_LEVELS]):  # the mode is of the last folder that a call makes
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(FileNotFoundError):
            return os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    raise FileNotFoundError(errno.ENOENT, "its folder is taken away again and again")


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
