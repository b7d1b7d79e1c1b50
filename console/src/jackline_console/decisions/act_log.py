"""Open acts in files of the home: what one server permitted, the next one can still put on record.

Each server has a file of its own, held by a lock for as long as it runs: a line for an act that is permitted, a line
when it is over, written to the page cache before the answer goes out, as the journal's lines are. A server takes over
the files of those that have ended. Neither arguments nor results are in them.
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING, Literal

import msgspec

from jackline.decision import Decision
from jackline.errors import JacklineError
from jackline.locks import only_one
from jackline.plain import new_span_id
from jackline.request import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

End = Literal["recorded", "expired"]
_LEAST = 16 * 1024 * 1024
"""Bytes from which on a file is written anew, without what is over; or four times what is open, where that is more."""
_STALE = -1
"""No epoch that is ever read: what the registry says of an act is looked up when it is asked about again."""


class Kept(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One act, with as much of its request and decision as its outcome needs."""

    id: str
    expires: float
    """Unix seconds."""
    request: Request
    decision: Decision
    started: bool = False
    """It has shown that it started, and cannot be given back."""


class _Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    act: Kept | None = None
    over: str = ""
    how: End = "recorded"


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """What servers that have ended left behind."""

    acts: dict[str, Kept]
    over: dict[str, End]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Line).decode


def kept(identity: str, expires: float, request: Request, decision: Decision, *, started: bool = False) -> Kept:
    """An act as it is kept. What its server held for it is booked when that ends, so it is not settled again."""
    model, reservation = request.model, decision.reservation
    if model is not None and reservation is not None and reservation.output is not None:
        model = msgspec.structs.replace(model, max_tokens=reservation.output)
    bare = msgspec.structs.replace(
        request, args={}, original=None, origins=None, view=None, facts={}, model=model, epoch=_STALE, at=request.at
    )
    said = Decision(effect=decision.effect, session=decision.session, revision=decision.revision, mode=decision.mode)
    return Kept(id=identity, expires=expires, request=bare, decision=said, started=started)


class ActLog:
    """The file of one server. What cannot be written is told to `lost`: it is known to this process only."""

    def __init__(self, folder: Path, lost: Callable[[Exception], object]) -> None:
        self._folder, self._lost = folder, lost
        self._lines: dict[str, bytes] = {}
        self._live = self._bytes = 0
        self._fd = -1
        self._lock = contextlib.ExitStack()
        self._path = folder / f"{new_span_id()}.jsonl"
        try:
            # The lock before the file: whoever looks for files of others never finds one whose server has no lock.
            self._lock.enter_context(only_one(self._path.with_suffix(".lock")))
            self._fd = self._opened(self._path)
        except OSError as error:
            lost(error)

    def add(self, act: Kept) -> bool:
        """Keep an act until it is over; whether it is in the file."""
        try:
            line = _encode(_Line(act=act)) + b"\n"
        except (ValueError, TypeError) as error:  # half a character, which no text of JSON has
            self._lost(error)
            return False
        self._live += len(line) - len(self._lines.get(act.id, b""))
        self._lines[act.id] = line
        return self._write(line)

    def end(self, identity: str, how: End) -> bool:
        """Say that an act is over, after its outcome is on record; whether that is in the file."""
        self._live -= len(self._lines.pop(identity, b""))
        return self._write(_encode(_Line(over=identity, how=how)) + b"\n")

    def adopt(self, known: Mapping[str, End] | None = None) -> Left:
        """Take over what servers that have ended left; what a server that runs has stays its own.

        `known`: acts that are over here, whatever the files of others say.
        """
        left = Left(acts={}, over={})
        with contextlib.ExitStack() as held:
            ended = [path for path in self._others() if self._held(path, held)]
            for path in ended:
                self._read(path, left)
            left.over.update({identity: known[identity] for identity in left.acts if known and identity in known})
            for identity in left.over:
                left.acts.pop(identity, None)
            done = [self._take(act) for act in left.acts.values()]
            done += [self.end(identity, how) for identity, how in left.over.items()]
            for path in ended if all(done) else ():
                _remove(path)
        return left

    def close(self) -> None:
        """Leave what is open to the next server."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            if not self._lines:
                _remove(self._path)
        self._lock.close()

    def _take(self, act: Kept) -> bool:
        """Keep an act of another; one that was taken before, and could not be written then, as it is now."""
        line = self._lines.get(act.id)
        return self.add(act) if line is None else self._write(line)

    def _others(self) -> Iterator[Path]:
        if self._fd >= 0:
            yield from (path for path in sorted(self._folder.glob("*.jsonl")) if path != self._path)

    def _held(self, path: Path, held: contextlib.ExitStack) -> bool:
        try:
            return held.enter_context(only_one(path.with_suffix(".lock")))
        except OSError as error:
            self._lost(error)
            return False

    def _read(self, path: Path, left: Left) -> None:
        try:
            data = path.read_bytes()
        except FileNotFoundError:  # another server was faster
            return
        except OSError as error:
            self._lost(error)
            return
        for raw in data.splitlines():
            try:
                line = _decode(raw)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                self._lost(JacklineError(f"a line of {path} cannot be read: {error}"))
                continue
            if line.act is not None:
                left.acts[line.act.id] = line.act
            else:
                left.over[line.over] = line.how

    def _write(self, line: bytes) -> bool:
        if self._fd < 0:
            return False
        try:
            _put(self._fd, line)
            self._bytes += len(line)
            if self._bytes > max(_LEAST, 4 * self._live):
                self._shorten()
        except OSError as error:
            self._lost(error)
            return False
        return True

    def _shorten(self) -> None:
        """Write the file anew, with what is open and nothing else."""
        self._bytes = 0  # also where it fails: the next try is as far away
        draft = self._path.with_suffix(".draft")
        descriptor = self._opened(draft)
        try:
            data = b"".join(self._lines.values())
            _put(descriptor, data)
            draft.replace(self._path)
        except OSError:
            os.close(descriptor)
            raise
        os.close(self._fd)
        self._fd, self._bytes = descriptor, len(data)

    @staticmethod
    def _opened(path: Path) -> int:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)


def _put(descriptor: int, data: bytes) -> None:
    """Write all of it. Raises OSError; what was written by then is a line that readers pass over."""
    written = os.write(descriptor, data)
    if written != len(data):
        os.write(descriptor, b"\n")
        raise OSError(errno.ENOSPC, f"{written} of {len(data)} bytes were written")


def _remove(path: Path) -> None:
    """Take a file away, with what a kill may have left beside it; its lock last, which is held."""
    for suffix in (".jsonl", ".draft", ".lock"):
        with contextlib.suppress(OSError):
            path.with_suffix(suffix).unlink()
