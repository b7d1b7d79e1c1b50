"""Days, months and rolling windows: which one a moment belongs to."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PARTS = 12
"""Parts of a rolling window: what was spent counts for the window's length and up to a twelfth more."""
RING = PARTS + 2
"""Balances of a window: one that is partly over, one that a clock may be ahead by, and those between."""
_UNITS = ((604800, "w"), (86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def zone(name: str) -> dt.tzinfo | None:
    """The time zone of that name, or None where this machine knows none."""
    if name == "UTC":
        return dt.UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def day(date: dt.date) -> tuple[dt.date, dt.date, str]:
    """A day's first date, the first after it, and its name: `2026-03-29`."""
    return date, date + dt.timedelta(days=1), date.isoformat()


def month(date: dt.date) -> tuple[dt.date, dt.date, str]:
    """A month's first date, the first after it, and its name: `2026-03`."""
    first = date.replace(day=1)
    return first, (first + dt.timedelta(days=31)).replace(day=1), f"{first:%Y-%m}"


class Calendar:
    """Which day or month it is, found once a period and not once a call."""

    __slots__ = ("_known", "_period", "_zone")

    def __init__(self, zone: dt.tzinfo, period: Callable[[dt.date], tuple[dt.date, dt.date, str]]) -> None:
        self._zone = zone
        self._period = period
        self._known: tuple[float, float, str] = (0.0, 0.0, "")

    def of(self, at: float) -> str:
        """Name the period of a Unix time."""
        since, until, name = self._known
        if not since <= at < until:
            self._known = since, until, name = self._find(at)
        return name

    def _find(self, at: float) -> tuple[float, float, str]:
        first, after, name = self._period(dt.datetime.fromtimestamp(at, self._zone).date())
        return self._midnight(first), self._midnight(after), name

    def _midnight(self, date: dt.date) -> float:
        return dt.datetime.combine(date, dt.time(), self._zone).timestamp()


class Rolling:
    """A window that ends now. Its parts' balances are a ring: each is used again when it is over."""

    __slots__ = ("_known", "_names", "_seconds")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._names = [f"window/{span(seconds)}/{slot}/" for slot in range(RING)]
        self._known: tuple[int, str, tuple[str, ...]] = (0, "", ())

    def at(self, at: float) -> tuple[int, str, tuple[str, ...]]:
        """The part that a Unix time is in, counted from 1970 (1 is the first), its key, and those of the others."""
        turn = int(at * PARTS // self._seconds) + 1
        known = self._known
        if known[0] != turn:
            names, slot = self._names, turn % RING
            self._known = known = turn, names[slot], (*names[slot + 1 :], *names[:slot])
        return known


def span(seconds: float) -> str:
    """A length of time as a bundle writes it: `24h` is `1d`, 5400 seconds are `90m`."""
    for unit, name in _UNITS:
        if seconds % unit == 0:
            return f"{int(seconds // unit)}{name}"
    return f"{seconds:g}s"
