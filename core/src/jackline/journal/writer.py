"""The writer of a journal: an event is on record when `append` returns, whatever happens to the process after."""

from __future__ import annotations

import contextlib
import os
import platform
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import msgspec

from jackline._version import __version__
from jackline.errors import JournalError
from jackline.events import JournalClosed, JournalOpened
from jackline.journal import segment
from jackline.journal.line import GENESIS, LINE_LIMIT, Head, build, encode
from jackline.journal.liveness import boot_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from jackline.events import Event

SEGMENT_BYTES = 64 * 1024 * 1024
_TRIES = 5


class _Mark(msgspec.Struct, frozen=True, gc=False):
    """A state of the file: the last line's number and hash (64 hex digits), and the file's size in bytes."""

    seq: int
    hash: bytes
    size: int


class _File(msgspec.Struct, frozen=True, gc=False):
    """The open segment; `fd` is -1 where there is none."""

    fd: int
    inode: int
    number: int


_NONE = _File(-1, 0, 0)


class Journal:
    """One process's append-only file of events; see `open`.

    Safe in threads, in signal handlers and finalisers that append while an append is under way, and over a fork: the
    child opens a journal of its own when it first appends, and never writes to its parent's.
    """

    def __init__(self, directory: Path, writer: str, clock: Callable[[], float], segment_bytes: int) -> None:
        self._directory, self._writer, self._clock, self._limit = directory, writer, clock, segment_bytes
        self._closed = False
        self._full = 0
        self._following: _File | None = None
        self._begin()

    @classmethod
    def open(
        cls,
        directory: Path,
        writer: str = "guard",
        clock: Callable[[], float] = time.time,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> Self:
        """Start a new journal in `directory`; raises JournalError where it cannot be written.

        `clock` (Unix seconds) dates only the journal's own first and last lines. A segment ends at about
        `segment_bytes` bytes.
        """
        journal = cls(Path(directory), writer, clock, segment_bytes)
        with journal._lock:
            journal._ready()
        return journal

    @property
    def id(self) -> str:
        """The journal's name: the same in all its segments."""
        self._own()
        return self._id

    @property
    def path(self) -> Path:
        """The segment that is written now."""
        self._own()
        return segment.segment_path(self._directory, self._id, max(self._file.number, 1))

    @property
    def head(self) -> Head:
        """The last acknowledged line."""
        self._own()
        return Head(self._done.seq, self._done.hash.decode())

    def append(self, event: Event) -> int:
        """Write one event and give its sequence number; returns when the line is the system's, beyond a SIGKILL.

        Raises JournalError where it cannot be written: the line is then not in the journal, and the next append
        tries again.
        """
        try:
            body = encode(event)
        except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
            raise JournalError(f"Cannot write {type(event).__name__} to a journal as JSON: {error}") from error
        if self._process is not segment.process:
            self._own()
        with self._lock:
            done = self._done
            if done is not self._mark or not 0 < done.size < self._limit:
                self._ready()
            if not 0.0 <= event.at - self._looked < 1.0:
                self._look(event.at)
            seq = self._put(body)
            return seq if seq is not None else self._put_again(body)

    def close(self) -> None:
        """Write the last line and close the file. Calling it again, or in a forked child, does nothing more."""
        self._own()
        with self._lock:
            # A journal without its last line reads as "not closed", which is then the truth.
            with contextlib.suppress(JournalError):
                if not self._closed and self._file.fd >= 0:
                    self._ready()
                    self._put(encode(JournalClosed(at=self._clock(), journal=self._id)))
            self._closed = True
            self._leave()
            following, self._following = self._following, None
            if following is not None:
                os.close(following.fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self) -> None:
        self._lock = threading.RLock()
        self._id = segment.new_journal_id(self._clock())
        self._file, self._following = _NONE, None
        self._done = self._mark = _Mark(0, GENESIS, 0)
        self._looked = 0.0
        self._turning = False
        # Last, since other threads of a forked child go by it.
        self._process = segment.process

    def _own(self) -> None:
        """After a fork: leave the parent's file, lock and number alone and begin a journal of this process."""
        if self._process is segment.process:
            return
        with segment.process.lock:
            # The descriptor is the parent's, or was closed and is by now another file's: it stays as it is.
            if self._process is not segment.process:
                self._begin()

    def _put(self, body: bytes) -> int | None:
        """Write the next line; None where the file or the journal is not as this call found it.

        Between any two steps a signal handler or a finaliser of this thread may append as well.
        """
        done, fd = self._done, self._file.fd
        seq = done.seq + 1
        line, digest = build(seq, done.hash, body)
        size = len(line)
        if size > LINE_LIMIT:
            raise JournalError(f"Cannot write an event of {len(body)} bytes; a journal's line has {LINE_LIMIT} at most")
        mark = self._mark = _Mark(seq, digest, done.size + size)
        try:
            written = self._write(fd, line, done, mark)
        except OSError as error:
            raise self._failed(error.strerror or str(error)) from error
        if written == size:
            if self._mark is mark:
                self._done = mark
            return seq
        if written is not None:
            raise self._failed(f"only {written} of {size} bytes were written")
        if self._mark is mark:
            self._mark = self._done
        return None

    def _put_again(self, body: bytes) -> int:
        for _ in range(_TRIES):
            self._ready()
            seq = self._put(body)
            if seq is not None:
                return seq
        raise self._disturbed()

    def _write(self, fd: int, line: bytes, done: _Mark, mark: _Mark) -> int | None:
        """The one place where a journal's bytes reach the system; None where the file is not as it was left."""
        try:
            # A cut file, or a descriptor that somebody closed and that is another file's by now, has another size.
            size = os.lseek(fd, 0, os.SEEK_END)
        except OSError:
            return None
        if size != done.size or self._done is not done or self._mark is not mark:
            return None
        return os.write(fd, line)

    def _failed(self, reason: str) -> JournalError:
        """Take back what a failed write left, so that the next append starts on a whole line."""
        path = self.path
        self._settle()
        return JournalError(f"Cannot write to {path}: {reason}. Nothing was recorded; the next append tries again")

    def _disturbed(self) -> JournalError:
        return JournalError(f"Cannot write to {self.path}: somebody changes it. The next append tries again")

    def _settle(self) -> None:
        """Find out what a write left that failed or was interrupted, and make the file end in a whole line."""
        done, mark, file = self._done, self._mark, self._file
        try:
            status = os.fstat(file.fd)
            if status.st_ino != file.inode or not done.size <= status.st_size <= mark.size:
                self._leave()
            elif status.st_size == mark.size:
                self._done = mark
            else:
                if status.st_size > done.size:
                    os.ftruncate(file.fd, done.size)
                self._mark = done
        except OSError:
            self._leave()

    def _leave(self) -> None:
        """Leave a file whose end is not to be trusted; the next segment goes on from the last whole line."""
        file, self._file = self._file, _File(-1, 0, self._file.number)
        self._done = self._mark = _Mark(self._done.seq, self._done.hash, 0)
        with contextlib.suppress(OSError):
            if os.fstat(file.fd).st_ino == file.inode:
                os.close(file.fd)

    def _ready(self) -> None:
        """Settle what is open, end a full segment, begin the next one where there is none."""
        if self._closed:
            raise JournalError(f"The journal {self._id} is closed; open another with Journal.open")
        if self._turning:
            raise JournalError(f"The journal {self._id} is turning to its next file; try again")
        self._turning = True
        try:
            self._settle()
            if self._file.fd >= 0 and (self._following or self._done.size >= self._limit):
                self._turn()
            if self._file.fd < 0:
                self._file, self._following = self._following or self._create(), None
            if self._done.size == 0 and self._put(encode(self._opening())) is None:
                raise self._disturbed()
        finally:
            self._turning = False

    def _create(self) -> _File:
        number = self._file.number
        while True:
            number += 1
            path = segment.segment_path(self._directory, self._id, number)
            try:
                fd = segment.create(path)
            except FileExistsError:
                continue
            except OSError as error:
                raise JournalError(f"Cannot create {path}: {error.strerror}. Nothing was recorded") from error
            return _File(fd, os.fstat(fd).st_ino, number)

    def _turn(self) -> None:
        """End a full segment. The next file is made before it is named: a kill leaves no name without a file."""
        if self._following is None:
            self._full = self._done.seq
            self._following = self._create()
        following = self._following
        if self._done.seq == self._full:
            name = segment.segment_path(self._directory, self._id, following.number).name
            self._put(encode(JournalClosed(at=self._clock(), journal=self._id, next=name)))
        self._leave()
        self._file, self._following = following, None

    def _look(self, at: float) -> None:
        """Once in a second of events: see that the file still stands under its name."""
        self._looked = at
        try:
            there = self.path.stat().st_ino == self._file.inode
        except OSError:
            there = False
        if not there:
            self._leave()
            self._ready()

    def _opening(self) -> JournalOpened:
        return JournalOpened(
            at=self._clock(),
            journal=self._id,
            segment=self._file.number,
            writer=self._writer,
            pid=os.getpid(),
            host=platform.node(),
            boot=boot_id(),
            python=platform.python_version(),
            jackline=__version__,
        )
