"""How one revision's options permit more than another's: what a reload must announce."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jackline_circuit_breaker.options import SEVERITY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jackline_circuit_breaker.options import CircuitBreakerOptions

_LOWER_IS_STRICTER = ("at", "periods", "streak", "share", "times", "floor", "max", "alike")
_HIGHER_IS_STRICTER = ("open_for", "backoff", "longest")


def widened(new: CircuitBreakerOptions, old: CircuitBreakerOptions) -> tuple[str, ...]:
    """Say each way in which `new` may permit what `old` did not. Errs on the side of saying too much."""
    return (*_detectors(new, old), *_told(new, old), *_session(new, old))


def _detectors(new: CircuitBreakerOptions, old: CircuitBreakerOptions) -> Iterator[str]:
    for name in type(old).model_fields:
        before, after = getattr(old, name), getattr(new, name)
        action = getattr(before, "action", None)
        if action is None or SEVERITY[action] < SEVERITY["deny"]:
            continue  # what blocked nothing
        if after is None:
            yield f"{name}: was taken away"
            continue
        if SEVERITY[after.action] < SEVERITY[action]:
            yield f"{name}: was {action}, is {after.action}"
        yield from (f"{name}: {change}" for change in _thresholds(after, before))


def _told(new: CircuitBreakerOptions, old: CircuitBreakerOptions) -> Iterator[str]:
    if SEVERITY[old.errors.action] >= SEVERITY["deny"]:
        for text in old.errors.results:
            if text not in new.errors.results:
                yield f"errors: a result such as {text} is not counted any more"


def _thresholds(after: Any, before: Any) -> Iterator[str]:
    for setting in type(before).model_fields:
        was, now = getattr(before, setting), getattr(after, setting)
        if (setting in _LOWER_IS_STRICTER and now > was) or (setting in _HIGHER_IS_STRICTER and now < was):
            yield f"{setting} was {was:g}, is {now:g}"


def _session(new: CircuitBreakerOptions, old: CircuitBreakerOptions) -> Iterator[str]:
    if old.halt_after is not None:
        if new.halt_after is None:
            yield "halt_after: was taken away"
        elif new.halt_after > old.halt_after:
            yield f"halt_after: was {old.halt_after}, is {new.halt_after}"
    if new.quiet < old.quiet:
        yield f"quiet: was {old.quiet:g}, is {new.quiet:g}"
    for tool in new.polls.tools:
        if tool not in old.polls.tools:
            yield f"polls: {tool} may be called again and again"
    if new.polls.unchanged > old.polls.unchanged:
        yield f"polls: unchanged was {old.polls.unchanged}, is {new.polls.unchanged}"
