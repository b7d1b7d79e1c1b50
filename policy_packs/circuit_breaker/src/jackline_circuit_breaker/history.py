"""The last calls of a session: what was called again, with what result, and in what turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jackline_circuit_breaker.calls import BROKEN_OFF, FAILED
from jackline_circuit_breaker.options import WINDOW

if TYPE_CHECKING:
    from collections.abc import Sequence

CALL, RESULT, SPAN, SKETCH, NEAR = range(5)
"""The parts of an entry. RESULT is empty while the call is under way; the rest is empty afterwards."""

PERIODS = (2, 3, 4, 5)
_LEAST = 6
"""Calls of the shortest cycle: A B A B is what looking twice is like, so a period of two is seen once more."""


def started(memory: dict[str, Any], call: str, span: str, sketch: Sequence[int] | None, *, near: bool) -> None:
    """Note a call that may start."""
    window = memory.setdefault("window", [])
    window.append([call, "", span, sketch, near])
    if len(window) > WINDOW:
        del window[0]


def ended(memory: dict[str, Any], span: str, result: str) -> list[Any] | None:
    """Note what came of a call; its entry, None where it is too long ago."""
    for entry in reversed(memory.get("window", ())):
        if entry[SPAN] == span:
            found: list[Any] = [entry[CALL], result, "", entry[SKETCH], entry[NEAR]]
            entry[RESULT:] = [result, "", None, False]
            return found
    return None


def forget(memory: dict[str, Any]) -> None:
    """Count anew: who comes back after a while and asks the same is no loop. Failing tools stay known."""
    for part in ("window", "tried", "blocked"):
        memory.pop(part, None)
    for known in memory.get("tools", {}).values():
        for part in ("result", "streak", "near", "sketch", "last"):
            known.pop(part, None)


def tried(memory: dict[str, Any], call: str) -> None:
    """Note an attempt, permitted or not."""
    attempts = memory.setdefault("tried", [])
    attempts.append(call)
    if len(attempts) > WINDOW:
        del attempts[0]


def attempts(memory: dict[str, Any], call: str) -> int:
    """How often this call was attempted among the last ones."""
    known: list[str] = memory.get("tried", [])
    return known.count(call)


def earlier(memory: dict[str, Any], call: str) -> list[list[Any]]:
    """This call's entries among the last ones."""
    return [entry for entry in memory.get("window", ()) if entry[CALL] == call]


def without_failures(entries: Sequence[list[Any]]) -> list[list[Any]]:
    """Those that did not fail: that ended well, were broken off, or are under way."""
    return [entry for entry in entries if not entry[RESULT].startswith(FAILED)]


def unchanged(entries: Sequence[Sequence[Any]]) -> int:
    """How many entries of a call have the result that it had last; those under way had no other yet."""
    latest = next((entry[RESULT] for entry in reversed(entries) if entry[RESULT]), "")
    return sum(entry[RESULT] in ("", latest) for entry in entries)


def progressed(memory: dict[str, Any], call: str) -> bool:
    """Whether another call has given something new since this one was called last: then the world may have changed."""
    seen: set[str] = set()
    new = False
    for entry in memory.get("window", ()):
        result = entry[RESULT]
        if entry[CALL] == call:
            new = False
        elif result and result != BROKEN_OFF and not result.startswith(FAILED):
            new = new or result not in seen
        seen.add(result)
    return new


def cycle(memory: dict[str, Any], call: str, periods: int, *, first: bool = False) -> int:
    """The period of the cycle that this call goes on with, seen so often with it; 0 where there is none.

    `first`: only the call with which it becomes one, not those that go on with it.
    """
    window = memory.get("window", ())
    size = len(window)
    for period in PERIODS:
        if size >= period and window[-period][CALL] == call:
            # As many as a period at least: what the asked call gives must have come round as well.
            matches = max(period * periods - period - 1, _LEAST - period - 1, period)
            if _turns(window, period, matches) and not (first and _turns(window, period, matches + 1)):
                return period
    return 0


def _turns(window: Sequence[Sequence[Any]], period: int, matches: int) -> bool:
    """Whether each of the last so many is as the one a period before it, and they are not all the same call."""
    if len(window) < matches + period:
        return False
    for back in range(1, matches + 1):
        later, earlier = window[-back], window[-back - period]
        if later[CALL] != earlier[CALL] or later[RESULT] != earlier[RESULT] or not later[RESULT]:
            return False
    return len({entry[CALL] for entry in window[-period:]}) > 1
