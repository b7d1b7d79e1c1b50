"""A tool that fails again and again is let alone for a while, then tried by a single call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jackline_circuit_breaker.calls import UNCOUNTED

if TYPE_CHECKING:
    from jackline_circuit_breaker.options import Errors

_KEPT = 10
"""Outcomes of a tool that its share of errors is taken of."""
_ENOUGH = 6
"""Fewer outcomes say nothing about a share."""
_LOST = 300.0
"""Seconds after which a probe that nothing was heard of is given up: its caller may not have started it."""
_AHEAD = 2.0
"""Times the rest that its end can lie ahead, since calls side by side are not told in the order of their clocks; if it
lies further ahead, the clock was put back, and the tool must not rest for as long as that."""


def blocked(known: dict[str, Any], at: float) -> str:
    """Why no call may start now; empty where one may."""
    until = known.get("until")
    if until is None:
        return ""
    wait = known["wait"]
    if until - _AHEAD * wait <= at < until:
        return f"calls are blocked for {_seconds(until - at)} more"
    lost = max(_LOST, wait)
    if "probe" in known and known["probe_at"] - lost <= at < known["probe_at"] + lost:
        return "one call is trying it, and has not ended"
    return ""


def permitted(known: dict[str, Any], span: str, at: float) -> None:
    """Note a call that may start: where calls were blocked, it is the probe."""
    if "until" in known:
        known["probe"], known["probe_at"] = span, at


def ended(known: dict[str, Any], options: Errors, span: str, at: float, error: str | None) -> None:
    """Note how a call ended, at `at`; `error` is None where it ended well."""
    probing = known.get("probe") == span
    if error in UNCOUNTED:
        if probing:
            del known["probe"], known["probe_at"]
        return
    if probing:
        _probed(known, options, at, failed=error is not None)
    elif "until" not in known:
        _count(known, options, at, error)


def _probed(known: dict[str, Any], options: Errors, at: float, *, failed: bool) -> None:
    del known["probe"], known["probe_at"]
    if failed:
        known["wait"] = min(known["wait"] * options.backoff, options.longest)
        known["until"] = at + known["wait"]
        return
    for name in ("until", "wait", "why", "outcomes", "row"):
        known.pop(name, None)


def _count(known: dict[str, Any], options: Errors, at: float, error: str | None) -> None:
    outcomes = (known.get("outcomes", "") + ("." if error is None else "!"))[-_KEPT:]
    known["outcomes"] = outcomes
    row = known["row"] = 0 if error is None else known.get("row", 0) + 1
    if not row:
        return
    failed = outcomes.count("!")
    if row >= options.streak:
        why = f"failed {row} times in a row"
    elif len(outcomes) >= _ENOUGH and failed >= options.share * len(outcomes):
        why = f"failed {failed} of the last {len(outcomes)} times"
    else:
        return
    known["why"] = why
    if options.action == "record":
        known["outcomes"], known["row"] = "", 0
    else:
        known["wait"] = options.open_for
        known["until"] = at + options.open_for


def _seconds(span: float) -> str:
    return f"{span:.0f} s" if span >= 1 else f"{span:.1f} s"
