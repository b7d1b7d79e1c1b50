"""What was said and returned, beside the chain: stored once, capped, redacted unless somebody asks for it in full."""

from __future__ import annotations

import os
import re
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from jackline.journal import segment
from jackline.journal.line import LINE_LIMIT, encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from jackline.journal.writer import Journal

Capture = Literal["none", "redacted", "full"]
CAP = 64 * 1024
_KNOWN = 4096
_DEPTH = 200
REFERENCE = "$payloads"
"""The key under which a payload names others, by their digests."""
_PLAIN = frozenset({bool, type(None)})
_NUMBERS = frozenset({int, float})
_MANY = 1_000_000
_FIELD = re.compile(r"\$?[A-Za-z_][\w$.:/-]{0,63}|\d{1,4}")
_HEX = re.compile("[0-9a-f]*")
_DIGEST_AT = len(b'{"digest":"')


class Digests(Protocol):
    """What gives a payload its name: `jackline.plain.Digester`."""

    def digest(self, data: bytes) -> str:
        """The keyed digest of `data`: 32 hex digits."""


class Payload(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One stored payload."""

    digest: str
    size: int = 0
    """Bytes of its canonical form, before redaction and cap."""
    capture: Capture = "full"
    value: Any = None
    """The value, or with `cut` the beginning of its JSON as text."""
    cut: bool = False
    """It was longer than the cap."""
    erased: bool = False


class Payloads:
    """Stores payloads for one process, in a file named like its journal; the chain holds only their digests.

    A payload that cannot be written is counted in `lost` and never disturbs the act: the chain has its digest.
    """

    def __init__(
        self,
        directory: Path,
        digester: Digests,
        capture: Capture = "redacted",
        cap: int = CAP,
        journal: Journal | None = None,
    ) -> None:
        """`cap` is in bytes of JSON; `journal` gives the file's name, else the file is named as a journal would be."""
        self.capture: Capture = capture
        self.lost = 0
        self._directory, self._digester, self._cap, self._journal = directory, digester, cap, journal
        self._fd = -1
        self._process = segment.process
        self._begin()

    def put(self, value: Any, canonical: bytes, *, unjudged: bool = False) -> str:
        """Store a plain value whose canonical form is given; gives its keyed digest (32 hex digits).

        `unjudged`: policies have yet to say what of it may be seen, so where all is kept, its structure is.
        """
        digest = self._digester.digest(canonical)
        if unjudged and self.capture == "full":
            return self._put_structure(digest, value, canonical)
        if self.capture == "none":
            return digest
        if self._process is not segment.process:
            self._own()
        with self._lock:
            if digest in self._known:
                self._known.move_to_end(digest)
            else:
                self._store(digest, value, canonical)
        return digest

    def put_each(self, values: Sequence[Any], canonicals: Sequence[bytes]) -> list[str]:
        """As `put` for each of several, most of which are stored by now: the messages of a conversation."""
        digests = list(map(self._digester.digest, canonicals))
        if self.capture == "none":
            return digests
        self._own()
        with self._lock:
            for digest, value, canonical in zip(digests, values, canonicals, strict=True):
                if digest in self._known:
                    self._known.move_to_end(digest)
                else:
                    self._store(digest, value, canonical)
        return digests

    def keep(self, capture: Capture) -> None:
        """Change what is kept from now on; what was stored in another way is stored again when it comes again."""
        self._own()
        with self._lock:
            if capture != self.capture:
                self.capture = capture
                self._known.clear()

    def get(self, digest: str) -> Payload | None:
        """A stored payload, from any process's file; None where it was never stored."""
        return find_payloads(self._directory, [digest]).get(digest)

    def erase(self, digest: str) -> int:
        """Take a payload's content away, see `erase_payload`."""
        return erase_payload(self._directory, digest)

    def close(self) -> None:
        """Close the file; a later `put` opens another."""
        self._own()
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
            self._fd = -1

    def _own(self) -> None:
        """After a fork: leave the parent's file and lock alone, and begin a file of this process."""
        if self._process is segment.process:
            return
        with segment.process.lock:
            if self._process is not segment.process:
                self._begin()

    def _begin(self) -> None:
        self._lock = threading.RLock()
        self._known: OrderedDict[str, None] = OrderedDict()
        self._fd = -1
        self._ragged = False
        self._process = segment.process

    def _put_structure(self, digest: str, value: Any, canonical: bytes) -> str:
        self._own()
        with self._lock:
            if digest not in self._known:
                self._line(digest, "redacted", encode(redact(value)), len(canonical))
        return digest

    def _store(self, digest: str, value: Any, canonical: bytes) -> None:
        self._known[digest] = None
        if len(self._known) > _KNOWN:
            self._known.popitem(last=False)
        kept = canonical if self.capture == "full" else encode(redact(value))
        if not self._line(digest, self.capture, kept, len(canonical)):
            self._known.pop(digest, None)

    def _line(self, digest: str, capture: Capture, kept: bytes, size: int) -> bool:
        cut = len(kept) > self._cap
        if cut:
            kept = encode(kept[: self._cap].decode(errors="ignore"))
        line = b'{"digest":"%b","size":%d,"capture":"%b",%b"value":%b}\n' % (
            digest.encode(), size, capture.encode(), b'"cut":true,' if cut else b"", kept,
        )  # fmt: skip
        try:
            self._write(line)
        except OSError:
            self.lost += 1
            return False
        return True

    def _write(self, line: bytes) -> None:
        """The one place where payloads reach the system; readers skip what a failed write left."""
        if self._fd < 0:
            self._open()
        if self._ragged:
            line = b"\n" + line
        self._ragged = True
        written = os.write(self._fd, line)
        if written != len(line):
            raise OSError(f"only {written} of {len(line)} bytes were written")
        self._ragged = False

    def _open(self) -> None:
        name = self._journal.id if self._journal else segment.new_journal_id(time.time())
        path = self._directory / f"{name}{segment.SUFFIX}"
        try:
            self._fd = segment.create(path)
        except FileExistsError:
            self._fd = os.open(path, os.O_APPEND | os.O_WRONLY | getattr(os, "O_CLOEXEC", 0))


def redact(value: Any, depth: int = 0) -> Any:
    """The same structure without what may be somebody's.

    Each string stands by its length, and so does each key that is no field's name (an address, a number); numbers of
    seven digits or more are not shown.
    """
    if isinstance(value, str):
        return f"[{len(value)} chars]"
    if depth > _DEPTH:
        return "[too deep]"
    if isinstance(value, dict):
        redacted: dict[str, Any] = {}
        for key, item in value.items():
            name = key if type(key) is str and key.isidentifier() else _field(str(key), redacted)
            kind = type(item)
            if kind is str:
                redacted[name] = f"[{len(item)} chars]"
            elif kind in _PLAIN or (kind in _NUMBERS and -_MANY < item < _MANY) or (key == REFERENCE and _refers(item)):
                redacted[name] = item
            else:
                redacted[name] = redact(item, depth + 1)
        return redacted
    if isinstance(value, (list, tuple)):
        return [redact(item, depth + 1) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return value if -_MANY < value < _MANY else "[large number]"
    return f"[{type(value).__qualname__}]"


def _field(key: str, taken: dict[str, Any]) -> str:
    """A key as it may be shown: as it is if it could be a field's or a header's name, else by its length."""
    if key == REFERENCE or _FIELD.fullmatch(key):
        return key
    shown = f"[{len(key)} chars]"
    return shown if shown not in taken else f"{shown} #{len(taken)}"


def _refers(item: Any) -> bool:
    """Whether an item names payloads that are kept by themselves: digests tell nothing and lead to redacted text."""
    if not isinstance(item, list) or not {str}.issuperset(map(type, item)):
        return False
    return {32}.issuperset(map(len, item)) and _HEX.fullmatch("".join(item)) is not None


def find_payloads(directory: Path, digests: Iterable[str], journal: str = "") -> dict[str, Payload]:
    """Those of the payloads that are stored in a folder, by digest; one pass over its files.

    `journal`: only what the process of that journal stored, which is all that its events name.
    """
    wanted = {digest.encode() for digest in digests}
    found: dict[str, Payload] = {}
    for _path, _at, raw in _lines(directory, journal):
        if _digest_of(raw) not in wanted:
            continue
        try:
            payload = msgspec.json.decode(raw, type=Payload)
        except (msgspec.MsgspecError, RecursionError, UnicodeError):
            continue
        known = found.get(payload.digest)
        if known is None or _worth(payload) > _worth(known):
            found[payload.digest] = payload
    return found


def _worth(payload: Payload) -> int:
    """How much a copy tells: a whole one more than a cut or redacted one, an erased one nothing."""
    return 0 if payload.erased else 1 + (not payload.cut) + 2 * (payload.capture == "full")


def erase_payload(directory: Path, digest: str) -> int:
    """Overwrite a payload's content wherever it is stored and give the number of places; the chain stays valid.

    The line keeps its length and its digest, so that a process that is writing to the file is not disturbed.
    """
    places = [(path, at, len(raw)) for path, at, raw in _lines(directory) if _digest_of(raw) == digest.encode()]
    for path, at, size in places:
        line = b'{"digest":"%b","erased":true' % digest.encode()
        fd = os.open(path, os.O_WRONLY)
        try:
            os.pwrite(fd, line + b" " * (size - len(line) - 2) + b"}\n", at)
            os.fsync(fd)
        finally:
            os.close(fd)
    return len(places)


def _lines(directory: Path, journal: str = "") -> Iterator[tuple[Path, int, bytes]]:
    """Every whole line of every payload file, or of that of one journal, with its place."""
    for path in sorted(directory.glob(f"*{segment.SUFFIX}")):
        if journal and path.name != f"{journal}{segment.SUFFIX}":
            continue
        at = 0
        with path.open("rb") as file:
            while raw := file.readline(LINE_LIMIT):
                if raw.startswith(b'{"digest":"') and raw.endswith(b"}\n"):
                    yield path, at, raw
                at += len(raw)


def _digest_of(raw: bytes) -> bytes:
    return raw[_DIGEST_AT : raw.find(b'"', _DIGEST_AT)]
