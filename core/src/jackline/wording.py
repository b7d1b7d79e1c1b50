"""How messages show a value and a number of things, and which known word is nearest to an unknown one."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

_WIDTH = 60
"""Characters of a value that one line of a message holds."""
_LISTED = 12
"""Known words that a message lists before it stops."""


def shown(value: Any) -> str:
    """Show a value as YAML would write it, cut to what a line holds."""
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return cut(repr(value))
    return cut(json.dumps(value, ensure_ascii=False, default=repr))


def cut(text: str) -> str:
    """Keep a text on one line of a message."""
    flat = " ".join(text.split())
    return flat if len(flat) <= _WIDTH else f"{flat[: _WIDTH - 3]}..."


def counted(count: int, thing: str, things: str = "") -> str:
    """Say how many there are of something: `1 journal`, `2 journals`."""
    return f"{count} {thing if count == 1 else things or f'{thing}s'}"


def nearest(word: str, known: Iterable[str]) -> str:
    """Say which known word was probably meant, else which ones there are."""
    candidates = sorted(known)
    lower = {candidate.lower(): candidate for candidate in candidates}
    close = difflib.get_close_matches(word.lower(), lower, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{lower[close[0]]}'?"
    if not candidates:
        return ""
    more = f" and {len(candidates) - _LISTED} more" if len(candidates) > _LISTED else ""
    return f"known: {', '.join(candidates[:_LISTED])}{more}"
