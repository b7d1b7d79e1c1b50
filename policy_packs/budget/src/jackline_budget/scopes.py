"""Whose spending is counted together: the keys of the ledger, and how a person reads them."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from jackline.options import Amount
    from jackline.request import Request

_ORDER = ("session", "agent", "team", "user", "day")


@lru_cache(maxsize=4096)
def escaped(text: str) -> str:
    """Text that cannot be taken for two parts of a key."""
    return quote(text, safe="", errors="backslashreplace")


def zone(name: str) -> dt.tzinfo | None:
    """The time zone of that name, or None where this machine knows none."""
    if name == "UTC":
        return dt.UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


class Day:
    """Which day it is, found once a day and not once a call."""

    __slots__ = ("_known", "_zone")

    def __init__(self, zone: dt.tzinfo) -> None:
        self._zone = zone
        self._known: tuple[float, float, str] = (0.0, 0.0, "")

    def of(self, at: float) -> str:
        """Name the day of a Unix time: `2026-03-29`."""
        since, until, name = self._known
        if not since <= at < until:
            self._known = since, until, name = self._find(at)
        return name

    def _find(self, at: float) -> tuple[float, float, str]:
        date = dt.datetime.fromtimestamp(at, self._zone).date()
        since, until = (self._midnight(date + dt.timedelta(days=days)) for days in (0, 1))
        return since, until, date.isoformat()

    def _midnight(self, date: dt.date) -> float:
        return dt.datetime.combine(date, dt.time(), self._zone).timestamp()


class Scope:
    """One combination such as agent and day; `key` names the balance that a request counts against."""

    def __init__(self, policy: str, per: Iterable[str], timezone: str) -> None:
        self.prefix = f"{escaped(policy)}/"
        kinds = sorted(per, key=_ORDER.index)
        self.label = "per " + " and ".join(kinds)
        found = zone(timezone)
        assert found is not None, "the options were validated"
        self._day = Day(found)
        known: dict[str, Callable[[Request], str]] = {
            "session": lambda request: f"session/{escaped(request.subject.session)}/",
            "agent": lambda request: f"agent/{escaped(request.agent.name)}/",
            "team": lambda request: f"team/{escaped(request.agent.team)}/",
            "user": _user,
            "day": lambda request: f"day/{self._day.of(request.at)}/",
        }
        self._parts = [known[kind] for kind in kinds]

    def key(self, request: Request) -> str:
        """The ledger's key without its unit: `session-ceiling/session/4f…/`."""
        if len(self._parts) == 1:
            return self.prefix + self._parts[0](request)
        return self.prefix + "".join([part(request) for part in self._parts])


def _user(request: Request) -> str:
    """A user is known within a namespace: two tenants may both have a `u-1`. All without a name are one."""
    subject = request.subject
    if subject.namespace:
        return f"user/{escaped(subject.namespace)}:{escaped(subject.user)}/"
    return f"user/{escaped(subject.user)}/"


def shown(amount: Amount) -> str:
    """An amount as a person writes it: `0.50 USD`, `20000 tokens`."""
    if amount.unit != "usd":
        return f"{amount.value} {amount.unit if amount.value != 1 else amount.unit[:-1]}"
    dollars = Decimal(amount.value) / 1_000_000
    return f"{dollars:.2f} USD" if dollars == round(dollars, 2) else f"{dollars.normalize():f} USD"
