"""Steps that came before what is above them: kept for a while, on disk, so that they are put where they belong."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from typing import TYPE_CHECKING

import msgspec

from jackline.errors import JournalError
from jackline_console.otlp.steps import Step

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from jackline_console.otlp.memory import Key

NAMED_S = 15.0
"""For how long a step that names its agent waits for its parents: two batches of an exporter."""
UNNAMED_S = 600.0
"""The same for one that names none: until its run has ended, nobody knows whose it is."""
MOST = 20_000
"""Steps that are held; beyond them the oldest are put where they seem to belong."""
_SPARE = 1000


class Waiting(msgspec.Struct):
    """One line of the file."""

    step: Step
    since: float
    """Unix seconds: when it came."""

    @property
    def due(self) -> float:
        """When it waits no longer."""
        return self.since + (NAMED_S if self.step.agent else UNNAMED_S)


_decode = msgspec.json.Decoder(Waiting).decode
_encode = msgspec.json.Encoder().encode


class Held:
    """The steps that one process holds. Its file outlives it: the next one takes them over. Not thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._fd = -1
        self._path = folder / f"{secrets.token_hex(8)}.jsonl"
        self._draft = self._path.with_suffix(".draft")
        self._lines = 0
        self.waiting: dict[Key, Waiting] = {}

    def adopt(self) -> None:
        """Take over what processes held that are gone. A line that was cut off was never acknowledged."""
        for path in sorted(self._folder.glob("*.jsonl")) if self._folder.is_dir() else ():
            if path == self._path:
                continue
            with contextlib.suppress(OSError), path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    continue  # its process has written it anew since it was opened here
                found = []
                for line in file:
                    with contextlib.suppress(msgspec.MsgspecError):
                        found.append(_decode(line))
                self._keep(found)
                path.with_suffix(".draft").unlink(missing_ok=True)
                path.unlink()

    def keep(self, steps: Iterable[Step], now: float) -> None:
        """Hold steps; they are on disk when this returns. Raises JournalError where they cannot be."""
        try:
            self._keep([Waiting(step, now) for step in steps])
        except OSError as error:
            raise JournalError(f"Cannot hold what was reported: {error.strerror}") from error

    def let_go(self, keys: Collection[Key]) -> None:
        """Hold some no longer: they are on record."""
        gone = [self.waiting.pop(key) for key in keys if key in self.waiting]
        if gone and (not self.waiting or self._lines > 2 * len(self.waiting) + _SPARE):
            self._rewrite()

    def of(self, traces: Collection[str]) -> list[Step]:
        """What is held of some traces."""
        return [one.step for (trace, _), one in self.waiting.items() if trace in traces]

    def due(self, now: float) -> list[Step]:
        """What waits no longer, with what is above it and no act."""
        most = len(self.waiting) - MOST
        over = {key for place, (key, one) in enumerate(self.waiting.items()) if place < most or one.due <= now}
        traces = {trace for trace, _ in over}
        return [
            one.step for key, one in self.waiting.items() if key in over or (key[0] in traces and not one.step.kind)
        ]

    def close(self) -> None:
        """Let another process take over what is held."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            if not self.waiting:
                self._path.unlink(missing_ok=True)

    def _keep(self, found: list[Waiting]) -> None:
        if not found:
            return
        if self._fd < 0:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd = _opened(self._draft)
            self._draft.replace(self._path)
        _put(self._fd, found)
        self._lines += len(found)
        self.waiting |= {(one.step.trace, one.step.span): one for one in found}

    def _rewrite(self) -> None:
        """Write the file anew, with what is held and nothing else. Until it is whole, the one before stands.

        That one has lines of steps that are on record besides: whoever takes it over knows them.
        """
        rest = list(self.waiting.values())
        with contextlib.suppress(OSError):
            descriptor = _opened(self._draft)
            try:
                os.ftruncate(descriptor, 0)
                _put(descriptor, rest)
                self._draft.replace(self._path)
            except OSError:
                os.close(descriptor)
                raise
            os.close(self._fd)
            self._fd, self._lines = descriptor, len(rest)


def _opened(path: Path) -> int:
    """A file that nobody takes over while this process has it open."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor


def _put(descriptor: int, found: list[Waiting]) -> None:
    """Append all lines or none. Raises OSError."""
    data = b"".join(_encode(one) + b"\n" for one in found)
    size = os.fstat(descriptor).st_size
    if os.write(descriptor, data) != len(data):
        os.ftruncate(descriptor, size)
        raise OSError(0, "it was not written whole")
