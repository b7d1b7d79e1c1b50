"""The bundle that the page shows and changes: its file, its revisions, who changed it, where it is in force."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from typing import TYPE_CHECKING, NamedTuple

from jackline.answers import Approvers
from jackline.bundle import load_bundle, read_bundle
from jackline.errors import BundleError
from jackline.opening import known_schemas
from jackline.person import Under

if TYPE_CHECKING:
    from pathlib import Path

    from jackline.bundle import Bundle
    from jackline.home import Home
    from jackline.notices.target import Target


class Found(NamedTuple):
    """What the file has now."""

    data: bytes
    bundle: Bundle | None
    """None where it cannot be loaded."""
    error: BundleError | None

    @property
    def revision(self) -> str:
        """SHA-256 of the file's bytes, hex."""
        return hashlib.sha256(self.data).hexdigest()


class Bundles:
    """One file, and what was kept of its revisions in `bundles/` of the home. Thread-safe."""

    def __init__(self, home: Home, path: Path) -> None:
        self.path = path.absolute()
        self._home = home
        self._kept = home.path / "bundles"
        self._lock = threading.Lock()
        self._seen: tuple[int, ...] | None = None
        self._found: Found | None = None
        self._told: tuple[Target, ...] = ()

    def found(self) -> Found | None:
        """The file as it is now, loaded when it changed; None where there is none."""
        with self._lock:
            seen = self._signature()
            if seen is None:
                self._seen = self._found = None
            elif seen != self._seen:
                self._found = self._read()
                self._seen = seen
            return self._found

    def load(self, data: bytes) -> Bundle:
        """Load a bundle as guards of this home would. Raises BundleError."""
        return load_bundle(data, file=str(self.path), tool_schemas=known_schemas(self._home))

    def approvers(self) -> Approvers:
        """Who may answer, by the bundle as it is now; nobody where there is none."""
        found = self.found()
        return found.bundle.approvers if found is not None and found.bundle is not None else Approvers()

    def under(self) -> Under:
        """The bundle by which it is looked at who may answer."""
        found = self.found()
        return Under((found.bundle or found.error) if found is not None else None, self.path.name)

    def targets(self) -> tuple[Target, ...]:
        """Who is told of approvals and alerts; while the file is broken, as it was before."""
        found = self.found()
        if found is None:
            self._told = ()
        elif found.bundle is not None:
            self._told = found.bundle.notify
        return self._told

    def keep(self, data: bytes) -> str:
        """Keep a revision's text, for comparing and for going back; gives the revision."""
        revision = hashlib.sha256(data).hexdigest()
        path = self._kept / f"{revision}.yaml"
        with contextlib.suppress(OSError):  # what cannot be kept is only not shown later
            if not path.exists():
                self._kept.mkdir(mode=0o700, parents=True, exist_ok=True)
                part = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
                part.write_bytes(data)
                part.replace(path)
        return revision

    def text(self, revision: str) -> bytes | None:
        """A revision's text by its whole name; None where nobody kept it."""
        try:
            data = (self._kept / f"{revision}.yaml").read_bytes()
        except OSError:
            return None
        return data if hashlib.sha256(data).hexdigest() == revision else None

    def kept(self) -> list[str]:
        """Every revision whose text was kept."""
        return sorted(path.stem for path in self._kept.glob("*.yaml"))

    def writable(self) -> bool:
        """Whether this console can change the file."""
        target = self.path.resolve()
        return os.access(target.parent, os.W_OK) and (not target.exists() or os.access(target, os.W_OK))

    def _read(self) -> Found | None:
        try:
            data = read_bundle(self.path)
        except BundleError as error:
            return Found(b"", None, error)
        self.keep(data)
        try:
            return Found(data, self.load(data), None)
        except BundleError as error:
            return Found(data, None, error)

    def _signature(self) -> tuple[int, ...] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        registry = 0
        with contextlib.suppress(OSError):  # what is known of tools is part of what a bundle means
            registry = self._home.registry.stat().st_size
        return found.st_ino, found.st_size, found.st_mtime_ns, registry
