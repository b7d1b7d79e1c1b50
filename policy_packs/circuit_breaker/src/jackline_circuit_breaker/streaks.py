"""One tool that answers the same whatever it is asked: other arguments, and arguments that are nearly the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jackline_circuit_breaker.calls import alike, sketch
from jackline_circuit_breaker.history import CALL, NEAR, RESULT, SKETCH

if TYPE_CHECKING:
    from collections.abc import Sequence

UNSKETCHED = 3
"""Calls of a streak before one can be found like the one before it: sketches cost more than everything else
together, so the first is made when two calls in a row had the same result."""


def likeness(known: dict[str, Any] | None, data: bytes, limit: float) -> tuple[list[int] | None, bool]:
    """The sketch of a call's arguments, where its tool has been answering the same; whether it is like the last one."""
    if known is None or known.get("streak", 0) < UNSKETCHED - 1:
        return None, False
    drawn = sketch(data)
    return drawn, known["sketch"] is not None and alike(drawn, known["sketch"]) > limit


def ended(known: dict[str, Any], entry: Sequence[Any]) -> None:
    """Count how often in a row the tool gave the same result for other arguments, and for similar ones."""
    call, result, drawn = entry[CALL], entry[RESULT], entry[SKETCH]
    if result != known.get("result"):
        known["result"], known["streak"], known["near"], known["sketch"] = result, 1, 0, None
    elif call != known["last"]:
        known["streak"] += 1
        if drawn is not None:
            known["near"] = known["near"] + 1 if entry[NEAR] else 0
            known["sketch"] = drawn
    known["last"] = call


def answering_the_same(known: dict[str, Any], call: str) -> int:
    """How often in a row the tool gave the same result, where this call's arguments are others again; else 0."""
    return 0 if known.get("last") == call else int(known.get("streak", 0))


def similar(known: dict[str, Any]) -> int:
    """How often in a row it did so for arguments that were nearly the same."""
    return int(min(known["streak"], known["near"] + UNSKETCHED))


def blocked(known: dict[str, Any], at: int) -> None:
    """Count on from half after a call was blocked: a tool that answers the same must not be lost to the session."""
    known["streak"] = min(known.get("streak", 0), at // 2)
