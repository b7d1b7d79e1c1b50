"""How new options of an escalation policy ask people less than the old ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jackline_escalation.options import EscalationOptions

_PARTS = ("rules", "declared", "amount", "new_destination", "off_hours")


def widened(now: EscalationOptions, was: EscalationOptions) -> Iterator[str]:
    """Say each way in a few words. A part that was changed at all is told: less of it may be risky now."""
    for gate in was.gates:
        covering = [each for each in now.gates if each.at <= gate.at]
        if not covering:
            lowest = min(each.at for each in now.gates)
            yield f"nobody is asked at risk {gate.at}: the lowest gate stands at {lowest}"
            continue
        highest = max(covering, key=lambda each: each.at)
        yield from (f"at risk {gate.at}: {what}" for what in highest.widened(gate))
    for name in _PARTS:
        old, new = getattr(was, name), getattr(now, name)
        if old and old != new:
            yield f"`{name}` is another"
    if now.new_tool < was.new_tool:
        yield f"a new tool adds {now.new_tool} instead of {was.new_tool}"
