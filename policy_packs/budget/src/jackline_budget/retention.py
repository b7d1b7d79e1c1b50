"""Which balances can be forgotten: those that count against nothing any more, and of sessions long over."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING

from jackline_budget.balances import WHOLE, seconds
from jackline_budget.periods import PARTS, RING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from jackline.ledger import Entry

DAY = 86400.0
_KEY = re.compile(
    r"[^/]+/(?:all/)?(?:session/(?P<session>[0-9a-f]{32})/)?(?:(?:agent|team|user)/[^/]*/)*"
    r"(?:day/(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})/)?(?:month/(?P<month>[0-9]{4}-[0-9]{2})/)?"
    r"(?:window/(?P<window>[0-9.e+]+[wdhms])/[0-9]+/)?(?:usd|tokens|calls)"
)


def over(entries: Iterable[Entry], kept: Collection[str], now: float, before: float) -> list[str]:
    """The scopes that can be forgotten: not held, last counted in before `before` (Unix seconds), and over.

    A day, month or window is over when it counts no more in any time zone; a session that `kept` does not name is;
    what counts for ever (an agent, a user, everything) never is. A key that is not read whole stays.
    """
    return [entry.scope for entry in entries if not entry.held and entry.touched < before and _over(entry, kept, now)]


def _over(entry: Entry, kept: Collection[str], now: float) -> bool:
    found = _KEY.fullmatch(entry.scope) if len(entry.scope.encode()) < WHOLE else None
    if found is None:
        return False
    if found["window"]:
        return entry.touched + seconds(found["window"]) * RING / PARTS < now
    if found["day"]:
        return _ended(dt.date.fromisoformat(found["day"]) + dt.timedelta(days=1), now)
    if found["month"]:
        return _ended(dt.date.fromisoformat(f"{found['month']}-01") + dt.timedelta(days=31), now)
    return bool(found["session"]) and found["session"] not in kept


def _ended(after: dt.date, now: float) -> bool:
    """Whether a date has begun everywhere; one that is no more than a day late is as good."""
    return after < dt.datetime.fromtimestamp(now - DAY, dt.UTC).date()
