"""Another home's journals, taken in line by line: the same bytes, each proved to follow the one before."""

from __future__ import annotations

import errno
import os
import re
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from jackline import conventions as names
from jackline.errors import JournalError
from jackline.events import JournalClosed, JournalOpened
from jackline.journal.line import LINE_LIMIT, BrokenLineError, Chain, build
from jackline.journal.reader import raw_lines
from jackline.journal.segment import create, find_segments, segment_path
from jackline_console.otlp.steps import plain

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

    from jackline.journal import Line
    from jackline.journal.segment import Segment

_RECENT = 10_000
_JOURNAL = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,99}")


class Taken(NamedTuple):
    """What came of the lines of one request."""

    taken: int
    repeated: int
    refused: tuple[str, ...]
    """Why lines were not taken, each reason once."""
    rejected: int


class _Tail:
    """The end of one journal as it lies here."""

    def __init__(self) -> None:
        self.chain = Chain()
        self.number = 0
        """Of the segment; 0 before the first line."""
        self.closed = False
        self.recent: OrderedDict[int, str] = OrderedDict()
        """The hashes of the last lines: what comes again must be the same."""

    def took(self, chain: Chain, line: Line, number: int) -> None:
        """Note a line."""
        event = line.event
        self.chain, self.number = chain, number
        self.closed = isinstance(event, JournalClosed) and not event.next
        self.recent[line.seq] = line.hash
        if len(self.recent) > _RECENT:
            self.recent.popitem(last=False)


class Lines:
    """Journals of other homes. Thread-safe."""

    def __init__(self, folder: Path, marks: Path) -> None:
        """`marks` is a folder that says which of the journals in `folder` came from elsewhere."""
        self._folder, self._marks = folder, marks
        self._lock = threading.Lock()
        self._tails: dict[str, _Tail] = {}

    def take(self, records: Iterable[LogRecord]) -> Taken:
        """Append lines that follow what is here. Raises JournalError where they cannot be written."""
        taken = repeated = rejected = 0
        reasons: dict[str, None] = {}
        with self._lock:
            for record in records:
                try:
                    new = self._take(record)
                except ValueError as error:
                    rejected += 1
                    reasons[str(error)] = None
                except OSError as error:
                    raise JournalError(f"Cannot write a line of another home: {error.strerror}") from error
                else:
                    taken, repeated = taken + new, repeated + (not new)
        return Taken(taken, repeated, tuple(reasons), rejected)

    def _take(self, record: LogRecord) -> bool:
        """True for a line that is new; ValueError for one that does not follow, or is not what it says."""
        told = plain(record.attributes)
        journal, seq, prev = (told.get(name) for name in (names.EVENT_JOURNAL, names.EVENT_SEQ, names.EVENT_PREV))
        if not isinstance(journal, str) or not _JOURNAL.fullmatch(journal) or ".." in journal:
            raise ValueError("a line names no journal")
        if not isinstance(seq, int) or isinstance(seq, bool) or seq < 1 or not isinstance(prev, str):
            raise ValueError(f"journal {journal}: a line has no number, or nothing that it follows")
        body = record.body.bytes_value or record.body.string_value.encode()
        raw, _ = build(seq, prev.encode("ascii", "replace"), body)
        tail = self._tail(journal)
        if seq <= tail.chain.head.seq:
            if tail.recent.get(seq, told.get(names.EVENT_HASH)) != told.get(names.EVENT_HASH):
                raise ValueError(f"journal {journal}: line {seq} is here already, and is another one")
            return False
        if len(raw) > LINE_LIMIT:
            raise ValueError(f"journal {journal}: line {seq} is too long")
        self._append(journal, tail, raw, str(told.get(names.EVENT_HASH)))
        return True

    def _append(self, journal: str, tail: _Tail, raw: bytes, told: str) -> None:
        chain = Chain(tail.chain.head if tail.chain.head.seq else None)
        try:
            line = chain.follow(raw)
        except BrokenLineError as error:
            raise ValueError(f"journal {journal}: line {error.seq} {error}") from error
        if line.hash != told:
            raise ValueError(f"journal {journal}: line {line.seq} is not what its hash says")
        event = line.event
        number = tail.number
        if isinstance(event, JournalOpened):
            number += 1
            if event.journal != journal or event.segment != number:
                raise ValueError(f"journal {journal}: line {line.seq} opens another journal, or not its next segment")
            self._open(journal, number)
        elif not number or tail.closed:
            raise ValueError(f"journal {journal}: line {line.seq} is in no segment that was opened")
        _put(segment_path(self._folder, journal, number), raw)
        tail.took(chain, line, number)

    def _open(self, journal: str, number: int) -> None:
        """Make a segment, and then the mark: a journal that this home began meanwhile gets none."""
        path = segment_path(self._folder, journal, number)
        try:
            os.close(create(path))
        except FileExistsError:
            if path.stat().st_size or not (self._marks / journal).exists():
                del self._tails[journal]  # another process wrote it since this one looked
                raise ValueError(f"journal {journal}: its segment {number} is here already") from None
        self._marks.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self._marks / journal).touch(mode=0o600)

    def _tail(self, journal: str) -> _Tail:
        """The end of a journal here; ValueError for one that this home writes itself: nobody else adds to it."""
        found = self._tails.get(journal)
        if found is None:
            segments = find_segments(self._folder).get(journal, [])
            if segments and not (self._marks / journal).exists():
                raise ValueError(f"journal {journal}: this home writes it itself")
            found = _Tail()
            try:
                for segment in segments:
                    _read(segment, found, is_last=segment is segments[-1])
            except BrokenLineError as error:
                raise ValueError(
                    f"journal {journal}: what is here of it is broken: line {error.seq} {error}"
                ) from error
            self._tails[journal] = found
        return found


def _read(segment: Segment, tail: _Tail, *, is_last: bool) -> None:
    """Follow the lines of a segment; what a kill left of its last one is cut off, so that the next can follow."""
    with segment.path.open("rb") as file:
        for offset, raw in raw_lines(file):
            if raw.endswith(b"\n") or not is_last or not tail.chain.continues(raw):
                tail.took(tail.chain, tail.chain.follow(raw, offset=offset), segment.number)
            else:
                os.truncate(segment.path, offset)


def _put(path: Path, raw: bytes) -> None:
    """Append a whole line or nothing. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        size = os.fstat(descriptor).st_size
        if os.write(descriptor, raw) != len(raw):
            os.ftruncate(descriptor, size)
            raise OSError(errno.ENOSPC, "No space left on device")
    finally:
        os.close(descriptor)
