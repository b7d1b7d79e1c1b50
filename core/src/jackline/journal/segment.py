"""The files of a journal: how they are named, found and made, and which process owns them."""

from __future__ import annotations

import os
import re
import threading
from datetime import UTC, datetime
from pathlib import Path  # noqa: TC003 - a NamedTuple's field
from typing import NamedTuple

SUFFIX = ".jsonl"
_NAME = re.compile(r"(?P<journal>.+)\.(?P<number>\d{4,9})\.jsonl")
# Windows has no O_CLOEXEC; its handles are not inherited anyway.
_CREATE = os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_CLOEXEC", 0)


class Segment(NamedTuple):
    """One file of a journal."""

    journal: str
    number: int
    path: Path


class Process:
    """Stands for the running process: a fork replaces it, and with it every lock that a dead thread may hold."""

    def __init__(self) -> None:
        self.lock = threading.RLock()


process = Process()


def _after_fork() -> None:
    global process  # noqa: PLW0603 - a new process is a new value; nothing else can tell them apart without a system call
    process = Process()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def new_journal_id(at: float) -> str:
    """A name that no other process and no other moment gives: `<UTC time>-<pid>-<random>`."""
    stamp = datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%S")
    return f"{stamp}-{os.getpid()}-{os.urandom(4).hex()}"


def segment_path(directory: Path, journal: str, number: int) -> Path:
    """The file of a journal's segment; the first has number 1."""
    return directory / f"{journal}.{number:04d}{SUFFIX}"


def create(path: Path) -> int:
    """Make a file for one writer and give its descriptor; the folder is made as well, for its owner only."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.open(path, _CREATE, 0o600)


def name_segment(path: Path) -> Segment:
    """What a file's name says; a file that was renamed counts as the first segment of a journal of that name."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        return Segment(path.name.removesuffix(SUFFIX), 1, path)
    return Segment(match["journal"], int(match["number"]), path)


def find_segments(directory: Path) -> dict[str, list[Segment]]:
    """The segments in a folder by journal, in the order in which they were written; empty where there is no folder."""
    found: dict[str, list[Segment]] = {}
    try:
        names = sorted(entry.name for entry in os.scandir(directory) if entry.name.endswith(SUFFIX))
    except FileNotFoundError:
        return found
    for name in names:
        segment = name_segment(directory / name)
        found.setdefault(segment.journal, []).append(segment)
    for segments in found.values():
        segments.sort(key=lambda segment: segment.number)
    return found
