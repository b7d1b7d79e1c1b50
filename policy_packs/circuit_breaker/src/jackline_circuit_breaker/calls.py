"""What a call is known by: never its arguments, only a digest of them, and how alike two of them are."""

from __future__ import annotations

import re
from hashlib import blake2b
from struct import unpack_from
from typing import TYPE_CHECKING

from jackline.events import Completed
from jackline.plain import canonical, plain

if TYPE_CHECKING:
    from jackline.events import Failed
    from jackline.request import Request

FAILED = "!"
"""What the result of a call that failed begins with."""
BROKEN_OFF = "~"
UNCOUNTED = frozenset({"cancelled", "abandoned", "outcome unknown"})
"""What ends an act and says nothing about its tool."""

_NUMBER = re.compile(rb"[0-9]+")
_HEAD, _TAIL = 192, 128
"""Bytes of the arguments that are compared for likeness, where there are more."""
_SHINGLE = 4
_BUCKETS = 2039
"""Prime. Four bytes are reduced to so many kinds: enough to compare, too few to read the arguments back."""
_LONGEST = 64
"""Characters of a tool's name that is kept as it is."""


def arguments(request: Request) -> bytes:
    """The canonical form of what the body will receive."""
    try:
        return canonical(request.args)
    except (TypeError, ValueError, RecursionError):
        return canonical(plain(request.args))


def call(request: Request, data: bytes) -> str:
    """16 hex digits for one call of one tool with these arguments."""
    what = f"{request.action} {request.resource}\0".encode("utf-8", "surrogatepass")
    return blake2b(what + data, digest_size=8).hexdigest()


def tool(action: str, resource: str) -> str:
    """The key of a tool, retriever or agent in the memory, which must survive being written as JSON."""
    if len(resource) <= _LONGEST and resource.isascii():
        return f"{action} {resource}"
    return f"{action} #{blake2b(resource.encode('utf-8', 'surrogatepass'), digest_size=8).hexdigest()}"


def result(event: Completed | Failed) -> str:
    """What came of a call: its result's digest, the kind of its error, or that it was broken off."""
    if isinstance(event, Completed):
        return event.result[:16] or "-"
    if event.error in UNCOUNTED:
        return BROKEN_OFF
    return f"{FAILED}{event.error[:_LONGEST]}" if event.error.isascii() else FAILED


def sketch(data: bytes) -> list[int]:
    """The kinds of four-byte pieces in the arguments without their numbers."""
    text = _NUMBER.sub(b"", data if len(data) <= _HEAD + _TAIL else data[:_HEAD] + data[-_TAIL:])
    if len(text) < _SHINGLE:
        text = text.ljust(_SHINGLE)
    pieces: set[int] = set()
    for start in range(_SHINGLE):
        pieces.update(unpack_from(f"<{(len(text) - start) // _SHINGLE}I", text, start))
    return list({piece % _BUCKETS for piece in pieces})


def alike(first: list[int], second: list[int]) -> float:
    """The share of kinds that two sketches have in common: Jaccard's index."""
    one, other = set(first), set(second)
    return len(one & other) / len(one | other)
