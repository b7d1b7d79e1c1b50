"""Whose spending is counted together: the keys of the ledger, and how a person reads them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from jackline_budget.periods import Calendar, Rolling, day, month, span, zone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from jackline.request import Request

_ORDER = ("call", "all", "session", "agent", "team", "user", "day", "month")


@lru_cache(maxsize=4096)
def escaped(text: str) -> str:
    """Text that cannot be taken for two parts of a key."""
    return quote(text, safe="", errors="backslashreplace")


class Balance(NamedTuple):
    """The balance that a request counts against; with a unit after it, each key is one of the ledger's."""

    key: str
    """Ends with a slash: `session-ceiling/session/4f…/`."""
    turn: int = 0
    """In a rolling window, which part of it is now."""
    beside: tuple[str, ...] = ()
    """The keys of the window's other parts."""


class Scope:
    """One combination such as agent and day, perhaps in a rolling window."""

    def __init__(self, policy: str, per: Iterable[str], timezone: str, window: float | None = None) -> None:
        self.prefix = f"{escaped(policy)}/"
        kinds = sorted(per, key=_ORDER.index)
        self.once = kinds == ["call"]
        """Whether each act has the limit for itself."""
        self.label = "in all" if kinds == ["all"] else "per " + " and ".join(kinds)
        if window is not None:
            self.label += f" in {span(window)}"
        self._rolling = None if window is None else Rolling(window)
        found = zone(timezone)
        assert found is not None, "the options were validated"
        days, months = Calendar(found, day), Calendar(found, month)
        known: dict[str, Callable[[Request], str]] = {
            "call": lambda _: "call/",
            "all": lambda _: "all/",
            "session": lambda request: f"session/{escaped(request.subject.session)}/",
            "agent": lambda request: f"agent/{escaped(request.agent.name)}/",
            "team": lambda request: f"team/{escaped(request.agent.team)}/",
            "user": _user,
            "day": lambda request: f"day/{days.of(request.at)}/",
            "month": lambda request: f"month/{months.of(request.at)}/",
        }
        self._parts = [known[kind] for kind in kinds]

    def key(self, request: Request) -> str:
        """The ledger's key without window and unit: `session-ceiling/session/4f…/`."""
        if len(self._parts) == 1:
            return self.prefix + self._parts[0](request)
        return self.prefix + "".join([part(request) for part in self._parts])

    def balance(self, request: Request) -> Balance:
        """Which balance a request counts against."""
        key = self.key(request)
        if self._rolling is None:
            return Balance(key)
        turn, now, others = self._rolling.at(request.at)
        return Balance(key + now, turn, tuple([key + other for other in others]))


def _user(request: Request) -> str:
    """A user is known within a namespace: two tenants may both have a `u-1`. All without a name are one."""
    subject = request.subject
    if subject.namespace:
        return f"user/{escaped(subject.namespace)}:{escaped(subject.user)}/"
    return f"user/{escaped(subject.user)}/"
