"""What humans and breakers tell every process of the host: stop, pause, halted, reopened, reload.

A check compares one number in a mapped file. Only where it has changed are the mark files read: one small
JSON file for each session and kind of mark, so that a mark outlives every process.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import re
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from jackline.errors import JacklineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SESSION = re.compile(r"[0-9a-f]{32}")
_BYTES = 8
_MUTEX = threading.RLock()
"""Threads of one process: a record lock does not tell them apart, and closing the file drops it."""
PATIENCE = 2.0
"""Seconds to wait for the folder's lock, which is held for a rename."""


class ControlError(JacklineError):
    """The control folder cannot be read or written; what depends on it is denied."""


class Mark(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every mark says."""

    at: float
    """Unix seconds."""


class Stop(Mark, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A human asked that a session stop, or pause: the guard halts it at its next request."""

    who: str
    why: str
    pause: bool = False


class Halt(Mark, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """No act of the session starts, in any process, until a human reopens it."""

    reason: str
    policy: str = ""
    rule: str = ""


class Reopening(Mark, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A human lifted what had ended the session."""

    who: str
    why: str


def _taken(fd: int) -> bool:
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _after_fork() -> None:
    global _MUTEX  # noqa: PLW0603 - another thread of the parent may have held it
    _MUTEX = threading.RLock()


os.register_at_fork(after_in_child=_after_fork)

_MarkT = TypeVar("_MarkT", bound=Mark)


class Control:
    """The control folder of a host (`$JACKLINE_HOME/control`), shared by all its processes.

    Raises ControlError where the folder cannot be used, or a session's id is not 32 hex digits. Do not
    remove the folder while agents run: they would go on looking at the epoch file that is gone.
    """

    def __init__(self, directory: Path | str, *, clock: Callable[[], float] = time.time) -> None:
        self.directory = Path(directory)
        self._clock = clock
        try:
            for name in ("stops", "halted", "reopened"):
                (self.directory / name).mkdir(mode=0o700, parents=True, exist_ok=True)
            self._map = self._mapped()
        except (OSError, ValueError) as error:
            raise ControlError(f"The control folder {self.directory} cannot be used: {error}.") from error
        self._word = memoryview(self._map).cast("q")

    def _mapped(self) -> mmap.mmap:
        with self._alone():
            fd = os.open(self.directory / "epoch", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                size = os.fstat(fd).st_size
                if size == 0:
                    size = os.pwrite(fd, bytes(_BYTES), 0)
                    os.fsync(fd)
                if size != _BYTES:
                    raise ValueError(f"its file 'epoch' has {size} bytes, not {_BYTES}: stop the agents and remove it")
                return mmap.mmap(fd, _BYTES)
            finally:
                os.close(fd)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the folder's lock. It ends with the process; none is left to a forked child."""
        with _MUTEX:
            fd = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                deadline = time.monotonic() + PATIENCE
                while not _taken(fd):
                    if time.monotonic() > deadline:
                        raise ControlError(
                            f"The lock of {self.directory} was not free within {PATIENCE} s: a process that holds "
                            "it is stopped. Find it with `lslocks` and continue or end it."
                        )
                    time.sleep(0.0005)
                yield
            finally:
                os.close(fd)

    @property
    def epoch(self) -> int:
        """A number that is another one after every change. Compare it with the one seen before the marks were read.

        While a change is being written, or was cut off by a kill, every reading is another number.
        """
        value: int = self._word[0]
        return value if not value & 1 else self._unsettled()

    def _unsettled(self) -> int:
        """Settle the number that a killed process left odd, unless its writer is at work."""
        with _MUTEX:
            fd = os.open(self.directory / "lock", os.O_RDWR | os.O_CLOEXEC)
            try:
                if _taken(fd):
                    self._word[0] += self._word[0] & 1
                    return self._word[0]
            finally:
                os.close(fd)
        return -time.monotonic_ns()

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Hold the epoch odd while marks change, so that a kill between a mark and the number is noticed."""
        with self._alone():
            self._word[0] |= 1
            try:
                yield
            finally:
                self._word[0] += 1

    def bump(self) -> int:
        """Make every process look at the marks and the bundle again; return the new epoch."""
        with self._changing():
            pass
        return self.epoch

    def reload(self) -> int:
        """Ask every process to load its bundle again; return the new epoch."""
        return self.bump()

    def stop(self, session: str, who: str, why: str, *, pause: bool = False) -> None:
        """Ask that a session stop (or pause), for the reason of a named human."""
        self._named(who, why)
        self._write("stops", session, Stop(at=self._clock(), who=who, why=why, pause=pause))

    def stops(self) -> dict[str, Stop]:
        """Every stop that is asked for, by session. A file that cannot be read stops its session."""
        try:
            names = sorted(path.name for path in (self.directory / "stops").iterdir())
        except OSError as error:
            raise ControlError(f"The stops in {self.directory} cannot be read: {error}.") from error
        found = {}
        for name in names:
            session = name.removesuffix(".json")
            if _SESSION.fullmatch(session):
                stop = self._read("stops", session, Stop, lambda why: Stop(at=0.0, who="unknown", why=why))
                if stop is not None:
                    found[session] = stop
        return found

    def halt(self, session: str, reason: str, policy: str = "", rule: str = "") -> None:
        """End a session for all processes, and for those that start later; a first halt's reason stays."""
        if self.halted(session) is None:
            self._write("halted", session, Halt(at=self._clock(), reason=reason, policy=policy, rule=rule))

    def halted(self, session: str) -> Halt | None:
        """Why a session has ended; None where it goes on. A file that cannot be read counts as halted."""
        return self._read("halted", session, Halt, lambda why: Halt(at=0.0, reason=why))

    def halts(self) -> set[str]:
        """The ids of all sessions that have ended: one look at a folder, however many sessions there are to compare."""
        try:
            return {name.removesuffix(".json") for name in os.listdir(self.directory / "halted")}  # noqa: PTH208 - names
        except OSError as error:
            raise ControlError(f"The halted sessions in {self.directory} cannot be read: {error}.") from error

    def reopen(self, session: str, who: str, why: str) -> None:
        """Lift a session's halt and stop, by a named human."""
        self._named(who, why)
        self._write("reopened", session, Reopening(at=self._clock(), who=who, why=why), lift=("stops", "halted"))

    def reopening(self, session: str) -> Reopening | None:
        """Who reopened a session last; None where nobody has, or the file cannot be read."""
        return self._read("reopened", session, Reopening, lambda _: None)

    def close(self) -> None:
        """Give the map back."""
        self._word.release()
        self._map.close()

    def _path(self, kind: str, session: str) -> Path:
        if not _SESSION.fullmatch(session):
            raise ControlError(
                f"{session!r} is no session's id: 32 hex digits were expected, as `jackline sessions` lists."
            )
        return self.directory / kind / f"{session}.json"

    @staticmethod
    def _named(who: str, why: str) -> None:
        if not who.strip() or not why.strip():
            raise ControlError("Say who asks and why: both stand in the record.")

    def _read(
        self, kind: str, session: str, mark: type[_MarkT], unreadable: Callable[[str], _MarkT | None]
    ) -> _MarkT | None:
        path = self._path(kind, session)
        try:
            return msgspec.json.decode(path.read_bytes(), type=mark)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            return unreadable(f"the mark {path} cannot be read ({error}); reopen the session to lift it")

    def _write(self, kind: str, session: str, mark: Mark, lift: tuple[str, ...] = ()) -> None:
        path = self._path(kind, session)
        draft = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.draft")
        try:
            with draft.open("wb") as file:
                file.write(msgspec.json.encode(mark))
                file.flush()
                os.fsync(file.fileno())
            with self._changing():
                draft.replace(path)
                for other in lift:
                    self._path(other, session).unlink(missing_ok=True)
        except OSError as error:
            raise ControlError(f"The mark {path} cannot be written: {error}. Free space or mend its rights.") from error
        finally:
            draft.unlink(missing_ok=True)
