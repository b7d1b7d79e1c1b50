"""What is raised where a request may not go out: Jackline's own signal and an error of the library's family in one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jackline.errors import ApprovalPending, Denied, Halted

if TYPE_CHECKING:
    from jackline.decision import Decision
    from jackline.errors import Signal


_kinds: dict[tuple[type[Exception], str], type[Signal]] = {}


def kind(base: type[Exception], effect: str) -> type[Signal]:
    """The class that is both: `except httpx.RequestError` and `except jackline.Denied` catch it."""
    known = _kinds.get((base, effect))
    if known is not None:
        return known
    own: type[Signal] = {"halt": Halted, "escalate": ApprovalPending}.get(effect, Denied)
    family = base.__module__.partition(".")[0]
    namespace = {"__module__": __name__, "__doc__": f"{own.__doc__} An error of {family}'s too."}
    made: type[Signal] = type(f"{family.title()}{own.__name__}", (own, base), namespace)
    return _kinds.setdefault((base, effect), made)


def signal(base: type[Exception], decision: Decision, native: object = None) -> Signal:
    """The error to raise; libraries whose errors know their request are given it."""
    made = kind(base, decision.effect)(decision)
    if native is not None and hasattr(base, "request"):  # of httpx
        made.request = native  # type: ignore[attr-defined]
    return made
