"""How far each journal is exported to one endpoint: a file in the home, replaced as a whole."""

from __future__ import annotations

import fcntl
import hashlib
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from jackline.stores import Position
from jackline_otel.sender import ExportError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


class _Kept(msgspec.Struct):
    endpoint: str
    journals: dict[str, Position] = {}


class Cursor:
    """The places up to which an endpoint has everything."""

    def __init__(self, folder: Path, url: str, signals: Sequence[str] = ()) -> None:
        """Read what was kept, apart for an export of some `signals` only. Raises ExportError where that fails."""
        name = " ".join((url, *signals))
        self._path = folder / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.json"
        self._url = url
        self._kept = self._read()

    def position(self, journal: str) -> Position:
        """How far a journal is exported."""
        return self._kept.journals.get(journal) or Position(journal=journal)

    def advance(self, position: Position) -> None:
        """Keep that a journal is exported up to there, on disk when this returns. Raises ExportError."""
        self._kept.journals[position.journal] = position
        draft = self._path.with_suffix(f".{os.getpid()}.draft")
        try:
            with draft.open("wb") as file:
                file.write(msgspec.json.encode(self._kept))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
        except OSError as error:
            raise ExportError(f"Cannot keep how far the export came in {self._path}: {error.strerror}") from error

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold this endpoint for one process. Raises ExportError where another exports to it."""
        fd = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ExportError(f"Another process exports this home to {self._url}") from None
            self._kept = self._read()  # whoever held it before may have come further
            yield
        finally:
            os.close(fd)

    def _read(self) -> _Kept:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_Kept)
        except FileNotFoundError:
            return _Kept(endpoint=self._url)
        except (OSError, msgspec.DecodeError) as error:
            raise ExportError(
                f"{self._path} does not say how far {self._url} has come ({error}); delete it to export everything "
                "anew: receivers know events by their ids"
            ) from error
