"""Locks between processes, by files: the system frees them when their holder dies, so that a kill blocks nobody."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Refused = Callable[[OSError], Exception]
    """What is raised where the file cannot be made or opened."""


@contextmanager
def only_one(path: Path, refused: Refused | None = None) -> Iterator[bool]:
    """Hold the lock of a file or folder, or say at once that another holds it.

    A file is made where it is missing, in a folder of its own user's. Raises what `refused` makes of an OSError, or
    the OSError.
    """
    descriptor = _opened(path, refused)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


@contextmanager
def in_turn(path: Path, refused: Refused | None = None) -> Iterator[None]:
    """Hold the lock of a file or folder, after whoever holds it now. Raises as `only_one`."""
    descriptor = _opened(path, refused)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _opened(path: Path, refused: Refused | None) -> int:
    try:
        if path.is_dir():
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if refused is None:
            raise
        raise refused(error) from error
