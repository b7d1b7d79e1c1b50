"""Whether the process that writes a journal is still there: what tells a running act from one nobody will end."""

from __future__ import annotations

import os
import platform
from pathlib import Path

_PROC = Path("/proc")
_BOOT = _PROC / "sys/kernel/random/boot_id"
# A process id that is used again belongs to a process that began after the journal did. The clock may have been set
# since, so a minute does not count.
_SLACK = 60.0


def boot_id() -> str:
    """The id of this boot of this machine; empty where the system has none."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""


def writer_lives(pid: int, host: str, boot: str, opened: float) -> bool | None:
    """Whether the process that opened a journal at `opened` (Unix seconds) runs; None for one of another host."""
    if host != platform.node():
        return None
    if boot != boot_id() or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it is there, and another user's
    began = _began(pid)
    return began is None or began <= opened + _SLACK


def _began(pid: int) -> float | None:
    """When a process began, in Unix seconds; None where the system does not say."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
        boots = [line.split()[1] for line in (_PROC / "stat").read_text().splitlines() if line.startswith("btime")]
        # The name in brackets may hold blanks and brackets; the 22nd field is the 20th after it.
        ticks = int(stat.rpartition(")")[2].split()[19])
        return int(boots[0]) + ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None
