"""Journals that nobody will go on writing: neither closed nor of a process that runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from jackline.events import JournalOpened
from jackline.journal.line import LINE_LIMIT, BrokenLineError, parse
from jackline.journal.liveness import writer_lives
from jackline.journal.segment import find_segments

if TYPE_CHECKING:
    from pathlib import Path

_TAIL = 64 * 1024
_CLOSED = b'"kind":"journal_closed"'


class Writer(NamedTuple):
    """Who wrote a journal."""

    journal: str
    pid: int
    host: str


def dead_writers(folder: Path) -> list[Writer]:
    """The writers of this host that died before they closed their journal. Reads first and last lines only."""
    found = []
    for journal, segments in find_segments(folder).items():
        opened = _opened(segments[-1].path)
        if opened is None or _is_closed(segments[-1].path):
            continue
        if writer_lives(opened.pid, opened.host, opened.boot, opened.at) is False:
            found.append(Writer(journal, opened.pid, opened.host))
    return found


def _opened(path: Path) -> JournalOpened | None:
    with path.open("rb") as file:
        try:
            event = parse(file.readline(LINE_LIMIT)).event
        except BrokenLineError:
            return None
    return event if isinstance(event, JournalOpened) else None


def _is_closed(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - _TAIL, 0))
        lines = file.read().splitlines()
    return bool(lines) and _CLOSED in lines[-1]
