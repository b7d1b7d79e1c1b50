"""Reading journals: line by line, from any place, with whatever a crash or a vandal left in the file."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from jackline.errors import JournalError
from jackline.journal.line import LINE_LIMIT, BrokenLineError, Line, parse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def raw_lines(file: IO[bytes], offset: int = 0) -> Iterator[tuple[int, bytes]]:
    """Each line's place in the file and its bytes, from `offset` on.

    The last may lack its newline: a line that is being written, a torn one, or one beyond LINE_LIMIT (then the last
    that is given).
    """
    file.seek(offset)
    while raw := file.readline(LINE_LIMIT + 1):
        yield offset, raw
        if not raw.endswith(b"\n"):
            return
        offset += len(raw)


def read(path: Path) -> Iterator[Line]:
    """The whole lines of one segment, in order; a torn last line is left out.

    Each line's own hash is proved, the chain is not: see `verify`. Raises JournalError at a line that is none.
    """
    try:
        with path.open("rb") as file:
            for number, (offset, raw) in enumerate(raw_lines(file), 1):
                if not raw.endswith(b"\n") and len(raw) <= LINE_LIMIT:
                    return
                try:
                    yield parse(raw, offset=offset)
                except BrokenLineError as error:
                    told = f"Cannot read {path}: line {number} (at byte {offset}) {error}. See: jackline verify"
                    raise JournalError(told) from error
    except OSError as error:
        raise JournalError(f"Cannot read {path}: {error.strerror}") from error
