"""The form of one line, and the chain that joins it to the line before.

`{"v":1,"seq":12,"prev":"<64 hex>",<the event, its kind first>,"hash":"<64 hex>"}` and a newline. `hash` is the SHA-256
of the line's bytes before `,"hash":`; `prev` is the SHA-256 of the whole line before, its newline included.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from jackline.events import KINDS

if TYPE_CHECKING:
    from jackline.events import Event

GENESIS = b"0" * 64
"""What the first line of a journal has for `prev`."""
LINE_LIMIT = 16 * 1024 * 1024
"""Bytes of the longest line, newline included: it bounds the memory of every reader."""
_END = len(b',"hash":"') + 64 + len(b'"}\n')
_START = re.compile(rb'\{"v":(\d{1,9}),"seq":(\d{1,18}),"prev":"([0-9a-f]{64})",(?="kind":"([A-Za-z0-9_.\-]{1,100})")')
_HASH = re.compile(rb',"hash":"([0-9a-f]{64})"\}\n')

encode = msgspec.json.Encoder().encode
_decoders: dict[str, msgspec.json.Decoder[Any]] = {}


class Head(NamedTuple):
    """The last line of a journal: its sequence number and the SHA-256 (64 hex digits) of the whole line."""

    seq: int
    hash: str


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line as it stands in a journal."""

    seq: int
    prev: str
    hash: str
    """What the line says of its own bytes."""
    kind: str
    body: bytes
    """The event alone, as JSON, byte for byte as it was written."""
    raw: bytes
    """The whole line, newline included."""
    offset: int
    """Where the line starts in its file, in bytes."""

    @property
    def event(self) -> Event | None:
        """Decoded when asked; None where this version does not know the kind, or not this form of it."""
        return decode(self.kind, self.body)

    @property
    def head(self) -> Head:
        """This line as a head: the next line's `prev` is its hash."""
        return Head(self.seq, sha256(self.raw).hexdigest())


class BrokenLineError(ValueError):
    """A line is not the one that the chain promised; `.seq` is the first sequence number that is wrong."""

    def __init__(self, seq: int, problem: str) -> None:
        self.seq = seq
        super().__init__(problem)


def build(seq: int, prev: bytes, body: bytes) -> tuple[bytes, bytes]:
    """Splice a line around an encoded event; gives the line and the hash of the whole line (64 hex digits)."""
    start = b'{"v":1,"seq":%d,"prev":"%b",%b' % (seq, prev, body[1:-1])
    digest = sha256(start)
    end = b',"hash":"%b"}\n' % digest.hexdigest().encode()
    digest.update(end)
    return start + end, digest.hexdigest().encode()


def decode(kind: str, body: bytes) -> Event | None:
    """The event of a body, or None where this version does not know its kind or its form."""
    decoder = _decoders.get(kind)
    if decoder is None:
        if kind not in KINDS:
            return None
        decoder = _decoders[kind] = msgspec.json.Decoder(KINDS[kind])
    try:
        return decoder.decode(body)  # type: ignore[no-any-return]
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return None


def parse(raw: bytes, *, offset: int = 0, expected: int = 0) -> Line:
    """Take a complete line apart and prove its own hash; raises BrokenLineError with the number `expected`."""
    start = _START.match(raw)
    end = _HASH.fullmatch(raw, len(raw) - _END) if len(raw) >= _END else None
    if start is None or end is None:
        raise BrokenLineError(expected, "is not a line of a journal")
    version, seq, prev, kind = start.groups()
    if version != b"1":
        raise BrokenLineError(expected, f"has version {int(version)}; this Jackline reads version 1: upgrade it")
    told = end[1].decode()
    if sha256(memoryview(raw)[:-_END]).hexdigest() != told:
        raise BrokenLineError(expected, "was changed: its hash is not that of its bytes")
    name = kind.decode()
    body = b"{" + raw[start.end() : -_END] + b"}"
    return Line(seq=int(seq), prev=prev.decode(), hash=told, kind=name, body=body, raw=raw, offset=offset)


class Chain:
    """Follows a journal line by line and says where it breaks."""

    def __init__(self, head: Head | None = None) -> None:
        """Start after `head`, or before the first line."""
        self.head = head or Head(0, GENESIS.decode())

    def follow(self, raw: bytes, *, offset: int = 0) -> Line:
        """The line that comes next; raises BrokenLineError where it is not the one that the chain promised."""
        seq = self.head.seq + 1
        line = parse(raw, offset=offset, expected=seq)
        if line.seq != seq:
            raise BrokenLineError(seq, f"is missing: line {line.seq} stands in its place")
        if line.prev != self.head.hash:
            # The line itself is whole, so what it was chained to is no longer what stands before it.
            raise BrokenLineError(max(seq - 1, 1), f"is not the line that line {seq} was chained to")
        self.head = line.head
        return line

    def continues(self, tail: bytes) -> bool:
        """Whether a tail without newline can be the beginning of the next line, cut off by a kill or a power loss."""
        start = b'{"v":1,"seq":%d,"prev":"%b","kind":"' % (self.head.seq + 1, self.head.hash.encode())
        if not tail.strip(b"\0"):
            return True
        return (start.startswith(tail) or tail.startswith(start)) and not _is_whole(tail[:-1] + b"\n")


def _is_whole(raw: bytes) -> bool:
    try:
        parse(raw)
    except BrokenLineError:
        return False
    return True
