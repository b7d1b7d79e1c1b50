"""A changed bundle comes into force in a running process, once a change, and a broken one never does."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Generic, TypeVar

from jackline.bundle import read_bundle
from jackline.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Callable

Loaded = TypeVar("Loaded")
Signature = tuple[int, int, int, int, int]
"""Device, inode, size, and the times of the last change of content and of status, in nanoseconds."""

_log = logging.getLogger(__name__)


class Watcher(Generic[Loaded]):
    """Watches one file, from a daemon thread and from the check path; both look at most once an interval.

    `load` turns the file's bytes into what is in force, or raises BundleError; `loaded` is told of the new one
    and `failed` of an error, once for each distinct content. A file is read when it has kept still for an
    interval, so that one that is being written is not taken for a shorter one.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        load: Callable[[bytes], Loaded],
        *,
        loaded: Callable[[Loaded], None],
        failed: Callable[[BundleError], None],
        revision: str = "",
        interval: float = 0.25,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`revision` is the SHA-256 of the content in force; `interval` and `clock` are in seconds, as requests are."""
        self.path = os.fspath(path)
        self.interval = interval
        self._load = load
        self._loaded = loaded
        self._failed = failed
        self._clock = clock
        self._revision = revision
        self._rejected = ""
        self._read: Signature | None = None
        """The signature of what was read last; None before the first read."""
        self._seen: Signature | None = None
        self._due = 0.0
        self._thread: threading.Thread | None
        self._reset()

    def start(self) -> None:
        """Watch from a daemon thread. After a fork it is started again, or `poll` does its work."""
        self._own_process()
        if self._thread is None or not self._thread.is_alive():
            self._wake = threading.Event()
            self._thread = threading.Thread(target=self._watch, name="jackline-reload", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread; `poll` goes on working."""
        self._own_process()
        self._wake.set()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=5)

    def poll(self, now: float) -> None:
        """Look at the file where nobody has for an interval: cheap enough for every check.

        `now` is Unix time in seconds, such as `request.at`; it may jump. A changed file is loaded before this returns.
        """
        if now < self._due <= now + 2 * self.interval:
            return
        self._due = now + self.interval
        self.look()

    def look(self) -> None:
        """Load the file where it has changed since it was read and has kept still. One thread does it at a time."""
        self._own_process()
        if not self._flight.acquire(blocking=False):
            return
        try:
            signature = self._signature()
            if signature == self._read:
                return
            if signature == self._seen or self._still(signature):
                self._read = signature
                self._take()
            self._seen = signature
        finally:
            self._flight.release()

    def _watch(self) -> None:
        while not self._wake.is_set():
            self._due = self._clock() + 2 * self.interval
            self.look()
            self._wake.wait(self.interval)

    def _take(self) -> None:
        """Read, load and hand over, unless this very content is in force or was refused already."""
        content = ""
        try:
            data = read_bundle(self.path)
            content = hashlib.sha256(data).hexdigest()
            if content == self._revision:
                self._rejected = ""
            elif content != self._rejected:
                self._loaded(self._load(data))
                self._revision, self._rejected = content, ""
        except BundleError as error:
            self._reject(content, error)
        except Exception as error:  # noqa: BLE001 - a reload must not end the thread nor the act that polled
            self._reject(content, BundleError(f"{self.path} did not come into force: {type(error).__name__}: {error}"))

    def _reject(self, content: str, error: BundleError) -> None:
        mark = content or str(error)
        if mark == self._rejected:
            return
        self._rejected = mark
        try:
            self._failed(error)
        except Exception:  # noqa: BLE001 - it is logged, and the last good bundle stays in force
            _log.exception("nobody could be told that %s was refused: %s", self.path, error)

    def _signature(self) -> Signature:
        try:
            found = os.stat(self.path)  # noqa: PTH116 - half the time of Path.stat, on the check path
        except (OSError, ValueError):
            return (0, 0, 0, 0, 0)
        return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)

    def _still(self, signature: Signature) -> bool:
        """Whether the file was last touched an interval ago or more, by its own times."""
        age = self._clock() - max(signature[3], signature[4]) / 1e9
        return any(signature) and age >= self.interval

    def _own_process(self) -> None:
        if self._pid != os.getpid():
            self._reset()

    def _reset(self) -> None:
        """Start over in this process: a lock that another thread held at a fork would never be released."""
        self._pid = os.getpid()
        self._flight = threading.Lock()
        self._wake = threading.Event()
        self._thread = None
