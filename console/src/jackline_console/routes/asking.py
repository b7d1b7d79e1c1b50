"""What routes share: the console of a request, cursors of lists, answers that are made as bytes."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from fastapi import Depends, Query, Request, Response

from jackline_console.console import Console
from jackline_console.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import Sequence


def _console(request: Request) -> Console:
    console: Console = request.app.state.console
    return console


Here = Annotated[Console, Depends(_console)]
Since = Annotated[float | None, Query(ge=0, le=1e11, description="Unix seconds")]
Until = Annotated[float | None, Query(ge=0, le=1e11, description="Unix seconds")]
Days = Annotated[int, Query(ge=1, le=366)]
Place = Annotated[str, Query(max_length=400, description="where the list goes on: `next` of the answer before")]
Filter = Annotated[str, Query(max_length=400)]


def marked(*parts: Any) -> str:
    """An opaque text that `place` reads back."""
    return base64.urlsafe_b64encode(msgspec.json.encode(parts)).decode().rstrip("=")


def place(text: str, *kinds: type) -> tuple[Any, ...] | None:
    """What a cursor holds; None for the beginning. Raises ProblemError where it is not of this list."""
    if not text:
        return None
    try:
        parts = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (msgspec.MsgspecError, binascii.Error, ValueError):
        parts = None
    fits = isinstance(parts, list) and len(parts) == len(kinds)
    if not fits or not all(_is(part, kind) for part, kind in zip(parts, kinds, strict=True)):
        raise ProblemError(
            400,
            "cursor",
            "the cursor is not of this list",
            what="cursor",
            value=text,
            expected="`next` of the answer before, with the same filters",
            hint="leave it out to begin anew",
        )
    return tuple(parts)


def _is(part: Any, kind: type) -> bool:
    if kind is float:
        return isinstance(part, (int, float)) and not isinstance(part, bool) and abs(part) < 1e12  # noqa: PLR2004
    if kind is int:
        return isinstance(part, int) and not isinstance(part, bool) and abs(part) < 2**53
    return isinstance(part, kind)


def made(content: Any) -> Response:
    """An answer that is large: encoded here, in the route's thread, and not looked at again."""
    return Response(msgspec.json.encode(content), media_type="application/json")


def joined(facts: dict[str, Any], items: Sequence[str]) -> Response:
    """As `made`, of items that are JSON already."""
    rest = msgspec.json.encode(facts).decode()[1:-1]
    return Response(f'{{"items":[{",".join(items)}]{"," if rest else ""}{rest}}}', media_type="application/json")
