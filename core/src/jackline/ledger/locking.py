"""The lock that makes the ledger one for a host, and the sign that a process lives: both end with the process.

Both are POSIX record locks on files of their own. Closing any descriptor of a locked file drops the
process's locks on it, and `mmap` closes one; so neither file is mapped, and each is opened once a process.
"""

from __future__ import annotations

import os
import sys
import time
from functools import partial
from typing import TYPE_CHECKING

from jackline.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

try:
    import fcntl
except ImportError as error:  # pragma: no cover - only where the platform has no record locks
    raise LedgerError(
        f"The ledger needs POSIX record locks, which {sys.platform} does not have. "
        "Run the agents on Linux or macOS, or take the policies that meter out of the bundle."
    ) from error

SPINS = 40
"""Attempts before the first sleep: about 20 us, several times the usual critical section."""
LONGEST_NAP = 0.001


def _portable(fd: int) -> int:
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1)
    except (BlockingIOError, PermissionError):
        return -1
    return 0


def _calls(fd: int) -> tuple[Callable[[], int], Callable[[], object]]:
    """Choose how to try for the lock (0 where it was taken) and how to free it.

    `fcntl.lockf` gives up the GIL, so beside a busy thread a process would hold the lock for the 5 ms that it
    waits for the GIL, while every process of the host waits for it: p99 of a pair is then 5 ms, and 0.06 ms
    with libc's own `lockf`, which is called with the GIL held and does not wait.
    """
    try:
        import ctypes  # noqa: PLC0415 - only where a ledger is opened

        lockf = ctypes.PyDLL(None).lockf
        wide = ctypes.sizeof(ctypes.c_size_t) == ctypes.sizeof(ctypes.c_int64)
    except (ImportError, OSError, AttributeError):
        wide = False
    if not wide:
        return partial(_portable, fd), partial(fcntl.lockf, fd, fcntl.LOCK_UN, 1)
    file, byte = ctypes.c_int(fd), ctypes.c_int64(1)
    return partial(lockf, file, ctypes.c_int(os.F_TLOCK), byte), partial(lockf, file, ctypes.c_int(os.F_ULOCK), byte)


class HostLock:
    """One exclusive lock for all processes of the host; threads of one process need a mutex besides."""

    def __init__(self, path: Path, patience: float) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.path = path
        self.patience = patience
        self.attempt, self.free = _calls(self.fd)
        """Try once: 0 where the lock was taken. Give it up: harmless where it is not held."""

    def wait(self) -> None:
        """Take the lock after a failed attempt: spin, then nap; LedgerError when `patience` seconds are over.

        The kernel's blocking call is not used: a holder that is stopped (SIGSTOP, a debugger) would hang every
        agent of the host, and its wake-up would take the lock before it has the GIL.
        """
        for _ in range(SPINS):
            if not self.attempt():
                return
        deadline = time.monotonic() + self.patience
        try:
            if not _portable(self.fd):
                return
        except OSError as error:
            raise LedgerError(f"The ledger's lock {self.path} cannot be taken: {error}. Use a local disk.") from error
        nap = 0.00002
        while self.attempt():
            if time.monotonic() > deadline:
                raise LedgerError(
                    f"The ledger's lock {self.path} was not free within {self.patience} s: a process that holds it is "
                    f"stopped or starved. Find it with `lslocks` and continue or end it; its work is then completed."
                )
            time.sleep(nap)
            nap = min(nap * 2, LONGEST_NAP)

    @property
    def marked(self) -> bool:
        """Whether a ledger was ever made here."""
        return os.fstat(self.fd).st_size > 0

    def mark(self) -> None:
        """Remember that a ledger was made, so that one that has vanished is not taken for a new one."""
        os.pwrite(self.fd, b"jackline ledger\n", 0)

    def close(self) -> None:
        """Give the descriptor back, and with it the lock."""
        os.close(self.fd)


class Owners:
    """Which processes live: each holds a lock on the byte whose offset is its number.

    Numbers are never given twice, so a reused process id cannot pass for the process that died, in another
    container or after a restart of the host either.
    """

    def __init__(self, path: Path) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def claim(self, number: int) -> None:
        """Hold `number` until this process ends."""
        fcntl.lockf(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)

    def alive(self, number: int) -> bool:
        """Whether another process holds `number`; never ask for this process's own."""
        try:
            fcntl.lockf(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
        except (BlockingIOError, PermissionError):
            return True
        fcntl.lockf(self.fd, fcntl.LOCK_UN, 1, number)
        return False

    def close(self) -> None:
        """Give the descriptor back, and with it this process's number."""
        os.close(self.fd)
